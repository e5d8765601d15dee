//! Loaded and unloaded drivers of a small memory dump.

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError, Va, read_record, utf16le};

use super::{FileRange, Triage};
use crate::{Module, UnloadedModule, limits};

/// Where the fields of a `DUMP_DRIVER_ENTRY` are: a name offset and a copy of the loader's entry.
struct DriverLayout {
    size: usize,
    base: usize,
    image_size: usize,
    checksum: usize,
    timestamp: usize,
}

const DRIVER_32: DriverLayout =
    DriverLayout { size: 0x4c, base: 0x1c, image_size: 0x24, checksum: 0x44, timestamp: 0x48 };
const DRIVER_64: DriverLayout =
    DriverLayout { size: 0x90, base: 0x38, image_size: 0x48, checksum: 0x80, timestamp: 0x88 };

/// Where the fields of a `DUMP_UNLOADED_DRIVERS` entry are; the list starts with a count of `head` bytes.
struct UnloadedLayout {
    head: u64,
    size: usize,
    name: usize,
    start: usize,
    end: usize,
}

const UNLOADED_32: UnloadedLayout = UnloadedLayout { head: 4, size: 0x28, name: 0x08, start: 0x20, end: 0x24 };
const UNLOADED_64: UnloadedLayout = UnloadedLayout { head: 8, size: 0x38, name: 0x10, start: 0x28, end: 0x30 };
/// `WCHAR[12]`.
const UNLOADED_NAME_BYTES: usize = 24;

impl Triage {
    /// The loaded drivers, the kernel first, in load order.
    #[must_use]
    pub fn drivers(&self, notes: &mut Vec<Note>) -> Vec<Module> {
        let layout = if self.dump_header.bits == 32 { DRIVER_32 } else { DRIVER_64 };
        let claimed = self.header.driver_count;
        let count = u64::from(claimed).min(limits::DRIVERS);
        if count != u64::from(claimed) {
            notes.push(Note::damaged(format!("the dump claims {claimed} drivers; only the first {count} are read")));
        }
        let size = count.saturating_mul(layout.size as u64);
        let Some(list) = self.sized_part(self.header.driver_list_offset, size, "driver list", notes) else {
            notes.push(Note::missing("the dump holds no list of drivers"));
            return Vec::new();
        };
        let bytes = match read_record(&*self.source, list.offset, list.size, size, "driver list") {
            Ok(bytes) => bytes,
            Err(error) => {
                notes.push(Note::damaged(format!("the driver list is left out: {error}")));
                return Vec::new();
            }
        };
        let mut nameless = None;
        let mut drivers = Vec::new();
        for (entry, offset) in bytes.chunks_exact(layout.size).zip((list.offset..).step_by(layout.size)) {
            let parsed = self.driver(&layout, Entry { bytes: entry, offset });
            match parsed {
                Ok((module, None)) => drivers.push(module),
                Ok((module, Some(error))) => {
                    nameless.get_or_insert(error);
                    drivers.push(module);
                }
                Err(error) => notes.push(Note::damaged(format!("a driver is left out: {error}"))),
            }
        }
        if let Some(error) = nameless {
            notes.push(Note::damaged(format!("not every driver has a readable name: {error}")));
        }
        drivers
    }

    /// The driver, and why it has no name if it has none.
    fn driver(&self, layout: &DriverLayout, entry: Entry<'_>) -> Result<(Module, Option<ReadError>), ReadError> {
        let (path, error) = match self.string(entry.u32(0)?) {
            Ok(path) => (path, None),
            Err(error) => (String::new(), Some(error)),
        };
        let (timestamp, checksum) = (entry.u32(layout.timestamp)?, entry.u32(layout.checksum)?);
        let known = timestamp != 0 || checksum != 0;
        let module = Module {
            base: self.dump_header.va(entry.word(self.dump_header.bits, layout.base)?),
            size: u64::from(entry.u32(layout.image_size)?),
            path,
            timestamp: known.then_some(timestamp),
            checksum: known.then_some(checksum),
            version: None,
            debug_file: None,
            debug_id: None,
        };
        Ok((module, error))
    }

    /// The drivers that had been unloaded, oldest first as far as Windows keeps the order.
    #[must_use]
    pub fn unloaded(&self, notes: &mut Vec<Note>) -> Vec<UnloadedModule> {
        let layout = if self.dump_header.bits == 32 { UNLOADED_32 } else { UNLOADED_64 };
        let Some(head) = self.sized_part(self.header.unloaded_drivers_offset, layout.head, "unloaded drivers", notes)
        else {
            return Vec::new();
        };
        self.unloaded_entries(&layout, head).unwrap_or_else(|error| {
            notes.push(Note::damaged(format!("the unloaded drivers are left out: {error}")));
            Vec::new()
        })
    }

    fn unloaded_entries(&self, layout: &UnloadedLayout, head: FileRange) -> Result<Vec<UnloadedModule>, ReadError> {
        const WHAT: &str = "unloaded driver list";
        let bits = self.dump_header.bits;
        let count = read_record(&*self.source, head.offset, 4, 4, WHAT)?;
        let count = u64::from(Bytes::new(&count, head.offset).u32(WHAT)?);
        let limit = limits::UNLOADED_DRIVERS.saturating_mul(layout.size as u64);
        let start = head.offset.saturating_add(layout.head);
        let bytes = read_record(&*self.source, start, count.saturating_mul(layout.size as u64), limit, WHAT)?;
        let entries = bytes.chunks_exact(layout.size).zip((start..).step_by(layout.size));
        let entries = entries.map(|(entry, offset)| {
            let entry = Entry { bytes: entry, offset };
            let name_len = usize::from(entry.u16(0)?).min(UNLOADED_NAME_BYTES);
            let base = self.dump_header.va(entry.word(bits, layout.start)?);
            let end: Va = self.dump_header.va(entry.word(bits, layout.end)?);
            Ok(UnloadedModule {
                base,
                size: end.offset_from(base).unwrap_or(0),
                name: utf16le(entry.at(layout.name)?.take(name_len, WHAT)?).trim_end_matches('\0').into(),
                timestamp: None,
                checksum: None,
            })
        });
        entries.collect()
    }
}

/// One entry of a list, whose fields are at fixed offsets.
#[derive(Clone, Copy)]
struct Entry<'a> {
    bytes: &'a [u8],
    offset: u64,
}

impl<'a> Entry<'a> {
    fn at(self, offset: usize) -> Result<Bytes<'a>, ReadError> {
        let mut bytes = Bytes::new(self.bytes, self.offset);
        bytes.seek(offset, "driver entry")?;
        Ok(bytes)
    }

    fn u16(self, offset: usize) -> Result<u16, ReadError> {
        self.at(offset)?.u16("driver entry")
    }

    fn u32(self, offset: usize) -> Result<u32, ReadError> {
        self.at(offset)?.u32("driver entry")
    }

    fn word(self, bits: u8, offset: usize) -> Result<u64, ReadError> {
        if bits == 32 { self.u32(offset).map(u64::from) } else { self.at(offset)?.u64("driver entry") }
    }
}
