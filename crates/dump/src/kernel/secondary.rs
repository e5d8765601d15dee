//! Tagged data that drivers and Windows components append to a dump.

use alloc::{format, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError, read_record};

use super::{DumpKind, FileRange, KernelDump};
use crate::{Guid, limits};

const FILE_HEADER: u64 = 0x10;
const BLOB_HEADER: u64 = 0x20;

/// A block of secondary data: whose it is, by a GUID, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondaryBlob {
    /// Who wrote it.
    pub tag: Guid,
    /// What it holds, for the tags whose contents are known.
    pub name: Option<&'static str>,
    /// File offset of the data, in bytes.
    pub offset: u64,
    /// Length in bytes; some blocks are empty.
    pub size: u64,
}

impl SecondaryBlob {
    /// The part of the file that holds the data.
    #[must_use]
    pub const fn range(&self) -> FileRange {
        FileRange { offset: self.offset, size: self.size }
    }
}

/// A GUID from its printed form's numbers.
const fn guid(a: u32, b: u16, c: u16, d: u64) -> Guid {
    let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = d.to_be_bytes();
    Guid([a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7])
}

pub(super) const SMBIOS: Guid = guid(0xbc5c_008f, 0x1e3a, 0x44d7, 0x988d_86f6_884c_6758);

/// Tags whose meaning their contents show in real dumps.
const NAMES: [(Guid, &str); 9] = [
    (SMBIOS, "firmware tables (SMBIOS)"),
    (guid(0xe83b_40d2, 0xb0a0, 0x4842, 0xabea_71c9_e346_3dd1), "ACPI tables"),
    (guid(0x6c7a_c389, 0x4313, 0x47dc, 0x9f34_a880_0a0f_b56c), "processor values of the registry"),
    (guid(0xd03d_c06f, 0xd88e, 0x44c5, 0xba2a_fae0_3517_2d19), "processor identification (CPUID)"),
    (guid(0x2b4a_e195, 0xa64d, 0x4f04, 0x8ede_7e4f_981b_d42a), "addresses of the data blocks"),
    (guid(0xf87e_4a4c, 0xc5a1, 0x4d2f, 0xbff0_d5de_63a5_e4c3), "driver framework (KMDF) information"),
    (guid(0xda82_441d, 0x7142, 0x4bc1, 0xb844_0807_c5a4_b67f), "storage port driver data"),
    (guid(0x9276_c055, 0xeb87, 0x425c, 0xb8b5_04e4_d247_f6cd), "PCI configuration"),
    (guid(0xbf22_97dc, 0x34ba, 0x11dc, 0x868a_e191_55d8_9593), "NVIDIA display driver data"),
];

impl KernelDump {
    /// The blocks of secondary data, in file order. Tags may occur more than once.
    #[must_use]
    pub fn blobs(&self, notes: &mut Vec<Note>) -> Vec<SecondaryBlob> {
        let mut blobs = Vec::new();
        if let Some(start) = self.secondary_start()
            && let Err(error) = self.read_blobs(start, &mut blobs, notes)
        {
            notes.push(Note::damaged(format!("the tagged data ends early: {error}")));
        }
        blobs
    }

    /// Where the tagged data starts: behind the small dump, or behind the memory of the others.
    fn secondary_start(&self) -> Option<u64> {
        let start = if self.kind == DumpKind::Triage {
            u64::from(self.triage(&mut Vec::new())?.header().size_of_dump)
        } else {
            self.header.required_dump_space?
        };
        let magic = read_record(&*self.source, start, 8, 8, "tagged data signature").ok()?;
        (magic == b"DumpBlob").then_some(start)
    }

    fn read_blobs(&self, start: u64, blobs: &mut Vec<SecondaryBlob>, notes: &mut Vec<Note>) -> Result<(), ReadError> {
        const WHAT: &str = "tagged data header";
        let header = read_record(&*self.source, start, FILE_HEADER, FILE_HEADER, WHAT)?;
        let mut cursor = Bytes::new(&header, start);
        cursor.skip(8, WHAT)?;
        let header_size = u64::from(cursor.u32(WHAT)?);
        if header_size < FILE_HEADER {
            return Err(ReadError::invalid("size of the tagged data header", start, header_size));
        }
        let mut next = start.saturating_add(header_size);
        while next < self.file_len() {
            if blobs.len() >= limits::BLOBS {
                notes.push(Note::damaged(format!("only the first {} blocks of tagged data are read", limits::BLOBS)));
                break;
            }
            let bytes = read_record(&*self.source, next, BLOB_HEADER, BLOB_HEADER, WHAT)?;
            let mut cursor = Bytes::new(&bytes, next);
            let header_size = u64::from(cursor.u32(WHAT)?);
            // Windows 11 allocates the file ahead: the list ends with zeros and what follows is left over from before.
            if bytes.iter().all(|byte| *byte == 0) {
                break;
            }
            if header_size != BLOB_HEADER {
                return Err(ReadError::invalid("size of a tagged data header", next, header_size));
            }
            let tag = Guid(cursor.guid(WHAT)?);
            let size = u64::from(cursor.u32(WHAT)?);
            let (before, after) = (u64::from(cursor.u32(WHAT)?), u64::from(cursor.u32(WHAT)?));
            let offset = next.saturating_add(BLOB_HEADER).saturating_add(before);
            let end = offset.saturating_add(size);
            if end > self.file_len() {
                let available = self.file_len().saturating_sub(offset);
                let kind = dumplens_base::ReadErrorKind::Truncated { needed: size, available };
                return Err(ReadError { what: "tagged data", offset, kind });
            }
            let name = NAMES.iter().find(|(known, _)| *known == tag).map(|(_, name)| *name);
            blobs.push(SecondaryBlob { tag, name, offset, size });
            next = end.saturating_add(after);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn tags_are_written_as_guids_print() {
        assert_eq!(SMBIOS.to_string(), "BC5C008F-1E3A-44D7-988D-86F6884C6758");
    }
}
