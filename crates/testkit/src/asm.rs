//! Bytes with widths said aloud, and offsets filled in later.

/// A growing file. All integers are little-endian.
#[derive(Clone, Debug, Default)]
pub struct Asm {
    bytes: Vec<u8>,
}

impl Asm {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` bytes of a repeating pattern.
    #[must_use]
    pub fn filled(len: usize, pattern: &[u8]) -> Self {
        Self { bytes: pattern.iter().copied().cycle().take(len).collect() }
    }

    /// Where the next byte goes.
    #[must_use]
    pub fn here(&self) -> u32 {
        u32::try_from(self.bytes.len()).expect("test files are small")
    }

    /// Appends a byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    /// Appends 16 bits.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends 32 bits.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends 64 bits.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Appends bytes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends zeros.
    pub fn zeros(&mut self, len: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + len, 0);
        self
    }

    /// Appends zeros up to a multiple of `to`.
    pub fn align(&mut self, to: usize) -> &mut Self {
        let len = self.bytes.len().next_multiple_of(to) - self.bytes.len();
        self.zeros(len)
    }

    /// Appends UTF-16 without a terminator.
    pub fn utf16(&mut self, text: &str) -> &mut Self {
        for unit in text.encode_utf16() {
            self.u16(unit);
        }
        self
    }

    /// Overwrites bytes that are there already.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Overwrites 16 bits.
    pub fn put_u16(&mut self, offset: usize, value: u16) -> &mut Self {
        self.put(offset, &value.to_le_bytes())
    }

    /// Overwrites 32 bits.
    pub fn put_u32(&mut self, offset: usize, value: u32) -> &mut Self {
        self.put(offset, &value.to_le_bytes())
    }

    /// Overwrites 64 bits.
    pub fn put_u64(&mut self, offset: usize, value: u64) -> &mut Self {
        self.put(offset, &value.to_le_bytes())
    }

    /// The file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The bytes of a structure of `len` bytes in which some fields are set.
#[must_use]
pub fn structure(len: usize, fields: &[(usize, u64, usize)]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (offset, value, width) in fields {
        bytes[*offset..offset + width].copy_from_slice(&value.to_le_bytes()[..*width]);
    }
    bytes
}
