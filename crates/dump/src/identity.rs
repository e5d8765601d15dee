use alloc::{string::String, vec::Vec};
use core::fmt;

/// A GUID in file order: three little-endian fields, then eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d @ ..] = self.0;
        let (a, b, c) =
            (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
        let [d0, d1, rest @ ..] = d;
        write!(f, "{a:08X}-{b:04X}-{c:04X}-{d0:02X}{d1:02X}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// What ties an image to its debug file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugId {
    /// CodeView 7 (`RSDS`): a PDB by GUID and age.
    Pdb70 {
        /// The PDB's GUID.
        guid: Guid,
        /// How often the PDB was rewritten.
        age: u32,
    },
    /// CodeView 2 (`NB10`): a PDB by link time and age.
    Pdb20 {
        /// Link time.
        timestamp: u32,
        /// How often the PDB was rewritten.
        age: u32,
    },
    /// An ELF build id (Breakpad's `BpEL` record).
    ElfBuildId(Vec<u8>),
}

impl DebugId {
    /// The directory name under which symbol stores keep the debug file.
    #[must_use]
    pub fn store_key(&self) -> String {
        use fmt::Write as _;
        let mut key = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Pdb70 { guid, age } => {
                let _ = write!(key, "{guid}");
                key.retain(|c| c != '-');
                write!(key, "{age:X}")
            }
            Self::Pdb20 { timestamp, age } => write!(key, "{timestamp:X}{age:X}"),
            Self::ElfBuildId(id) => id.iter().try_for_each(|byte| write!(key, "{byte:02x}")),
        };
        key
    }
}

impl fmt::Display for DebugId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pdb70 { guid, age } => write!(f, "{guid}, age {age}"),
            Self::Pdb20 { timestamp, age } => write!(f, "{timestamp:08X}, age {age}"),
            Self::ElfBuildId(_) => f.write_str(&self.store_key()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdb_key_is_the_guid_as_printed_and_the_age_in_hex() {
        let guid =
            Guid([0x27, 0xfd, 0x19, 0x1c, 0xbb, 0x27, 0x99, 0x33, 0xd9, 0xb4, 0x59, 0x73, 0xef, 0xea, 0xfc, 0xf3]);
        let id = DebugId::Pdb70 { guid, age: 0x1a };
        assert_eq!(id.store_key(), "1C19FD27 27BB 3399 D9B45973EFEAFCF3 1A".replace(' ', ""));
    }
}
