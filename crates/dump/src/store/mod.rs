//! Page stores: which physical pages a dump holds, and where in the file.
//!
//! A store keeps runs or a sparse count over a bitmap, never an entry per page: its memory depends on how fragmented
//! the dump is, not on how large.

mod bitmap;
mod forms;
mod runs;

use core::fmt;

use dumplens_base::{ByteSource, PAGE_SIZE, Pa, PhysFault, PhysMemory, PhysOutcome, PhysRun, Source, SourceError};

pub(crate) use bitmap::Bitmap;
pub(crate) use forms::{bitmap_store, full_store, range_store, summary_store};
pub(crate) use runs::{PageExtent, RunTable};

/// The physical memory of a dump.
pub struct PageStore {
    source: Source,
    pages: Pages,
}

/// How a store finds pages.
pub(crate) enum Pages {
    /// Runs of pages: complete dumps, range dumps, guest cores, raw images.
    Runs(RunTable),
    /// A bitmap of present pages.
    Bitmap(Bitmap),
}

/// A page in the file, and how many pages follow it both in memory and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// File offset of the page.
    pub(crate) offset: u64,
    /// Pages that can be read at once from there, at least 1.
    pub(crate) pages: u64,
}

impl fmt::Debug for PageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.pages {
            Pages::Runs(_) => "runs",
            Pages::Bitmap(_) => "bitmap",
        };
        f.debug_struct("PageStore").field("form", &form).finish_non_exhaustive()
    }
}

impl PageStore {
    pub(crate) const fn new(source: Source, pages: Pages) -> Self {
        Self { source, pages }
    }

    /// How many pages the dump says it holds; those past the end of a cut-off file count too.
    #[must_use]
    pub const fn page_count(&self) -> u64 {
        match &self.pages {
            Pages::Runs(runs) => runs.page_count(),
            Pages::Bitmap(bitmap) => bitmap.page_count(),
        }
    }

    /// Where the byte at a physical address stands in the file; `None` if the dump does not hold it.
    #[must_use]
    pub fn file_offset(&self, pa: Pa) -> Option<u64> {
        let located = self.locate(pa.frame(), 1).ok()??;
        self.in_file(located.offset).then(|| located.offset.saturating_add(pa.0 % PAGE_SIZE))
    }

    /// How the pages are listed, and how many lists or runs that takes.
    #[must_use]
    pub const fn form(&self) -> &'static str {
        match &self.pages {
            Pages::Runs(_) => "runs of pages",
            Pages::Bitmap(_) => "a bitmap of pages",
        }
    }

    /// A page, and whether some of the `most` after it follow at once.
    fn locate(&self, pfn: u64, most: u64) -> Result<Option<Located>, SourceError> {
        match &self.pages {
            Pages::Runs(runs) => Ok(runs.locate(pfn)),
            Pages::Bitmap(bitmap) => bitmap.locate(&*self.source, pfn, most),
        }
    }

    /// Whether the file reaches to the end of a page at `offset`.
    fn in_file(&self, offset: u64) -> bool {
        offset.checked_add(PAGE_SIZE).is_some_and(|end| end <= self.source.len())
    }
}

impl PhysMemory for PageStore {
    fn read(&self, pa: Pa, buf: &mut [u8]) -> PhysOutcome {
        let mut filled = 0_usize;
        while filled < buf.len() {
            let stop = |fault| PhysOutcome { filled, fault: Some(fault) };
            let Some(at) = pa.checked_add(filled as u64) else { return stop(PhysFault::NotInDump { pa }) };
            let wanted = (buf.len() - filled) as u64;
            let located = match self.locate(at.frame(), wanted / PAGE_SIZE + 1) {
                Ok(Some(located)) => located,
                Ok(None) => return stop(PhysFault::NotInDump { pa: at }),
                Err(error) => return stop(PhysFault::Source { pa: at, error }),
            };
            let within = at.0 % PAGE_SIZE;
            let offset = located.offset.saturating_add(within);
            // A run that the end of the file cuts off still has its first pages.
            let in_run = located.pages.saturating_mul(PAGE_SIZE).saturating_sub(within);
            let in_file = self.source.len().saturating_sub(offset);
            let step = if in_file == 0 { in_run } else { in_run.min(in_file) }.min(wanted);
            let end = filled.saturating_add(usize::try_from(step).unwrap_or(usize::MAX));
            let Some(part) = buf.get_mut(filled..end) else { return stop(PhysFault::NotInDump { pa: at }) };
            if let Err(error) = self.source.read_at(offset, part) {
                return stop(PhysFault::Source { pa: at, error });
            }
            filled = end;
        }
        PhysOutcome { filled, fault: None }
    }

    fn next_run(&self, pa: Pa) -> Option<PhysRun> {
        let (first, count) = match &self.pages {
            Pages::Runs(runs) => runs.next(pa.frame())?,
            Pages::Bitmap(bitmap) => bitmap.next(&*self.source, pa.frame()).ok()??,
        };
        // What the end of the file cuts off is not there to be read.
        let located = self.locate(first, 1).ok()??;
        let in_file = self.source.len().saturating_sub(located.offset) / PAGE_SIZE;
        let count = count.min(in_file);
        let start = Pa::of_frame(first)?;
        let run = PhysRun { start, len: count.saturating_mul(PAGE_SIZE) };
        (count > 0).then_some(run)
    }

    fn has_page(&self, pa: Pa) -> bool {
        matches!(self.locate(pa.frame(), 1), Ok(Some(located)) if self.in_file(located.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, rc::Rc, vec, vec::Vec};
    use proptest::prelude::*;

    /// Builds the same set of pages as runs and as a bitmap; page `n` of the file is filled with `n`.
    fn stores(present: &[bool]) -> (PageStore, PageStore, BTreeMap<u64, u8>) {
        let bitmap_bytes: Vec<u8> = present
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (bit, set)| byte | u8::from(*set) << bit))
            .collect();
        let first_page = (bitmap_bytes.len() as u64).next_multiple_of(PAGE_SIZE);
        let mut file = bitmap_bytes;
        file.resize(first_page as usize, 0xee);
        let (mut extents, mut model, mut number) = (Vec::new(), BTreeMap::new(), 0_u64);
        for (pfn, _) in present.iter().enumerate().filter(|(_, set)| **set) {
            let offset = file.len() as u64;
            file.resize(file.len() + PAGE_SIZE as usize, number as u8);
            model.insert(pfn as u64, number as u8);
            extents.push(PageExtent { pfn: pfn as u64, pages: 1, offset });
            number += 1;
        }
        let file: Source = Rc::new(file);
        let bitmap = Bitmap::new(0, present.len() as u64, first_page, number);
        let runs = RunTable::new(extents, &mut vec![]);
        (PageStore::new(file.clone(), Pages::Runs(runs)), PageStore::new(file, Pages::Bitmap(bitmap)), model)
    }

    proptest! {
        /// Runs and bitmap against a map from page to content, over reads that cross pages and holes.
        #[test]
        fn both_forms_equal_a_page_by_page_model(
            present in proptest::collection::vec(proptest::bool::weighted(0.7), 1..200),
            reads in proptest::collection::vec((0_u64..220 * PAGE_SIZE, 0_usize..4 * PAGE_SIZE as usize), 1..12),
        ) {
            let (runs, bitmap, model) = stores(&present);
            for (start, len) in reads {
                let expected: Vec<u8> =
                    (start..start + len as u64).map_while(|at| model.get(&(at / PAGE_SIZE)).copied()).collect();
                for store in [&runs, &bitmap] {
                    let mut buf = vec![0; len];
                    let outcome = store.read(Pa(start), &mut buf);
                    prop_assert_eq!(&buf[..outcome.filled], &expected[..]);
                    prop_assert_eq!(outcome.fault.is_none(), outcome.filled == len);
                    let next = store.next_run(Pa(start));
                    let page = start / PAGE_SIZE;
                    let first = model.range(page..).next().map(|(pfn, _)| *pfn * PAGE_SIZE);
                    match (next, first) {
                        (Some(run), Some(first)) => {
                            let holds = run.start.0 <= first && first < run.start.0 + run.len;
                            prop_assert!(holds, "{run:?} does not hold {first:#x}");
                        }
                        (None, None) => {}
                        other => prop_assert!(false, "{other:?}"),
                    }
                }
            }
        }
    }
}
