//! The memory of a minidump: its ranges, found by address.

use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Bytes, Fault, Memory, Note, ReadError, ReadOutcome, Region, Searched, Source, Va, read_record};

use super::{Minidump, StreamType, Thread};
use crate::limits;

/// A range of memory in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First address.
    pub start: Va,
    /// Length in bytes.
    pub size: u64,
    /// Where its bytes stand in the file.
    pub offset: u64,
}

impl MemoryRange {
    /// `MINIDUMP_MEMORY_DESCRIPTOR`.
    pub(super) fn parse(bytes: &mut Bytes<'_>) -> Result<Self, ReadError> {
        let start = Va(bytes.u64("memory range start")?);
        let size = u64::from(bytes.u32("memory range size")?);
        Ok(Self { start, size, offset: u64::from(bytes.u32("memory range offset")?) })
    }

    /// Address just above the range.
    #[must_use]
    pub const fn end(&self) -> Va {
        Va(self.start.0.saturating_add(self.size))
    }
}

/// Entries of a Memory64List that are read at a time.
const BATCH: u64 = 4_096;

impl Minidump {
    /// The captured memory: MemoryList, Memory64List and the threads' stacks.
    pub fn memory(&self, threads: &[Thread], notes: &mut Vec<Note>) -> MinidumpMemory {
        let mut ranges = self.memory_list(notes);
        ranges.extend(self.memory64_list(notes));
        ranges.extend(threads.iter().map(|thread| thread.stack));
        MinidumpMemory::new(self.source.clone(), ranges, notes)
    }

    fn memory_list(&self, notes: &mut Vec<Note>) -> Vec<MemoryRange> {
        let ranges = self.with_stream(StreamType::MemoryList, notes, |bytes, notes| {
            let claimed = u64::from(bytes.u32("memory range count")?);
            let count = Self::entries(bytes, claimed, limits::MEMORY_RANGES, 0x10, "memory list", notes)?;
            (0..count).map(|_| MemoryRange::parse(bytes)).collect::<Result<_, _>>()
        });
        ranges.unwrap_or_default()
    }

    fn memory64_list(&self, notes: &mut Vec<Note>) -> Vec<MemoryRange> {
        let Some(stream) = self.stream(StreamType::Memory64List) else { return Vec::new() };
        let mut ranges = Vec::new();
        if let Err(error) = self.read_memory64(stream.offset, &mut ranges, notes) {
            notes.push(Note::damaged(alloc::format!("the Memory64List stream is damaged: {error}")));
        }
        ranges
    }

    fn read_memory64(
        &self,
        offset: u64,
        ranges: &mut Vec<MemoryRange>,
        notes: &mut Vec<Note>,
    ) -> Result<(), ReadError> {
        let raw = read_record(&self.source, offset, 16, 16, "Memory64List header")?;
        let mut header = Bytes::new(&raw, offset);
        let claimed = header.u64("memory range count")?;
        // The bytes of all ranges follow each other from here: only the first has an offset.
        let mut at = header.u64("memory range base")?;
        let table = offset.saturating_add(16);
        let room = self.source.len().saturating_sub(table) / 16;
        let count = claimed.min(room).min(limits::MEMORY_RANGES);
        if count < claimed {
            notes.push(Note::damaged(alloc::format!(
                "the Memory64List at offset {offset:#x} claims {claimed} ranges, but only {count} can be read"
            )));
        }
        let mut done = 0;
        while done < count {
            let batch = (count - done).min(BATCH);
            let raw =
                read_record(&self.source, table.saturating_add(done * 16), batch * 16, BATCH * 16, "memory ranges")?;
            let mut bytes = Bytes::new(&raw, table);
            for _ in 0..batch {
                let start = Va(bytes.u64("memory range start")?);
                let size = bytes.u64("memory range size")?;
                ranges.push(MemoryRange { start, size, offset: at });
                let Some(next) = at.checked_add(size) else {
                    return Err(ReadError::invalid("memory range size", table, size));
                };
                at = next;
            }
            done += batch;
        }
        Ok(())
    }
}

/// The captured memory of a minidump, sorted and without overlaps.
pub struct MinidumpMemory {
    source: Source,
    /// Sorted by address; where the file's ranges overlap, the one that starts first keeps the overlap.
    ranges: Vec<MemoryRange>,
}

impl fmt::Debug for MinidumpMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MinidumpMemory").field("ranges", &self.ranges.len()).finish_non_exhaustive()
    }
}

impl MinidumpMemory {
    fn new(source: Source, mut ranges: Vec<MemoryRange>, notes: &mut Vec<Note>) -> Self {
        ranges.retain(|range| range.size > 0);
        // A range that covers another comes first.
        ranges.sort_unstable_by_key(|range| (range.start, u64::MAX - range.size));
        let mut sorted: Vec<MemoryRange> = Vec::with_capacity(ranges.len());
        let file = source.len();
        let (mut cut, mut lost) = (0_u64, 0_u64);
        for mut range in ranges {
            let floor = sorted.last().map_or(Va(0), MemoryRange::end);
            if range.start < floor {
                let overlap = floor.0.saturating_sub(range.start.0).min(range.size);
                range = MemoryRange {
                    start: floor,
                    size: range.size - overlap,
                    offset: range.offset.saturating_add(overlap),
                };
            }
            let present = file.saturating_sub(range.offset);
            if present < range.size {
                cut = cut.saturating_add(1);
                lost = lost.saturating_add(range.size - present);
                range.size = present;
            }
            range.size = range.size.min(u64::MAX - range.start.0);
            if range.size > 0 {
                sorted.push(range);
            }
        }
        if cut > 0 {
            notes.push(Note::damaged(alloc::format!(
                "{cut} memory ranges reach past the end of the file; {lost} bytes of memory are missing (is the file cut off?)"
            )));
        }
        Self { source, ranges: sorted }
    }

    /// The ranges in address order.
    #[must_use]
    pub fn ranges(&self) -> &[MemoryRange] {
        &self.ranges
    }

    /// Index of the range that holds `va`, or else of the next one.
    fn position(&self, va: Va) -> usize {
        self.ranges.partition_point(|range| range.end() <= va)
    }
}

impl Memory for MinidumpMemory {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let mut filled = 0;
        let mut ranges = self.ranges.get(self.position(va)..).unwrap_or_default().iter();
        while filled < buf.len() {
            let Some(at) = va.checked_add(filled as u64) else { break };
            let absent = Fault::NotInDump { va: at, searched: Searched::MinidumpRanges };
            let Some(range) = ranges.next().filter(|range| range.start <= at) else {
                return ReadOutcome { filled, fault: Some(absent) };
            };
            let skip = at.0.saturating_sub(range.start.0);
            let available = usize::try_from(range.size.saturating_sub(skip)).unwrap_or(usize::MAX);
            let Some(rest) = buf.get_mut(filled..) else { break };
            let step = rest.len().min(available);
            let Some(part) = rest.get_mut(..step) else { break };
            if let Err(error) = self.source.read_at(range.offset.saturating_add(skip), part) {
                return ReadOutcome { filled, fault: Some(Fault::Source { va: at, error }) };
            }
            filled += step;
        }
        if filled == buf.len() {
            return ReadOutcome::complete(filled);
        }
        // The range asked for passes the top of the address space.
        ReadOutcome { filled, fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }) }
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        let range = self.ranges.get(self.position(va))?;
        Some(Region { start: range.start, len: range.size, kind: "memory range" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{rc::Rc, vec};
    use dumplens_base::MemoryExt;

    fn memory(ranges: &[(u64, u64, u64)]) -> (MinidumpMemory, Vec<Note>) {
        let file: Vec<u8> = (0..=255).collect();
        let ranges =
            ranges.iter().map(|(start, size, offset)| MemoryRange { start: Va(*start), size: *size, offset: *offset });
        let mut notes = vec![];
        (MinidumpMemory::new(Rc::new(file), ranges.collect(), &mut notes), notes)
    }

    #[test]
    fn reads_cross_ranges_that_touch_and_stop_at_holes() {
        let (memory, notes) = memory(&[(0x2000, 0x10, 0x20), (0x1ff0, 0x10, 0x10), (0x2020, 4, 0)]);
        assert!(notes.is_empty());
        assert_eq!(memory.read_vec(Va(0x1ffe), 4).unwrap(), [0x1e, 0x1f, 0x20, 0x21]);
        let mut buf = [0; 0x20];
        let outcome = memory.read(Va(0x2008), &mut buf);
        assert_eq!(outcome.filled, 8);
        assert_eq!(outcome.fault.unwrap().address(), Va(0x2010));
        assert_eq!(memory.next_region(Va(0x2010)).unwrap().start, Va(0x2020));
        assert!(memory.next_region(Va(0x2024)).is_none());
    }

    #[test]
    fn overlaps_are_resolved_and_ranges_past_the_end_are_cut_with_a_note() {
        let (memory, notes) = memory(&[(0x1000, 0x20, 0), (0x1010, 0x20, 0x80), (0x3000, 0x100, 0xf0)]);
        assert_eq!(memory.read_vec(Va(0x101f), 2).unwrap(), [0x1f, 0x90]);
        assert_eq!(memory.next_region(Va(0x3000)).unwrap().len, 0x10);
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn the_top_of_the_address_space_is_safe() {
        let (memory, _) = memory(&[(u64::MAX - 8, 0x100, 0)]);
        let mut buf = [0; 64];
        assert!(memory.read(Va(u64::MAX - 4), &mut buf).fault.is_some());
        assert!(memory.read(Va(u64::MAX), &mut buf).fault.is_some());
    }
}
