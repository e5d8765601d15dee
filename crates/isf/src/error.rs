use core::fmt;

use dumplens_base::SourceError;

use crate::Packing;

/// What is wrong with a symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsfErrorKind {
    /// The content is no ISF: not JSON, or JSON of another kind.
    NotAnIsf,
    /// The file's bytes could not be fetched.
    Source(SourceError),
    /// The file ends before its packed content does.
    PackedTruncated {
        /// How the table is packed.
        packing: Packing,
    },
    /// The packed content or its checksum does not hold.
    PackedDamaged {
        /// How the table is packed.
        packing: Packing,
    },
    /// The xz file uses a filter or a checksum that is not unpacked here.
    Unsupported,
    /// The xz file asks for a larger dictionary than it may have.
    Dictionary {
        /// What it asks for, in bytes.
        size: u64,
        /// What it may have, in bytes.
        limit: u64,
    },
    /// The JSON is longer than it may be.
    Unpacked {
        /// The limit in bytes.
        limit: u64,
    },
    /// The JSON ends before its last bracket.
    Truncated,
    /// The JSON breaks the rules of JSON.
    Syntax,
    /// Objects and lists are nested deeper than is followed.
    TooDeep {
        /// The limit in levels.
        limit: u32,
    },
    /// A text is longer than any name.
    TooLong {
        /// The limit in bytes.
        limit: u32,
    },
    /// There is more of something than may be.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A value has the wrong type or range: a text for a number, a negative offset, an unknown kind.
    Invalid {
        /// What the value stands for.
        what: &'static str,
    },
    /// A name comes twice in one object.
    Duplicate {
        /// The object.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Something the table cannot do without is missing.
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// The table belongs to another operating system.
    Foreign {
        /// Its name.
        system: &'static str,
    },
    /// The table's format is newer than what this reader knows.
    Version {
        /// The format as the table names it.
        format: String,
    },
}

/// A failure to open a symbol table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsfError {
    /// Where it was noticed, in bytes of unpacked JSON from the start.
    pub offset: u64,
    /// What is wrong.
    pub kind: IsfErrorKind,
}

impl fmt::Display for IsfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IsfErrorKind as Kind;
        let offset = self.offset;
        match &self.kind {
            Kind::NotAnIsf => f.write_str(
                "this is no Volatility 3 symbol table (ISF JSON, also as .json.xz or .json.gz); choose another file",
            ),
            Kind::Source(error) => error.fmt(f),
            Kind::PackedTruncated { packing } => write!(
                f,
                "the symbol table's {packing} ends after {offset} unpacked bytes, before its content does; fetch or \
                 copy it again"
            ),
            Kind::PackedDamaged { packing } => write!(
                f,
                "the symbol table's {packing} is damaged, noticed after {offset} unpacked bytes; fetch or copy it again"
            ),
            Kind::Unsupported => f.write_str(
                "the symbol table's xz file uses a filter or a checksum that is not unpacked here; unpack it with xz \
                 and open the JSON itself",
            ),
            Kind::Dictionary { size, limit } => write!(
                f,
                "the symbol table's xz file needs a dictionary of {size} bytes, more than the {limit} allowed; unpack \
                 it with xz and open the JSON itself"
            ),
            Kind::Unpacked { limit } => {
                write!(f, "reading the symbol table stopped: its JSON passes the limit of {limit} bytes")
            }
            Kind::Truncated => write!(
                f,
                "the symbol table's JSON ends at byte {offset}, before its last bracket; fetch or make it again"
            ),
            Kind::Syntax => {
                write!(f, "the symbol table is not valid JSON at byte {offset}; fetch or make it again")
            }
            Kind::TooDeep { limit } => {
                write!(f, "the symbol table nests deeper than {limit} levels at byte {offset}; it is no real table")
            }
            Kind::TooLong { limit } => {
                write!(f, "a text of the symbol table passes {limit} bytes at byte {offset}; it is no real table")
            }
            Kind::TooMany { what, limit } => write!(
                f,
                "the symbol table has more than {limit} {what} (noticed at byte {offset}); it is no real table of one image"
            ),
            Kind::Invalid { what } => write!(
                f,
                "the symbol table's {what} before byte {offset} has a wrong type or a value out of range; fetch or \
                 make it again"
            ),
            Kind::Duplicate { what, name } => {
                write!(f, "the symbol table names {name:?} twice in its {what} (byte {offset}); fetch or make it again")
            }
            Kind::Missing { what } => {
                write!(f, "the symbol table has no {what} (noticed at byte {offset}); make it again with Volatility 3")
            }
            Kind::Foreign { system } => {
                write!(f, "the symbol table belongs to {system}; choose one made from the Windows kernel's PDB")
            }
            Kind::Version { format } => write!(
                f,
                "the symbol table has format {format:?}, newer than the 6.x that is read here; make it with an older \
                 Volatility 3 or look for a newer Dumplens"
            ),
        }
    }
}

impl core::error::Error for IsfError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.kind {
            IsfErrorKind::Source(error) => Some(error),
            _ => None,
        }
    }
}
