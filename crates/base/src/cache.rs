use alloc::{collections::BTreeMap, rc::Rc, vec};
use core::cell::{Cell, RefCell};

use crate::{ByteSource, SourceError, SourceErrorKind};

/// A bounded block cache in front of a slow [`ByteSource`].
///
/// Reads are served from aligned blocks; the least recently used block is dropped when the budget is full, so memory
/// stays bounded however much of the file is visited. A read longer than the whole budget goes straight to the source.
///
/// Block size matters in the browser: a `FileReaderSync` call costs about a millisecond up to 64 KB and grows only
/// beyond it, so small blocks waste calls and large ones waste bytes.
pub struct BlockCache<S> {
    source: S,
    block_size: usize,
    capacity: usize,
    /// Reads of at least this many bytes that are not at hand go straight to the source.
    direct: usize,
    state: RefCell<State>,
    stats: Cell<CacheStats>,
}

#[derive(Default)]
struct State {
    /// Block number → (block bytes, time of last use).
    blocks: BTreeMap<u64, (Rc<[u8]>, u64)>,
    /// Time of last use → block number; the first entry is the next to go.
    ages: BTreeMap<u64, u64>,
    clock: u64,
}

/// What a [`BlockCache`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Reads that reached the source.
    pub source_reads: u64,
    /// Bytes those reads fetched.
    pub source_bytes: u64,
    /// Block look-ups served from memory.
    pub hits: u64,
}

impl<S: ByteSource> BlockCache<S> {
    /// Block size used by the front ends, in bytes.
    pub const DEFAULT_BLOCK: usize = 64 * 1024;
    /// Number of blocks the front ends keep: 16 MiB in all.
    pub const DEFAULT_BLOCKS: usize = 256;

    /// A cache of at most `capacity` blocks of `block_size` bytes; both are at least 1.
    pub fn new(source: S, block_size: usize, capacity: usize) -> Self {
        Self {
            source,
            block_size: block_size.max(1),
            capacity: capacity.max(1),
            direct: block_size.max(1).saturating_mul(capacity.max(1)),
            state: RefCell::default(),
            stats: Cell::default(),
        }
    }

    /// A cache for files of an operating system, which has a cache of its own: reads of a page or more are not kept a
    /// second time, while page tables and lists, read in small pieces, are.
    pub fn for_files(source: S) -> Self {
        Self { direct: 4096, ..Self::with_defaults(source) }
    }

    /// A cache with the front ends' block size and budget.
    pub fn with_defaults(source: S) -> Self {
        Self::new(source, Self::DEFAULT_BLOCK, Self::DEFAULT_BLOCKS)
    }

    /// What the cache has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.stats.get()
    }

    fn fetch(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let mut stats = self.stats.get();
        stats.source_reads = stats.source_reads.saturating_add(1);
        stats.source_bytes = stats.source_bytes.saturating_add(buf.len() as u64);
        self.stats.set(stats);
        self.source.read_at(offset, buf)
    }

    fn block(&self, number: u64) -> Result<Rc<[u8]>, SourceError> {
        let mut state = self.state.borrow_mut();
        let now = state.clock;
        if let Some((block, used)) = state.blocks.get_mut(&number) {
            let block = Rc::clone(block);
            let before = *used;
            // Blocks that were used lately keep their place: in a cache of many blocks the order among the newest half
            // decides nothing, and keeping it exact would cost more than the look-up.
            if now.saturating_sub(before) >= (self.capacity / 2) as u64 {
                let now = now.saturating_add(1);
                *used = now;
                state.clock = now;
                state.ages.remove(&before);
                state.ages.insert(now, number);
            }
            let mut stats = self.stats.get();
            stats.hits = stats.hits.saturating_add(1);
            self.stats.set(stats);
            return Ok(block);
        }
        let now = now.saturating_add(1);
        state.clock = now;
        let start = number.saturating_mul(self.block_size as u64);
        let left = self.source.len().saturating_sub(start);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(self.block_size);
        let mut bytes = vec![0; len];
        self.fetch(start, &mut bytes)?;
        let block: Rc<[u8]> = bytes.into();
        if state.blocks.len() >= self.capacity
            && let Some((_, oldest)) = state.ages.pop_first()
        {
            state.blocks.remove(&oldest);
        }
        state.blocks.insert(number, (Rc::clone(&block), now));
        state.ages.insert(now, number);
        Ok(block)
    }
}

impl<S: ByteSource> ByteSource for BlockCache<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        let out_of_range = SourceError { offset, len, kind: SourceErrorKind::OutOfRange };
        if offset.checked_add(len).is_none_or(|end| end > self.source.len()) {
            return Err(out_of_range);
        }
        if buf.len() >= self.direct {
            return self.fetch(offset, buf);
        }
        let block_size = self.block_size as u64;
        let mut at = offset;
        let mut out = buf;
        while !out.is_empty() {
            let block = self.block(at.checked_div(block_size).unwrap_or(0))?;
            let within = usize::try_from(at.checked_rem(block_size).unwrap_or(0)).map_err(|_| out_of_range)?;
            let available = block.get(within..).filter(|rest| !rest.is_empty()).ok_or(out_of_range)?;
            let step = available.len().min(out.len());
            let (now, later) = out.split_at_mut(step);
            now.copy_from_slice(available.get(..step).ok_or(out_of_range)?);
            out = later;
            at = at.saturating_add(step as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_second_read_of_the_same_block_does_not_reach_the_source() {
        let cache = BlockCache::new(vec![1_u8; 100], 16, 4);
        let mut buf = [0; 4];
        cache.read_at(3, &mut buf).unwrap();
        cache.read_at(8, &mut buf).unwrap();
        assert_eq!(cache.stats(), CacheStats { source_reads: 1, source_bytes: 16, hits: 1 });
    }

    #[test]
    fn the_least_recently_used_block_goes_first() {
        let cache = BlockCache::new(vec![0_u8; 64], 16, 2);
        let mut buf = [0; 1];
        for offset in [0, 16, 0, 32, 0] {
            cache.read_at(offset, &mut buf).unwrap();
        }
        assert_eq!(cache.stats().source_reads, 3, "block 0 was used last before block 2 came and must have stayed");
        assert_eq!(cache.state.borrow().blocks.len(), 2);
        assert_eq!(cache.state.borrow().ages.len(), 2);
    }

    #[test]
    fn the_last_short_block_and_the_end_are_exact() {
        let file: Vec<u8> = (0..37).collect();
        let cache = BlockCache::new(file, 16, 2);
        let mut buf = [0; 5];
        cache.read_at(32, &mut buf).unwrap();
        assert_eq!(buf, [32, 33, 34, 35, 36]);
        assert_eq!(cache.read_at(33, &mut buf).unwrap_err().kind, SourceErrorKind::OutOfRange);
        assert!(cache.read_at(u64::MAX, &mut buf).is_err());
    }

    proptest! {
        #[test]
        fn reads_through_the_cache_equal_reads_of_the_file(
            file in proptest::collection::vec(any::<u8>(), 1..600),
            reads in proptest::collection::vec((0_usize..600, 0_usize..200), 1..40),
            block in 1_usize..70,
            capacity in 1_usize..5,
        ) {
            let cache = BlockCache::new(file.clone(), block, capacity);
            for (start, len) in reads {
                let mut got = vec![0; len];
                let expected = file.get(start..start + len);
                match (cache.read_at(start as u64, &mut got), expected) {
                    (Ok(()), Some(expected)) => prop_assert_eq!(got.as_slice(), expected),
                    (Err(_), None) => {}
                    (result, expected) => prop_assert!(false, "{result:?} against {expected:?}"),
                }
                prop_assert!(cache.state.borrow().blocks.len() <= capacity);
            }
        }
    }
}
