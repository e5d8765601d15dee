use crate::{ReadError, ReadErrorKind};

/// A little-endian cursor over bytes taken from a file.
///
/// It knows the file offset its first byte came from, so that every error names an absolute offset, and it never
/// reads past its end. All dump structures are little-endian.
///
/// ```
/// use dumplens_base::Bytes;
/// let mut bytes = Bytes::new(&[1, 0, 2, 0, 0, 0], 0x40);
/// assert_eq!(bytes.u16("version"), Ok(1));
/// assert_eq!(bytes.u32("count"), Ok(2));
/// assert_eq!(bytes.u8("tail").unwrap_err().to_string(), "tail at offset 0x46 needs 1 bytes, the file has 0 there");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    data: &'a [u8],
    position: usize,
    origin: u64,
}

impl<'a> Bytes<'a> {
    /// A cursor at the start of `data`, whose first byte stands at file offset `origin`.
    #[must_use]
    pub const fn new(data: &'a [u8], origin: u64) -> Self {
        Self { data, position: 0, origin }
    }

    /// Absolute file offset of the next byte.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.origin.saturating_add(self.position as u64)
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.data.len().saturating_sub(self.position)
    }

    /// The bytes that are left, without consuming them.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.position..).unwrap_or_default()
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    /// [`ReadErrorKind::Truncated`] if fewer are left; the cursor does not move then.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], ReadError> {
        let taken = self.position.checked_add(len).and_then(|end| self.data.get(self.position..end));
        let Some(taken) = taken else {
            let kind = ReadErrorKind::Truncated { needed: len as u64, available: self.remaining() as u64 };
            return Err(ReadError { what, offset: self.offset(), kind });
        };
        self.position = self.position.saturating_add(len);
        Ok(taken)
    }

    /// A cursor over the next `len` bytes, which this cursor skips.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn split(&mut self, len: usize, what: &'static str) -> Result<Bytes<'a>, ReadError> {
        let origin = self.offset();
        Ok(Bytes::new(self.take(len, what)?, origin))
    }

    /// Skips `len` bytes.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn skip(&mut self, len: usize, what: &'static str) -> Result<(), ReadError> {
        self.take(len, what).map(|_| ())
    }

    /// Moves to `position` bytes from the start of this cursor's data.
    ///
    /// # Errors
    /// [`ReadErrorKind::Truncated`] if that lies past the end.
    pub fn seek(&mut self, position: usize, what: &'static str) -> Result<(), ReadError> {
        if position > self.data.len() {
            let kind = ReadErrorKind::Truncated { needed: position as u64, available: self.data.len() as u64 };
            return Err(ReadError { what, offset: self.origin, kind });
        }
        self.position = position;
        Ok(())
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// As [`Bytes::take`]; so for all fixed-width readers.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, ReadError> {
        self.array::<1>(what).map(u8::from_le_bytes)
    }

    /// Takes a 16-bit integer.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn u16(&mut self, what: &'static str) -> Result<u16, ReadError> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Takes a 32-bit integer.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, ReadError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Takes a 64-bit integer.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, ReadError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Takes a 16-byte value such as a GUID, in file order.
    ///
    /// # Errors
    /// As [`Bytes::take`].
    pub fn guid(&mut self, what: &'static str) -> Result<[u8; 16], ReadError> {
        self.array(what)
    }

    /// Checks a count that the file claims: it must not exceed `limit`, and `item_size` bytes for each item must
    /// be left. Call it before the count sizes an allocation or a loop.
    ///
    /// # Errors
    /// [`ReadErrorKind::TooMany`] or [`ReadErrorKind::Truncated`].
    pub fn count(&self, claimed: u64, limit: u64, item_size: u64, what: &'static str) -> Result<usize, ReadError> {
        let fail = |kind| Err(ReadError { what, offset: self.offset(), kind });
        if claimed > limit {
            return fail(ReadErrorKind::TooMany { value: claimed, limit });
        }
        let available = self.remaining() as u64;
        match claimed.checked_mul(item_size) {
            Some(needed) if needed <= available => {
                usize::try_from(claimed).or_else(|_| fail(ReadErrorKind::TooMany { value: claimed, limit }))
            }
            needed => fail(ReadErrorKind::Truncated { needed: needed.unwrap_or(u64::MAX), available }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_read_does_not_move_the_cursor() {
        let mut bytes = Bytes::new(&[1, 2, 3], 0);
        assert!(bytes.u32("x").is_err());
        assert_eq!(bytes.u8("x"), Ok(1));
    }

    #[test]
    fn split_keeps_absolute_offsets() {
        let mut bytes = Bytes::new(&[0; 16], 0x100);
        bytes.skip(4, "head").unwrap();
        let mut inner = bytes.split(8, "inner").unwrap();
        assert_eq!(inner.offset(), 0x104);
        assert_eq!(inner.take(9, "too much").unwrap_err().offset, 0x104);
        assert_eq!(bytes.offset(), 0x10c);
    }

    #[test]
    fn counts_are_checked_against_the_limit_and_the_bytes_left() {
        let bytes = Bytes::new(&[0; 24], 0);
        assert_eq!(bytes.count(3, 10, 8, "n"), Ok(3));
        assert!(matches!(bytes.count(11, 10, 1, "n").unwrap_err().kind, ReadErrorKind::TooMany { .. }));
        assert!(matches!(bytes.count(4, 10, 8, "n").unwrap_err().kind, ReadErrorKind::Truncated { needed: 32, .. }));
        assert!(bytes.count(u64::MAX, u64::MAX, u64::MAX, "n").is_err());
    }
}
