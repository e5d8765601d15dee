use alloc::string::String;

use dumplens_base::{Bytes, utf8_until_nul};

use crate::{DataDirectory, ImageBytes, ImageError, bytes, limits};

/// `IMAGE_DEBUG_TYPE_CODEVIEW`.
const CODE_VIEW: u32 = 2;

/// Size of `IMAGE_DEBUG_DIRECTORY`, in bytes.
const ENTRY: u32 = 28;

/// What ties an image to its debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeView {
    /// `RSDS`: a PDB by GUID and age.
    Pdb70 {
        /// The GUID, as its bytes stand in the image: three little-endian fields, then eight bytes.
        guid: [u8; 16],
        /// How often the PDB was rewritten.
        age: u32,
        /// The PDB's path on the machine that built it.
        path: String,
    },
    /// `NB10`, of the 1990s: a PDB by link time and age.
    Pdb20 {
        /// Link time, in seconds since 1970.
        timestamp: u32,
        /// How often the PDB was rewritten.
        age: u32,
        /// The PDB's path on the machine that built it.
        path: String,
    },
}

impl CodeView {
    /// The PDB's path on the machine that built it. Hostile text, and not always UTF-8 in the image: older linkers
    /// used the code page of their machine, whose bytes are replaced here.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Pdb70 { path, .. } | Self::Pdb20 { path, .. } => path,
        }
    }

    /// The PDB's file name: what follows the last slash of either kind.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path().rsplit(['\\', '/']).next().unwrap_or_default()
    }
}

/// The first record of the debug directory that names a PDB.
pub(crate) fn read(image: &dyn ImageBytes, directory: Option<DataDirectory>) -> Result<Option<CodeView>, ImageError> {
    let Some(directory) = directory else { return Ok(None) };
    let count = directory.size / ENTRY;
    if count == 0 {
        return Err(ImageError::invalid("size of the debug directory", directory.rva, directory.size.into()));
    }
    ImageError::check("number of debug entries", directory.rva, count, limits::DEBUG_ENTRIES)?;
    let table = bytes::vec(image, directory.rva, count.saturating_mul(ENTRY), "debug directory")?;
    let mut table = Bytes::new(&table, directory.rva.into());
    for _ in 0..count {
        let entry_rva = u32::try_from(table.offset()).unwrap_or(u32::MAX);
        table.skip(12, "debug entry")?;
        let kind = table.u32("type of the debug entry")?;
        let size = table.u32("size of the debug entry")?;
        let rva = table.u32("RVA of the debug entry")?;
        let offset = table.u32("file offset of the debug entry")?;
        if kind != CODE_VIEW {
            continue;
        }
        ImageError::check("size of the CodeView record", entry_rva, size, limits::CODE_VIEW)?;
        let record = fetch(image, entry_rva, rva, offset, size)?;
        let place = if rva == 0 { entry_rva } else { rva };
        if let Some(found) = parse(Bytes::new(&record, place.into()))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The bytes of a record. One without an RVA is outside every section and stands in the file only.
fn fetch(
    image: &dyn ImageBytes,
    entry_rva: u32,
    rva: u32,
    offset: u32,
    size: u32,
) -> Result<alloc::vec::Vec<u8>, ImageError> {
    if rva != 0 {
        return bytes::vec(image, rva, size, "CodeView record");
    }
    let mut record = alloc::vec![0; size as usize];
    match image.read_file(offset, &mut record).stopped {
        None => Ok(record),
        // There is no RVA to name but that of the entry which points to the record.
        Some(reason) => Err(ImageError::unreadable("CodeView record", entry_rva, reason)),
    }
}

/// One record; `None` for the older kinds, which hold symbols instead of naming a file.
fn parse(mut record: Bytes<'_>) -> Result<Option<CodeView>, ImageError> {
    let signature = record.take(4, "CodeView signature")?;
    let found = match signature {
        b"RSDS" => {
            let (guid, age) = (record.guid("PDB GUID")?, record.u32("PDB age")?);
            CodeView::Pdb70 { guid, age, path: utf8_until_nul(record.rest()) }
        }
        b"NB10" => {
            record.skip(4, "CodeView offset")?;
            let (timestamp, age) = (record.u32("PDB time stamp")?, record.u32("PDB age")?);
            CodeView::Pdb20 { timestamp, age, path: utf8_until_nul(record.rest()) }
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}
