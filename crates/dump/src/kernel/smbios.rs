//! The machine's SMBIOS tables, as Windows appends them (`RawSMBIOSData`).
//!
//! Serial numbers, UUIDs and asset tags are left out on purpose: they identify a person's machine and explain no crash.

use alloc::{string::String, vec::Vec};

use dumplens_base::Bytes;

/// Tag of the blob: bc5c008f-1e3a-44d7-988d-86f6884c6758.
pub(super) const TAG: [u8; 16] =
    [0x8f, 0x00, 0x5c, 0xbc, 0x3a, 0x1e, 0xd7, 0x44, 0x98, 0x8d, 0x86, 0xf6, 0x88, 0x4c, 0x67, 0x58];
/// Most bytes of tables that are read.
pub(super) const LIMIT: u64 = 1024 * 1024;
/// Most structures that are read.
const STRUCTURES: usize = 4_096;

/// What the tables say about the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// SMBIOS version, major and minor.
    pub version: (u8, u8),
    /// Firmware vendor.
    pub bios_vendor: Option<String>,
    /// Firmware version.
    pub bios_version: Option<String>,
    /// Firmware date.
    pub bios_date: Option<String>,
    /// Manufacturer of the system.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Manufacturer of the main board.
    pub board_manufacturer: Option<String>,
    /// Main board.
    pub board: Option<String>,
    /// Processors.
    pub processors: Vec<String>,
    /// Memory modules that are present.
    pub memory: Vec<MemoryDevice>,
}

/// A memory module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryDevice {
    /// Where it is plugged in.
    pub locator: Option<String>,
    /// Size in MiB.
    pub size_mib: u32,
    /// Speed in MT/s.
    pub speed: Option<u16>,
}

impl Smbios {
    /// Decodes `RawSMBIOSData`: an 8-byte header, then the tables.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(raw, 0);
        bytes.skip(1, "method").ok()?;
        let version = (bytes.u8("major").ok()?, bytes.u8("minor").ok()?);
        bytes.skip(1, "revision").ok()?;
        let length = bytes.u32("length").ok()? as usize;
        let mut tables = bytes.rest();
        tables = tables.get(..length.min(tables.len()))?;
        let mut smbios = Self { version, ..Self::default() };
        for _ in 0..STRUCTURES {
            let Some((structure, rest)) = Structure::split(tables) else { break };
            // Type 127 ends the tables.
            if structure.kind() == 127 {
                break;
            }
            smbios.add(&structure);
            tables = rest;
        }
        Some(smbios)
    }

    fn add(&mut self, structure: &Structure<'_>) {
        match structure.kind() {
            0 => {
                self.bios_vendor = structure.string(4);
                self.bios_version = structure.string(5);
                self.bios_date = structure.string(8);
            }
            1 => {
                self.manufacturer = structure.string(4);
                self.product = structure.string(5);
            }
            2 => {
                self.board_manufacturer = structure.string(4);
                self.board = structure.string(5);
            }
            4 => self.processors.extend(structure.string(0x10)),
            17 => self.memory.extend(memory_device(structure)),
            _ => {}
        }
    }
}

fn memory_device(structure: &Structure<'_>) -> Option<MemoryDevice> {
    // 0 is an empty slot, 0xffff unknown, 0x7fff means that the extended size counts; bit 15 selects KiB.
    let size_mib = match structure.u16(0xc)? {
        0 | 0xffff => return None,
        0x7fff => structure.u32(0x1c)? & 0x7fff_ffff,
        kib if kib & 0x8000 != 0 => u32::from(kib & 0x7fff) / 1024,
        mib => u32::from(mib),
    };
    let speed = structure.u16(0x15).filter(|speed| *speed != 0 && *speed != 0xffff);
    Some(MemoryDevice { locator: structure.string(0x10), size_mib, speed })
}

/// One structure: a formatted area, then its strings, each ended by NUL and all by another.
struct Structure<'a> {
    formatted: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Structure<'a> {
    fn split(tables: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = usize::from(*tables.get(1)?);
        if length < 4 {
            return None;
        }
        let (formatted, rest) = tables.split_at_checked(length)?;
        let end = rest.windows(2).position(|pair| pair == [0, 0])?;
        let (strings, rest) = rest.split_at_checked(end.checked_add(2)?)?;
        Some((Self { formatted, strings }, rest))
    }

    fn kind(&self) -> u8 {
        self.formatted.first().copied().unwrap_or(127)
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        self.formatted.get(offset..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        self.formatted.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// The string whose 1-based number stands at `offset`.
    fn string(&self, offset: usize) -> Option<String> {
        let number = usize::from(*self.formatted.get(offset)?).checked_sub(1)?;
        let text = self.strings.split(|byte| *byte == 0).nth(number)?;
        let text: String =
            text.iter().filter(|byte| (0x20..0x7f).contains(*byte)).map(|byte| char::from(*byte)).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_lie_about_their_length_end_quietly() {
        for raw in [&b"\0\x03\x00\0\xff\xff\xff\xff"[..], b"\0\x03\x00\0\x08\0\0\0\x01\xff\0\0abc", b"", b"\0\x03"] {
            let parsed = Smbios::parse(raw);
            assert!(parsed.is_none_or(|smbios| smbios.manufacturer.is_none()));
        }
    }

    #[test]
    fn strings_are_found_by_number() {
        let mut raw = b"\0\x03\x02\0\x40\0\0\0".to_vec();
        raw.extend_from_slice(b"\x01\x08\0\0\x01\x02\0\0Contoso\0Lantern 14\0\0");
        raw.extend_from_slice(b"\x7f\x04\0\0\0\0");
        let smbios = Smbios::parse(&raw).unwrap();
        assert_eq!(smbios.manufacturer.as_deref(), Some("Contoso"));
        assert_eq!(smbios.product.as_deref(), Some("Lantern 14"));
    }
}
