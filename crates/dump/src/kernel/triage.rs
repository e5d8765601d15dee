//! Small (triage) dumps: `TRIAGE_DUMP32` and `TRIAGE_DUMP64` after the header, then parts found by file offset.

use alloc::{string::String, vec::Vec};
use core::fmt;

use dumplens_base::{Bytes, Note, ReadError, Searched, Source, Va, read_record, utf16_until_nul, utf16le};

use super::{
    KernelHeader,
    blobs::{self, SecondaryBlob},
    smbios::{self, Smbios},
};
use crate::{CapturedMemory, Extent, Module, UnloadedModule, limits};

/// The parts of a small kernel dump.
pub struct Triage {
    pub(super) source: Source,
    wide: bool,
    kd_debugger_data_block: Option<Va>,
    header_size: u64,
    header: TriageHeader,
}

impl fmt::Debug for Triage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Triage").field("header", &self.header).finish_non_exhaustive()
    }
}

/// `TRIAGE_DUMP32` or `TRIAGE_DUMP64`. Offsets are file offsets; 0 means that the part is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriageHeader {
    /// Service pack.
    pub service_pack_build: u32,
    /// Length of the dump without secondary data.
    pub size_of_dump: u32,
    /// Where the end mark `TRGD` stands.
    pub valid_offset: u32,
    /// Context record.
    pub context_offset: u32,
    /// Exception record.
    pub exception_offset: u32,
    /// Memory manager counters.
    pub mm_offset: u32,
    /// Unloaded drivers.
    pub unloaded_drivers_offset: u32,
    /// Processor control block.
    pub prcb_offset: u32,
    /// Process object.
    pub process_offset: u32,
    /// Thread object.
    pub thread_offset: u32,
    /// Raw stack.
    pub call_stack_offset: u32,
    /// Bytes of raw stack.
    pub size_of_call_stack: u32,
    /// Loaded drivers.
    pub driver_list_offset: u32,
    /// How many.
    pub driver_count: u32,
    /// Their names.
    pub string_pool_offset: u32,
    /// Bytes of names.
    pub string_pool_size: u32,
    /// Name of the driver that the kernel itself blamed.
    pub broken_driver_offset: u32,
    /// `TriageOptions`.
    pub triage_options: u32,
    /// Address of the raw stack's first byte.
    pub top_of_stack: Va,
    /// Address of one extra page.
    pub data_page_address: Va,
    /// That page.
    pub data_page_offset: u32,
    /// Its length.
    pub data_page_size: u32,
    /// Copy of the debugger data block.
    pub debugger_data_offset: u32,
    /// Its length.
    pub debugger_data_size: u32,
    /// Table of data blocks.
    pub data_blocks_offset: u32,
    /// How many.
    pub data_blocks_count: u32,
}

/// A named part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// What it is.
    pub name: &'static str,
    /// File offset.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// `TRGD`.
const END_MARK: u32 = u32::from_le_bytes(*b"TRGD");

impl Triage {
    pub(super) fn read(source: Source, dump: &KernelHeader, notes: &mut Vec<Note>) -> Option<Self> {
        let wide = dump.is_64_bit;
        let size = if wide { 0x80 } else { 0x68 };
        let parse = || {
            let raw = read_record(&source, dump.size(), size, size, "triage header")?;
            TriageHeader::parse(&mut Bytes::new(&raw, dump.size()), wide)
        };
        match parse() {
            Ok(header) => {
                let kd_debugger_data_block = dump.kd_debugger_data_block;
                let triage = Self { source, wide, kd_debugger_data_block, header_size: dump.size(), header };
                triage.check_end(notes);
                Some(triage)
            }
            Err(error) => {
                notes.push(Note::damaged(alloc::format!("the small dump's own header cannot be read: {error}")));
                None
            }
        }
    }

    /// A dump whose end mark is missing was not written to its end, or was cut off later.
    fn check_end(&self, notes: &mut Vec<Note>) {
        let offset = u64::from(self.header.valid_offset);
        if u64::from(self.header.size_of_dump) != offset.saturating_add(4) {
            notes.push(Note::damaged(alloc::format!(
                "the small dump says that it is {} bytes long but that its end mark is at offset {offset:#x}",
                self.header.size_of_dump
            )));
        }
        let read = || Bytes::new(&read_record(&self.source, offset, 4, 4, "end mark")?, offset).u32("end mark");
        match read() {
            Ok(END_MARK) => {}
            Ok(other) => notes.push(Note::damaged(alloc::format!(
                "the end mark at offset {offset:#x} is {other:#x} instead of TRGD: parts of the dump may be wrong"
            ))),
            Err(error) => notes.push(Note::damaged(alloc::format!("the dump is cut off: {error}"))),
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &TriageHeader {
        &self.header
    }

    /// The parts of the file in file order.
    #[must_use]
    pub fn parts(&self) -> Vec<FileRange> {
        let h = &self.header;
        let entry = if self.wide { 0x90 } else { 0x4c };
        let product = |count: u32, size: u64| u64::from(count).saturating_mul(size);
        let end = u64::from(h.size_of_dump);
        let all = [
            ("Dump header", 0, self.header_size),
            ("Triage header", self.header_size, if self.wide { 0x80 } else { 0x68 }),
            ("Memory manager counters", u64::from(h.mm_offset), if self.wide { 0x50 } else { 0x34 }),
            ("Unloaded drivers", u64::from(h.unloaded_drivers_offset), 0),
            ("Processor control block", u64::from(h.prcb_offset), 0),
            ("Process object", u64::from(h.process_offset), 0),
            ("Thread object", u64::from(h.thread_offset), 0),
            ("Call stack", u64::from(h.call_stack_offset), u64::from(h.size_of_call_stack)),
            ("Debugger data block", u64::from(h.debugger_data_offset), u64::from(h.debugger_data_size)),
            ("Driver list", u64::from(h.driver_list_offset), product(h.driver_count, entry)),
            ("String pool", u64::from(h.string_pool_offset), u64::from(h.string_pool_size)),
            ("Data block table", u64::from(h.data_blocks_offset), product(h.data_blocks_count, 16)),
            ("Data page", u64::from(h.data_page_offset), u64::from(h.data_page_size)),
        ];
        let mut parts: Vec<_> = all
            .iter()
            .filter(|(_, offset, size)| *offset != 0 || *size != 0)
            .map(|(name, offset, size)| FileRange { name, offset: *offset, size: *size })
            .collect();
        parts.sort_by_key(|part| part.offset);
        // Objects have no recorded length: they end where the next part starts.
        let starts: Vec<u64> = parts.iter().map(|part| part.offset).chain([end]).collect();
        for part in &mut parts {
            if part.size == 0 {
                let next = starts.iter().copied().filter(|start| *start > part.offset).min();
                part.size = next.map_or(0, |next| next - part.offset);
            }
        }
        parts.retain(|part| part.size != 0);
        parts
    }

    fn object(&self, offset: u32, size: Option<u64>, name: &'static str) -> Option<FileRange> {
        let part = self.parts().into_iter().find(|part| part.offset == u64::from(offset) && offset != 0)?;
        // The debugger data block gives the exact size; the next part's start bounds it.
        let size = size.filter(|size| *size != 0).map_or(part.size, |size| size.min(part.size));
        Some(FileRange { name, offset: part.offset, size: size.min(limits::OBJECT_BYTES) })
    }

    /// The processor control block of the crashing processor; `size` from the debugger data block, if known.
    #[must_use]
    pub fn prcb(&self, size: Option<u64>) -> Option<FileRange> {
        self.object(self.header.prcb_offset, size, "processor control block")
    }

    /// The current process's object.
    #[must_use]
    pub fn process(&self, size: Option<u64>) -> Option<FileRange> {
        self.object(self.header.process_offset, size, "process object")
    }

    /// The current thread's object.
    #[must_use]
    pub fn thread(&self, size: Option<u64>) -> Option<FileRange> {
        self.object(self.header.thread_offset, size, "thread object")
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// If the part passes the end of the file.
    pub fn bytes(&self, part: FileRange) -> Result<Vec<u8>, ReadError> {
        read_record(&self.source, part.offset, part.size, limits::STREAM_BYTES, part.name)
    }

    /// The debugger data block.
    pub fn debugger_data(&self, notes: &mut Vec<Note>) -> Option<Vec<u8>> {
        let h = &self.header;
        if h.debugger_data_offset == 0 || h.debugger_data_size == 0 {
            return None;
        }
        let (offset, size) = (u64::from(h.debugger_data_offset), u64::from(h.debugger_data_size));
        read_record(&self.source, offset, size, limits::OBJECT_BYTES, "debugger data block")
            .map_err(|error| notes.push(Note::damaged(alloc::format!("{error}"))))
            .ok()
    }

    /// The raw stack: its addresses and where its bytes stand.
    #[must_use]
    pub fn call_stack(&self) -> Option<Extent> {
        let h = &self.header;
        (h.call_stack_offset != 0 && h.size_of_call_stack != 0).then(|| Extent {
            address: h.top_of_stack,
            size: u64::from(h.size_of_call_stack),
            offset: u64::from(h.call_stack_offset),
            kind: "call stack",
        })
    }

    /// The loaded drivers in list order.
    pub fn drivers(&self, notes: &mut Vec<Note>) -> Vec<Module> {
        let entry_size: u64 = if self.wide { 0x90 } else { 0x4c };
        let h = &self.header;
        let claimed = u64::from(h.driver_count);
        let offset = u64::from(h.driver_list_offset);
        let room = self.source.len().saturating_sub(offset) / entry_size;
        let count = claimed.min(room).min(limits::MODULES);
        if count < claimed {
            notes.push(Note::damaged(alloc::format!(
                "the driver list at offset {offset:#x} claims {claimed} drivers, but only {count} can be read"
            )));
        }
        let raw = match read_record(&self.source, offset, count * entry_size, u64::MAX, "driver list") {
            Ok(raw) => raw,
            Err(error) => {
                notes.push(Note::damaged(alloc::format!("the driver list cannot be read: {error}")));
                return Vec::new();
            }
        };
        let mut nameless = 0_u32;
        let mut drivers = Vec::new();
        for (index, entry) in raw.chunks_exact(entry_size as usize).enumerate() {
            let mut bytes = Bytes::new(entry, offset.saturating_add(index as u64 * entry_size));
            if let Ok(mut driver) = driver(&mut bytes, self.wide) {
                match self.name(driver.0) {
                    Ok(name) => driver.1.path = name,
                    Err(_) => nameless += 1,
                }
                drivers.push(driver.1);
            }
        }
        if nameless > 0 {
            notes.push(Note::damaged(alloc::format!("the names of {nameless} drivers cannot be read")));
        }
        drivers
    }

    /// A `DUMP_STRING`: character count, then UTF-16.
    fn name(&self, offset: u32) -> Result<String, ReadError> {
        let offset = u64::from(offset);
        let raw = read_record(&self.source, offset, 4, 4, "name length")?;
        let characters = u64::from(Bytes::new(&raw, offset).u32("name length")?);
        let raw = read_record(&self.source, offset.saturating_add(4), characters * 2, limits::STRING_BYTES, "name")?;
        Ok(utf16le(&raw))
    }

    /// The driver that the kernel itself blamed, if it named one.
    #[must_use]
    pub fn broken_driver(&self) -> Option<String> {
        let offset = self.header.broken_driver_offset;
        if offset == 0 { None } else { self.name(offset).ok().filter(|name| !name.is_empty()) }
    }

    /// Drivers that had been unloaded. Their names are cut at 12 characters.
    pub fn unloaded_drivers(&self, notes: &mut Vec<Note>) -> Vec<UnloadedModule> {
        let offset = u64::from(self.header.unloaded_drivers_offset);
        if offset == 0 {
            return Vec::new();
        }
        let (head, size) = if self.wide { (8, 0x38) } else { (4, 0x28) };
        let parse = || {
            let raw = read_record(&self.source, offset, head, head, "unloaded driver count")?;
            let count = u64::from(Bytes::new(&raw, offset).u32("unloaded driver count")?);
            let table = offset.saturating_add(head);
            // The kernel keeps 50; a larger number is damage, not a longer list.
            let raw = read_record(&self.source, table, count.saturating_mul(size), 4096 * size, "unloaded drivers")?;
            raw.chunks_exact(size as usize)
                .map(|entry| unloaded(entry, table, self.wide))
                .collect::<Result<Vec<_>, _>>()
        };
        parse().unwrap_or_else(|error: ReadError| {
            notes.push(Note::damaged(alloc::format!("the list of unloaded drivers cannot be read: {error}")));
            Vec::new()
        })
    }

    /// The captured memory: stack, data blocks, data page and the debugger data block where it was.
    pub fn memory(&self, notes: &mut Vec<Note>) -> CapturedMemory {
        let h = &self.header;
        let mut blocks: Vec<Extent> = self.call_stack().into_iter().collect();
        if h.data_page_offset != 0 && h.data_page_size != 0 {
            blocks.push(Extent {
                address: h.data_page_address,
                size: u64::from(h.data_page_size),
                offset: u64::from(h.data_page_offset),
                kind: "data page",
            });
        }
        if let Some(address) = self.kd_debugger_data_block.filter(|_| h.debugger_data_offset != 0) {
            blocks.push(Extent {
                address,
                size: u64::from(h.debugger_data_size),
                offset: u64::from(h.debugger_data_offset),
                kind: "debugger data block",
            });
        }
        self.data_blocks(&mut blocks, notes);
        CapturedMemory::new(self.source.clone(), Searched::TriageBlocks, blocks, notes)
    }

    fn data_blocks(&self, blocks: &mut Vec<Extent>, notes: &mut Vec<Note>) {
        const ENTRY: u64 = 16;
        let h = &self.header;
        let claimed = u64::from(h.data_blocks_count);
        let offset = u64::from(h.data_blocks_offset);
        if claimed == 0 || offset == 0 {
            return;
        }
        let room = self.source.len().saturating_sub(offset) / ENTRY;
        let count = claimed.min(room).min(limits::DATA_BLOCKS);
        if count < claimed {
            notes.push(Note::damaged(alloc::format!(
                "the data block table at offset {offset:#x} claims {claimed} blocks, but only {count} can be read"
            )));
        }
        let Ok(raw) = read_record(&self.source, offset, count * ENTRY, u64::MAX, "data block table") else { return };
        let mut bytes = Bytes::new(&raw, offset);
        while let (Ok(address), Ok(at), Ok(size)) =
            (bytes.u64("block address"), bytes.u32("block offset"), bytes.u32("block size"))
        {
            // 32-bit addresses are sign-extended in the file.
            let address = Va(if self.wide { address } else { address & 0xffff_ffff });
            blocks.push(Extent { address, size: u64::from(size), offset: u64::from(at), kind: "data block" });
        }
    }

    /// Tagged data that the kernel and drivers appended.
    pub fn blobs(&self, notes: &mut Vec<Note>) -> Vec<SecondaryBlob> {
        blobs::list(&self.source, u64::from(self.header.size_of_dump), notes)
    }

    /// The machine's SMBIOS tables, where the dump holds them.
    #[must_use]
    pub fn smbios(&self, blobs: &[SecondaryBlob]) -> Option<Smbios> {
        let blob = blobs.iter().find(|blob| blob.tag.0 == smbios::TAG)?;
        let raw = read_record(&self.source, blob.offset, blob.size, smbios::LIMIT, "SMBIOS data").ok()?;
        Smbios::parse(&raw)
    }
}

impl TriageHeader {
    fn parse(bytes: &mut Bytes<'_>, wide: bool) -> Result<Self, ReadError> {
        let mut next = [0; 18];
        for field in &mut next {
            *field = bytes.u32("triage header")?;
        }
        let pointer = |bytes: &mut Bytes<'_>| {
            let value = if wide { bytes.u64("triage header")? } else { u64::from(bytes.u32("triage header")?) };
            Ok::<_, ReadError>(Va(value))
        };
        let top_of_stack = pointer(bytes)?;
        if wide {
            // The second stack of IA-64.
            bytes.skip(16, "triage header")?;
        }
        let data_page_address = pointer(bytes)?;
        let mut tail = [0; 6];
        for field in &mut tail {
            *field = bytes.u32("triage header")?;
        }
        let [
            service_pack_build,
            size_of_dump,
            valid_offset,
            context_offset,
            exception_offset,
            mm_offset,
            unloaded_drivers_offset,
            prcb_offset,
            process_offset,
            thread_offset,
            call_stack_offset,
            size_of_call_stack,
            driver_list_offset,
            driver_count,
            string_pool_offset,
            string_pool_size,
            broken_driver_offset,
            triage_options,
        ] = next;
        let [
            data_page_offset,
            data_page_size,
            debugger_data_offset,
            debugger_data_size,
            data_blocks_offset,
            data_blocks_count,
        ] = tail;
        Ok(Self {
            service_pack_build,
            size_of_dump,
            valid_offset,
            context_offset,
            exception_offset,
            mm_offset,
            unloaded_drivers_offset,
            prcb_offset,
            process_offset,
            thread_offset,
            call_stack_offset,
            size_of_call_stack,
            driver_list_offset,
            driver_count,
            string_pool_offset,
            string_pool_size,
            broken_driver_offset,
            triage_options,
            top_of_stack,
            data_page_address,
            data_page_offset,
            data_page_size,
            debugger_data_offset,
            debugger_data_size,
            data_blocks_offset,
            data_blocks_count,
        })
    }
}

/// `DUMP_DRIVER_ENTRY`: the offset of the name, then a copy of the loader's entry of which only some fields are set.
fn driver(bytes: &mut Bytes<'_>, wide: bool) -> Result<(u32, Module), ReadError> {
    let name = bytes.u32("driver name offset")?;
    let (base, size, checksum) = if wide {
        bytes.seek(0x38, "driver entry")?;
        let base = bytes.u64("driver base")?;
        bytes.seek(0x48, "driver entry")?;
        let size = bytes.u32("driver size")?;
        bytes.seek(0x80, "driver entry")?;
        (base, size, bytes.u32("driver checksum")?)
    } else {
        bytes.seek(0x1c, "driver entry")?;
        let base = u64::from(bytes.u32("driver base")?);
        bytes.seek(0x24, "driver entry")?;
        let size = bytes.u32("driver size")?;
        bytes.seek(0x44, "driver entry")?;
        (base, size, bytes.u32("driver checksum")?)
    };
    bytes.seek(if wide { 0x88 } else { 0x48 }, "driver entry")?;
    let timestamp = bytes.u32("driver timestamp")?;
    // Both are 0 where the image's header was paged out when the dump was written.
    let known = timestamp != 0 || checksum != 0;
    let module = Module {
        base: Va(base),
        size: u64::from(size),
        path: String::new(),
        timestamp: known.then_some(timestamp),
        checksum: known.then_some(checksum),
        version: None,
        debug_file: None,
        debug_id: None,
    };
    Ok((name, module))
}

/// `DUMP_UNLOADED_DRIVERS`.
fn unloaded(entry: &[u8], origin: u64, wide: bool) -> Result<UnloadedModule, ReadError> {
    let mut bytes = Bytes::new(entry, origin);
    let length = usize::from(bytes.u16("unloaded driver name length")?);
    bytes.seek(if wide { 0x10 } else { 8 }, "unloaded driver")?;
    let name = bytes.take(24, "unloaded driver name")?;
    let name = utf16_until_nul(name.get(..length.min(24)).unwrap_or_default());
    let mut address = || if wide { bytes.u64("unloaded driver") } else { bytes.u32("unloaded driver").map(u64::from) };
    let (start, end) = (address()?, address()?);
    Ok(UnloadedModule { base: Va(start), size: end.saturating_sub(start), name, timestamp: None, checksum: None })
}
