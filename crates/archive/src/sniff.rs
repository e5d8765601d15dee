use core::fmt;

use dumplens_base::ByteSource;

/// What kind of archive a file is, told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip archive, with or without 64-bit sizes.
    Zip,
    /// A gzip file: one content, perhaps with a name.
    Gzip,
    /// A Zstandard file: one content without a name.
    Zstandard,
    /// A Windows cabinet.
    Cabinet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zip => "zip archive",
            Self::Gzip => "gzip file",
            Self::Zstandard => "Zstandard file",
            Self::Cabinet => "cabinet",
        })
    }
}

/// Most skippable frames looked past to find the first frame with content.
const MOST_SKIPPED: usize = 16;

/// Tells which archive `source` is from its first bytes. `None` if it is none of ours or cannot be read.
#[must_use]
pub fn sniff(source: &dyn ByteSource) -> Option<Format> {
    let magic: [u8; 4] = at(source, 0)?;
    match &magic {
        // A file, an empty archive, the first of several volumes, and a split that came out as one volume.
        b"PK\x03\x04" | b"PK\x05\x06" | b"PK\x07\x08" | b"PK00" => Some(Format::Zip),
        [0x1f, 0x8b, 8, _] => Some(Format::Gzip),
        b"MSCF" => Some(Format::Cabinet),
        _ => is_zstandard(source).then_some(Format::Zstandard),
    }
}

/// Skippable frames prove nothing by themselves (LZ4 has the same): a frame with content must follow them.
fn is_zstandard(source: &dyn ByteSource) -> bool {
    let mut offset = 0_u64;
    for _ in 0..MOST_SKIPPED {
        match at(source, offset) {
            Some([0x28, 0xb5, 0x2f, 0xfd]) => return true,
            Some([0x50..=0x5f, 0x2a, 0x4d, 0x18]) => {}
            _ => return false,
        }
        let Some(len) = at(source, offset.saturating_add(4)).map(u32::from_le_bytes) else { return false };
        offset = offset.saturating_add(8).saturating_add(u64::from(len));
    }
    false
}

fn at(source: &dyn ByteSource, offset: u64) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    source.read_at(offset, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let told = |bytes: &[u8]| sniff(&bytes.to_vec());
        assert_eq!(told(b"PK\x03\x04rest"), Some(Format::Zip));
        assert_eq!(told(b"PK\x05\x06"), Some(Format::Zip));
        assert_eq!(told(b"\x1f\x8b\x08\x00"), Some(Format::Gzip));
        assert_eq!(told(b"MSCF\0\0\0\0"), Some(Format::Cabinet));
        assert_eq!(told(b"\x28\xb5\x2f\xfd"), Some(Format::Zstandard));
        assert_eq!(told(b"\x5a\x2a\x4d\x18\x02\0\0\0xx\x28\xb5\x2f\xfd"), Some(Format::Zstandard));
    }

    #[test]
    fn others_are_none_of_ours() {
        let others: [&[u8]; 8] = [
            b"",
            b"PK",
            b"MDMP\0\0\0\0",
            b"7z\xbc\xaf\x27\x1c",
            b"\xfd7zXZ\0",
            b"Rar!\x1a\x07",
            // A skippable frame in front of an LZ4 frame, and one that claims to pass the end.
            b"\x5a\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18",
            b"\x5a\x2a\x4d\x18\xff\xff\xff\xff",
        ];
        for bytes in others {
            assert_eq!(sniff(&bytes.to_vec()), None, "{bytes:?}");
        }
    }
}
