//! LZX as cabinets use it: matches and literals in Huffman codes, over all blocks of a folder.
//!
//! Written anew because this one has to be free of panics: in the browser a panic ends the worker.

mod bits;
mod code;

use bits::Bits;
use code::Code;

const LITERALS: usize = 256;
const LENGTHS: usize = 249;
const MOST_SLOTS: usize = 50;
/// What every match is longer than, less one.
const SHORTEST: usize = 2;
/// Behind so many bytes of a folder calls are no longer translated.
const LAST_TRANSLATED: u64 = 1 << 30;

/// Extra bits of each match position slot, and where its positions start.
const SLOTS: [(u32, u32); MOST_SLOTS] = slots();

const fn slots() -> [(u32, u32); MOST_SLOTS] {
    let mut table = [(0, 0); MOST_SLOTS];
    let (mut rest, mut slot, mut start): (&mut [(u32, u32)], u32, u32) = (&mut table, 0, 0);
    while let Some((entry, behind)) = rest.split_first_mut() {
        let extra = match slot {
            0..4 => 0,
            4..36 => slot / 2 - 1,
            _ => 17,
        };
        *entry = (extra, start);
        start += 1 << extra;
        slot += 1;
        rest = behind;
    }
    table
}

/// How the current block is packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verbatim,
    Aligned,
    Uncompressed,
}

/// One LZX stream.
pub(crate) struct Lzx {
    /// The last bytes unpacked: at least the window, and never over twice of it and a frame.
    history: Vec<u8>,
    window: usize,
    main_lengths: Vec<u8>,
    length_lengths: Vec<u8>,
    main: Code,
    length: Code,
    aligned: Code,
    kind: Kind,
    /// Bytes of the current block still to come.
    left: usize,
    /// Whether the last block left a byte of padding to pass.
    padding: bool,
    /// The last three match offsets.
    recent: [usize; 3],
    /// The size that calls are translated against, once the stream's first bits have been read.
    translation: Option<i32>,
    /// Bytes unpacked so far.
    total: u64,
    /// The frame with its calls translated back; the history keeps them as they were packed.
    translated: Vec<u8>,
}

impl Lzx {
    /// A decoder with a window of 2 to the `bits`. `None` if cabinets have no such window.
    pub(crate) fn new(bits: u16) -> Option<Self> {
        let slots = match bits {
            15..=19 => usize::from(bits) * 2,
            20 => 42,
            21 => 50,
            _ => return None,
        };
        Some(Self {
            history: Vec::new(),
            window: 1 << bits,
            main_lengths: vec![0; LITERALS + 8 * slots],
            length_lengths: vec![0; LENGTHS],
            main: Code::default(),
            length: Code::default(),
            aligned: Code::default(),
            kind: Kind::Uncompressed,
            left: 0,
            padding: false,
            recent: [1; 3],
            translation: None,
            total: 0,
            translated: Vec::new(),
        })
    }

    /// Unpacks one cabinet block of `len` bytes. `None` if it is damaged; the stream is of no use then.
    pub(crate) fn block(&mut self, packed: &[u8], len: usize) -> Option<&[u8]> {
        let mut bits = Bits::new(packed);
        if self.translation.is_none() {
            let size = if bits.take(1)? == 1 { bits.take(16)? << 16 | bits.take(16)? } else { 0 };
            self.translation = Some(size.cast_signed());
        }
        let excess = self.history.len().saturating_sub(self.window);
        if excess > self.window {
            self.history.drain(..excess);
        }
        let start = self.history.len();
        let end = start.checked_add(len)?;
        while self.history.len() < end {
            if self.left == 0 {
                self.begin(&mut bits)?;
            }
            let before = self.history.len();
            let most = self.left.min(end.saturating_sub(before));
            match self.kind {
                Kind::Uncompressed => self.history.extend_from_slice(bits.raw(most)?),
                _ => self.tokens(&mut bits, before.checked_add(most)?)?,
            }
            self.left = self.left.checked_sub(self.history.len().saturating_sub(before))?;
        }
        // The padding of a block that ends with this frame stands in this frame or in the next.
        if self.left == 0 && self.padding && self.kind == Kind::Uncompressed && bits.raw(1).is_some() {
            self.padding = false;
        }
        let place = self.total;
        self.total = self.total.saturating_add(len as u64);
        let frame = self.history.get(start..end)?;
        match self.translation {
            Some(size) if size > 0 && place < LAST_TRANSLATED => {
                self.translated.clear();
                self.translated.extend_from_slice(frame);
                translate(&mut self.translated, i32::try_from(place).ok()?, size);
                Some(&self.translated)
            }
            _ => Some(frame),
        }
    }

    /// Reads a block's header.
    fn begin(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if self.padding {
            bits.raw(1)?;
            self.padding = false;
        }
        let kind = bits.take(3)?;
        let size = usize::try_from(bits.take(16)? << 8 | bits.take(8)?).ok()?;
        if size == 0 {
            return None;
        }
        self.left = size;
        match kind {
            1 => self.kind = Kind::Verbatim,
            2 => {
                let mut lengths = [0; 8];
                for length in &mut lengths {
                    *length = u8::try_from(bits.take(3)?).ok()?;
                }
                self.aligned = Code::new(&lengths)?;
                self.kind = Kind::Aligned;
            }
            3 => {
                bits.align()?;
                for recent in &mut self.recent {
                    *recent = usize::try_from(u32::from_le_bytes(*bits.raw(4)?.first_chunk()?)).ok()?;
                }
                self.kind = Kind::Uncompressed;
                self.padding = size % 2 != 0;
                return Some(());
            }
            _ => return None,
        }
        let (literals, matches) = self.main_lengths.split_at_mut_checked(LITERALS)?;
        code::read_lengths(bits, literals)?;
        code::read_lengths(bits, matches)?;
        code::read_lengths(bits, &mut self.length_lengths)?;
        self.main = Code::new(&self.main_lengths)?;
        self.length = Code::new(&self.length_lengths)?;
        Some(())
    }

    /// Unpacks matches and literals until the history has `end` bytes: a match may pass neither a block nor a frame.
    fn tokens(&mut self, bits: &mut Bits<'_>, end: usize) -> Option<()> {
        while self.history.len() < end {
            let symbol = self.main.symbol(bits)?;
            if let Ok(literal) = u8::try_from(symbol) {
                self.history.push(literal);
                continue;
            }
            let symbol = usize::from(symbol).checked_sub(LITERALS)?;
            let length = match symbol % 8 {
                7 => usize::from(self.length.symbol(bits)?).saturating_add(7),
                short => short,
            };
            let offset = self.offset(bits, symbol / 8)?;
            self.copy(offset, length.saturating_add(SHORTEST), end)?;
        }
        Some(())
    }

    /// Reads a match's offset from its position slot.
    fn offset(&mut self, bits: &mut Bits<'_>, slot: usize) -> Option<usize> {
        let [first, second, third] = self.recent;
        self.recent = match slot {
            0 => [first, second, third],
            1 => [second, first, third],
            2 => [third, second, first],
            _ => {
                let (extra, start) = *SLOTS.get(slot)?;
                let below = if self.kind == Kind::Aligned && extra >= 3 {
                    let high = bits.take(extra.saturating_sub(3))?;
                    high << 3 | u32::from(self.aligned.symbol(bits)?)
                } else {
                    bits.take(extra)?
                };
                let offset = start.checked_add(below)?.checked_sub(2)?;
                [usize::try_from(offset).ok()?, first, second]
            }
        };
        let [offset, ..] = self.recent;
        Some(offset)
    }

    fn copy(&mut self, offset: usize, length: usize, end: usize) -> Option<()> {
        let from = self.history.len().checked_sub(offset)?;
        if offset == 0 || offset > self.window || self.history.len().checked_add(length)? > end {
            return None;
        }
        // A match longer than its offset repeats itself: what stands behind `from` grows with every turn.
        let mut left = length;
        while left > 0 {
            let count = left.min(self.history.len().saturating_sub(from));
            self.history.extend_from_within(from..from.saturating_add(count));
            left = left.saturating_sub(count);
        }
        Some(())
    }
}

/// Turns the targets of calls (0xe8) back from absolute to relative. The last ten bytes of a frame are left alone.
fn translate(frame: &mut [u8], place: i32, size: i32) {
    let mut at = 0_usize;
    let end = frame.len().saturating_sub(10);
    while let Some(found) = frame.get(at..end).and_then(|rest| rest.iter().position(|byte| *byte == 0xe8)) {
        let call = at.saturating_add(found);
        at = call.saturating_add(5);
        let Some(target) = frame.get_mut(call.saturating_add(1)..).and_then(<[u8]>::first_chunk_mut::<4>) else {
            return;
        };
        let here = place.saturating_add(i32::try_from(call).unwrap_or(i32::MAX));
        let absolute = i32::from_le_bytes(*target);
        if absolute >= here.saturating_neg() && absolute < size {
            let relative = if absolute >= 0 { absolute.wrapping_sub(here) } else { absolute.wrapping_add(size) };
            *target = relative.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_cover_the_largest_window_without_gaps() {
        assert_eq!(SLOTS[..8], [(0, 0), (0, 1), (0, 2), (0, 3), (1, 4), (1, 6), (2, 8), (2, 12)]);
        let (extra, start) = SLOTS[49];
        assert_eq!(start + (1 << extra), 1 << 21);
    }

    #[test]
    fn calls_are_translated_back_to_relative_targets() {
        let mut frame = [0; 40];
        frame[3] = 0xe8;
        frame[4..8].copy_from_slice(&1003_i32.to_le_bytes());
        frame[10] = 0xe8;
        frame[11..15].copy_from_slice(&0_i32.to_le_bytes());
        frame[20] = 0xe8;
        frame[21..25].copy_from_slice(&(-20_i32).to_le_bytes());
        frame[28] = 0xe8;
        frame[29..33].copy_from_slice(&5000_i32.to_le_bytes());
        frame[35] = 0xe8;
        let mut seen = frame;
        translate(&mut seen, 1000, 5000);
        let at = |start: usize| i32::from_le_bytes(*seen[start..].first_chunk().unwrap());
        assert_eq!((at(4), at(11), at(21), at(29)), (0, -1010, 4980, 5000));
        assert_eq!(seen[35..], frame[35..]);
    }
}
