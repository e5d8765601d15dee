//! Tagged ("secondary") data that the kernel and drivers append to a dump.

use alloc::vec::Vec;

use dumplens_base::{Bytes, Note, ReadError, Source, read_record};

use crate::{Guid, limits};

/// One appended blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondaryBlob {
    /// Whose it is.
    pub tag: Guid,
    /// What it holds, for tags whose content is known.
    pub name: Option<&'static str>,
    /// File offset of the data.
    pub offset: u64,
    /// Length of the data in bytes.
    pub size: u64,
}

const FILE_HEADER: u64 = 0x10;
const BLOB_HEADER: u64 = 0x20;

/// Tags by their first two fields; what they hold was read off the data of real dumps.
const NAMES: [(u32, u16, &str); 8] = [
    (0xbc5c_008f, 0x1e3a, "SMBIOS tables"),
    (0xe83b_40d2, 0xb0a0, "ACPI tables"),
    (0x6c7a_c389, 0x4313, "processor registry values"),
    (0xd03d_c06f, 0xd88e, "CPUID leaves"),
    (0x2b4a_e195, 0xa64d, "triage data ranges"),
    (0xf87e_4a4c, 0xc5a1, "KMDF driver log"),
    (0xda82_441d, 0x7142, "storport state"),
    (0x9276_c055, 0xeb87, "PCI configuration"),
];

/// Walks the blobs from `offset` to the end of the file. No blobs at all is usual for older builds.
pub(super) fn list(source: &Source, offset: u64, notes: &mut Vec<Note>) -> Vec<SecondaryBlob> {
    let mut blobs = Vec::new();
    if offset == 0 || offset >= source.len() {
        return blobs;
    }
    if let Err(error) = walk(source, offset, &mut blobs) {
        notes.push(Note::damaged(alloc::format!("the data appended to the dump is damaged: {error}")));
    }
    blobs
}

fn walk(source: &Source, offset: u64, blobs: &mut Vec<SecondaryBlob>) -> Result<(), ReadError> {
    let raw = read_record(source, offset, FILE_HEADER, FILE_HEADER, "appended data header")?;
    if !raw.starts_with(b"DumpBlob") {
        // Other writers pad the file; only a real mark promises blobs.
        return Ok(());
    }
    let mut header = Bytes::new(&raw, offset);
    header.skip(8, "appended data mark")?;
    let mut at = offset.saturating_add(u64::from(header.u32("appended data header size")?));
    while at < source.len() && blobs.len() < limits::BLOBS {
        let raw = read_record(source, at, BLOB_HEADER, BLOB_HEADER, "blob header")?;
        let mut bytes = Bytes::new(&raw, at);
        // Build 26100 ends the list with a header of zeros and leaves slack after it.
        if raw.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let header_size = u64::from(bytes.u32("blob header size")?);
        if header_size != BLOB_HEADER {
            return Err(ReadError::invalid("blob header size", at, header_size));
        }
        let tag = Guid(bytes.guid("blob tag")?);
        let size = u64::from(bytes.u32("blob size")?);
        let before = u64::from(bytes.u32("blob padding")?);
        let after = u64::from(bytes.u32("blob padding")?);
        let data = at.saturating_add(header_size).saturating_add(before);
        let end = data.saturating_add(size);
        if end > source.len() {
            return Err(ReadError::invalid("blob size", at, size));
        }
        blobs.push(SecondaryBlob { tag, name: name(tag), offset: data, size });
        at = end.saturating_add(after);
    }
    Ok(())
}

fn name(tag: Guid) -> Option<&'static str> {
    let [a0, a1, a2, a3, b0, b1, ..] = tag.0;
    let (a, b) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]));
    NAMES.iter().find(|(first, second, _)| (*first, *second) == (a, b)).map(|(.., name)| *name)
}
