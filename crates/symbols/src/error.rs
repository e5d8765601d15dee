use core::fmt;

use dumplens_base::{ReadError, ReadErrorKind, SourceError};

/// What is wrong with a symbol file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolErrorKind {
    /// The content is no PDB of any kind.
    NotAPdb,
    /// A PDB of the 1990s (`program database 2.00`).
    OldPdb,
    /// A portable PDB, as .NET compilers write: it describes managed code only.
    PortablePdb,
    /// A compressed PDB (MSFZ).
    CompressedPdb,
    /// The page directory of the file is damaged, or the file is cut off.
    Container {
        /// What does not fit, in the format's own terms.
        what: &'static str,
    },
    /// A stream that the question needs is not in the file.
    Missing {
        /// The stream, in the format's own terms.
        what: &'static str,
    },
    /// A structure could not be read, or holds what the format does not allow.
    Read(ReadError),
    /// The file's bytes could not be fetched.
    Source(SourceError),
}

/// A failure to read symbols, at an absolute offset in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolError {
    /// Where in the file, in bytes from its start.
    pub offset: u64,
    /// What is wrong.
    pub kind: SymbolErrorKind,
}

impl SymbolError {
    pub(crate) const fn new(offset: u64, kind: SymbolErrorKind) -> Self {
        Self { offset, kind }
    }

    pub(crate) const fn container(offset: u64, what: &'static str) -> Self {
        Self { offset, kind: SymbolErrorKind::Container { what } }
    }

    pub(crate) const fn missing(what: &'static str) -> Self {
        Self { offset: 0, kind: SymbolErrorKind::Missing { what } }
    }

    pub(crate) fn invalid(what: &'static str, offset: u64, value: u64) -> Self {
        ReadError::invalid(what, offset, value).into()
    }

    pub(crate) fn truncated(what: &'static str, offset: u64, needed: u64, available: u64) -> Self {
        ReadError { what, offset, kind: ReadErrorKind::Truncated { needed, available } }.into()
    }

    pub(crate) fn too_many(what: &'static str, offset: u64, value: u64, limit: u64) -> Self {
        ReadError { what, offset, kind: ReadErrorKind::TooMany { value, limit } }.into()
    }
}

impl From<ReadError> for SymbolError {
    fn from(error: ReadError) -> Self {
        Self { offset: error.offset, kind: SymbolErrorKind::Read(error) }
    }
}

impl From<SourceError> for SymbolError {
    fn from(error: SourceError) -> Self {
        Self { offset: error.offset, kind: SymbolErrorKind::Source(error) }
    }
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SymbolErrorKind as Kind;
        let offset = self.offset;
        match self.kind {
            Kind::NotAPdb => f.write_str("this is no PDB; give the .pdb file that belongs to the image"),
            Kind::OldPdb => f.write_str(
                "this is a PDB of format 2.00, from before 2002, which is not read; convert it with a newer linker's \
                 tools, or use its image, whose exports can be read",
            ),
            Kind::PortablePdb => f.write_str(
                "this is a portable PDB (.NET): it describes managed code only, and names no native function; use the \
                 Windows PDB of the native module",
            ),
            Kind::CompressedPdb => {
                f.write_str("this is a compressed PDB (MSFZ); unpack it with `pdbtool` or ask for the plain one")
            }
            Kind::Container { what } => {
                write!(f, "the {what} at offset {offset:#x} is damaged or cut off; fetch or copy the PDB again")
            }
            Kind::Missing { what } => write!(f, "the PDB has no {what}; get a PDB that was not stripped of it"),
            Kind::Read(error) => write!(f, "{error}; the PDB is damaged, fetch or copy it again"),
            Kind::Source(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SymbolError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            SymbolErrorKind::Read(error) => Some(error),
            SymbolErrorKind::Source(error) => Some(error),
            _ => None,
        }
    }
}
