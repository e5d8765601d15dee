use core::fmt;

use dumplens_base::{ReadError, Source};

use crate::{FileKind, PhysicalImage, kernel::KernelDump, minidump::Minidump, sniff};

/// An opened dump: its header and directory are parsed, nothing else has been read.
#[derive(Debug)]
pub enum Dump {
    /// A user minidump (`MDMP`), from Windows or from Breakpad or Crashpad on any system.
    Minidump(Minidump),
    /// A kernel dump (`PAGEDUMP`, `PAGEDU64`) of any type.
    Kernel(KernelDump),
    /// Physical memory of a whole machine without a dump header. Whether Windows ran there is for others to find out;
    /// the kind says what to call the file if not.
    Physical(PhysicalImage, FileKind),
}

/// Why a file could not be opened as a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The file is something else.
    NotADump(FileKind),
    /// The file starts like a dump but its header or directory cannot be read.
    Damaged(ReadError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADump(kind) => write!(f, "not a Windows crash dump: {kind}"),
            Self::Damaged(error) => write!(f, "damaged dump: {error}"),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Damaged(error)
    }
}

/// Tells what `source` is and opens it.
///
/// # Errors
/// [`OpenError::NotADump`] says what the file is instead; [`OpenError::Damaged`] says which field cannot be read.
pub fn open(source: Source) -> Result<Dump, OpenError> {
    match sniff(&*source)? {
        FileKind::Minidump => Ok(Dump::Minidump(Minidump::open(source)?)),
        FileKind::KernelDump32 | FileKind::KernelDump64 => Ok(Dump::Kernel(KernelDump::open(source)?)),
        other @ (FileKind::ElfCore | FileKind::Unknown { .. }) => {
            let image = match other {
                FileKind::ElfCore => PhysicalImage::guest_core(source)?,
                _ => PhysicalImage::may_be_raw(&*source).then(|| PhysicalImage::raw(source)),
            };
            image.map(|image| Dump::Physical(image, other)).ok_or(OpenError::NotADump(other))
        }
        other => Err(OpenError::NotADump(other)),
    }
}
