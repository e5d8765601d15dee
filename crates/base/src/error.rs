use core::fmt;

use crate::SourceError;

/// What went wrong while reading a structure from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// The structure needs `needed` bytes and only `available` are left.
    Truncated {
        /// Bytes the structure needs.
        needed: u64,
        /// Bytes that are left where it starts.
        available: u64,
    },
    /// A count or length exceeds what Dumplens is willing to follow.
    TooMany {
        /// The value found in the file.
        value: u64,
        /// The named limit it was checked against.
        limit: u64,
    },
    /// A field holds a value that the format does not allow.
    Invalid {
        /// The value found in the file.
        value: u64,
    },
    /// The bytes could not be fetched.
    Source(SourceError),
}

/// A failed read of a named thing at an absolute file offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What was being read, in the format's own terms: "module list count".
    pub what: &'static str,
    /// Absolute offset in the file, in bytes.
    pub offset: u64,
    /// Why it could not be read.
    pub kind: ReadErrorKind,
}

impl ReadError {
    /// A field at `offset` that holds a value the format does not allow.
    #[must_use]
    pub const fn invalid(what: &'static str, offset: u64, value: u64) -> Self {
        Self { what, offset, kind: ReadErrorKind::Invalid { value } }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, offset, kind } = self;
        match kind {
            ReadErrorKind::Truncated { needed, available } => {
                write!(f, "{what} at offset {offset:#x} needs {needed} bytes, the file has {available} there")
            }
            ReadErrorKind::TooMany { value, limit } => {
                write!(f, "{what} at offset {offset:#x} is {value}, more than the {limit} that can be true")
            }
            ReadErrorKind::Invalid { value } => {
                write!(f, "{what} at offset {offset:#x} has the invalid value {value:#x}")
            }
            ReadErrorKind::Source(error) => write!(f, "{what} at offset {offset:#x}: {error}"),
        }
    }
}

impl core::error::Error for ReadError {}
