use alloc::{format, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError};

use crate::{kernel::header::FILLER, limits};

/// The physical memory that the header describes (`PHYSICAL_MEMORY_DESCRIPTOR`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalMemory {
    /// Ascending and disjoint.
    pub runs: Vec<PhysicalRun>,
    /// How many pages of 4 KiB the header says there are.
    pub pages: u64,
}

/// Contiguous physical pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysicalRun {
    /// First page frame number.
    pub base_page: u64,
    /// Pages of 4 KiB.
    pub pages: u64,
}

impl PhysicalMemory {
    /// Reads the descriptor from the header's 700 bytes for it; `None` without a note if it was never written.
    pub(super) fn parse(bits: u8, bytes: &[u8], origin: u64, notes: &mut Vec<Note>) -> Option<Self> {
        match Self::read(bits, bytes, origin) {
            Ok(None) => None,
            Ok(Some(memory)) => {
                let sum = memory.runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.pages));
                if sum != memory.pages {
                    let pages = memory.pages;
                    notes
                        .push(Note::info(format!("the header counts {pages} physical pages, but its runs hold {sum}")));
                }
                Some(memory)
            }
            Err(error) => {
                notes.push(Note::damaged(format!("the list of physical memory runs is left out: {error}")));
                None
            }
        }
    }

    fn read(bits: u8, bytes: &[u8], origin: u64) -> Result<Option<Self>, ReadError> {
        let mut cursor = Bytes::new(bytes, origin);
        let count = cursor.u32("physical memory run count")?;
        if count == FILLER || count == 0 {
            return Ok(None);
        }
        let word = |cursor: &mut Bytes<'_>| match bits {
            32 => cursor.u32("physical memory run").map(u64::from),
            _ => cursor.u64("physical memory run"),
        };
        if bits != 32 {
            cursor.skip(4, "physical memory descriptor")?;
        }
        let pages = word(&mut cursor)?;
        let run_size = if bits == 32 { 8 } else { 16 };
        let count = cursor.count(u64::from(count), limits::PHYSICAL_RUNS, run_size, "physical memory run count")?;
        let mut runs: Vec<PhysicalRun> = Vec::with_capacity(count);
        let mut next = 0;
        for _ in 0..count {
            let offset = cursor.offset();
            let run = PhysicalRun { base_page: word(&mut cursor)?, pages: word(&mut cursor)? };
            let end = run.base_page.checked_add(run.pages).filter(|_| run.pages > 0 && run.base_page >= next);
            next = end.ok_or(ReadError::invalid("physical memory run", offset, run.base_page))?;
            runs.push(run);
        }
        Ok(Some(Self { runs, pages }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(runs: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((runs.len() as u64).to_le_bytes());
        bytes.extend(runs.iter().map(|run| run.1).sum::<u64>().to_le_bytes());
        runs.iter().for_each(|run| bytes.extend([run.0.to_le_bytes(), run.1.to_le_bytes()].concat()));
        bytes.resize(700, b'P');
        bytes
    }

    #[test]
    fn runs_must_ascend_and_fit_the_header() {
        let mut notes = Vec::new();
        let memory = PhysicalMemory::parse(64, &descriptor(&[(1, 0x9e), (0x100, 0x10)]), 0x88, &mut notes).unwrap();
        assert_eq!((memory.runs.len(), memory.pages), (2, 0xae));
        assert!(notes.is_empty());
        let many: Vec<(u64, u64)> = (0..43).map(|n| (n * 2, 1)).collect();
        for bad in
            [descriptor(&[(5, 2), (6, 1)]), descriptor(&[(5, 0)]), descriptor(&[(u64::MAX, 2)]), descriptor(&many)]
        {
            notes.clear();
            assert_eq!(PhysicalMemory::parse(64, &bad[..700], 0x88, &mut notes), None);
            assert_eq!(notes.len(), 1);
        }
    }

    #[test]
    fn filler_is_no_descriptor_and_no_damage() {
        let mut notes = Vec::new();
        assert_eq!(PhysicalMemory::parse(64, &b"PAGE".repeat(175), 0x88, &mut notes), None);
        assert_eq!(PhysicalMemory::parse(32, &b"PAGE".repeat(175), 0x64, &mut notes), None);
        assert!(notes.is_empty());
    }
}
