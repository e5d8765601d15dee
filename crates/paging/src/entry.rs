//! What the processor makes of an entry.

use dumplens_base::Pa;

use crate::Mode;

/// An entry as the processor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// It points to the table of the next level.
    Table {
        /// The table.
        pa: Pa,
        /// Access rights that hold for all below.
        flags: Flags,
    },
    /// It maps a page.
    Page {
        /// First address of the page.
        pa: Pa,
        /// Access rights.
        flags: Flags,
    },
    /// The processor faults; what the entry means is up to the operating system.
    Invalid,
    /// It sets bits that must be clear.
    Malformed,
}

/// What an entry says besides the address. For ARM64 the nearest equivalents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Writes are allowed.
    pub write: bool,
    /// User mode may access.
    pub user: bool,
    /// Instructions may be fetched.
    pub execute: bool,
    /// It was accessed.
    pub accessed: bool,
    /// It was written to.
    pub dirty: bool,
    /// It is the same in all address spaces.
    pub global: bool,
    /// Caching is off.
    pub uncached: bool,
    /// Writes go through.
    pub write_through: bool,
    /// It maps a large page.
    pub large: bool,
    /// Windows' mark for copy-on-write.
    pub copy_on_write: bool,
}

impl Flags {
    /// The letters Windows debuggers print: `C` copy-on-write, `G` global, `L` large, `D` dirty, `A` accessed, `N` uncached,
    /// `T` write-through, `U` or `K`, `W` or `R`, `E` executable, `V` valid.
    #[must_use]
    pub const fn letters(self) -> [u8; 11] {
        const fn pick(set: bool, yes: u8, no: u8) -> u8 {
            if set { yes } else { no }
        }
        [
            pick(self.copy_on_write, b'C', b'-'),
            pick(self.global, b'G', b'-'),
            pick(self.large, b'L', b'-'),
            pick(self.dirty, b'D', b'-'),
            pick(self.accessed, b'A', b'-'),
            pick(self.uncached, b'N', b'-'),
            pick(self.write_through, b'T', b'-'),
            pick(self.user, b'U', b'K'),
            pick(self.write, b'W', b'R'),
            pick(self.execute, b'E', b'-'),
            b'V',
        ]
    }

    /// Rights of a page below tables with rights: every level must allow.
    pub(crate) const fn under(self, above: Self) -> Self {
        Self {
            write: self.write && above.write,
            user: self.user && above.user,
            execute: self.execute && above.execute,
            ..self
        }
    }

    /// No restriction.
    pub(crate) const ALL: Self = Self {
        write: true,
        user: true,
        execute: true,
        accessed: false,
        dirty: false,
        global: false,
        uncached: false,
        write_through: false,
        large: false,
        copy_on_write: false,
    };
}

/// Address bits of 8-byte entries: 51..12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Address bits of ARM64 descriptors: 47..12.
const ADDRESS_ARM64: u64 = 0x0000_ffff_ffff_f000;

impl Hardware {
    /// Decodes an entry of the level whose entries map `1 << shift` bytes.
    #[must_use]
    pub const fn decode(mode: Mode, shift: u8, entry: u64) -> Self {
        match mode {
            Mode::X86 => x86(shift, entry),
            Mode::X86Pae => pae(shift, entry),
            Mode::X64 | Mode::La57 => x64(shift, entry),
            Mode::Arm64 => arm64(shift, entry),
        }
    }
}

const fn intel_flags(entry: u64, leaf: bool) -> Flags {
    Flags {
        write: entry & 2 != 0,
        user: entry & 4 != 0,
        execute: entry >> 63 == 0,
        accessed: entry & 0x20 != 0,
        dirty: leaf && entry & 0x40 != 0,
        global: leaf && entry & 0x100 != 0,
        uncached: entry & 0x10 != 0,
        write_through: entry & 8 != 0,
        large: false,
        copy_on_write: leaf && entry & 0x200 != 0,
    }
}

const fn x64(shift: u8, entry: u64) -> Hardware {
    if entry & 1 == 0 {
        return Hardware::Invalid;
    }
    let large = entry & 0x80 != 0;
    match shift {
        12 => Hardware::Page { pa: Pa(entry & ADDRESS), flags: intel_flags(entry, true) },
        21 | 30 if large => {
            let base = entry & ADDRESS & !((1 << shift) - 1);
            Hardware::Page { pa: Pa(base), flags: Flags { large: true, ..intel_flags(entry, true) } }
        }
        21 | 30 => Hardware::Table { pa: Pa(entry & ADDRESS), flags: intel_flags(entry, false) },
        // The upper levels have no large pages.
        _ if large => Hardware::Malformed,
        _ => Hardware::Table { pa: Pa(entry & ADDRESS), flags: intel_flags(entry, false) },
    }
}

const fn pae(shift: u8, entry: u64) -> Hardware {
    if shift == 30 {
        // The four top entries carry no rights.
        if entry & 1 == 0 {
            return Hardware::Invalid;
        }
        return Hardware::Table { pa: Pa(entry & ADDRESS), flags: Flags::ALL };
    }
    x64(shift, entry)
}

const fn x86(shift: u8, entry: u64) -> Hardware {
    let entry = entry & 0xffff_ffff;
    if entry & 1 == 0 {
        return Hardware::Invalid;
    }
    if shift == 12 {
        return Hardware::Page { pa: Pa(entry & 0xffff_f000), flags: intel_flags(entry, true) };
    }
    if entry & 0x80 != 0 {
        // PSE-36: four-megabyte pages may lie above 4 GiB.
        let high = (entry >> 13) & 0xff;
        let flags = Flags { large: true, ..intel_flags(entry, true) };
        return Hardware::Page { pa: Pa((entry & 0xffc0_0000) | high << 32), flags };
    }
    Hardware::Table { pa: Pa(entry & 0xffff_f000), flags: intel_flags(entry, false) }
}

const fn arm64(shift: u8, entry: u64) -> Hardware {
    if entry & 1 == 0 {
        return Hardware::Invalid;
    }
    let table_or_page = entry & 2 != 0;
    let flags = Flags {
        // AP[2] forbids writes, unless hardware tracks dirtiness (DBM).
        write: entry & 0x80 == 0 || entry >> 51 & 1 == 1,
        user: entry & 0x40 != 0,
        execute: entry >> 53 & 3 != 3,
        accessed: entry & 0x400 != 0,
        dirty: entry & 0x80 == 0,
        global: entry & 0x800 == 0,
        uncached: false,
        write_through: false,
        large: false,
        copy_on_write: false,
    };
    match (shift, table_or_page) {
        (12, true) => Hardware::Page { pa: Pa(entry & ADDRESS_ARM64), flags },
        (12, false) => Hardware::Malformed,
        (_, true) => Hardware::Table { pa: Pa(entry & ADDRESS_ARM64), flags: Flags::ALL },
        (21 | 30, false) => {
            let base = entry & ADDRESS_ARM64 & !((1 << shift) - 1);
            Hardware::Page { pa: Pa(base), flags: Flags { large: true, ..flags } }
        }
        (_, false) => Hardware::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pages_drop_the_low_bits_of_their_address() {
        let Hardware::Page { pa, flags } = Hardware::decode(Mode::X64, 21, 0x8000_0000_1ffe_11e3) else { panic!() };
        assert_eq!(pa, Pa(0x1fe0_0000), "bit 12 is the page attribute bit, not part of the address");
        assert!(flags.large && !flags.execute && flags.global && flags.write && !flags.user);
        assert_eq!(&flags.letters(), b"-GLDA--KW-V");
        let Hardware::Page { pa, .. } = Hardware::decode(Mode::X64, 30, 0x1_4000_0087) else { panic!() };
        assert_eq!(pa, Pa(0x1_4000_0000));
        assert_eq!(Hardware::decode(Mode::X64, 39, 0x1087), Hardware::Malformed);
    }

    #[test]
    fn four_megabyte_pages_reach_above_four_gigabytes() {
        let Hardware::Page { pa, .. } = Hardware::decode(Mode::X86, 22, 0x0040_0083 | 0x5 << 13) else { panic!() };
        assert_eq!(pa, Pa(0x5_0040_0000));
    }

    #[test]
    fn arm64_blocks_and_pages_differ_by_bit_one() {
        assert!(matches!(Hardware::decode(Mode::Arm64, 12, 0x8000_0703), Hardware::Page { pa: Pa(0x8000_0000), .. }));
        assert_eq!(Hardware::decode(Mode::Arm64, 12, 0x8000_0701), Hardware::Malformed);
        assert!(matches!(Hardware::decode(Mode::Arm64, 21, 0x8020_0701), Hardware::Page { pa: Pa(0x8020_0000), .. }));
        assert_eq!(Hardware::decode(Mode::Arm64, 39, 0x8020_0701), Hardware::Malformed);
    }
}
