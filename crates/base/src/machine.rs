use core::fmt;

/// The processor architecture a dump was taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// 32-bit x86.
    X86,
    /// 64-bit x86 (AMD64, Intel 64).
    X64,
    /// 32-bit ARM.
    Arm,
    /// 64-bit ARM.
    Arm64,
    /// Anything else, by the number the dump gives.
    Other(u16),
}

impl Machine {
    /// From an `IMAGE_FILE_MACHINE_*` number, as kernel dump headers and PE images hold it.
    #[must_use]
    pub const fn from_image_file_machine(number: u16) -> Self {
        match number {
            0x014c => Self::X86,
            0x8664 => Self::X64,
            0x01c0 | 0x01c2 | 0x01c4 => Self::Arm,
            0xaa64 => Self::Arm64,
            other => Self::Other(other),
        }
    }

    /// Size of a pointer in bytes.
    #[must_use]
    pub const fn pointer_size(self) -> u8 {
        match self {
            Self::X86 | Self::Arm => 4,
            Self::X64 | Self::Arm64 | Self::Other(_) => 8,
        }
    }

    /// The lower-case name used in reports: `x86`, `x64`, `arm`, `arm64`, `other`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::X64 => "x64",
            Self::Arm => "arm",
            Self::Arm64 => "arm64",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "machine {number:#06x}"),
            known => f.write_str(known.name()),
        }
    }
}
