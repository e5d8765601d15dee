use core::fmt;

use crate::{Pa, PhysFault, SourceError, Va};

/// Why an address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The dump does not hold this address.
    NotInDump {
        /// The first absent address.
        va: Va,
        /// What was searched, so that the message can say what kind of dump this is.
        searched: Searched,
    },
    /// The processor could never have accessed this address.
    NonCanonical {
        /// The address.
        va: Va,
    },
    /// The dump claims to hold the address but the file is damaged or shorter there.
    Source {
        /// The first unreadable address.
        va: Va,
        /// What the byte source said.
        error: SourceError,
    },
    /// The page tables do not lead to a page that can be read.
    Page(PageFault),
}

/// Where a page table walk ended, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address that was looked for.
    pub va: Va,
    /// How many bytes from `va` on share this fault: up to the end of what the entry maps.
    pub span: u64,
    /// What debuggers call the entry that ended the walk: `PXE`, `PPE`, `PDE`, `PTE`, `prototype PTE`.
    pub level: &'static str,
    /// Where that entry stands; `None` for a prototype PTE whose page is not known.
    pub entry_at: Option<Pa>,
    /// The entry, 0 if it could not be read.
    pub entry: u64,
    /// Why the walk ended there.
    pub reason: PageReason,
}

/// Why an entry does not lead to a page that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageReason {
    /// The entry is zero: nothing was ever mapped there, or it was never touched.
    NotMapped,
    /// The page was promised but never touched; it would have been zero.
    DemandZero,
    /// The page was in a paging file.
    PagedOut {
        /// Number of the paging file.
        file: u8,
        /// Page number in that file.
        offset: u64,
    },
    /// The page was in the compressed store of the memory manager.
    Compressed {
        /// Number of the virtual paging file.
        file: u8,
        /// Page number in that file.
        offset: u64,
    },
    /// The page belongs to a mapped file and was not in memory.
    MappedFile {
        /// Address of the subsection that names the file.
        subsection: Va,
    },
    /// A prototype PTE decides, and it cannot be read.
    PrototypeUnreadable {
        /// Its address.
        at: Va,
    },
    /// A prototype PTE decides that only the process's address descriptors (VADs) name, and they do not.
    PrototypeUnknown,
    /// The page was in memory on its way in or out, and the dump does not hold it.
    TransitionNotInDump {
        /// The physical page.
        pa: Pa,
    },
    /// The page was in memory, and the dump does not hold it.
    PageNotInDump {
        /// The physical page.
        pa: Pa,
    },
    /// The table that holds this entry is not in the dump.
    TableNotInDump {
        /// The physical page of the table.
        pa: Pa,
    },
    /// The entry sets bits that processors require to be clear.
    Malformed,
    /// The file is damaged or shorter where the page or table stands.
    Source(SourceError),
}

/// What a memory looked through before it reported an address as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// The memory ranges of a user minidump.
    MinidumpRanges,
    /// The stack, data blocks and objects of a small kernel dump.
    TriageBlocks,
    /// The physical pages of a dump or image.
    PhysicalPages,
    /// Nothing: this kind of dump, or what is left of it, holds no readable memory.
    Nothing,
}

impl Fault {
    /// The first address that could not be read.
    #[must_use]
    pub const fn address(&self) -> Va {
        match self {
            Self::NotInDump { va, .. }
            | Self::NonCanonical { va }
            | Self::Source { va, .. }
            | Self::Page(PageFault { va, .. }) => *va,
        }
    }

    /// How many bytes from [`Fault::address`] on are known to fail alike; `None` if only the address itself is known.
    #[must_use]
    pub const fn span(&self) -> Option<u64> {
        match self {
            Self::Page(fault) => Some(fault.span),
            _ => None,
        }
    }

    /// A physical fault met while reading virtual address `va`, where addresses are physical ones.
    #[must_use]
    pub const fn from_physical(fault: PhysFault) -> Self {
        match fault {
            PhysFault::NotInDump { pa } => Self::NotInDump { va: Va(pa.0), searched: Searched::PhysicalPages },
            PhysFault::Source { pa, error } => Self::Source { va: Va(pa.0), error },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInDump { va, searched: Searched::MinidumpRanges } => {
                write!(f, "{va} is not in the dump: the program that wrote this minidump did not include it")
            }
            Self::NotInDump { va, searched: Searched::TriageBlocks } => {
                write!(
                    f,
                    "{va} is not in the dump: a small memory dump holds only the crashing stack and selected blocks"
                )
            }
            Self::NotInDump { va, searched: Searched::PhysicalPages } => {
                write!(f, "the physical page at {va} is not in the dump")
            }
            Self::NotInDump { va, searched: Searched::Nothing } => {
                write!(f, "{va} is not readable: no memory could be read from this dump")
            }
            Self::NonCanonical { va } => write!(f, "{va} is not a canonical address; no memory can be there"),
            Self::Source { va, error } => write!(f, "{va} should be in the dump, but {error}"),
            Self::Page(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for Fault {}

impl fmt::Display for PageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { va, level, entry, reason, .. } = self;
        match reason {
            PageReason::TableNotInDump { pa } => {
                return write!(f, "{va}: the page table at physical {pa} that holds its {level} is not in the dump");
            }
            PageReason::Source(error) => return write!(f, "{va}: its {level} or page cannot be read: {error}"),
            PageReason::PrototypeUnreadable { at } => {
                return write!(f, "{va} is shared memory whose prototype PTE at {at} is not in the dump");
            }
            _ => {}
        }
        write!(f, "{va} ")?;
        match reason {
            PageReason::NotMapped => write!(f, "is not mapped: its {level} is empty"),
            PageReason::DemandZero => {
                write!(f, "was never touched: its {level} {entry:#x} promises a page of zeros that did not exist yet")
            }
            PageReason::PagedOut { file, offset } => write!(
                f,
                "was paged out: its {level} {entry:#x} names page {offset:#x} of paging file {file}, which no dump holds"
            ),
            PageReason::Compressed { file, offset } => write!(
                f,
                "was compressed: its {level} {entry:#x} names page {offset:#x} of the compressed store (paging file {file})"
            ),
            PageReason::MappedFile { subsection } => write!(
                f,
                "belongs to a mapped file and was not in memory (subsection {subsection}); the file itself has these bytes"
            ),
            PageReason::PrototypeUnknown => {
                write!(f, "is shared memory of which the page tables say nothing: its {level} is {entry:#x}")
            }
            PageReason::TransitionNotInDump { pa } => {
                write!(f, "was in transition at physical {pa} ({level} {entry:#x}), a page the dump does not hold")
            }
            PageReason::PageNotInDump { pa } => {
                write!(f, "was in memory at physical {pa}, a page the dump does not hold")
            }
            PageReason::Malformed => {
                write!(f, "cannot be translated: its {level} {entry:#x} sets bits that must be clear")
            }
            PageReason::TableNotInDump { .. } | PageReason::Source(_) | PageReason::PrototypeUnreadable { .. } => {
                Ok(())
            }
        }
    }
}
