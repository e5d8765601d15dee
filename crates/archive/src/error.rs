use core::fmt;

use dumplens_base::{ReadError, SourceError};

/// What is wrong with an archive or one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveErrorKind {
    /// The content is none of the formats this crate reads.
    NotAnArchive,
    /// A zip file without the directory that stands at its end: most often half a download.
    NoDirectory,
    /// The file or the member ends inside the named structure.
    Truncated {
        /// What was being read, in the format's own terms.
        what: &'static str,
    },
    /// The named structure holds what the format does not allow.
    Damaged {
        /// What was being read, in the format's own terms.
        what: &'static str,
    },
    /// A structure of the directory could not be read.
    Read(ReadError),
    /// The archive's bytes could not be fetched.
    Source(SourceError),
    /// The member is protected by a password.
    Encrypted,
    /// The archive is one volume of several, and the rest is elsewhere.
    Spanned,
    /// The member is packed with a method that this crate does not unpack.
    Method {
        /// The method's number in the format.
        number: u16,
        /// Its name, or `unknown`.
        name: &'static str,
    },
    /// A Zstandard frame asks for more memory than it may have.
    Window {
        /// What the frame asks for, in bytes.
        size: u64,
        /// What it may have, in bytes.
        limit: u64,
    },
    /// A Zstandard frame needs a dictionary that is not part of it.
    Dictionary {
        /// The dictionary's number.
        id: u32,
    },
    /// The output passes the limit that the caller set.
    Limit {
        /// The limit in bytes.
        limit: u64,
    },
    /// What came out has another size than the archive says.
    Size {
        /// Bytes the archive says.
        expected: u64,
        /// Bytes that came out before it was noticed.
        actual: u64,
    },
    /// What came out has another checksum than the archive says.
    Checksum {
        /// The checksum in the archive.
        expected: u32,
        /// The checksum of what came out.
        actual: u32,
    },
    /// There is no member of that number, or it is a folder.
    NoMember {
        /// The number asked for.
        index: usize,
    },
}

/// A failure to list or to unpack, at an absolute offset in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveError {
    /// Where in the archive, in bytes from its start.
    pub offset: u64,
    /// What is wrong.
    pub kind: ArchiveErrorKind,
}

impl ArchiveError {
    pub(crate) const fn new(offset: u64, kind: ArchiveErrorKind) -> Self {
        Self { offset, kind }
    }

    pub(crate) const fn damaged(offset: u64, what: &'static str) -> Self {
        Self { offset, kind: ArchiveErrorKind::Damaged { what } }
    }

    pub(crate) const fn truncated(offset: u64, what: &'static str) -> Self {
        Self { offset, kind: ArchiveErrorKind::Truncated { what } }
    }
}

impl From<ReadError> for ArchiveError {
    fn from(error: ReadError) -> Self {
        Self { offset: error.offset, kind: ArchiveErrorKind::Read(error) }
    }
}

impl From<SourceError> for ArchiveError {
    fn from(error: SourceError) -> Self {
        Self { offset: error.offset, kind: ArchiveErrorKind::Source(error) }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ArchiveErrorKind as Kind;
        let offset = self.offset;
        match self.kind {
            Kind::NotAnArchive => f.write_str("this is no zip, gzip, Zstandard or cabinet archive"),
            Kind::NoDirectory => f.write_str(
                "the zip archive has no directory at its end; it is probably cut off, fetch or copy it again",
            ),
            Kind::Truncated { what } => {
                write!(f, "the archive ends inside the {what} at offset {offset:#x}; fetch or copy it again")
            }
            Kind::Damaged { what } => {
                write!(f, "the {what} at offset {offset:#x} is damaged; fetch or copy the archive again")
            }
            Kind::Read(error) => write!(f, "{error}; fetch or copy the archive again"),
            Kind::Source(error) => error.fmt(f),
            Kind::Encrypted => write!(
                f,
                "the member at offset {offset:#x} is encrypted; unpack it with its password and open the dump itself"
            ),
            Kind::Spanned => {
                f.write_str("the archive is split over several files; join or unpack them and open the dump itself")
            }
            Kind::Method { number, name } => write!(
                f,
                "the member at offset {offset:#x} is packed with method {number} ({name}), which cannot be unpacked \
                 here; unpack it with another tool and open the dump itself"
            ),
            Kind::Window { size, limit } => write!(
                f,
                "the Zstandard frame at offset {offset:#x} needs a window of {size} bytes, more than the {limit} \
                 allowed; unpack it with another tool and open the dump itself"
            ),
            Kind::Dictionary { id } => write!(
                f,
                "the Zstandard frame at offset {offset:#x} needs dictionary {id:#x}, which is not in the archive; \
                 unpack it with the tool that packed it"
            ),
            Kind::Limit { limit } => {
                write!(f, "unpacking stopped: the content passes the limit of {limit} bytes; raise it if there is room")
            }
            Kind::Size { expected, actual } => write!(
                f,
                "the archive promises {expected} bytes and yields {actual} (noticed at offset {offset:#x}); the \
                 content is damaged, fetch or copy the archive again"
            ),
            Kind::Checksum { expected, actual } => write!(
                f,
                "the checksum is {actual:#010x} where the archive says {expected:#010x} (offset {offset:#x}); the \
                 content is damaged, fetch or copy the archive again"
            ),
            Kind::NoMember { index } => write!(f, "the archive has no file number {index}; list its members first"),
        }
    }
}

impl core::error::Error for ArchiveError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            ArchiveErrorKind::Read(error) => Some(error),
            ArchiveErrorKind::Source(error) => Some(error),
            _ => None,
        }
    }
}
