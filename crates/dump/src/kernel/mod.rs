//! Kernel dumps: the header of every type, and small (triage) dumps whole.
//!
//! Layouts: Microsoft's public SDK header `mindumpdef.h`, and real dumps of builds 9600 to 26100.

mod blobs;
mod header;
mod smbios;
mod triage;

use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Bytes, Machine, Note, ReadError, Source, read_record};

pub use blobs::SecondaryBlob;
pub use header::{Attributes, KernelHeader, PhysicalRun};
pub use smbios::{MemoryDevice, Smbios};
pub use triage::{FileRange, Triage, TriageHeader};

use crate::{Context, ExceptionRecord, PageStore, store};

/// An opened kernel dump: its header is parsed, the rest on request.
pub struct KernelDump {
    source: Source,
    header: KernelHeader,
    kind: DumpKind,
}

impl fmt::Debug for KernelDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelDump").field("header", &self.header).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// How a kernel dump stores memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// The header alone.
    Header,
    /// A small dump: one stack and selected blocks (type 4).
    Triage,
    /// Complete, as runs of physical pages (type 1).
    Full,
    /// Kernel memory, in the form used up to Windows 7 (type 2).
    Summary,
    /// All or active memory, with a page bitmap (`FDMP`).
    BitmapFull,
    /// Kernel memory, with a page bitmap (`SDMP`).
    BitmapKernel,
    /// Ranges of pages, as newer debuggers write them (`RDMP`).
    Range,
    /// A type number without meaning.
    Unknown(u32),
}

impl DumpKind {
    /// What such a dump holds, in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Header => "Kernel dump that holds nothing but its header",
            Self::Triage => "Small kernel dump: the crashing thread's stack and selected blocks of memory",
            Self::Full => "Complete kernel dump: all physical memory, as runs of pages",
            Self::Summary => "Kernel dump: kernel memory, in the form used up to Windows 7",
            Self::BitmapFull => "Complete or active kernel dump: all or active memory, with a page bitmap",
            Self::BitmapKernel => "Kernel dump: kernel memory, with a page bitmap",
            Self::Range => "Kernel dump written by a debugger: ranges of pages",
            Self::Unknown(_) => "Kernel dump of an unknown type",
        }
    }
}

impl KernelDump {
    /// Reads the header.
    ///
    /// # Errors
    /// If the file is shorter than the header, or does not start like a kernel dump.
    pub fn open(source: Source) -> Result<Self, ReadError> {
        let header = KernelHeader::read(&source)?;
        let kind = Self::tell_kind(&source, &header);
        Ok(Self { source, header, kind })
    }

    /// The signature after the header decides, then the type: writers have used type numbers loosely.
    fn tell_kind(source: &Source, header: &KernelHeader) -> DumpKind {
        let inner = read_record(source, header.size(), 8, 8, "page store signature").unwrap_or_default();
        if inner.starts_with(b"SDMPDUMP") {
            return if header.dump_type == Some(2) { DumpKind::Summary } else { DumpKind::BitmapKernel };
        }
        if inner.starts_with(b"FDMPDUMP") {
            return DumpKind::BitmapFull;
        }
        // The range store starts with the marker 0x40 before its name.
        if inner.get(4..8) == Some(b"RDMP") {
            return DumpKind::Range;
        }
        match header.dump_type {
            Some(0 | 1) => DumpKind::Full,
            Some(2) => DumpKind::Summary,
            Some(3) => DumpKind::Header,
            Some(4) => DumpKind::Triage,
            Some(5) => DumpKind::BitmapFull,
            Some(6 | 7) => DumpKind::BitmapKernel,
            Some(8..=10) => DumpKind::Range,
            // Writers before Windows 2000 did not set the type; their dumps are complete.
            None if !header.physical_runs.is_empty() => DumpKind::Full,
            other => DumpKind::Unknown(other.unwrap_or(u32::MAX)),
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &KernelHeader {
        &self.header
    }

    /// How the dump stores memory.
    #[must_use]
    pub const fn kind(&self) -> DumpKind {
        self.kind
    }

    /// Architecture.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.header.machine
    }

    /// The processor context of the header; `None` where the writer left it empty.
    pub fn context(&self, notes: &mut Vec<Note>) -> Option<Context> {
        let (offset, size) = if self.header.is_64_bit { (0x348, 3000) } else { (0x320, 1200) };
        let parse = || {
            let raw = read_record(&self.source, offset, size, size, "context record")?;
            Context::parse(self.machine(), &raw, offset)
        };
        parse()
            .map_err(|error| notes.push(Note::missing(alloc::format!("the header has no usable context: {error}"))))
            .ok()
    }

    /// The exception record of the header. In crash dumps it usually is the break inside the bug-check routine, not the
    /// fault itself. `None` where the writer left it empty.
    pub fn exception(&self, notes: &mut Vec<Note>) -> Option<ExceptionRecord> {
        let wide = self.header.is_64_bit;
        let (offset, size) = if wide { (0xf00, ExceptionRecord::SIZE_64) } else { (0x7d0, ExceptionRecord::SIZE_32) };
        let parse = || {
            let raw = read_record(&self.source, offset, size as u64, size as u64, "exception record")?;
            let mut bytes = Bytes::new(&raw, offset);
            if wide { ExceptionRecord::parse_64(&mut bytes) } else { ExceptionRecord::parse_32(&mut bytes) }
        };
        match parse() {
            Ok(record) if record.code == header::FILLER || record.code == 0 => None,
            Ok(record) => Some(record),
            // Filler makes the parameter count absurd: that is an unset record, not a damaged one.
            Err(ReadError { kind: dumplens_base::ReadErrorKind::TooMany { .. }, .. }) => None,
            Err(error) => {
                notes.push(Note::damaged(alloc::format!("the header's exception record cannot be read: {error}")));
                None
            }
        }
    }

    /// The parts of a small dump; `None` for dumps of other types, or with a note if it is damaged.
    pub fn triage(&self, notes: &mut Vec<Note>) -> Option<Triage> {
        if self.kind != DumpKind::Triage {
            return None;
        }
        Triage::read(self.source.clone(), &self.header, notes)
    }

    /// The physical memory of a dump that holds pages; `None` for small dumps and headers, or with a note if it cannot
    /// be read.
    pub fn physical(&self, notes: &mut Vec<Note>) -> Option<PageStore> {
        if self.header.attributes.is_some_and(Attributes::is_encrypted) {
            return None;
        }
        let (source, at) = (self.source.clone(), self.header.size());
        let result = match self.kind {
            DumpKind::Full => return store::full_store(source, &self.header, notes),
            DumpKind::BitmapFull | DumpKind::BitmapKernel => store::bitmap_store(source, at, notes),
            DumpKind::Summary => match store::summary_store(source.clone(), at, self.header.is_64_bit, notes) {
                Ok(None) => store::bitmap_store(source, at, notes),
                Ok(Some(store)) => Ok(store),
                Err(error) => Err(error),
            },
            DumpKind::Range => store::range_store(source, at, self.header.dump_type, notes),
            DumpKind::Header | DumpKind::Triage | DumpKind::Unknown(_) => return None,
        };
        result
            .map_err(|error| notes.push(Note::damaged(alloc::format!("the dump's pages cannot be found: {error}"))))
            .ok()
    }
}
