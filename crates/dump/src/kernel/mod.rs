//! Kernel dumps: the header of every kind, and all parts of the small memory dump (triage dump).
//!
//! Layouts: Microsoft's public `mindumpdef.h` and `triage.h`-derived definitions as published by other dump readers,
//! checked against small dumps of builds 9600, 19041 and 26100.

mod drivers;
mod header;
mod kind;
mod physical;
mod secondary;
mod smbios;
mod triage;
mod triage_memory;

use alloc::{format, vec::Vec};
use core::fmt;

use dumplens_base::{Bytes, Note, ReadError, Source, read_record};

use crate::{Context, ExceptionRecord, limits};

pub use header::{Attributes, KernelHeader};
pub use kind::DumpKind;
pub use physical::{PhysicalMemory, PhysicalRun};
pub use secondary::SecondaryBlob;
pub use smbios::{MemoryDevice, Processor, Smbios};
pub use triage::{CallStack, DataBlock, FileRange, MmStorage, Triage, TriageHeader};
pub use triage_memory::TriageMemory;

/// An opened kernel dump.
pub struct KernelDump {
    source: Source,
    header: KernelHeader,
    /// The header's bytes, from which its records are read on request.
    bytes: Vec<u8>,
    kind: DumpKind,
}

impl fmt::Debug for KernelDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelDump").field("header", &self.header).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl KernelDump {
    /// Reads the header.
    ///
    /// # Errors
    /// If the file does not start with `PAGEDUMP` or `PAGEDU64`, or ends within the header.
    pub fn open(source: Source) -> Result<Self, ReadError> {
        let magic = read_record(&*source, 0, 8, 8, "dump signature")?;
        let size = match magic.as_slice() {
            b"PAGEDU64" => KernelHeader::SIZE_64,
            b"PAGEDUMP" => KernelHeader::SIZE_32,
            _ => return Err(ReadError::invalid("dump signature", 0, Bytes::new(&magic, 0).u64("dump signature")?)),
        };
        let bytes = read_record(&*source, 0, size as u64, size as u64, "dump header")?;
        let header = if size == KernelHeader::SIZE_64 {
            KernelHeader::parse_64(&bytes)
        } else {
            KernelHeader::parse_32(&bytes)
        }?;
        // A dump may end with its header.
        let inner = read_record(&*source, size as u64, 8, 8, "memory signature").unwrap_or_default();
        let kind = DumpKind::decide(&header, &inner);
        Ok(Self { source, header, bytes, kind })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &KernelHeader {
        &self.header
    }

    /// What kind of kernel dump this is.
    #[must_use]
    pub const fn kind(&self) -> DumpKind {
        self.kind
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Reads a part of the file that another method named, at most [`limits::OBJECT_BYTES`] of it.
    ///
    /// # Errors
    /// If the file ends first or cannot be read.
    pub fn read(&self, range: FileRange, what: &'static str) -> Result<Vec<u8>, ReadError> {
        read_record(&*self.source, range.offset, range.size, limits::OBJECT_BYTES, what)
    }

    /// Says what this file as a whole does not give: encrypted data, memory in a form that is not read, a cut-off end.
    pub fn check(&self, notes: &mut Vec<Note>) {
        if self.header.attributes.is_some_and(Attributes::is_encrypted) {
            notes.push(Note::missing(
                "the dump is encrypted: everything behind its header is ciphertext; decrypt it with the key of the \
                 machine's administrator first",
            ));
            return;
        }
        match self.kind {
            DumpKind::Triage => {}
            DumpKind::HeaderOnly => notes.push(Note::info("the dump holds only its header, no memory")),
            DumpKind::Unknown(number) => {
                notes.push(Note::missing(format!("dump type {number:#x} is not known; only the header is read")));
            }
            kind => notes.push(Note::missing(format!(
                "this is a {}: its header is read, its memory is not read yet",
                kind.description()
            ))),
        }
        if let Some(signature) = self.kind.signature() {
            let at = self.header.size() as u64 + if signature == "RDMP" { 4 } else { 0 };
            let found = read_record(&*self.source, at, 4, 4, "memory signature").unwrap_or_default();
            if found != signature.as_bytes() {
                notes.push(Note::damaged(format!(
                    "{signature} is not at offset {at:#x}, where this kind of dump has it"
                )));
            }
        }
        // Small dumps are shorter than the space that was reserved for them.
        if self.kind != DumpKind::Triage
            && let Some(needed) = self.header.required_dump_space
            && needed > self.file_len()
        {
            let len = self.file_len();
            notes.push(Note::damaged(format!("the file ends after {len} of {needed} bytes: it was cut off")));
        }
    }

    /// The registers of the processor that crashed.
    #[must_use]
    pub fn context(&self, notes: &mut Vec<Note>) -> Option<Context> {
        let (offset, len) = if self.header.bits == 32 { (0x320, 1200) } else { (0x348, 3000) };
        let record = Bytes::new(&self.bytes, 0);
        let area = slice(record, offset, len)?;
        if is_unset(area.rest()) {
            return None;
        }
        match Context::parse(self.header.machine, area.rest(), area.offset()) {
            Ok(context) => Some(context),
            Err(error) => {
                notes.push(Note::damaged(format!("the header's register context is left out: {error}")));
                None
            }
        }
    }

    /// The exception record of the header. After a bug check it is usually the breakpoint inside the bug check
    /// routine; the exception that led there is where the bug check's parameters point.
    #[must_use]
    pub fn exception(&self, notes: &mut Vec<Note>) -> Option<ExceptionRecord> {
        let (offset, len) =
            if self.header.bits == 32 { (0x7d0, ExceptionRecord::SIZE_32) } else { (0xf00, ExceptionRecord::SIZE_64) };
        let mut area = slice(Bytes::new(&self.bytes, 0), offset, len)?;
        if is_unset(area.rest()) {
            return None;
        }
        let parsed = if self.header.bits == 32 {
            ExceptionRecord::parse_32(&mut area)
        } else {
            ExceptionRecord::parse_64(&mut area)
        };
        match parsed {
            Ok(record) => Some(record),
            Err(error) => {
                notes.push(Note::damaged(format!("the header's exception record is left out: {error}")));
                None
            }
        }
    }

    /// The physical memory that the header describes; most small dumps leave it out.
    #[must_use]
    pub fn physical_memory(&self, notes: &mut Vec<Note>) -> Option<PhysicalMemory> {
        let offset = if self.header.bits == 32 { 0x64 } else { 0x88 };
        let area = slice(Bytes::new(&self.bytes, 0), offset, 700)?;
        PhysicalMemory::parse(self.header.bits, area.rest(), area.offset(), notes)
    }

    /// The parts of a small memory dump; `None` for other kinds, for encrypted dumps and, with a note, if the file ends
    /// before them.
    #[must_use]
    pub fn triage(&self, notes: &mut Vec<Note>) -> Option<Triage> {
        if self.kind != DumpKind::Triage || self.header.attributes.is_some_and(Attributes::is_encrypted) {
            return None;
        }
        match Triage::open(self, notes) {
            Ok(triage) => Some(triage),
            Err(error) => {
                notes.push(Note::damaged(format!("the small dump's own header is left out: {error}")));
                None
            }
        }
    }
}

fn slice(mut bytes: Bytes<'_>, offset: usize, len: usize) -> Option<Bytes<'_>> {
    bytes.seek(offset, "dump header").ok()?;
    bytes.split(len, "dump header").ok()
}

/// Whether a record was never written: zeros or filler only.
fn is_unset(bytes: &[u8]) -> bool {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().all(|word| *word == [0; 4] || word == b"PAGE")
}
