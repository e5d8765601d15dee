//! How wide the numbers of a machine are.

use dumplens_report::Hex;

/// Width of a machine's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Bits32,
    Bits64,
}

impl Width {
    /// From the report's name of the architecture; 64 bits where it is not known, so that nothing is cut off.
    pub(crate) fn of(architecture: Option<&str>) -> Self {
        if matches!(architecture, Some("x86" | "arm")) { Self::Bits32 } else { Self::Bits64 }
    }

    /// An address as debuggers print it, with leading zeros. What does not fit is printed whole.
    pub(crate) fn address(self, address: Hex) -> String {
        match self {
            Self::Bits32 => format!("{:08x}", address.0),
            Self::Bits64 => format!("{:016x}", address.0),
        }
    }

    /// An address that may be absent, as a cell.
    pub(crate) fn cell(self, address: Option<Hex>) -> String {
        address.map(|address| self.address(address)).unwrap_or_default()
    }

    /// The highest address.
    pub(crate) fn top(self) -> u64 {
        match self {
            Self::Bits32 => u64::from(u32::MAX),
            Self::Bits64 => u64::MAX,
        }
    }

    /// Bytes of a pointer.
    pub(crate) fn pointer(self) -> u64 {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

/// A register's value in the register's own width: selectors have 16 bits, flags 32.
pub(crate) fn register(width: Width, name: &str, value: Hex) -> String {
    match name {
        "cs" | "ds" | "es" | "fs" | "gs" | "ss" => format!("{:04x}", value.0),
        "efl" | "eflags" | "rflags" | "cpsr" | "mxcsr" | "fpcr" | "fpsr" | "fpscr" => format!("{:08x}", value.0),
        _ => width.address(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_wide_as_the_machine() {
        assert_eq!(Width::of(Some("x86")).address(Hex(0x40_1000)), "00401000");
        assert_eq!(Width::of(Some("arm64")).address(Hex(0x40_1000)), "0000000000401000");
        assert_eq!(Width::of(None), Width::Bits64);
        assert_eq!(Width::Bits32.address(Hex(0xffff_ffff_8051_2345)), "ffffffff80512345");
        assert_eq!(Width::Bits32.cell(None), "");
    }

    #[test]
    fn registers_are_printed_in_their_own_width() {
        assert_eq!(register(Width::Bits64, "cs", Hex(0x10)), "0010");
        assert_eq!(register(Width::Bits64, "efl", Hex(0x5_0246)), "00050246");
        assert_eq!(register(Width::Bits32, "eip", Hex(1)), "00000001");
    }
}
