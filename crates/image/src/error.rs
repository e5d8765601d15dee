use core::fmt;

use dumplens_base::{Fault, ReadError, ReadErrorKind, SourceError};

/// Why a byte of an image could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The memory of the crashed machine is not there.
    Memory(Fault),
    /// The file ends first or could not be read.
    Source(SourceError),
    /// No section holds this RVA.
    NoSection,
    /// The RVA lies past `SizeOfImage`.
    BeyondImage {
        /// `SizeOfImage`, in bytes.
        size: u32,
    },
    /// The data was never mapped into memory; only the image's file holds it.
    FileOnly,
    /// Base and RVA together pass the end of the address space.
    AddressOverflow,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(fault) => fault.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::NoSection => f.write_str("no section of the image is there"),
            Self::BeyondImage { size } => write!(f, "the image is only {size:#x} bytes long"),
            Self::FileOnly => f.write_str("it was not loaded into memory; only the image file holds it"),
            Self::AddressOverflow => f.write_str("it would lie past the end of the address space"),
        }
    }
}

impl core::error::Error for Unreadable {}

/// What went wrong while reading a part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageErrorKind {
    /// The bytes are not there.
    Unreadable(Unreadable),
    /// A field holds a value that the format does not allow.
    Invalid {
        /// The value found in the image.
        value: u64,
    },
    /// A structure does not fit into the space that the image gives it.
    Truncated {
        /// Bytes the structure needs.
        needed: u64,
        /// Bytes that are left where it starts.
        available: u64,
    },
    /// A count or length exceeds one of [`crate::limits`].
    TooMany {
        /// The value found in the image.
        value: u64,
        /// The limit it was checked against.
        limit: u64,
    },
    /// A text does not end within [`crate::limits::TEXT`] bytes.
    Unterminated {
        /// How many bytes were looked at.
        limit: u32,
    },
}

/// A part of an image that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// What was being read, in the format's own terms: "export directory".
    pub what: &'static str,
    /// Where it stands, relative to the image's first byte. When `kind` says that bytes are missing, it is the first
    /// missing one.
    pub rva: u32,
    /// Why it could not be read.
    pub kind: ImageErrorKind,
}

impl ImageError {
    pub(crate) const fn unreadable(what: &'static str, rva: u32, reason: Unreadable) -> Self {
        Self { what, rva, kind: ImageErrorKind::Unreadable(reason) }
    }

    pub(crate) const fn invalid(what: &'static str, rva: u32, value: u64) -> Self {
        Self { what, rva, kind: ImageErrorKind::Invalid { value } }
    }

    /// Checks a count or length of the image against a limit.
    pub(crate) fn check(what: &'static str, rva: u32, value: u32, limit: u32) -> Result<(), Self> {
        if value <= limit {
            return Ok(());
        }
        Err(Self { what, rva, kind: ImageErrorKind::TooMany { value: value.into(), limit: limit.into() } })
    }

    /// Whether the bytes are absent, as opposed to present and wrong.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self.kind, ImageErrorKind::Unreadable(_))
    }
}

/// Structures are parsed with the base crate's cursor, whose origin is then the RVA of its first byte.
impl From<ReadError> for ImageError {
    fn from(error: ReadError) -> Self {
        let kind = match error.kind {
            ReadErrorKind::Truncated { needed, available } => ImageErrorKind::Truncated { needed, available },
            ReadErrorKind::TooMany { value, limit } => ImageErrorKind::TooMany { value, limit },
            ReadErrorKind::Invalid { value } => ImageErrorKind::Invalid { value },
            ReadErrorKind::Source(error) => ImageErrorKind::Unreadable(Unreadable::Source(error)),
        };
        Self { what: error.what, rva: u32::try_from(error.offset).unwrap_or(u32::MAX), kind }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, rva, kind } = self;
        match kind {
            ImageErrorKind::Unreadable(reason) => write!(f, "{what} at RVA {rva:#x} cannot be read: {reason}"),
            ImageErrorKind::Invalid { value } => write!(f, "{what} at RVA {rva:#x} has the invalid value {value:#x}"),
            ImageErrorKind::Truncated { needed, available } => {
                write!(f, "{what} at RVA {rva:#x} needs {needed} bytes, but {available} are left for it")
            }
            ImageErrorKind::TooMany { value, limit } => {
                write!(f, "{what} at RVA {rva:#x} is {value}, more than the {limit} that can be true")
            }
            ImageErrorKind::Unterminated { limit } => {
                write!(f, "{what} at RVA {rva:#x} does not end within {limit} bytes")
            }
        }
    }
}

impl core::error::Error for ImageError {}
