use core::fmt;
use dumplens_base::{ByteSource, ReadError};

/// What a file is, told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A user minidump (`MDMP`).
    Minidump,
    /// A 32-bit kernel dump (`PAGEDUMP`).
    KernelDump32,
    /// A 64-bit kernel dump (`PAGEDU64`).
    KernelDump64,
    /// Unknown.
    Unknown,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown")
    }
}

/// Tells what `source` is.
///
/// # Errors
/// If the bytes cannot be read.
pub fn sniff(source: &dyn ByteSource) -> Result<FileKind, ReadError> {
    let _ = source;
    Ok(FileKind::Unknown)
}
