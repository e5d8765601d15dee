use core::fmt;

use dumplens_base::{Fault, Va};

use super::Register;
use crate::arm64;

/// Why a frame could not be unwound with unwind data. Where unwind data is to blame, its RVA is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The instruction pointer is not in the image that was given.
    OutsideImage(Va),
    /// The image has no function table, or its headers cannot be read.
    NoFunctionTable,
    /// The function table cannot be read.
    TableUnreadable {
        /// First missing RVA.
        rva: u32,
    },
    /// The unwind data of a function cannot be read.
    InfoUnreadable {
        /// First missing RVA.
        rva: u32,
    },
    /// A version of unwind data that is not known.
    Version {
        /// RVA of the record.
        rva: u32,
        /// Its version.
        version: u8,
    },
    /// The unwind data makes no sense.
    Invalid {
        /// RVA of the record.
        rva: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Chained records do not end.
    Loop {
        /// RVA of the record that was one too many.
        rva: u32,
    },
    /// No function holds the address: for a return address that cannot be, because functions without an entry call
    /// nothing; for any other address it would have to be executable.
    NoFunction {
        /// RVA of the address.
        rva: u32,
    },
    /// The unwind data builds on a register whose value is not known.
    UnknownRegister(Register),
    /// The same on ARM64.
    UnknownArm64Register(arm64::Register),
    /// The stack cannot be read.
    Stack(Fault),
    /// The addresses run over the end of the address space.
    Overflow(Va),
}

impl Stop {
    /// Whether the image's unwind data is absent, rather than wrong or not enough.
    #[must_use]
    pub const fn is_absence(self) -> bool {
        matches!(self, Self::NoFunctionTable | Self::TableUnreadable { .. } | Self::InfoUnreadable { .. })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideImage(va) => write!(f, "{va} lies outside the image"),
            Self::NoFunctionTable => f.write_str("the image has no function table or its headers are not readable"),
            Self::TableUnreadable { rva } => write!(f, "the function table is not readable at RVA {rva:#x}"),
            Self::InfoUnreadable { rva } => write!(f, "the unwind data is not readable at RVA {rva:#x}"),
            Self::Version { rva, version } => write!(f, "unwind data of unknown version {version} at RVA {rva:#x}"),
            Self::Invalid { rva, what } => write!(f, "the unwind data at RVA {rva:#x} is damaged: {what}"),
            Self::Loop { rva } => write!(f, "the unwind data at RVA {rva:#x} goes round in circles"),
            Self::NoFunction { rva } => write!(f, "no function holds RVA {rva:#x}"),
            Self::UnknownRegister(register) => {
                write!(f, "the frame is addressed by {}, whose value is not known", register.name())
            }
            Self::UnknownArm64Register(register) => {
                write!(f, "the frame builds on {}, whose value is not known", register.name())
            }
            Self::Stack(fault) => write!(f, "the stack is not readable: {fault}"),
            Self::Overflow(va) => write!(f, "the stack runs over the end of the address space at {va}"),
        }
    }
}
