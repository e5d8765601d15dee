//! The memory of a minidump: its ranges, found by address.

use alloc::vec::Vec;

use dumplens_base::{Bytes, Note, ReadError, Searched, Va, read_record};

use super::{Minidump, StreamType, Thread};
use crate::{CapturedMemory, Extent, limits};

/// `MINIDUMP_MEMORY_DESCRIPTOR`.
pub(super) fn descriptor(bytes: &mut Bytes<'_>, kind: &'static str) -> Result<Extent, ReadError> {
    let address = Va(bytes.u64("memory range start")?);
    let size = u64::from(bytes.u32("memory range size")?);
    Ok(Extent { address, size, offset: u64::from(bytes.u32("memory range offset")?), kind })
}

/// Entries of a Memory64List that are read at a time.
const BATCH: u64 = 4_096;

impl Minidump {
    /// The captured memory: MemoryList, Memory64List and the threads' stacks.
    pub fn memory(&self, threads: &[Thread], notes: &mut Vec<Note>) -> CapturedMemory {
        let mut ranges = self.memory_list(notes);
        ranges.extend(self.memory64_list(notes));
        ranges.extend(threads.iter().map(|thread| thread.stack));
        CapturedMemory::new(self.source.clone(), Searched::MinidumpRanges, ranges, notes)
    }

    fn memory_list(&self, notes: &mut Vec<Note>) -> Vec<Extent> {
        let ranges = self.with_stream(StreamType::MemoryList, notes, |bytes, notes| {
            let claimed = u64::from(bytes.u32("memory range count")?);
            let count = Self::entries(bytes, claimed, limits::MEMORY_RANGES, 0x10, "memory list", notes)?;
            (0..count).map(|_| descriptor(bytes, "memory list")).collect::<Result<_, _>>()
        });
        ranges.unwrap_or_default()
    }

    fn memory64_list(&self, notes: &mut Vec<Note>) -> Vec<Extent> {
        let Some(stream) = self.stream(StreamType::Memory64List) else { return Vec::new() };
        let mut ranges = Vec::new();
        if let Err(error) = self.read_memory64(stream.offset, &mut ranges, notes) {
            notes.push(Note::damaged(alloc::format!("the Memory64List stream is damaged: {error}")));
        }
        ranges
    }

    fn read_memory64(&self, offset: u64, ranges: &mut Vec<Extent>, notes: &mut Vec<Note>) -> Result<(), ReadError> {
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
                let address = Va(bytes.u64("memory range start")?);
                let size = bytes.u64("memory range size")?;
                ranges.push(Extent { address, size, offset: at, kind: "memory list" });
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
