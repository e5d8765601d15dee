use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags},
};

use crate::{
    ArchiveError, ArchiveErrorKind,
    input::Input,
    lzx::Lzx,
    unpack::{Decode, Step},
};

const WHAT: &str = "cabinet block";
/// Most bytes that one block holds once unpacked.
const MOST_UNPACKED: usize = 32 * 1024;
/// Most bytes of a packed block: what does not shrink grows by a little.
const MOST_PACKED: usize = MOST_UNPACKED + 6144;

/// How a folder's blocks are packed.
pub(crate) enum Coder {
    Stored,
    MsZip(Box<MsZip>),
    Lzx(Box<Lzx>),
}

impl Coder {
    /// The coder for a folder's method field. `None` if there is none here.
    pub(crate) fn new(method: u16) -> Option<Self> {
        match method & 0xf {
            0 => Some(Self::Stored),
            1 => Some(Self::MsZip(Box::default())),
            3 => Lzx::new(method >> 8 & 0x1f).map(|lzx| Self::Lzx(Box::new(lzx))),
            _ => None,
        }
    }

    /// Unpacks one block of `len` bytes into `out`. `None` if it is damaged.
    fn block(&mut self, packed: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        match self {
            Self::Stored => out.extend_from_slice(packed),
            Self::MsZip(coder) => out.extend_from_slice(coder.block(packed, len)?),
            Self::Lzx(coder) => out.extend_from_slice(coder.block(packed, len)?),
        }
        (out.len() == len).then_some(())
    }
}

/// MSZIP: every block is a deflate stream of its own that may refer to the 32 KiB before it.
pub(crate) struct MsZip {
    state: DecompressorOxide,
    /// The last 32 KiB of what was unpacked, then the new block.
    window: Vec<u8>,
    history: usize,
}

impl Default for MsZip {
    fn default() -> Self {
        Self { state: DecompressorOxide::new(), window: vec![0; 2 * MOST_UNPACKED], history: 0 }
    }
}

impl MsZip {
    fn block(&mut self, packed: &[u8], len: usize) -> Option<&[u8]> {
        let packed = packed.strip_prefix(b"CK")?;
        let excess = self.history.saturating_sub(MOST_UNPACKED);
        self.window.copy_within(excess..self.history, 0);
        let start = self.history.saturating_sub(excess);
        let end = start.checked_add(len)?;
        // The output ends at the block's promised length, so that a longer one shows as one that does not end.
        let out = self.window.get_mut(..end)?;
        self.state.init();
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, _, written) = decompress(&mut self.state, packed, out, start, flags);
        if status != TINFLStatus::Done || written != len {
            return None;
        }
        self.history = end;
        self.window.get(start..end)
    }
}

/// One file's part of a folder: everything in front of it is unpacked and dropped.
pub(crate) struct FolderPart {
    input: Input,
    coder: Coder,
    blocks_left: u16,
    reserve: u8,
    packed: Vec<u8>,
    block: Vec<u8>,
    /// Bytes of `block` that have been dealt with.
    used: usize,
    /// Bytes in front of the file that are still to be dropped.
    ahead: u64,
    /// Bytes of the file that are still to come.
    left: u64,
}

impl FolderPart {
    /// The `size` bytes from `start` of the folder whose blocks begin where `input` does.
    pub(crate) fn new(input: Input, coder: Coder, blocks: u16, reserve: u8, start: u64, size: u64) -> Self {
        let (packed, block) = (Vec::new(), Vec::new());
        Self { input, coder, blocks_left: blocks, reserve, packed, block, used: 0, ahead: start, left: size }
    }

    fn next_block(&mut self) -> Result<(), ArchiveError> {
        let offset = self.input.offset();
        let Some(blocks_left) = self.blocks_left.checked_sub(1) else {
            return Err(ArchiveError::truncated(offset, "cabinet folder"));
        };
        self.blocks_left = blocks_left;
        let [a, b, c, d, e, f, g, h] = self.input.record(WHAT)?;
        let (expected, lengths) = (u32::from_le_bytes([a, b, c, d]), [e, f, g, h]);
        let (packed_len, len) = (u16::from_le_bytes([e, f]), usize::from(u16::from_le_bytes([g, h])));
        let mut reserve = Vec::new();
        self.input.take_into(self.reserve.into(), &mut reserve, WHAT)?;
        if usize::from(packed_len) > MOST_PACKED || len > MOST_UNPACKED {
            return Err(ArchiveError::damaged(offset, WHAT));
        }
        if len == 0 {
            // A block whose other half is in the next cabinet.
            return Err(ArchiveError::new(offset, ArchiveErrorKind::Spanned));
        }
        self.input.take_into(packed_len, &mut self.packed, WHAT)?;
        if expected != 0 {
            let data = checksum(&self.packed, 0);
            let actual = checksum(&lengths, data);
            // Tools disagree on whether the reserved bytes between header and data count.
            let with_reserve = checksum(&lengths, checksum(&reserve, data));
            if expected != actual && expected != with_reserve {
                return Err(ArchiveError::new(offset, ArchiveErrorKind::Checksum { expected, actual }));
            }
        }
        self.used = 0;
        if self.coder.block(&self.packed, len, &mut self.block).is_none() {
            return Err(ArchiveError::damaged(offset, WHAT));
        }
        Ok(())
    }
}

impl Decode for FolderPart {
    fn step(&mut self, out: &mut [u8]) -> Result<Step, ArchiveError> {
        if self.left == 0 {
            return Ok(Step::End);
        }
        if self.used >= self.block.len() {
            self.next_block()?;
        }
        let shown = self.block.get(self.used..).unwrap_or_default();
        if self.ahead > 0 {
            let dropped = shown.len().min(usize::try_from(self.ahead).unwrap_or(usize::MAX));
            self.used = self.used.saturating_add(dropped);
            self.ahead = self.ahead.saturating_sub(dropped as u64);
            return Ok(Step::Bytes(0));
        }
        let count = shown.len().min(out.len()).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        out.iter_mut().zip(shown.iter().take(count)).for_each(|(to, from)| *to = *from);
        self.used = self.used.saturating_add(count);
        self.left = self.left.saturating_sub(count as u64);
        Ok(Step::Bytes(count))
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

/// The cabinet's checksum: little-endian words, exclusive-or; the bytes that are left at the end count from the top.
fn checksum(data: &[u8], seed: u32) -> u32 {
    let (words, rest) = data.as_chunks::<4>();
    let sum = words.iter().fold(seed, |sum, word| sum ^ u32::from_le_bytes(*word));
    sum ^ rest.iter().fold(0, |tail, byte| tail << 8 | u32::from(*byte))
}
