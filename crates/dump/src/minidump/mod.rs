//! User minidumps (`MDMP`): a header, a directory, and streams found by file offset.
//!
//! Layouts: Microsoft's public `minidumpapiset.h`; Breakpad's and Crashpad's published definitions for their streams.

mod crashpad;
mod exception;
mod extra;
mod handles;
mod memory;
mod misc;
mod modules;
mod names;
mod system;
mod threads;

use alloc::{string::String, vec::Vec};
use core::fmt;

use dumplens_base::{Bytes, Machine, Note, ReadError, Source, read_record, utf16le};

pub use crashpad::{Annotation, BreakpadAssertion, BreakpadInfo, CrashpadInfo};
pub use exception::Exception;
pub use extra::{FunctionTable, MemoryInfo, SystemMemoryInfo, Token, VmCounters};
pub use handles::Handle;
pub use misc::MiscInfo;
pub use names::{StreamType, stream_name};
pub use system::{Os, SystemInfo};
pub use threads::{Thread, ThreadInfo};

use crate::{Context, limits};

/// An opened minidump: header, directory and system information are parsed, the rest on request.
pub struct Minidump {
    source: Source,
    header: Header,
    streams: Vec<Stream>,
    system: Option<SystemInfo>,
    opening_notes: Vec<Note>,
}

impl fmt::Debug for Minidump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minidump").field("header", &self.header).field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// `MINIDUMP_HEADER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Low half 0xa793; high half is the writer's own.
    pub version: u32,
    /// Entries in the directory, as claimed.
    pub stream_count: u32,
    /// When it was written: seconds since 1970.
    pub timestamp: u32,
    /// `MINIDUMP_TYPE` bits.
    pub flags: u64,
}

/// One directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Stream type number.
    pub kind: u32,
    /// File offset.
    pub offset: u64,
    /// Length in bytes, as claimed.
    pub size: u32,
}

/// A place in the file: `MINIDUMP_LOCATION_DESCRIPTOR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Location {
    /// File offset.
    pub offset: u64,
    /// Length in bytes.
    pub size: u32,
}

impl Location {
    pub(crate) fn parse(bytes: &mut Bytes<'_>, what: &'static str) -> Result<Self, ReadError> {
        let size = bytes.u32(what)?;
        Ok(Self { offset: u64::from(bytes.u32(what)?), size })
    }
}

/// A list whose header gives the sizes of itself and of its entries, so that newer writers may make both longer.
pub(crate) struct SizedList {
    pub(crate) header: u32,
    pub(crate) entry: u32,
    pub(crate) count: u64,
}

const HEADER_SIZE: u64 = 0x20;
const DIRECTORY_ENTRY_SIZE: u64 = 0xc;

impl Minidump {
    /// Reads header and directory.
    ///
    /// # Errors
    /// If either is cut off, or the header is not that of a minidump.
    pub fn open(source: Source) -> Result<Self, ReadError> {
        let raw = read_record(&source, 0, HEADER_SIZE, HEADER_SIZE, "minidump header")?;
        let mut bytes = Bytes::new(&raw, 0);
        let signature = bytes.u32("minidump signature")?;
        if signature != u32::from_le_bytes(*b"MDMP") {
            return Err(ReadError::invalid("minidump signature", 0, u64::from(signature)));
        }
        let version = bytes.u32("minidump version")?;
        let stream_count = bytes.u32("stream count")?;
        let directory = u64::from(bytes.u32("stream directory offset")?);
        bytes.skip(4, "minidump checksum")?;
        let timestamp = bytes.u32("minidump time")?;
        let flags = bytes.u64("minidump flags")?;
        let header = Header { version, stream_count, timestamp, flags };

        let mut opening_notes = Vec::new();
        if version & 0xffff != 0xa793 {
            opening_notes.push(Note::damaged(alloc::format!(
                "the minidump version {version:#x} at offset 0x4 is not the one all minidumps have (0xa793)"
            )));
        }
        let claimed = u64::from(stream_count);
        let room = source.len().saturating_sub(directory) / DIRECTORY_ENTRY_SIZE;
        let count = claimed.min(room).min(limits::STREAMS);
        if count == 0 {
            return Err(ReadError::invalid("stream directory", directory, claimed));
        }
        if count < claimed {
            opening_notes.push(Note::damaged(alloc::format!(
                "the stream count at offset 0x8 is {claimed}, but only {count} directory entries can be read"
            )));
        }
        let raw = read_record(&source, directory, count * DIRECTORY_ENTRY_SIZE, u64::MAX, "stream directory")?;
        let mut bytes = Bytes::new(&raw, directory);
        let mut streams = Vec::new();
        for _ in 0..count {
            let kind = bytes.u32("stream type")?;
            let Location { offset, size } = Location::parse(&mut bytes, "stream location")?;
            // Type 0 marks an entry that the writer reserved and did not use.
            if kind != 0 {
                streams.push(Stream { kind, offset, size });
            }
        }
        let mut dump = Self { source, header, streams, system: None, opening_notes };
        let mut notes = Vec::new();
        dump.system = dump.read_system_info(&mut notes);
        dump.opening_notes.append(&mut notes);
        Ok(dump)
    }

    /// What opening had to say.
    #[must_use]
    pub fn opening_notes(&self) -> &[Note] {
        &self.opening_notes
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The directory, without unused entries.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Where the dump was taken; `None` if the stream is absent or damaged.
    #[must_use]
    pub const fn system_info(&self) -> Option<&SystemInfo> {
        self.system.as_ref()
    }

    /// Architecture of the contexts.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.system.as_ref().map_or(Machine::Other(0xffff), |system| system.machine)
    }

    /// Operating system.
    #[must_use]
    pub fn os(&self) -> Os {
        self.system.as_ref().map_or(Os::Unknown(u32::MAX), |system| system.os)
    }

    /// The first stream of a type; writers do not repeat streams.
    #[must_use]
    pub fn stream(&self, kind: StreamType) -> Option<Stream> {
        self.streams.iter().find(|stream| stream.kind == kind as u32).copied()
    }

    /// The bytes of a stream, at most `limit` of them; a cut-off stream gives what is left, with a note.
    pub fn stream_bytes(&self, stream: Stream, limit: u64, notes: &mut Vec<Note>) -> Option<Vec<u8>> {
        let name = stream_name(stream.kind);
        let available = self.source.len().saturating_sub(stream.offset);
        let size = u64::from(stream.size).min(available);
        if size < u64::from(stream.size) {
            notes.push(Note::damaged(alloc::format!(
                "the {name} stream at offset {:#x} is {} bytes long, but the file has only {available} there",
                stream.offset,
                stream.size
            )));
        }
        if size > limit {
            notes.push(Note::missing(alloc::format!(
                "the {name} stream at offset {:#x} is {size} bytes long; only the first {limit} are used",
                stream.offset
            )));
        }
        match read_record(&self.source, stream.offset, size.min(limit), limit, "stream") {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                notes.push(Note::damaged(alloc::format!("the {name} stream cannot be read: {error}")));
                None
            }
        }
    }

    /// Runs `parse` over a stream, if the dump has it; an error becomes a note.
    pub(crate) fn with_stream<T>(
        &self,
        kind: StreamType,
        notes: &mut Vec<Note>,
        parse: impl FnOnce(&mut Bytes<'_>, &mut Vec<Note>) -> Result<T, ReadError>,
    ) -> Option<T> {
        let stream = self.stream(kind)?;
        let raw = self.stream_bytes(stream, limits::STREAM_BYTES, notes)?;
        match parse(&mut Bytes::new(&raw, stream.offset), notes) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                notes
                    .push(Note::damaged(alloc::format!("the {} stream is damaged: {error}", stream_name(stream.kind))));
                None
            }
        }
    }

    /// How many of the `claimed` entries of `entry_size` bytes the stream can hold; a note says so if it is fewer.
    ///
    /// Some writers align the entries to 8, so that 4 bytes of padding follow the count: `bytes` skips them then.
    pub(crate) fn entries(
        bytes: &mut Bytes<'_>,
        claimed: u64,
        limit: u64,
        entry_size: u64,
        what: &'static str,
        notes: &mut Vec<Note>,
    ) -> Result<usize, ReadError> {
        let offset = bytes.offset();
        let room = (bytes.remaining() as u64).checked_div(entry_size).unwrap_or(0);
        let count = claimed.min(room).min(limit);
        if count < claimed {
            notes.push(Note::damaged(alloc::format!(
                "the {what} at offset {offset:#x} claims {claimed} entries, but only {count} can be read"
            )));
        } else if (bytes.remaining() as u64).checked_sub(claimed.saturating_mul(entry_size)) == Some(4) {
            bytes.skip(4, what)?;
        }
        usize::try_from(count).map_err(|_| ReadError::invalid(what, offset, count))
    }

    /// Reads the header of a list that states its own entry size, and skips to the first entry.
    pub(crate) fn sized_list(
        bytes: &mut Bytes<'_>,
        minimum_entry: u32,
        wide_count: bool,
        what: &'static str,
    ) -> Result<SizedList, ReadError> {
        let offset = bytes.offset();
        let header = bytes.u32(what)?;
        let entry = bytes.u32(what)?;
        let (count, known) = if wide_count { (bytes.u64(what)?, 16) } else { (u64::from(bytes.u32(what)?), 12) };
        if entry < minimum_entry || entry > limits::ENTRY_BYTES {
            return Err(ReadError::invalid(what, offset, u64::from(entry)));
        }
        let Some(extra) = header.checked_sub(known) else {
            return Err(ReadError::invalid(what, offset, u64::from(header)));
        };
        bytes.skip(extra as usize, what)?;
        Ok(SizedList { header, entry, count })
    }

    /// A `MINIDUMP_STRING`: byte length, then UTF-16. Offset 0 means that there is none.
    pub(crate) fn string(&self, offset: u64, notes: &mut Vec<Note>) -> Option<String> {
        if offset == 0 {
            return None;
        }
        let read = || {
            let length = self.u32_at(offset, "string length")?;
            read_record(&self.source, offset.saturating_add(4), u64::from(length), limits::STRING_BYTES, "string")
        };
        match read() {
            Ok(raw) => Some(utf16le(&raw)),
            Err(error) => {
                notes.push(Note::damaged(alloc::format!("a name cannot be read: {error}")));
                None
            }
        }
    }

    /// A byte string of Breakpad's and Crashpad's streams: byte length, then the bytes.
    pub(crate) fn counted_bytes(&self, offset: u64) -> Result<Vec<u8>, ReadError> {
        let length = self.u32_at(offset, "string length")?;
        let at = offset.saturating_add(4);
        read_record(&self.source, at, u64::from(length), limits::STRING_BYTES, "string")
    }

    /// [`Self::counted_bytes`] as UTF-8; what is not becomes U+FFFD.
    pub(crate) fn utf8_string(&self, offset: u64) -> Result<String, ReadError> {
        Ok(String::from_utf8_lossy(&self.counted_bytes(offset)?).into_owned())
    }

    fn u32_at(&self, offset: u64, what: &'static str) -> Result<u32, ReadError> {
        let raw = read_record(&self.source, offset, 4, 4, what)?;
        Bytes::new(&raw, offset).u32(what)
    }

    /// The bytes at a location.
    pub(crate) fn located(&self, location: Location, limit: u64, what: &'static str) -> Result<Vec<u8>, ReadError> {
        read_record(&self.source, location.offset, u64::from(location.size), limit, what)
    }

    /// The register context at a location; `None` if there is none.
    pub fn context_at(&self, location: Location, notes: &mut Vec<Note>) -> Option<Context> {
        if location.size == 0 {
            return None;
        }
        let parse = || {
            let raw = self.located(location, limits::CONTEXT_BYTES, "context record")?;
            match self.system {
                Some(SystemInfo { breakpad_arm64: true, .. }) => Context::parse_breakpad_arm64(&raw, location.offset),
                _ => Context::parse(self.machine(), &raw, location.offset),
            }
        };
        parse().map_err(|error| notes.push(Note::damaged(alloc::format!("a context cannot be read: {error}")))).ok()
    }
}
