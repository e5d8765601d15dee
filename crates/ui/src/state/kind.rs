//! What a file may be, told by its first bytes. The engine has the last word; this only says whom to ask.

/// How many bytes are looked at.
pub(crate) const HEAD: u32 = 64;

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Starts as dumps do.
    Dump,
    /// Starts as images, PDBs and packed tables of symbols do.
    Symbols,
    /// An archive: of dumps or of symbols.
    Archive,
    /// None of these; raw images of memory have no mark.
    Unknown,
}

/// Tells what starts like this.
pub(crate) fn of(head: &[u8]) -> Kind {
    const DUMPS: [&[u8]; 4] = [b"MDMP", b"PAGEDUMP", b"PAGEDU64", b"\x7fELF"];
    const SYMBOLS: [&[u8]; 4] = [b"MZ", b"Microsoft C/C++ ", b"BSJB", b"\xfd7zXZ\0"];
    const ARCHIVES: [&[u8]; 4] = [b"PK", b"MSCF", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"];
    let starts = |magics: &[&[u8]]| magics.iter().any(|magic| head.starts_with(magic));
    if starts(&DUMPS) {
        Kind::Dump
    } else if starts(&SYMBOLS) || is_json(head) {
        Kind::Symbols
    } else if starts(&ARCHIVES) {
        Kind::Archive
    } else {
        Kind::Unknown
    }
}

/// An object whose first key is quoted, with white space where JSON allows it.
fn is_json(head: &[u8]) -> bool {
    let mut letters = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    letters.next() == Some(&b'{') && letters.next() == Some(&b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        assert_eq!(of(b"MZ\x90\0"), Kind::Symbols);
        assert_eq!(of(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS"), Kind::Symbols);
        assert_eq!(of(b"{\n  \"metadata\": {"), Kind::Symbols);
        assert_eq!(of(b"\xfd7zXZ\0\0\x04"), Kind::Symbols);
        assert_eq!(of(b"PAGEDU64"), Kind::Dump);
        assert_eq!(of(b"MDMP\x93\xa7"), Kind::Dump);
        assert_eq!(of(b"PK\x03\x04"), Kind::Archive);
        assert_eq!(of(b"MSCF\0\0"), Kind::Archive);
        assert_eq!(of(b"\x1f\x8b\x08"), Kind::Archive);
        assert_eq!(of(b"Dear support team"), Kind::Unknown);
        assert_eq!(of(b"{ x }"), Kind::Unknown);
        assert_eq!(of(b""), Kind::Unknown);
    }
}
