use alloc::{string::String, vec, vec::Vec};

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
        /// The PDB's path on the machine that built it; see [`CodeView::path`].
        path: Option<String>,
    },
    /// `NB10`, of the 1990s: a PDB by link time and age.
    Pdb20 {
        /// Link time, in seconds since 1970.
        timestamp: u32,
        /// How often the PDB was rewritten.
        age: u32,
        /// The PDB's path on the machine that built it; see [`CodeView::path`].
        path: Option<String>,
    },
}

impl CodeView {
    /// The PDB's path on the machine that built it. `None` if the end of the record is absent: the identity stands
    /// in front of it and does not depend on it.
    ///
    /// It is hostile text, and not always UTF-8 in the image: older linkers used the code page of their machine,
    /// whose bytes are replaced here.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Pdb70 { path, .. } | Self::Pdb20 { path, .. } => path.as_deref(),
        }
    }

    /// The PDB's file name: what follows the last slash of either kind.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.path()?.rsplit(['\\', '/']).next()
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
        let (record, present) = fetch(image, entry_rva, rva, offset, size);
        let place = if rva == 0 { entry_rva } else { rva };
        match parse(Bytes::new(&record, place.into()), present.is_ok()) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            // Absent bytes explain a record that cannot be parsed.
            Err(error) => return Err(present.err().unwrap_or(error)),
        }
    }
    Ok(None)
}

/// As many bytes of a record as are present, and the error that stopped the reading. A record without an RVA is
/// outside every section and stands in the file only.
fn fetch(
    image: &dyn ImageBytes,
    entry_rva: u32,
    rva: u32,
    offset: u32,
    size: u32,
) -> (Vec<u8>, Result<(), ImageError>) {
    if rva != 0 {
        return bytes::prefix(image, rva, size, "CodeView record");
    }
    let mut record = vec![0; size as usize];
    let read = image.read_file(offset, &mut record);
    record.truncate(read.filled);
    // There is no RVA to name but that of the entry which points to the record.
    let fail = |reason| ImageError::unreadable("CodeView record", entry_rva, reason);
    (record, read.stopped.map_or(Ok(()), |reason| Err(fail(reason))))
}

/// One record; `None` for the older kinds, which hold symbols instead of naming a file. `complete` says that no byte
/// of it is absent.
fn parse(mut record: Bytes<'_>, complete: bool) -> Result<Option<CodeView>, ImageError> {
    let path = |rest: &[u8]| (complete || rest.contains(&0)).then(|| utf8_until_nul(rest));
    let found = match record.take(4, "CodeView signature")? {
        b"RSDS" => {
            let (guid, age) = (record.guid("PDB GUID")?, record.u32("PDB age")?);
            CodeView::Pdb70 { guid, age, path: path(record.rest()) }
        }
        b"NB10" => {
            record.skip(4, "CodeView offset")?;
            let (timestamp, age) = (record.u32("PDB time stamp")?, record.u32("PDB age")?);
            CodeView::Pdb20 { timestamp, age, path: path(record.rest()) }
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}
