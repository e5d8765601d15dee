use alloc::{vec, vec::Vec};

use crate::{ImageError, ImageErrorKind, Unreadable, limits};

/// The bytes of an image by RVA, wherever the image lives.
///
/// | implementation | an RVA is | bytes can be missing because |
/// |---|---|---|
/// | [`crate::MappedImage`] | base + RVA in memory | the dump does not hold the page |
/// | [`crate::FileImage`] | an offset by way of the section table | no section is there, or the file is cut short |
/// | [`crate::Image`] | as in the one it wraps | the RVA passes `SizeOfImage` as well |
pub trait ImageBytes {
    /// Reads the longest prefix of `buf` that is present from `rva` on, and says why it stopped.
    fn read_prefix(&self, rva: u32, buf: &mut [u8]) -> ImageRead;

    /// As [`ImageBytes::read_prefix`], for data that only the image's file holds, by file offset. Some linkers leave
    /// CodeView records outside every section.
    fn read_file(&self, offset: u32, buf: &mut [u8]) -> ImageRead {
        let _ = (offset, buf);
        ImageRead { filled: 0, stopped: Some(Unreadable::FileOnly) }
    }

    /// Fills `buf` completely from `rva`; `what` names the structure in the error.
    ///
    /// # Errors
    /// [`ImageErrorKind::Unreadable`] with the first missing RVA; `buf` is unspecified then.
    fn read_rva(&self, rva: u32, buf: &mut [u8], what: &'static str) -> Result<(), ImageError> {
        self.read_prefix(rva, buf).complete(rva, what)
    }
}

impl<B: ImageBytes + ?Sized> ImageBytes for &B {
    fn read_prefix(&self, rva: u32, buf: &mut [u8]) -> ImageRead {
        (**self).read_prefix(rva, buf)
    }

    fn read_file(&self, offset: u32, buf: &mut [u8]) -> ImageRead {
        (**self).read_file(offset, buf)
    }
}

/// How far a read of an image got. `stopped` is `None` exactly when everything was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRead {
    /// Bytes filled from the start of the buffer.
    pub filled: usize,
    /// Why the next byte could not be read.
    pub stopped: Option<Unreadable>,
}

impl ImageRead {
    /// Turns a short read that began at `rva` into the error that names the first missing byte.
    pub(crate) fn complete(self, rva: u32, what: &'static str) -> Result<(), ImageError> {
        match self.stopped {
            None => Ok(()),
            Some(reason) => {
                let filled = u32::try_from(self.filled).unwrap_or(u32::MAX);
                Err(ImageError::unreadable(what, rva.saturating_add(filled), reason))
            }
        }
    }
}

/// Reads a structure of fixed size.
pub(crate) fn array<const N: usize>(
    bytes: &dyn ImageBytes,
    rva: u32,
    what: &'static str,
) -> Result<[u8; N], ImageError> {
    let mut buf = [0; N];
    bytes.read_rva(rva, &mut buf, what)?;
    Ok(buf)
}

/// Reads as much as is present of `len` bytes, and the error that stopped it. Callers bound `len`.
pub(crate) fn prefix(
    bytes: &dyn ImageBytes,
    rva: u32,
    len: u32,
    what: &'static str,
) -> (Vec<u8>, Result<(), ImageError>) {
    let mut buf = vec![0; len as usize];
    let read = bytes.read_prefix(rva, &mut buf);
    buf.truncate(read.filled);
    (buf, read.complete(rva, what))
}

/// Reads all of `len` bytes. Callers bound `len`.
pub(crate) fn vec(bytes: &dyn ImageBytes, rva: u32, len: u32, what: &'static str) -> Result<Vec<u8>, ImageError> {
    let (buf, result) = prefix(bytes, rva, len, what);
    result.map(|()| buf)
}

/// Reads a text up to its NUL, which is not returned.
///
/// It is read in small pieces, so that an absent page behind the text does no harm.
pub(crate) fn text(bytes: &dyn ImageBytes, rva: u32, what: &'static str) -> Result<Vec<u8>, ImageError> {
    let mut out = Vec::new();
    let mut at = rva;
    while out.len() < limits::TEXT as usize {
        let mut piece = [0; 64];
        let read = bytes.read_prefix(at, &mut piece);
        let present = piece.get(..read.filled).unwrap_or_default();
        if let Some(len) = present.iter().position(|byte| *byte == 0) {
            out.extend_from_slice(present.get(..len).unwrap_or_default());
            return Ok(out);
        }
        read.complete(at, what)?;
        out.extend_from_slice(present);
        at = at.checked_add(64).ok_or(ImageError::unreadable(what, at, Unreadable::AddressOverflow))?;
    }
    Err(ImageError { what, rva, kind: ImageErrorKind::Unterminated { limit: limits::TEXT } })
}

/// The little-endian 32-bit integer at `index` of a table of such integers.
pub(crate) fn u32_at(table: &[u8], index: usize) -> Option<u32> {
    table.as_chunks::<4>().0.get(index).map(|bytes| u32::from_le_bytes(*bytes))
}

/// The little-endian 16-bit integer at `index` of a table of such integers.
pub(crate) fn u16_at(table: &[u8], index: usize) -> Option<u16> {
    table.as_chunks::<2>().0.get(index).map(|bytes| u16::from_le_bytes(*bytes))
}
