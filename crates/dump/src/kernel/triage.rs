use alloc::{format, string::String, vec::Vec};
use core::fmt;

use dumplens_base::{Bytes, Note, ReadError, Source, Va, read_record, utf16le};

use super::{KernelDump, KernelHeader, TriageMemory, header::FILLER};
use crate::limits;

/// The longest driver name that is read, in UTF-16 units; Windows paths of drivers stay far below it.
const NAME_UNITS: u32 = 1_024;
/// `TRGD`, at the end of the small dump's own part of the file.
const END_MARK: &[u8] = b"TRGD";

/// A `TRIAGE_DUMP32` or `TRIAGE_DUMP64`: where each part of a small memory dump is in the file.
///
/// Offsets are file offsets in bytes, sizes are bytes; 0 means absent, as does filler, which is read as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the format by their published names")]
pub struct TriageHeader {
    pub service_pack_build: u32,
    pub size_of_dump: u32,
    pub valid_offset: u32,
    pub context_offset: u32,
    pub exception_offset: u32,
    pub mm_offset: u32,
    pub unloaded_drivers_offset: u32,
    pub prcb_offset: u32,
    pub process_offset: u32,
    pub thread_offset: u32,
    pub call_stack_offset: u32,
    pub size_of_call_stack: u32,
    pub driver_list_offset: u32,
    pub driver_count: u32,
    pub string_pool_offset: u32,
    pub string_pool_size: u32,
    pub broken_driver_offset: u32,
    pub triage_options: u32,
    pub top_of_stack: Va,
    pub data_page_address: Va,
    pub data_page_offset: u32,
    pub data_page_size: u32,
    pub debugger_data_offset: u32,
    pub debugger_data_size: u32,
    pub data_blocks_offset: u32,
    pub data_blocks_count: u32,
}

impl TriageHeader {
    const SIZE_32: usize = 0x68;
    const SIZE_64: usize = 0x80;

    fn parse(bits: u8, bytes: &[u8], origin: u64) -> Result<Self, ReadError> {
        let mut cursor = Bytes::new(bytes, origin);
        let mut field = || cursor.u32("small dump header").map(|value| if value == FILLER { 0 } else { value });
        let mut header = Self {
            service_pack_build: field()?,
            size_of_dump: field()?,
            valid_offset: field()?,
            context_offset: field()?,
            exception_offset: field()?,
            mm_offset: field()?,
            unloaded_drivers_offset: field()?,
            prcb_offset: field()?,
            process_offset: field()?,
            thread_offset: field()?,
            call_stack_offset: field()?,
            size_of_call_stack: field()?,
            driver_list_offset: field()?,
            driver_count: field()?,
            string_pool_offset: field()?,
            string_pool_size: field()?,
            broken_driver_offset: field()?,
            triage_options: field()?,
            top_of_stack: Va(0),
            data_page_address: Va(0),
            data_page_offset: 0,
            data_page_size: 0,
            debugger_data_offset: 0,
            debugger_data_size: 0,
            data_blocks_offset: 0,
            data_blocks_count: 0,
        };
        if bits == 32 {
            header.top_of_stack = Va(u64::from(cursor.u32("top of stack")?));
        } else {
            header.top_of_stack = Va(cursor.u64("top of stack")?);
            cursor.skip(0x10, "backing store")?;
        }
        // Windows 2000 wrote a shorter header: what follows exists only if no part of the dump lies there already.
        let first_part = header.parts().into_iter().filter(|offset| *offset > origin).min();
        if first_part.is_some_and(|first| first < origin.saturating_add(bytes.len() as u64)) {
            return Ok(header);
        }
        header.data_page_address = if bits == 32 {
            Va(u64::from(cursor.u32("data page address")?))
        } else {
            Va(cursor.u64("data page address")?)
        };
        let mut field = || cursor.u32("small dump header").map(|value| if value == FILLER { 0 } else { value });
        header.data_page_offset = field()?;
        header.data_page_size = field()?;
        header.debugger_data_offset = field()?;
        header.debugger_data_size = field()?;
        header.data_blocks_offset = field()?;
        header.data_blocks_count = field()?;
        Ok(header)
    }

    /// File offsets of all parts.
    fn parts(&self) -> [u64; 13] {
        [
            self.mm_offset,
            self.unloaded_drivers_offset,
            self.prcb_offset,
            self.process_offset,
            self.thread_offset,
            self.call_stack_offset,
            self.driver_list_offset,
            self.string_pool_offset,
            self.broken_driver_offset,
            self.data_page_offset,
            self.debugger_data_offset,
            self.data_blocks_offset,
            self.valid_offset,
        ]
        .map(u64::from)
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// File offset in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// The part of the crashing thread's kernel stack that a small dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallStack {
    /// Address of its first byte: the stack pointer at the crash or a little below.
    pub start: Va,
    /// Length in bytes.
    pub size: u64,
    /// File offset in bytes.
    pub offset: u64,
}

/// A `TRIAGE_DATA_BLOCK`: bytes of virtual memory at a file offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataBlock {
    /// Address of the first byte.
    pub address: Va,
    /// File offset in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// `DUMP_MM_STORAGE`: counters of the memory manager, in pages unless they say bytes. Windows 10 and 11 write zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the format by their published names")]
pub struct MmStorage {
    pub version: u32,
    pub special_pool_tag: u32,
    pub triage_action_taken: u32,
    pub verify_driver_level: u32,
    pub kernel_verifier: u32,
    pub maximum_non_paged_pool: u64,
    pub allocated_non_paged_pool: u64,
    pub paged_pool_maximum: u64,
    pub paged_pool_allocated: u64,
    pub committed_pages: u64,
    pub committed_pages_peak: u64,
    pub commit_limit_maximum: u64,
}

/// The parts of a small memory dump.
pub struct Triage {
    pub(super) source: Source,
    pub(super) dump_header: KernelHeader,
    pub(super) header: TriageHeader,
}

impl fmt::Debug for Triage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Triage").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Triage {
    pub(super) fn open(dump: &KernelDump, notes: &mut Vec<Note>) -> Result<Self, ReadError> {
        let bits = dump.header().bits;
        let size = if bits == 32 { TriageHeader::SIZE_32 } else { TriageHeader::SIZE_64 } as u64;
        let origin = dump.header().size() as u64;
        let bytes = read_record(&*dump.source, origin, size, size, "small dump header")?;
        let header = TriageHeader::parse(bits, &bytes, origin)?;
        let triage = Self { source: dump.source.clone(), dump_header: dump.header().clone(), header };
        triage.check_end(notes);
        Ok(triage)
    }

    /// Looks for the mark at the end of the small dump, which Windows writes last.
    fn check_end(&self, notes: &mut Vec<Note>) {
        let TriageHeader { valid_offset, size_of_dump, .. } = self.header;
        let len = self.source.len();
        if u64::from(size_of_dump) > len {
            notes.push(Note::damaged(format!("the file ends after {len} of {size_of_dump} bytes: it was cut off")));
            return;
        }
        let found = read_record(&*self.source, u64::from(valid_offset), 4, 4, "end mark").unwrap_or_default();
        if found != END_MARK {
            notes.push(Note::damaged(format!(
                "the end mark TRGD is not at offset {valid_offset:#x}: the dump was not written completely or was \
                 changed later"
            )));
        } else if valid_offset.checked_add(4) != Some(size_of_dump) {
            notes.push(Note::info(format!(
                "the small dump says that it is {size_of_dump} bytes long, but its end mark is at {valid_offset:#x}"
            )));
        }
    }

    /// Where each part is.
    #[must_use]
    pub const fn header(&self) -> &TriageHeader {
        &self.header
    }

    /// `TriageOptions`: which parts Windows tried to include; `None` where all bits are set.
    #[must_use]
    pub const fn options(&self) -> Option<u32> {
        match self.header.triage_options {
            u32::MAX => None,
            options => Some(options),
        }
    }

    /// The copy of the processor control block (`KPRCB`) of the processor that crashed.
    #[must_use]
    pub fn prcb(&self) -> Option<FileRange> {
        self.part(self.header.prcb_offset)
    }

    /// The copy of the process object (`EPROCESS`) that was current on it.
    #[must_use]
    pub fn process(&self) -> Option<FileRange> {
        self.part(self.header.process_offset)
    }

    /// The copy of the thread object (`ETHREAD`) that was running on it.
    #[must_use]
    pub fn thread(&self) -> Option<FileRange> {
        self.part(self.header.thread_offset)
    }

    /// A part whose size the format does not give: it reaches to the next part.
    fn part(&self, offset: u32) -> Option<FileRange> {
        let offset = u64::from(offset);
        if offset < self.dump_header.size() as u64 {
            return None;
        }
        let end = self.header.parts().into_iter().filter(|next| *next > offset).min();
        let end = end.unwrap_or(u64::from(self.header.size_of_dump)).min(self.source.len());
        let size = end.checked_sub(offset).filter(|size| *size > 0)?.min(limits::OBJECT_BYTES);
        Some(FileRange { offset, size })
    }

    /// A part with a given size, cut to what the file holds.
    pub(super) fn sized_part(
        &self,
        offset: u32,
        size: u64,
        what: &'static str,
        notes: &mut Vec<Note>,
    ) -> Option<FileRange> {
        if offset == 0 || size == 0 {
            return None;
        }
        let offset = u64::from(offset);
        let available = self.source.len().saturating_sub(offset);
        if size > available {
            notes.push(Note::damaged(format!(
                "the {what} at offset {offset:#x} should have {size} bytes, but the file has {available} there"
            )));
        }
        Some(FileRange { offset, size: size.min(available) }).filter(|range| range.size > 0)
    }

    /// The captured part of the stack.
    #[must_use]
    pub fn call_stack(&self, notes: &mut Vec<Note>) -> Option<CallStack> {
        let size = u64::from(self.header.size_of_call_stack);
        let range = self.sized_part(self.header.call_stack_offset, size, "call stack", notes)?;
        let start = self.header.top_of_stack;
        if start.checked_add(range.size).is_none() {
            notes.push(Note::damaged(format!("the call stack at {start} passes the end of the address space")));
            return None;
        }
        Some(CallStack { start, size: range.size, offset: range.offset })
    }

    /// The copy of the debugger data (`KDDEBUGGER_DATA64`).
    #[must_use]
    pub fn debugger_data(&self, notes: &mut Vec<Note>) -> Option<FileRange> {
        let size = u64::from(self.header.debugger_data_size);
        self.sized_part(self.header.debugger_data_offset, size, "debugger data", notes)
    }

    /// The blocks of memory, in the order of the file. A block that passes the end of the file is cut.
    #[must_use]
    pub fn data_blocks(&self, notes: &mut Vec<Note>) -> Vec<DataBlock> {
        /// `TRIAGE_DATA_BLOCK` has the same 16 bytes on 32-bit and 64-bit systems.
        const ENTRY: u64 = 16;
        let TriageHeader { data_blocks_offset, data_blocks_count, .. } = self.header;
        let claimed = u64::from(data_blocks_count).min(limits::DATA_BLOCKS);
        if claimed != u64::from(data_blocks_count) {
            notes.push(Note::damaged(format!(
                "the dump claims {data_blocks_count} data blocks; only the first {claimed} are read"
            )));
        }
        let Some(table) = self.sized_part(data_blocks_offset, claimed.saturating_mul(ENTRY), "data block list", notes)
        else {
            return Vec::new();
        };
        let limit = limits::DATA_BLOCKS.saturating_mul(ENTRY);
        let bytes = match read_record(&*self.source, table.offset, table.size, limit, "data block list") {
            Ok(bytes) => bytes,
            Err(error) => {
                notes.push(Note::damaged(format!("the data blocks are left out: {error}")));
                return Vec::new();
            }
        };
        let len = self.source.len();
        let mut bad = 0_u64;
        let mut blocks = Vec::new();
        for entry in bytes.as_chunks::<16>().0 {
            let mut cursor = Bytes::new(entry, 0);
            let (Ok(address), Ok(offset), Ok(size)) =
                (cursor.u64("block"), cursor.u32("block").map(u64::from), cursor.u32("block").map(u64::from))
            else {
                continue;
            };
            let block =
                DataBlock { address: self.dump_header.va(address), offset, size: size.min(len.saturating_sub(offset)) };
            bad = bad.saturating_add(u64::from(block.size != size || block.address.checked_add(block.size).is_none()));
            if block.size > 0 && block.address.checked_add(block.size).is_some() {
                blocks.push(block);
            }
        }
        if bad > 0 {
            notes.push(Note::damaged(format!("{bad} data blocks lie outside the file or the address space")));
        }
        blocks
    }

    /// The memory manager's counters.
    #[must_use]
    pub fn mm_storage(&self, notes: &mut Vec<Note>) -> Option<MmStorage> {
        let bits = self.dump_header.bits;
        let size = if bits == 32 { 0x34 } else { 0x50 };
        let range = self.sized_part(self.header.mm_offset, size, "memory manager counters", notes)?;
        let bytes = read_record(&*self.source, range.offset, range.size, size, "memory manager counters").ok()?;
        parse_mm_storage(bits, &bytes, range.offset).ok()
    }

    /// The name of the driver that the bug check blames, where it blames one.
    #[must_use]
    pub fn broken_driver(&self, notes: &mut Vec<Note>) -> Option<String> {
        if self.header.broken_driver_offset == 0 {
            return None;
        }
        match self.string(self.header.broken_driver_offset) {
            Ok(name) => Some(name).filter(|name| !name.is_empty()),
            Err(error) => {
                notes.push(Note::damaged(format!("the name of the blamed driver is left out: {error}")));
                None
            }
        }
    }

    /// The virtual memory that the dump holds.
    #[must_use]
    pub fn memory(&self, notes: &mut Vec<Note>) -> TriageMemory {
        TriageMemory::new(self, notes)
    }

    pub(super) fn data_page(&self, notes: &mut Vec<Note>) -> Option<DataBlock> {
        let size = u64::from(self.header.data_page_size);
        let range = self.sized_part(self.header.data_page_offset, size, "data page", notes)?;
        let address = self.header.data_page_address;
        address.checked_add(range.size)?;
        Some(DataBlock { address, offset: range.offset, size: range.size })
    }

    /// A `DUMP_STRING` of the string pool: a count of UTF-16 units and the units.
    pub(super) fn string(&self, offset: u32) -> Result<String, ReadError> {
        let source = &*self.source;
        let head = read_record(source, u64::from(offset), 4, 4, "string length")?;
        let units = Bytes::new(&head, u64::from(offset)).u32("string length")?;
        let (len, limit) = (u64::from(units).saturating_mul(2), u64::from(NAME_UNITS) * 2);
        let text = read_record(source, u64::from(offset).saturating_add(4), len, limit, "string")?;
        Ok(utf16le(&text).trim_end_matches('\0').into())
    }
}

fn parse_mm_storage(bits: u8, bytes: &[u8], origin: u64) -> Result<MmStorage, ReadError> {
    const WHAT: &str = "memory manager counters";
    let mut cursor = Bytes::new(bytes, origin);
    let version = cursor.u32(WHAT)?;
    cursor.skip(4, WHAT)?;
    let mut word = || cursor.u32(WHAT);
    let (special_pool_tag, triage_action_taken) = (word()?, word()?);
    let (verify_driver_level, kernel_verifier) = (word()?, word()?);
    let mut count = || if bits == 32 { cursor.u32(WHAT).map(u64::from) } else { cursor.u64(WHAT) };
    Ok(MmStorage {
        version,
        special_pool_tag,
        triage_action_taken,
        verify_driver_level,
        kernel_verifier,
        maximum_non_paged_pool: count()?,
        allocated_non_paged_pool: count()?,
        paged_pool_maximum: count()?,
        paged_pool_allocated: count()?,
        committed_pages: count()?,
        committed_pages_peak: count()?,
        commit_limit_maximum: count()?,
    })
}
