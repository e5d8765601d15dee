//! The firmware's description of the machine (SMBIOS, DMTF DSP0134), as dumps of Windows hold it.
//!
//! Serial numbers, UUIDs and asset tags identify a machine or its owner and are not read at all.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use dumplens_base::{Bytes, Note, ReadError, read_record};

use super::{KernelDump, secondary};
use crate::limits;

/// Text longer than this is cut; the specification once allowed 64 characters.
const TEXT_CHARS: usize = 128;

/// What the firmware says about the machine. Text is as the maker wrote it, often a placeholder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// Version of the SMBIOS specification: major, minor.
    pub version: (u8, u8),
    /// Maker of the firmware.
    pub bios_vendor: Option<String>,
    /// Version of the firmware.
    pub bios_version: Option<String>,
    /// Release date of the firmware, as the maker wrote it.
    pub bios_date: Option<String>,
    /// Maker of the machine.
    pub system_manufacturer: Option<String>,
    /// Product name of the machine.
    pub system_product: Option<String>,
    /// Version of the machine.
    pub system_version: Option<String>,
    /// Maker of the main board.
    pub board_manufacturer: Option<String>,
    /// Product name of the main board.
    pub board_product: Option<String>,
    /// Version of the main board.
    pub board_version: Option<String>,
    /// Kind of case: "notebook".
    pub chassis: Option<&'static str>,
    /// Populated processor sockets.
    pub processors: Vec<Processor>,
    /// Memory slots, empty ones included.
    pub memory: Vec<MemoryDevice>,
}

/// A processor package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// Name that the processor reports.
    pub name: Option<String>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Speed at start in MHz.
    pub current_mhz: Option<u16>,
    /// The highest speed the board supports, in MHz.
    pub max_mhz: Option<u16>,
    /// Cores.
    pub cores: Option<u16>,
    /// Hardware threads.
    pub threads: Option<u16>,
}

/// A memory slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryDevice {
    /// Label of the slot on the board.
    pub locator: Option<String>,
    /// Size in MiB; 0 if the slot is empty, `None` if the firmware does not know.
    pub size_mib: Option<u32>,
    /// Kind: "DDR4".
    pub kind: Option<&'static str>,
    /// The highest speed in MT/s.
    pub speed: Option<u16>,
    /// The configured speed in MT/s.
    pub configured_speed: Option<u16>,
    /// Maker.
    pub manufacturer: Option<String>,
    /// Part number.
    pub part_number: Option<String>,
}

impl KernelDump {
    /// The firmware tables among the tagged data, if they are there.
    #[must_use]
    pub fn smbios(&self, notes: &mut Vec<Note>) -> Option<Smbios> {
        // What is wrong with the tagged data as a whole is said where it is listed.
        let blob = self.blobs(&mut Vec::new()).into_iter().find(|blob| blob.tag == secondary::SMBIOS)?;
        let bytes =
            read_record(&*self.source, blob.offset, blob.size, limits::SMBIOS_BYTES, "firmware tables (SMBIOS)");
        match bytes.and_then(|bytes| Smbios::parse(&bytes, blob.offset, notes)) {
            Ok(smbios) => Some(smbios),
            Err(error) => {
                notes.push(Note::damaged(format!("the firmware tables are left out: {error}")));
                None
            }
        }
    }
}

impl Smbios {
    /// Reads `RawSMBIOSData`: the calling method, three version bytes, a length, the table.
    ///
    /// # Errors
    /// If the length passes the end of `bytes`. A table that is damaged further on ends there with a note.
    pub fn parse(bytes: &[u8], origin: u64, notes: &mut Vec<Note>) -> Result<Self, ReadError> {
        const WHAT: &str = "firmware tables (SMBIOS)";
        let mut cursor = Bytes::new(bytes, origin);
        cursor.skip(1, WHAT)?;
        let version = (cursor.u8(WHAT)?, cursor.u8(WHAT)?);
        cursor.skip(1, WHAT)?;
        let len = cursor.u32(WHAT)?;
        let len = cursor.count(u64::from(len), limits::SMBIOS_BYTES, 1, WHAT)?;
        let mut table = cursor.split(len, WHAT)?;
        let mut smbios = Self { version, ..Self::default() };
        for _ in 0..limits::SMBIOS_STRUCTURES {
            if table.remaining() == 0 {
                break;
            }
            let offset = table.offset();
            let Some(structure) = Structure::take(&mut table) else {
                notes.push(Note::damaged(format!(
                    "the firmware tables end early: a structure at {offset:#x} is cut off"
                )));
                break;
            };
            if structure.kind == 127 {
                break;
            }
            smbios.add(&structure);
        }
        Ok(smbios)
    }

    fn add(&mut self, structure: &Structure<'_>) {
        match structure.kind {
            0 => {
                self.bios_vendor = structure.text(0x04);
                self.bios_version = structure.text(0x05);
                self.bios_date = structure.text(0x08);
            }
            1 => {
                self.system_manufacturer = structure.text(0x04);
                self.system_product = structure.text(0x05);
                self.system_version = structure.text(0x06);
            }
            // A machine may list several boards; the first is the main one.
            2 if self.board_product.is_none() => {
                self.board_manufacturer = structure.text(0x04);
                self.board_product = structure.text(0x05);
                self.board_version = structure.text(0x06);
            }
            3 if self.chassis.is_none() => {
                self.chassis = structure.u8(0x05).and_then(|kind| chassis_name(kind & 0x7f));
            }
            // Bit 6 of the status: the socket is populated.
            4 if structure.u8(0x18).is_none_or(|status| status & 0x40 != 0) => {
                self.processors.push(Processor {
                    name: structure.text(0x10),
                    manufacturer: structure.text(0x07),
                    current_mhz: structure.u16(0x16).filter(|mhz| *mhz != 0),
                    max_mhz: structure.u16(0x14).filter(|mhz| *mhz != 0),
                    cores: structure.count(0x23, 0x2a),
                    threads: structure.count(0x25, 0x2e),
                });
            }
            17 => self.memory.push(MemoryDevice {
                locator: structure.text(0x10),
                size_mib: structure.memory_size(),
                kind: structure.u8(0x12).and_then(memory_name),
                speed: structure.u16(0x15).filter(|speed| !matches!(speed, 0 | 0xffff)),
                configured_speed: structure.u16(0x20).filter(|speed| !matches!(speed, 0 | 0xffff)),
                manufacturer: structure.text(0x17),
                part_number: structure.text(0x1a),
            }),
            _ => {}
        }
    }
}

/// One structure: a formatted area, whose fields are at fixed offsets as far as its length reaches, and numbered text.
struct Structure<'a> {
    kind: u8,
    formatted: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Structure<'a> {
    fn take(table: &mut Bytes<'a>) -> Option<Self> {
        let &[kind, len, ..] = table.rest() else { return None };
        let formatted = table.take(usize::from(len).max(4), "structure").ok()?;
        // The text ends with an empty string; a structure without text has two NULs.
        let end = table.rest().windows(2).position(|pair| pair == [0, 0])?;
        let strings = table.take(end.saturating_add(2), "structure text").ok()?;
        Some(Self { kind, formatted, strings })
    }

    fn u8(&self, offset: usize) -> Option<u8> {
        self.formatted.get(offset).copied()
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes([self.u8(offset)?, self.u8(offset.checked_add(1)?)?]))
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.formatted.get(offset..offset.checked_add(4)?)?;
        Bytes::new(bytes, 0).u32("field").ok()
    }

    /// The text whose number stands at `offset`; only printable ASCII, trimmed.
    fn text(&self, offset: usize) -> Option<String> {
        let number = usize::from(self.u8(offset)?).checked_sub(1)?;
        let text = self.strings.split(|byte| *byte == 0).nth(number)?;
        let printable = text.iter().filter(|byte| (0x20..0x7f).contains(*byte)).map(|byte| char::from(*byte));
        let text: String = printable.take(TEXT_CHARS).collect();
        Some(text.trim().to_string()).filter(|text| !text.is_empty())
    }

    /// A count in a byte, or in a word elsewhere if it does not fit.
    fn count(&self, short: usize, long: usize) -> Option<u16> {
        match self.u8(short)? {
            0 => None,
            0xff => Some(self.u16(long).unwrap_or(0xff)),
            count => Some(u16::from(count)),
        }
    }

    fn memory_size(&self) -> Option<u32> {
        match self.u16(0x0c)? {
            0xffff => None,
            0x7fff => self.u32(0x1c).map(|size| size & 0x7fff_ffff),
            kib if kib & 0x8000 != 0 => Some(u32::from(kib & 0x7fff) / 1024),
            mib => Some(u32::from(mib)),
        }
    }
}

const fn chassis_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        3 => "desktop",
        4 => "low-profile desktop",
        5 => "pizza box",
        6 => "mini tower",
        7 => "tower",
        8 => "portable",
        9 => "laptop",
        10 => "notebook",
        11 => "hand-held",
        12 => "docking station",
        13 => "all-in-one",
        14 => "sub-notebook",
        15 => "space-saving",
        17 => "main server case",
        23 => "rack mount",
        24 => "sealed-case PC",
        28 => "blade",
        29 => "blade enclosure",
        30 => "tablet",
        31 => "convertible",
        32 => "detachable",
        34 => "embedded PC",
        35 => "mini PC",
        36 => "stick PC",
        _ => return None,
    })
}

const fn memory_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x0f => "SDRAM",
        0x12 => "DDR",
        0x13 => "DDR2",
        0x14 => "DDR2 FB-DIMM",
        0x18 => "DDR3",
        0x1a => "DDR4",
        0x1b => "LPDDR",
        0x1c => "LPDDR2",
        0x1d => "LPDDR3",
        0x1e => "LPDDR4",
        0x20 => "HBM",
        0x21 => "HBM2",
        0x22 => "DDR5",
        0x23 => "LPDDR5",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn structure(kind: u8, fields: &[(usize, &[u8])], len: usize, strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = kind;
        bytes[1] = len as u8;
        fields.iter().for_each(|(at, value)| bytes[*at..at + value.len()].copy_from_slice(value));
        strings.iter().for_each(|text| bytes.extend([text.as_bytes(), b"\0"].concat()));
        if strings.is_empty() {
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    fn table() -> Vec<u8> {
        let table = [
            structure(1, &[(4, &[1, 2, 0, 3])], 0x1b, &["Maker", "  Model\u{7f} 1 ", "SERIAL"]),
            structure(3, &[(5, &[0x8a])], 0x15, &[]),
            structure(
                4,
                &[(0x10, &[1]), (0x14, &[0, 0, 0x10, 0x0e]), (0x18, &[0x41]), (0x23, &[0xff, 0, 16]), (0x2a, &[0, 1])],
                0x30,
                &["CPU"],
            ),
            structure(4, &[(0x18, &[0x01])], 0x30, &[]),
            structure(17, &[(0x0c, &[0xff, 0x7f]), (0x12, &[0x22]), (0x1c, &[0, 0x80, 0, 0])], 0x22, &[]),
            structure(17, &[(0x0c, &[0, 0])], 0x15, &[]),
            structure(127, &[], 4, &[]),
        ]
        .concat();
        let mut bytes = vec![0, 3, 2, 0];
        bytes.extend((table.len() as u32).to_le_bytes());
        bytes.extend(table);
        bytes
    }

    #[test]
    fn a_table_gives_the_machine_but_never_its_serial_number() {
        let mut notes = Vec::new();
        let smbios = Smbios::parse(&table(), 0, &mut notes).unwrap();
        assert!(notes.is_empty());
        assert_eq!(smbios.version, (3, 2));
        assert_eq!(smbios.system_manufacturer.as_deref(), Some("Maker"));
        assert_eq!(smbios.system_product.as_deref(), Some("Model 1"));
        assert_eq!((smbios.system_version.as_deref(), smbios.bios_vendor.as_deref()), (None, None));
        assert_eq!(smbios.chassis, Some("notebook"));
        let [cpu] = &smbios.processors[..] else { panic!("the empty socket does not count") };
        assert_eq!((cpu.name.as_deref(), cpu.current_mhz, cpu.max_mhz), (Some("CPU"), Some(3600), None));
        assert_eq!((cpu.cores, cpu.threads), (Some(256), Some(16)));
        let sizes: Vec<_> = smbios.memory.iter().map(|device| device.size_mib).collect();
        assert_eq!(sizes, [Some(32_768), Some(0)]);
        assert!(!format!("{smbios:?}").contains("SERIAL"));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_note() {
        let whole = table();
        for len in 0..whole.len() {
            let mut notes = Vec::new();
            assert!(Smbios::parse(&whole[..len], 0, &mut notes).is_err(), "the length says more than {len}");
            if len >= 8 {
                let mut cut = whole[..len].to_vec();
                cut[4..8].copy_from_slice(&(len as u32 - 8).to_le_bytes());
                assert!(Smbios::parse(&cut, 0, &mut notes).is_ok());
            }
        }
    }
}
