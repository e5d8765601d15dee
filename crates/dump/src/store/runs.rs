use alloc::vec::Vec;

use dumplens_base::Note;

use super::Located;

/// A run of physical pages that stand one after another in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageExtent {
    /// First page frame number.
    pub(crate) pfn: u64,
    /// Number of pages.
    pub(crate) pages: u64,
    /// File offset of the first.
    pub(crate) offset: u64,
}

impl PageExtent {
    const fn end(&self) -> u64 {
        self.pfn.saturating_add(self.pages)
    }
}

/// Runs in order of page frame number, without overlaps.
#[derive(Debug)]
pub(crate) struct RunTable {
    runs: Vec<PageExtent>,
    page_count: u64,
}

impl RunTable {
    /// A table of runs in any order. Neighbours are merged; what overlaps is cut away, with a note.
    pub(crate) fn new(mut extents: Vec<PageExtent>, notes: &mut Vec<Note>) -> Self {
        let in_order = extents.is_sorted_by_key(|extent| extent.pfn);
        extents.sort_by_key(|extent| extent.pfn);
        let (mut runs, mut overlapping) = (Vec::<PageExtent>::new(), 0_u64);
        for mut extent in extents {
            if let Some(last) = runs.last_mut() {
                let over = last.end().saturating_sub(extent.pfn).min(extent.pages);
                overlapping = overlapping.saturating_add(over);
                extent.pfn = extent.pfn.saturating_add(over);
                extent.pages -= over;
                extent.offset = extent.offset.saturating_add(over.saturating_mul(dumplens_base::PAGE_SIZE));
                let follows = last.end() == extent.pfn
                    && last.offset.checked_add(last.pages.saturating_mul(dumplens_base::PAGE_SIZE))
                        == Some(extent.offset);
                if follows {
                    last.pages = last.pages.saturating_add(extent.pages);
                    continue;
                }
            }
            if extent.pages > 0 {
                runs.push(extent);
            }
        }
        if overlapping > 0 {
            notes.push(Note::damaged(alloc::format!(
                "runs of physical pages overlap by {overlapping} pages; the run that starts first counts"
            )));
        }
        if !in_order {
            notes.push(Note::damaged("the runs of physical pages are not in order; they were sorted"));
        }
        runs.shrink_to_fit();
        let page_count = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.pages));
        Self { runs, page_count }
    }

    pub(crate) const fn page_count(&self) -> u64 {
        self.page_count
    }

    fn position(&self, pfn: u64) -> usize {
        self.runs.partition_point(|run| run.end() <= pfn)
    }

    pub(crate) fn locate(&self, pfn: u64) -> Option<Located> {
        let run = self.runs.get(self.position(pfn)).filter(|run| run.pfn <= pfn)?;
        let skip = pfn - run.pfn;
        let offset = run.offset.checked_add(skip.checked_mul(dumplens_base::PAGE_SIZE)?)?;
        Some(Located { offset, pages: run.pages - skip })
    }

    /// First page at or after `pfn`, and how many follow it.
    pub(crate) fn next(&self, pfn: u64) -> Option<(u64, u64)> {
        let run = self.runs.get(self.position(pfn))?;
        let first = run.pfn.max(pfn);
        Some((first, run.end() - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn neighbours_merge_and_overlaps_are_cut_with_a_note() {
        let extent = |pfn, pages, offset| PageExtent { pfn, pages, offset };
        let mut notes = vec![];
        let table = RunTable::new(vec![extent(0, 4, 0), extent(4, 4, 0x4000), extent(6, 4, 0x9000)], &mut notes);
        assert_eq!(table.runs, [extent(0, 8, 0), extent(8, 2, 0xb000)]);
        assert_eq!(notes.len(), 1);
        assert_eq!(table.locate(9), Some(Located { offset: 0xc000, pages: 1 }));
        assert_eq!((table.locate(10), table.next(10)), (None, None));
        assert_eq!(table.next(3), Some((3, 5)));
    }

    #[test]
    fn absurd_runs_neither_overflow_nor_loop() {
        let extent = |pfn, pages, offset| PageExtent { pfn, pages, offset };
        let mut notes = vec![];
        let table = RunTable::new(vec![extent(u64::MAX - 1, u64::MAX, u64::MAX), extent(5, 1 << 60, 0)], &mut notes);
        assert!(table.locate(u64::MAX).is_none());
        assert!(table.locate(1 << 50).is_some());
        assert!(table.locate(1 << 59).is_none(), "its file offset would not fit 64 bits");
        assert_eq!(notes.len(), 1, "out of order");
    }
}
