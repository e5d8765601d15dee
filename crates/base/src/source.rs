use alloc::{boxed::Box, rc::Rc, vec, vec::Vec};
use core::fmt;

use crate::{ReadError, ReadErrorKind};

/// Random access to the bytes of a file, wherever it lives.
///
/// | implementation | where | notes |
/// |---|---|---|
/// | `[u8]`, `Vec<u8>` | here | tests, small files |
/// | [`crate::BlockCache`] | here | bounded cache in front of any other |
/// | `std::fs::File` | `dumplens-cli` | positioned reads |
/// | `File` of the browser | `dumplens-worker` | `FileReaderSync` on slices |
///
/// Reads are synchronous and take `&self`; implementations use interior mutability. There is no `Send` bound because
/// a browser's file handle has none.
pub trait ByteSource {
    /// Length in bytes. Dumps pass 64 GiB: never narrow it to `usize`.
    fn len(&self) -> u64;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` completely from `offset`, or fails.
    ///
    /// # Errors
    /// [`SourceError`] if the range passes the end or the bytes cannot be fetched; `buf` is unspecified then.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError>;
}

/// A shared byte source, as the parsers keep it.
pub type Source = Rc<dyn ByteSource>;

/// Why bytes could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// The range passes the end of the file.
    OutOfRange,
    /// The file changed or vanished after it was opened.
    Changed,
    /// The operating system or the browser refused the read.
    Io,
}

/// A range that could not be read from a [`ByteSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// First byte of the range.
    pub offset: u64,
    /// Length of the range in bytes.
    pub len: u64,
    /// Why it failed.
    pub kind: SourceErrorKind,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, len, kind } = self;
        match kind {
            SourceErrorKind::OutOfRange => write!(f, "{len} bytes at file offset {offset:#x} pass the end of the file"),
            SourceErrorKind::Changed => {
                f.write_str("the file changed or was removed after it was opened; open it again")
            }
            SourceErrorKind::Io => {
                write!(f, "{len} bytes at file offset {offset:#x} could not be read from the device")
            }
        }
    }
}

impl core::error::Error for SourceError {}

/// The part of `data` that a read of `len` bytes at `offset` asks for.
fn slice_at(data: &[u8], offset: u64, len: usize) -> Result<&[u8], SourceError> {
    usize::try_from(offset).ok().and_then(|start| data.get(start..start.checked_add(len)?)).ok_or(SourceError {
        offset,
        len: len as u64,
        kind: SourceErrorKind::OutOfRange,
    })
}

impl ByteSource for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        buf.copy_from_slice(slice_at(self, offset, buf.len())?);
        Ok(())
    }
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.as_slice().read_at(offset, buf)
    }
}

impl<S: ByteSource + ?Sized> ByteSource for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_at(offset, buf)
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Box<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_at(offset, buf)
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Rc<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        (**self).read_at(offset, buf)
    }
}

/// Reads `len` bytes at `offset` for a structure named `what`, checking the range against the file before anything
/// is allocated.
///
/// # Errors
/// [`ReadErrorKind::TooMany`] if `len` exceeds `limit`, [`ReadErrorKind::Truncated`] if the file ends first,
/// [`ReadErrorKind::Source`] if the bytes cannot be fetched.
pub fn read_record(
    source: &dyn ByteSource,
    offset: u64,
    len: u64,
    limit: u64,
    what: &'static str,
) -> Result<Vec<u8>, ReadError> {
    let fail = |kind| ReadError { what, offset, kind };
    if len > limit {
        return Err(fail(ReadErrorKind::TooMany { value: len, limit }));
    }
    let available = source.len().saturating_sub(offset);
    if len > available {
        return Err(fail(ReadErrorKind::Truncated { needed: len, available }));
    }
    let size = usize::try_from(len).map_err(|_| fail(ReadErrorKind::TooMany { value: len, limit }))?;
    let mut buf = vec![0; size];
    source.read_at(offset, &mut buf).map_err(|error| fail(ReadErrorKind::Source(error)))?;
    Ok(buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_checked_against_limit_and_file_before_it_is_read() {
        let file = vec![7_u8; 100];
        assert_eq!(read_record(&file, 96, 4, 10, "x").unwrap(), [7; 4]);
        assert!(matches!(read_record(&file, 0, 11, 10, "x").unwrap_err().kind, ReadErrorKind::TooMany { .. }));
        assert!(matches!(
            read_record(&file, 97, 4, 10, "x").unwrap_err().kind,
            ReadErrorKind::Truncated { needed: 4, available: 3 }
        ));
        assert!(read_record(&file, u64::MAX, 4, 10, "x").is_err());
    }
}
