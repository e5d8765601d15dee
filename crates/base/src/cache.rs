use alloc::{collections::BTreeMap, rc::Rc, vec};
use core::cell::{Cell, RefCell};

use crate::{ByteSource, SourceError, SourceErrorKind};

/// A bounded block cache in front of a slow [`ByteSource`].
///
/// Reads are served from aligned blocks; the least recently used block is dropped when the budget is full, so memory
/// stays bounded however much of the file is visited. A read longer than the whole budget goes straight to the source.
///
/// Block size matters in the browser: a `FileReaderSync` call costs about a millisecond up to 64 KB and grows only
/// beyond it, so small blocks waste calls and large ones waste bytes. Blocks that are asked for one after another are
/// fetched in growing runs, which at most doubles what is read of the source.
pub struct BlockCache<S> {
    source: S,
    block_size: usize,
    capacity: usize,
    /// Reads of at least this many bytes that are not at hand go straight to the source.
    direct: usize,
    /// Most blocks of a run.
    longest: usize,
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
    /// Where the latest runs ended, and how many blocks they had. A reader of lists goes forward in several places.
    runs: [(u64, usize); RUNS],
    /// The run that is next to be forgotten.
    oldest_run: usize,
}

/// Runs that are kept in mind.
const RUNS: usize = 4;

impl State {
    /// How many blocks to fetch from `number` on, which is not at hand: more each time that it goes on where a run ended.
    fn run(&mut self, number: u64, longest: usize) -> usize {
        let known = self.runs.iter_mut().find(|(end, len)| *end == number && *len > 0);
        let wanted = known.as_ref().map_or(1, |(_, len)| len.saturating_mul(2).min(longest));
        let absent = |ahead: &usize| !self.blocks.contains_key(&number.saturating_add(*ahead as u64));
        let len = (1..wanted).take_while(absent).count().saturating_add(1);
        let run = (number.saturating_add(len as u64), len);
        match known {
            Some(known) => *known = run,
            None => {
                if let Some(oldest) = self.runs.get_mut(self.oldest_run) {
                    *oldest = run;
                }
                self.oldest_run = self.oldest_run.saturating_add(1) % RUNS;
            }
        }
        len
    }

    fn insert(&mut self, number: u64, block: Rc<[u8]>, capacity: usize) {
        if self.blocks.len() >= capacity
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.blocks.remove(&oldest);
        }
        let now = self.clock.saturating_add(1);
        self.clock = now;
        self.blocks.insert(number, (block, now));
        self.ages.insert(now, number);
    }
}

/// Most blocks that are fetched at once.
const LONGEST_RUN: usize = 8;

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
            longest: LONGEST_RUN.min(capacity / 4).max(1),
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
        let start = number.saturating_mul(self.block_size as u64);
        let left = self.source.len().saturating_sub(start);
        let run = state.run(number, self.longest);
        let most = self.block_size.saturating_mul(run);
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(most)];
        if let Err(error) = self.fetch(start, &mut bytes) {
            // What lies ahead may be what cannot be read.
            bytes.truncate(self.block_size);
            if run == 1 {
                return Err(error);
            }
            self.fetch(start, &mut bytes)?;
        }
        let mut blocks = (number..).zip(bytes.chunks(self.block_size));
        let block: Rc<[u8]> = blocks.next().map_or_else(|| Rc::from([]), |(_, bytes)| bytes.into());
        for (ahead, bytes) in blocks {
            state.insert(ahead, bytes.into(), self.capacity);
        }
        state.insert(number, Rc::clone(&block), self.capacity);
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

    #[test]
    fn what_is_read_one_after_another_is_fetched_in_growing_runs() {
        let cache = BlockCache::new(vec![0_u8; 16 * 100], 16, 64);
        let mut buf = [0; 16];
        // Two readers that go forward, in turn.
        for block in 0..40_u64 {
            cache.read_at(block * 16, &mut buf).unwrap();
            cache.read_at((block + 50) * 16, &mut buf).unwrap();
        }
        let CacheStats { source_reads, source_bytes, .. } = cache.stats();
        // 1, 2, 4, 8, 8, 8, 8, 8: the last one goes on to block 47.
        assert_eq!((source_reads, source_bytes), (16, 2 * 47 * 16));
        // Backwards, and here and there, nothing is fetched that is not asked for.
        let cache = BlockCache::new(vec![0_u8; 16 * 100], 16, 64);
        for block in (0..30_u64).rev().chain([90, 60, 62, 64, 50, 48]) {
            cache.read_at(block * 16, &mut buf).unwrap();
        }
        assert_eq!(cache.stats().source_bytes, 36 * 16);
    }

    #[test]
    fn a_fault_ahead_is_no_fault_here() {
        struct Broken;
        impl ByteSource for Broken {
            fn len(&self) -> u64 {
                160
            }

            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
                let len = buf.len() as u64;
                if offset + len > 96 {
                    return Err(SourceError { offset, len, kind: SourceErrorKind::Io });
                }
                buf.fill(7);
                Ok(())
            }
        }
        let cache = BlockCache::new(Broken, 16, 64);
        for block in 0..10_u64 {
            assert_eq!(cache.read_at(block * 16, &mut [0; 16]).is_ok(), block < 6, "{block}");
        }
    }

    proptest! {
        #[test]
        fn reads_through_the_cache_equal_reads_of_the_file(
            file in proptest::collection::vec(any::<u8>(), 1..600),
            reads in proptest::collection::vec((0_usize..600, 0_usize..200), 1..40),
            block in 1_usize..70,
            capacity in 1_usize..40,
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
