use dumplens_base::{Machine, Va};

/// How a processor translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 32-bit x86 with two levels of 4-byte entries.
    X86,
    /// 32-bit x86 with physical address extension: three levels of 8-byte entries.
    X86Pae,
    /// x64 with four levels.
    X64,
    /// x64 with five levels (57-bit addresses).
    La57,
    /// ARM64 as Windows uses it: 4 KiB granule, four levels, one root page for both halves.
    Arm64,
}

/// One level of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What Windows debuggers call its entries.
    pub name: &'static str,
    /// Lowest address bit that selects an entry.
    pub shift: u8,
    /// Number of address bits that select an entry.
    pub bits: u8,
}

const fn level(name: &'static str, shift: u8, bits: u8) -> Level {
    Level { name, shift, bits }
}

const X86: [Level; 2] = [level("PDE", 22, 10), level("PTE", 12, 10)];
const PAE: [Level; 3] = [level("PPE", 30, 2), level("PDE", 21, 9), level("PTE", 12, 9)];
const FOUR: [Level; 4] = [level("PXE", 39, 9), level("PPE", 30, 9), level("PDE", 21, 9), level("PTE", 12, 9)];
const FIVE: [Level; 5] =
    [level("PML5E", 48, 9), level("PXE", 39, 9), level("PPE", 30, 9), level("PDE", 21, 9), level("PTE", 12, 9)];

impl Mode {
    /// Tables from the root to the leaves.
    #[must_use]
    pub const fn levels(self) -> &'static [Level] {
        match self {
            Self::X86 => &X86,
            Self::X86Pae => &PAE,
            Self::X64 | Self::Arm64 => &FOUR,
            Self::La57 => &FIVE,
        }
    }

    /// Size of an entry in bytes.
    #[must_use]
    pub const fn entry_size(self) -> u64 {
        if matches!(self, Self::X86) { 4 } else { 8 }
    }

    /// Physical address of the root table, from a directory table base as recorded: without PCID, ASID and flag bits.
    #[must_use]
    pub const fn root(self, directory_table_base: u64) -> u64 {
        match self {
            Self::X86 => directory_table_base & 0xffff_f000,
            Self::X86Pae => directory_table_base & 0xffff_ffe0,
            Self::X64 | Self::La57 => directory_table_base & 0x000f_ffff_ffff_f000,
            Self::Arm64 => directory_table_base & 0x0000_ffff_ffff_f000,
        }
    }

    /// Whether the processor accepts the address at all.
    #[must_use]
    pub const fn is_canonical(self, va: Va) -> bool {
        let sign_bits = match self {
            Self::X86 | Self::X86Pae => return va.0 >> 32 == 0,
            Self::X64 | Self::Arm64 => 47,
            Self::La57 => 56,
        };
        let top = va.0 >> sign_bits;
        top == 0 || top == u64::MAX >> sign_bits
    }

    /// Whether the address belongs to the kernel's half. With the 3 GB switch of 32-bit Windows, user addresses may
    /// be in the upper half too; that switch moves the boundary, not the tables.
    #[must_use]
    pub const fn is_kernel(self, va: Va) -> bool {
        match self {
            Self::X86 | Self::X86Pae => va.0 >= 0x8000_0000,
            _ => va.0 >> 63 == 1,
        }
    }

    /// First address of the kernel's half.
    #[must_use]
    pub const fn kernel_start(self) -> Va {
        match self {
            Self::X86 | Self::X86Pae => Va(0x8000_0000),
            Self::X64 | Self::Arm64 => Va(0xffff_8000_0000_0000),
            Self::La57 => Va(0xff00_0000_0000_0000),
        }
    }

    /// The first address above `va` that the processor accepts, if `va` itself is not accepted.
    #[must_use]
    pub const fn skip_hole(self, va: Va) -> Option<Va> {
        if self.is_canonical(va) {
            return Some(va);
        }
        match self {
            Self::X86 | Self::X86Pae => None,
            _ => Some(self.kernel_start()),
        }
    }

    /// Last address of the space.
    #[must_use]
    pub const fn last_address(self) -> Va {
        match self {
            Self::X86 | Self::X86Pae => Va(0xffff_ffff),
            _ => Va(u64::MAX),
        }
    }

    /// The usual mode of an architecture; PAE and LA57 have to be told apart by other means.
    #[must_use]
    pub const fn of(machine: Machine, pae: bool, la57: bool) -> Option<Self> {
        match (machine, pae, la57) {
            (Machine::X86, true, _) => Some(Self::X86Pae),
            (Machine::X86, false, _) => Some(Self::X86),
            (Machine::X64, _, true) => Some(Self::La57),
            (Machine::X64, _, false) => Some(Self::X64),
            (Machine::Arm64, ..) => Some(Self::Arm64),
            _ => None,
        }
    }
}

impl Level {
    /// Number of the entry that an address selects in a table of this level.
    #[must_use]
    pub const fn index(self, va: Va) -> u64 {
        (va.0 >> self.shift) & ((1 << self.bits) - 1)
    }

    /// Bytes that one entry of this level maps.
    #[must_use]
    pub const fn size(self) -> u64 {
        1 << self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_between_the_halves_is_not_canonical() {
        assert!(Mode::X64.is_canonical(Va(0x7fff_ffff_ffff)) && !Mode::X64.is_canonical(Va(0x8000_0000_0000)));
        assert!(Mode::La57.is_canonical(Va(0x00ff_ffff_ffff_ffff)) && !Mode::La57.is_canonical(Va(1 << 56)));
        assert!(Mode::La57.is_canonical(Va(0xff00_0000_0000_0000)));
        assert!(!Mode::X86.is_canonical(Va(1 << 32)));
        assert_eq!(Mode::X64.skip_hole(Va(1 << 47)), Some(Va(0xffff_8000_0000_0000)));
        assert_eq!(Mode::X86.skip_hole(Va(1 << 32)), None);
    }

    #[test]
    fn a_recorded_base_loses_its_flag_bits() {
        assert_eq!(Mode::X64.root(0x8000_0000_001a_d002), 0x1a_d000);
        assert_eq!(Mode::X86Pae.root(0x0018_5020), 0x0018_5020);
        assert_eq!(Mode::Arm64.root(0x0040_0000_946a_a000), 0x946a_a000);
    }

    #[test]
    fn indices_select_nine_bits_a_level() {
        let va = Va(0xffff_f804_8b58_334c);
        let indices: alloc::vec::Vec<u64> = Mode::X64.levels().iter().map(|level| level.index(va)).collect();
        assert_eq!(indices, [0x1f0, 0x12, 0x5a, 0x183]);
    }
}
