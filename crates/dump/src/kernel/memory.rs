//! The memory of a small kernel dump: byte-granular blocks in no order.

use alloc::{vec, vec::Vec};
use core::fmt;

use dumplens_base::{Fault, Memory, Note, ReadOutcome, Region, Searched, Source, Va};

/// A run of captured bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// First address.
    pub address: Va,
    /// Length in bytes.
    pub size: u64,
    /// Where the bytes stand in the file.
    pub offset: u64,
    /// What it is.
    pub kind: &'static str,
}

impl Block {
    const fn end(&self) -> Va {
        Va(self.address.0.saturating_add(self.size))
    }
}

/// The captured memory of a small kernel dump.
pub struct TriageMemory {
    source: Source,
    /// Sorted by address, without overlaps: where the file's blocks overlap, the bytes are copies of each other and the
    /// block that starts first keeps them.
    blocks: Vec<Block>,
}

impl fmt::Debug for TriageMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriageMemory").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl TriageMemory {
    pub(super) fn new(source: Source, blocks: Vec<Block>, notes: &mut Vec<Note>) -> Self {
        let len = source.len();
        let (mut cut, mut lost) = (0_u64, 0_u64);
        let inside = blocks.into_iter().map(|mut block| {
            let present = len.saturating_sub(block.offset);
            if present < block.size {
                cut += 1;
                lost = lost.saturating_add(block.size - present);
                block.size = present;
            }
            block
        });
        let blocks = disjoint(inside.collect());
        if cut > 0 {
            notes.push(Note::damaged(alloc::format!(
                "{cut} blocks of memory reach past the end of the file; {lost} bytes are missing (is the file cut off?)"
            )));
        }
        Self { source, blocks }
    }

    /// Lays `block` over memory: where it was when the dump was written is known from elsewhere. It wins over blocks
    /// that were there before.
    pub fn overlay(&mut self, block: Block) {
        let present = self.source.len().saturating_sub(block.offset);
        let block = Block { size: block.size.min(present), ..block };
        let mut blocks = vec![block];
        for old in self.blocks.drain(..) {
            // What remains of an old block below and above the new one.
            if old.address < block.address {
                let size = old.size.min(block.address.0 - old.address.0);
                blocks.push(Block { size, ..old });
            }
            if old.end() > block.end() {
                let skip = block.end().0.saturating_sub(old.address.0);
                blocks.push(Block {
                    address: Va(old.address.0.max(block.end().0)),
                    size: old.size - skip.min(old.size),
                    offset: old.offset.saturating_add(skip),
                    ..old
                });
            }
        }
        self.blocks = disjoint(blocks);
    }

    /// The blocks in address order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn position(&self, va: Va) -> usize {
        self.blocks.partition_point(|block| block.end() <= va)
    }
}

/// Sorts blocks and cuts overlaps away.
fn disjoint(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_by_key(|block| (block.address, u64::MAX - block.size));
    let mut sorted: Vec<Block> = Vec::with_capacity(blocks.len());
    for mut block in blocks {
        let floor = sorted.last().map_or(Va(0), Block::end);
        if block.address < floor {
            let overlap = (floor.0 - block.address.0).min(block.size);
            block = Block {
                address: floor,
                size: block.size - overlap,
                offset: block.offset.saturating_add(overlap),
                ..block
            };
        }
        block.size = block.size.min(u64::MAX - block.address.0);
        if block.size > 0 {
            sorted.push(block);
        }
    }
    sorted
}

impl Memory for TriageMemory {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let mut filled = 0;
        let mut blocks = self.blocks.get(self.position(va)..).unwrap_or_default().iter();
        loop {
            let at = Va(va.0.saturating_add(filled as u64));
            let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) else {
                return ReadOutcome::complete(filled);
            };
            let Some(block) = blocks.next().filter(|block| block.address <= at && at < block.end()) else {
                let fault = Fault::NotInDump { va: at, searched: Searched::TriageBlocks };
                return ReadOutcome { filled, fault: Some(fault) };
            };
            let skip = at.0 - block.address.0;
            let available = usize::try_from(block.size - skip).unwrap_or(usize::MAX);
            let step = rest.len().min(available);
            let Some(part) = rest.get_mut(..step) else { return ReadOutcome { filled, fault: None } };
            if let Err(error) = self.source.read_at(block.offset.saturating_add(skip), part) {
                return ReadOutcome { filled, fault: Some(Fault::Source { va: at, error }) };
            }
            filled += step;
        }
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        let block = self.blocks.get(self.position(va))?;
        Some(Region { start: block.address, len: block.size, kind: block.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::rc::Rc;
    use dumplens_base::MemoryExt;

    fn block(address: u64, size: u64, offset: u64) -> Block {
        Block { address: Va(address), size, offset, kind: "data block" }
    }

    fn memory(blocks: &[Block]) -> (TriageMemory, Vec<Note>) {
        let file: Vec<u8> = (0..=255).collect();
        let mut notes = vec![];
        (TriageMemory::new(Rc::new(file), blocks.to_vec(), &mut notes), notes)
    }

    #[test]
    fn unsorted_touching_and_overlapping_blocks_read_as_one() {
        let (memory, notes) = memory(&[block(0x108, 8, 0x48), block(0x100, 10, 0x40), block(0x200, 1, 0)]);
        assert!(notes.is_empty());
        assert_eq!(memory.read_vec(Va(0x100), 16).unwrap(), (0x40..0x50).collect::<Vec<u8>>());
        let mut buf = [0; 4];
        assert_eq!(memory.read(Va(0x10e), &mut buf).filled, 2);
        assert_eq!(memory.next_region(Va(0x110)).unwrap().start, Va(0x200));
    }

    #[test]
    fn an_overlay_wins_and_splits_what_was_there() {
        let (mut memory, _) = memory(&[block(0x100, 0x20, 0)]);
        memory.overlay(block(0x108, 4, 0x80));
        assert_eq!(memory.read_vec(Va(0x106), 8).unwrap(), [6, 7, 0x80, 0x81, 0x82, 0x83, 12, 13]);
        assert_eq!(memory.blocks().len(), 3);
        memory.overlay(block(0, 0x1000, 0xf0));
        assert_eq!(memory.blocks().first().unwrap().size, 0x10);
    }

    #[test]
    fn blocks_past_the_end_of_the_file_are_cut_with_a_note() {
        let (memory, notes) = memory(&[block(0x100, 0x20, 0xf8), block(u64::MAX - 3, 9, 0), block(0x900, 4, u64::MAX)]);
        assert_eq!(memory.next_region(Va(0x100)).unwrap().len, 8);
        assert_eq!(notes.len(), 1);
        let mut buf = [0; 8];
        assert!(memory.read(Va(u64::MAX - 1), &mut buf).fault.is_some());
    }
}
