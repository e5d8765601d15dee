use alloc::{boxed::Box, vec, vec::Vec};
use core::cell::RefCell;

use dumplens_base::{ByteSource, PAGE_SIZE, SourceError};

use super::Located;

/// Bytes of the bitmap that share one entry of the rank index.
const CHUNK: usize = 512;
/// 64-bit words of a chunk.
const WORDS: usize = CHUNK / 8;
/// Page frame numbers in a chunk.
const CHUNK_BITS: u64 = CHUNK as u64 * 8;
/// Bytes of the bitmap that are counted at once while the index grows.
const STRIDE: usize = 64 * 1024;
/// Chunks that are kept after they were read.
const KEPT: usize = 64;

/// A bitmap of present pages. A page's place in the file is the number of set bits before its own.
///
/// The index holds the number of set bits before each chunk of 512 bytes, and grows as far as pages are asked for: 32 KiB
/// for a machine with 64 GiB.
pub(crate) struct Bitmap {
    /// File offset of the bitmap.
    at: u64,
    /// Page frame numbers it covers.
    bits: u64,
    /// File offset of the first stored page.
    first_page: u64,
    /// Stored pages, as the header counts them.
    present: u64,
    /// Set bits before chunk `n`; one more entry than chunks counted so far.
    ranks: RefCell<Vec<u64>>,
    chunks: RefCell<Vec<Option<Kept>>>,
}

/// A chunk, and the number of set bits before each of its words.
struct Kept {
    number: u64,
    words: Box<[u64; WORDS]>,
    before: Box<[u16; WORDS]>,
}

impl Bitmap {
    pub(crate) fn new(at: u64, bits: u64, first_page: u64, present: u64) -> Self {
        let chunks = core::iter::repeat_with(|| None).take(KEPT).collect();
        Self { at, bits, first_page, present, ranks: RefCell::new(vec![0]), chunks: RefCell::new(chunks) }
    }

    pub(crate) const fn page_count(&self) -> u64 {
        self.present
    }

    const fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// Set bits before chunk `number`.
    fn rank(&self, source: &dyn ByteSource, number: u64) -> Result<u64, SourceError> {
        let wanted = usize::try_from(number).unwrap_or(usize::MAX);
        let mut ranks = self.ranks.borrow_mut();
        while ranks.len() <= wanted {
            let counted = (ranks.len() as u64).saturating_sub(1).saturating_mul(CHUNK as u64);
            let left = self.bytes().saturating_sub(counted);
            if left == 0 {
                break;
            }
            let mut buf = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(STRIDE)];
            source.read_at(self.at.saturating_add(counted), &mut buf)?;
            let mut total = ranks.last().copied().unwrap_or(0);
            for chunk in buf.chunks(CHUNK) {
                total = total.saturating_add(ones(chunk));
                ranks.push(total);
            }
        }
        Ok(ranks.get(wanted).or(ranks.last()).copied().unwrap_or(0))
    }

    /// Runs `look` over a chunk; bits past the end of the bitmap are clear.
    fn with_chunk<T>(
        &self,
        source: &dyn ByteSource,
        number: u64,
        look: impl FnOnce(&Kept) -> T,
    ) -> Result<T, SourceError> {
        let mut chunks = self.chunks.borrow_mut();
        let slot = usize::try_from(number % KEPT as u64).unwrap_or(0);
        if let Some(Some(kept)) = chunks.get(slot)
            && kept.number == number
        {
            return Ok(look(kept));
        }
        let start = number.saturating_mul(CHUNK as u64);
        let len = usize::try_from(self.bytes().saturating_sub(start)).unwrap_or(usize::MAX).min(CHUNK);
        let mut bytes = [0; CHUNK];
        if let Some(part) = bytes.get_mut(..len) {
            source.read_at(self.at.saturating_add(start), part)?;
        }
        let kept = Kept::new(number, &bytes);
        let result = look(&kept);
        if let Some(place) = chunks.get_mut(slot) {
            *place = Some(kept);
        }
        Ok(result)
    }

    /// A page, and how many of at most `most` follow it.
    pub(crate) fn locate(&self, source: &dyn ByteSource, pfn: u64, most: u64) -> Result<Option<Located>, SourceError> {
        if pfn >= self.bits {
            return Ok(None);
        }
        let (number, bit) = (pfn / CHUNK_BITS, pfn % CHUNK_BITS);
        let left = self.bits - pfn;
        let found = self.with_chunk(source, number, |chunk| {
            chunk.is_set(bit).then(|| (chunk.ones_before(bit), chunk.run_from(bit, most).min(left)))
        })?;
        let Some((before, pages)) = found else { return Ok(None) };
        let index = self.rank(source, number)?.saturating_add(before);
        let offset = index.checked_mul(PAGE_SIZE).and_then(|bytes| bytes.checked_add(self.first_page));
        Ok(offset.map(|offset| Located { offset, pages: pages.max(1) }))
    }

    /// First present page at or after `pfn`, and how many follow it, as far as its chunk and the next ones tell.
    pub(crate) fn next(&self, source: &dyn ByteSource, pfn: u64) -> Result<Option<(u64, u64)>, SourceError> {
        let mut at = pfn;
        let first = loop {
            if at >= self.bits {
                return Ok(None);
            }
            let number = at / CHUNK_BITS;
            let next_chunk = (number + 1) * CHUNK_BITS;
            if self.rank(source, number)? != self.rank(source, number + 1)? {
                let found = self.with_chunk(source, number, |chunk| chunk.first_set(at % CHUNK_BITS))?;
                if let Some(bit) = found {
                    break number * CHUNK_BITS + bit;
                }
            }
            at = next_chunk;
        };
        if first >= self.bits {
            return Ok(None);
        }
        // A run may go on in the next chunks; callers that want all of it ask again at its end.
        let mut pages = 0;
        for _ in 0..KEPT {
            let here = first + pages;
            if here >= self.bits {
                break;
            }
            let bit = here % CHUNK_BITS;
            let more = self.with_chunk(source, here / CHUNK_BITS, |chunk| chunk.run_from(bit, CHUNK_BITS))?;
            pages += more;
            if bit + more < CHUNK_BITS {
                break;
            }
        }
        Ok(Some((first, pages.min(self.bits - first))))
    }
}

fn words(chunk: &[u8]) -> impl Iterator<Item = u64> {
    chunk.chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(word)
    })
}

fn ones(chunk: &[u8]) -> u64 {
    words(chunk).map(|word| u64::from(word.count_ones())).sum()
}

impl Kept {
    fn new(number: u64, bytes: &[u8; CHUNK]) -> Self {
        let (mut all, mut before) = (Box::new([0; WORDS]), Box::new([0; WORDS]));
        let mut total = 0_u16;
        for ((word, place), count) in words(bytes).zip(all.iter_mut()).zip(before.iter_mut()) {
            *place = word;
            *count = total;
            total = total.saturating_add(word.count_ones() as u16);
        }
        Self { number, words: all, before }
    }

    fn word(&self, bit: u64) -> u64 {
        usize::try_from(bit / 64).ok().and_then(|word| self.words.get(word)).copied().unwrap_or(0)
    }

    fn is_set(&self, bit: u64) -> bool {
        self.word(bit) >> (bit % 64) & 1 == 1
    }

    fn ones_before(&self, bit: u64) -> u64 {
        let whole = usize::try_from(bit / 64).ok().and_then(|word| self.before.get(word)).copied().unwrap_or(0);
        let below = self.word(bit) & ((1 << (bit % 64)) - 1);
        u64::from(whole) + u64::from(below.count_ones())
    }

    /// Set bits from `bit` on without a gap, up to the end of the chunk or a little over `most`.
    fn run_from(&self, bit: u64, most: u64) -> u64 {
        let mut at = bit;
        while at < CHUNK_BITS && at - bit < most {
            let rest = 64 - at % 64;
            let run = u64::from((self.word(at) >> (at % 64)).trailing_ones()).min(rest);
            at += run;
            if run < rest {
                break;
            }
        }
        at - bit
    }

    fn first_set(&self, from: u64) -> Option<u64> {
        let mut at = from;
        while at < CHUNK_BITS {
            let word = self.word(at) >> (at % 64);
            if word != 0 {
                return Some(at + u64::from(word.trailing_zeros()));
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }
}
