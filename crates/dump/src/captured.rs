//! Captured memory: runs of addresses and where their bytes stand in the file. Minidumps and small kernel dumps differ only
//! in how they list them.

use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Fault, Memory, Note, ReadOutcome, Region, Searched, Source, Va};

/// A run of captured bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First address.
    pub address: Va,
    /// Length in bytes.
    pub size: u64,
    /// Where the bytes stand in the file.
    pub offset: u64,
    /// What the container calls it: "thread stack", "data block".
    pub kind: &'static str,
}

impl Extent {
    /// Address just above the run.
    #[must_use]
    pub const fn end(&self) -> Va {
        Va(self.address.0.saturating_add(self.size))
    }

    /// What lies at or above `address`.
    fn from(self, address: Va) -> Self {
        let skip = address.0.saturating_sub(self.address.0).min(self.size);
        Self {
            address: Va(self.address.0.saturating_add(skip)),
            size: self.size - skip,
            offset: self.offset.saturating_add(skip),
            ..self
        }
    }

    /// What lies below `address`.
    fn below(self, address: Va) -> Self {
        Self { size: self.size.min(address.0.saturating_sub(self.address.0)), ..self }
    }
}

/// The captured memory of a dump.
pub struct CapturedMemory {
    source: Source,
    searched: Searched,
    /// Sorted by address, none empty, without overlaps. Where the file's runs overlap, their bytes are copies of each other,
    /// and the run that starts first keeps them.
    extents: Vec<Extent>,
}

impl fmt::Debug for CapturedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedMemory").field("extents", &self.extents.len()).finish_non_exhaustive()
    }
}

impl CapturedMemory {
    /// Memory made of `extents` in any order. Those that pass the end of the file are cut there, with a note.
    pub(crate) fn new(source: Source, searched: Searched, extents: Vec<Extent>, notes: &mut Vec<Note>) -> Self {
        let len = source.len();
        let (mut cut, mut lost) = (0_u64, 0_u64);
        let mut inside = extents;
        for extent in &mut inside {
            let present = len.saturating_sub(extent.offset);
            if present < extent.size {
                cut = cut.saturating_add(1);
                lost = lost.saturating_add(extent.size - present);
                extent.size = present;
            }
        }
        if cut > 0 {
            notes.push(Note::damaged(alloc::format!(
                "{cut} runs of memory reach past the end of the file; {lost} bytes are missing (is the file cut off?)"
            )));
        }
        Self { source, searched, extents: disjoint(inside) }
    }

    /// Lays `extent` over memory: its bytes are in the file, and where they were is known from elsewhere. It wins over
    /// what was there before.
    pub fn overlay(&mut self, extent: Extent) {
        let present = self.source.len().saturating_sub(extent.offset);
        let extent = Extent { size: extent.size.min(present), ..extent };
        let around = self.extents.drain(..).flat_map(|old| [old.below(extent.address), old.from(extent.end())]);
        let mut extents: Vec<_> = around.collect();
        extents.push(extent);
        self.extents = disjoint(extents);
    }

    /// The runs in address order.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Index of the run that holds `va`, or else of the next one.
    fn position(&self, va: Va) -> usize {
        self.extents.partition_point(|extent| extent.end() <= va)
    }
}

/// Sorts runs, cuts overlaps away and drops empty ones.
fn disjoint(mut extents: Vec<Extent>) -> Vec<Extent> {
    // Of runs with one start the longest comes first: it covers the others.
    extents.sort_by_key(|extent| (extent.address, u64::MAX - extent.size));
    let mut sorted: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        let floor = sorted.last().map_or(Va(0), Extent::end);
        let mut extent = extent.from(floor);
        // No run holds the last byte of the address space: its end would have no address.
        extent.size = extent.size.min(u64::MAX - extent.address.0);
        if extent.size > 0 {
            sorted.push(extent);
        }
    }
    sorted
}

impl Memory for CapturedMemory {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let mut filled = 0;
        let mut extents = self.extents.get(self.position(va)..).unwrap_or_default().iter();
        loop {
            let at = Va(va.0.saturating_add(filled as u64));
            let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) else {
                return ReadOutcome::complete(filled);
            };
            let absent = ReadOutcome { filled, fault: Some(Fault::NotInDump { va: at, searched: self.searched }) };
            let Some(extent) = extents.next().filter(|extent| extent.address <= at && at < extent.end()) else {
                return absent;
            };
            let here = extent.from(at);
            let step = usize::try_from(here.size).unwrap_or(usize::MAX).min(rest.len());
            let Some(part) = rest.get_mut(..step) else { return absent };
            if let Err(error) = self.source.read_at(here.offset, part) {
                return ReadOutcome { filled, fault: Some(Fault::Source { va: at, error }) };
            }
            filled = filled.saturating_add(step);
        }
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        let extent = self.extents.get(self.position(va))?;
        Some(Region { start: extent.address, len: extent.size, kind: extent.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, rc::Rc, vec};
    use dumplens_base::MemoryExt;
    use proptest::prelude::*;

    fn extent(address: u64, size: u64, offset: u64) -> Extent {
        Extent { address: Va(address), size, offset, kind: "data block" }
    }

    fn memory(extents: &[Extent]) -> (CapturedMemory, Vec<Note>) {
        let file: Vec<u8> = (0..=255).collect();
        let mut notes = vec![];
        (CapturedMemory::new(Rc::new(file), Searched::TriageBlocks, extents.to_vec(), &mut notes), notes)
    }

    #[test]
    fn unsorted_touching_and_overlapping_runs_read_as_one() {
        let (memory, notes) = memory(&[extent(0x108, 8, 0x48), extent(0x100, 10, 0x40), extent(0x200, 1, 0)]);
        assert!(notes.is_empty());
        assert_eq!(memory.read_vec(Va(0x100), 16).unwrap(), (0x40..0x50).collect::<Vec<u8>>());
        let mut buf = [0; 4];
        let outcome = memory.read(Va(0x10e), &mut buf);
        assert_eq!((outcome.filled, outcome.fault.unwrap().address()), (2, Va(0x110)));
        assert_eq!(memory.next_region(Va(0x110)).unwrap().start, Va(0x200));
        assert!(memory.next_region(Va(0x201)).is_none());
    }

    #[test]
    fn an_overlay_wins_and_splits_what_was_there() {
        let (mut memory, _) = memory(&[extent(0x100, 0x20, 0)]);
        memory.overlay(extent(0x108, 4, 0x80));
        assert_eq!(memory.read_vec(Va(0x106), 8).unwrap(), [6, 7, 0x80, 0x81, 0x82, 0x83, 12, 13]);
        assert_eq!(memory.extents().len(), 3);
        memory.overlay(extent(0, 0x1000, 0xf0));
        assert_eq!(memory.extents().first().unwrap().size, 0x10);
    }

    #[test]
    fn runs_past_the_end_of_the_file_are_cut_with_a_note() {
        let (memory, notes) = memory(&[extent(0x100, 0x20, 0xf8), extent(0x900, 4, u64::MAX)]);
        assert_eq!(memory.next_region(Va(0x100)).unwrap().len, 8);
        assert!(memory.next_region(Va(0x108)).is_none());
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn the_top_of_the_address_space_is_safe() {
        let (memory, _) = memory(&[extent(u64::MAX - 8, 0x100, 0)]);
        let mut buf = [0; 64];
        assert_eq!(memory.read(Va(u64::MAX - 4), &mut buf).filled, 4);
        assert!(memory.read(Va(u64::MAX), &mut buf).fault.is_some());
    }

    proptest! {
        /// Against a map from each address to its byte.
        #[test]
        fn reads_equal_a_byte_by_byte_model(
            runs in proptest::collection::vec((0_u64..200, 0_u64..40), 0..12),
            overlay in (0_u64..200, 0_u64..40),
            reads in proptest::collection::vec((0_u64..260, 0_usize..60), 1..20),
        ) {
            // A byte's value is its address, so that overlapping runs are copies of each other, as in real dumps.
            let file: Vec<u8> = (0..=255).chain(0..=255).collect();
            let run = |(address, size): (u64, u64)| extent(address, size, address);
            let mut memory = CapturedMemory::new(Rc::new(file), Searched::TriageBlocks, runs.iter().copied().map(run).collect(), &mut vec![]);
            memory.overlay(run(overlay));
            let all = runs.iter().chain([&overlay]).flat_map(|(address, size)| *address..address + size);
            let model: BTreeMap<u64, u8> = all.map(|address| (address, address as u8)).collect();
            for (start, len) in reads {
                let mut buf = vec![0; len];
                let outcome = memory.read(Va(start), &mut buf);
                let expected: Vec<u8> = (start..start + len as u64).map_while(|at| model.get(&at).copied()).collect();
                prop_assert_eq!(&buf[..outcome.filled], &expected[..]);
                prop_assert_eq!(outcome.fault.is_none(), outcome.filled == len);
            }
        }
    }
}
