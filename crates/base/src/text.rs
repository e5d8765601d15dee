use alloc::string::String;

/// Decodes UTF-16LE; unpaired surrogates become U+FFFD and an odd last byte is dropped.
#[must_use]
pub fn utf16le(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Decodes UTF-16LE up to the first NUL.
#[must_use]
pub fn utf16_until_nul(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0;
    let len = units.iter().position(|unit| *unit == [0, 0]).unwrap_or(units.len());
    utf16le(units.get(..len).unwrap_or_default().as_flattened())
}

/// Decodes UTF-8 up to the first NUL, replacing what is not UTF-8.
#[must_use]
pub fn utf8_until_nul(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned()
}

/// Decodes ASCII up to the first NUL, or `None` if a byte is not printable ASCII: the test for names in kernel
/// structures, where garbage means that the layout is wrong.
#[must_use]
pub fn ascii_until_nul(bytes: &[u8]) -> Option<String> {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let name = bytes.get(..len)?;
    name.iter().all(|byte| (0x20..0x7f).contains(byte)).then(|| name.iter().map(|byte| char::from(*byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_utf16_stays_text() {
        assert_eq!(utf16le(&[0x41, 0, 0x00, 0xd8, 0x42, 0, 9]), "A\u{fffd}B");
        assert_eq!(utf16_until_nul(&[0x41, 0, 0, 0, 0x42, 0]), "A");
    }

    #[test]
    fn ascii_names_reject_garbage() {
        assert_eq!(ascii_until_nul(b"System\0\0junk").as_deref(), Some("System"));
        assert_eq!(ascii_until_nul(&[0x53, 0x01, 0x80]), None);
    }
}
