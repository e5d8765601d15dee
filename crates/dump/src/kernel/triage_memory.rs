use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Fault, Memory, Note, ReadOutcome, Region, Searched, Source, Va};

use super::{FileRange, Triage};

/// The virtual memory that a small memory dump holds: the call stack, data blocks, the debugger data and, once their
/// addresses are known, the processor, process and thread objects.
///
/// Blocks have any length and alignment and may touch; reads go on from one to the next.
pub struct TriageMemory {
    source: Source,
    /// Ascending and disjoint.
    extents: Vec<Extent>,
    /// Whether an address of the dump needs more than 48 bits, as with 5-level paging.
    wide: bool,
}

/// Bytes of memory at a file offset; never empty, and its end does not pass 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    start: u64,
    len: u64,
    offset: u64,
    kind: &'static str,
}

impl Extent {
    fn new(start: Va, offset: u64, len: u64, kind: &'static str) -> Option<Self> {
        (len > 0 && start.checked_add(len).is_some()).then_some(Self { start: start.0, len, offset, kind })
    }

    const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// What of this extent lies at or above `address`.
    fn from(&self, address: u64) -> Option<Self> {
        let skipped = address.saturating_sub(self.start);
        let len = self.len.checked_sub(skipped).filter(|len| *len > 0)?;
        Some(Self {
            start: self.start.saturating_add(skipped),
            len,
            offset: self.offset.saturating_add(skipped),
            kind: self.kind,
        })
    }

    /// What of this extent lies below `address`.
    fn until(&self, address: u64) -> Option<Self> {
        let len = address.checked_sub(self.start).filter(|len| *len > 0)?.min(self.len);
        Some(Self { len, ..*self })
    }

    /// Whether `next` continues this extent in memory and in the file.
    fn is_continued_by(&self, next: &Self) -> bool {
        self.kind == next.kind && self.end() == next.start && self.offset.saturating_add(self.len) == next.offset
    }
}

impl fmt::Debug for TriageMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriageMemory").field("extents", &self.extents.len()).finish_non_exhaustive()
    }
}

impl TriageMemory {
    pub(super) fn new(triage: &Triage, notes: &mut Vec<Note>) -> Self {
        let blocks = triage.data_blocks(notes);
        let blocks = blocks.iter().filter_map(|b| Extent::new(b.address, b.offset, b.size, "data block"));
        let mut memory = Self { source: triage.source.clone(), extents: disjoint(blocks.collect()), wide: false };
        // What the dump names goes in front of the anonymous blocks, of which some repeat parts of it.
        if let Some(page) = triage.data_page(notes) {
            memory.put(page.address, page.offset, page.size, "data page");
        }
        if let (Some(address), Some(FileRange { offset, size })) =
            (triage.dump_header.kd_debugger_data_block, triage.debugger_data(notes))
        {
            memory.put(address, offset, size, "debugger data");
        }
        if let Some(stack) = triage.call_stack(notes) {
            memory.put(stack.start, stack.offset, stack.size, "call stack");
        }
        memory.wide = memory.extents.iter().any(|extent| !Va(extent.start).is_canonical_48());
        memory
    }

    /// Adds the copy of an object that the file holds apart from the data blocks, at the address that it was found to
    /// have. It hides what was there before. A range that passes the end of the address space is not added.
    pub fn add_overlay(&mut self, va: Va, range: FileRange, kind: &'static str) {
        self.put(va, range.offset, range.size, kind);
    }

    fn put(&mut self, va: Va, offset: u64, len: u64, kind: &'static str) {
        let Some(new) = Extent::new(va, offset, len, kind) else { return };
        let first = self.extents.partition_point(|extent| extent.end() <= new.start);
        let last = self.extents.partition_point(|extent| extent.start < new.end());
        let before = self.extents.get(first).and_then(|extent| extent.until(new.start));
        let after = last.checked_sub(1).and_then(|last| self.extents.get(last)?.from(new.end()));
        self.extents.splice(first..last, before.into_iter().chain([new]).chain(after));
    }

    /// How many bytes of memory the dump holds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.len))
    }

    /// All ranges in ascending order.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.extents.iter().map(|extent| Region { start: Va(extent.start), len: extent.len, kind: extent.kind })
    }

    /// The extent that holds `address` or else the next one above it.
    fn find(&self, address: u64) -> Option<&Extent> {
        self.extents.get(self.extents.partition_point(|extent| extent.end() <= address))
    }

    fn absent(&self, address: u64) -> Fault {
        let va = Va(address);
        if self.wide || va.is_canonical_48() {
            Fault::NotInDump { va, searched: Searched::TriageBlocks }
        } else {
            Fault::NonCanonical { va }
        }
    }
}

impl Memory for TriageMemory {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let mut filled = 0_usize;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let Some(address) = va.0.checked_add(filled as u64) else {
                let fault = Fault::NotInDump { va: Va(u64::MAX), searched: Searched::TriageBlocks };
                return ReadOutcome { filled, fault: Some(fault) };
            };
            let held = self.find(address).filter(|extent| extent.start <= address).and_then(|e| e.from(address));
            let Some(extent) = held else {
                return ReadOutcome { filled, fault: Some(self.absent(address)) };
            };
            let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(rest.len());
            let Some(target) = rest.get_mut(..len) else { break };
            if let Err(error) = self.source.read_at(extent.offset, target) {
                return ReadOutcome { filled, fault: Some(Fault::Source { va: Va(address), error }) };
            }
            filled = filled.saturating_add(len);
        }
        ReadOutcome::complete(filled)
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        let extent = self.find(va.0)?;
        Some(Region { start: Va(extent.start), len: extent.len, kind: extent.kind })
    }
}

/// Sorts extents, cuts what overlaps (the block that starts first keeps its bytes; copies of the same memory agree) and
/// joins what continues in memory and in the file.
fn disjoint(mut extents: Vec<Extent>) -> Vec<Extent> {
    extents.sort_by_key(|extent| extent.start);
    let mut out: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        let covered = out.last().map_or(0, Extent::end);
        let Some(extent) = extent.from(covered) else { continue };
        match out.last_mut().filter(|last| last.is_continued_by(&extent)) {
            Some(last) => last.len = last.len.saturating_add(extent.len),
            None => out.push(extent),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{rc::Rc, vec};

    /// Memory over a file whose byte at offset `n` is `n`.
    fn memory(blocks: &[(u64, u64, u64)]) -> TriageMemory {
        let blocks = blocks.iter().map(|(va, offset, len)| Extent::new(Va(*va), *offset, *len, "data block").unwrap());
        let file: Vec<u8> = (0..=255).collect();
        TriageMemory { source: Rc::new(file), extents: disjoint(blocks.collect()), wide: false }
    }

    fn read(memory: &TriageMemory, va: u64, len: usize) -> (Vec<u8>, Option<Fault>) {
        let mut buf = vec![0; len];
        let outcome = memory.read(Va(va), &mut buf);
        buf.truncate(outcome.filled);
        (buf, outcome.fault)
    }

    #[test]
    fn a_read_goes_on_from_block_to_block_and_stops_at_the_first_gap() {
        let memory = memory(&[(0x1004, 0x50, 4), (0x1000, 0x10, 4), (0x100a, 0x60, 4)]);
        let (bytes, fault) = read(&memory, 0x1002, 16);
        assert_eq!(bytes, [0x12, 0x13, 0x50, 0x51, 0x52, 0x53]);
        assert_eq!(fault, Some(Fault::NotInDump { va: Va(0x1008), searched: Searched::TriageBlocks }));
        assert_eq!(read(&memory, 0x1002, 6), (vec![0x12, 0x13, 0x50, 0x51, 0x52, 0x53], None));
        assert_eq!(memory.next_region(Va(0x1008)).unwrap().start, Va(0x100a));
        assert_eq!(memory.next_region(Va(0x100e)), None);
    }

    #[test]
    fn overlapping_blocks_are_one_memory() {
        let memory = memory(&[(0x1000, 0x10, 8), (0x1002, 0x12, 2), (0x1004, 0x14, 8), (0x1000, 0x10, 4)]);
        assert_eq!(memory.regions().count(), 1, "they continue in the file too");
        assert_eq!(memory.total(), 12);
        assert_eq!(read(&memory, 0x1000, 12).0, (0x10..0x1c).collect::<Vec<u8>>());
    }

    #[test]
    fn an_overlay_hides_what_was_there() {
        let mut memory = memory(&[(0x1000, 0x10, 8), (0x1010, 0x30, 8), (0x1020, 0x40, 8)]);
        memory.add_overlay(Va(0x1004), FileRange { offset: 0x80, size: 0x10 }, "EPROCESS");
        let regions: Vec<(u64, u64, &str)> = memory.regions().map(|r| (r.start.0, r.len, r.kind)).collect();
        let block = "data block";
        assert_eq!(regions, [(0x1000, 4, block), (0x1004, 0x10, "EPROCESS"), (0x1014, 4, block), (0x1020, 8, block)]);
        assert_eq!(read(&memory, 0x1002, 4).0, [0x12, 0x13, 0x80, 0x81]);
        assert_eq!(read(&memory, 0x1013, 3).0, [0x8f, 0x34, 0x35]);
        memory.add_overlay(Va(0x1001), FileRange { offset: 0xf0, size: 1 }, "x");
        memory.add_overlay(Va(0x1018), FileRange { offset: 0xf0, size: 4 }, "x");
        memory.add_overlay(Va(u64::MAX), FileRange { offset: 0xf0, size: 4 }, "x");
        assert_eq!(read(&memory, 0x1000, 3).0, [0x10, 0xf0, 0x12]);
        assert!(memory.extents.is_sorted_by(|a, b| a.end() <= b.start));
        assert_eq!(memory.regions().count(), 7);
    }

    #[test]
    fn addresses_that_no_processor_accesses_are_told_from_absent_ones() {
        let memory = memory(&[(0xffff_8000_0000_1000, 0, 8)]);
        let absent = |va| read(&memory, va, 1).1.unwrap();
        assert!(matches!(absent(0x4141_4141_4141_4141), Fault::NonCanonical { .. }));
        assert!(matches!(absent(0xffff_8000_0000_2000), Fault::NotInDump { .. }));
        assert!(matches!(read(&memory, u64::MAX, 2).1, Some(Fault::NotInDump { .. })));
    }

    #[test]
    fn a_file_that_became_shorter_is_the_sources_fault() {
        let memory = TriageMemory {
            source: Rc::new(Failing),
            extents: vec![Extent { start: 0x1000, len: 8, offset: 0, kind: "data block" }],
            wide: false,
        };
        assert!(matches!(read(&memory, 0x1000, 4).1, Some(Fault::Source { va: Va(0x1000), .. })));
    }

    struct Failing;

    impl dumplens_base::ByteSource for Failing {
        fn len(&self) -> u64 {
            8
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), dumplens_base::SourceError> {
            let len = buf.len() as u64;
            Err(dumplens_base::SourceError { offset, len, kind: dumplens_base::SourceErrorKind::Changed })
        }
    }
}
