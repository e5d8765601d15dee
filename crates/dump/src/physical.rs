//! Physical memory without a dump header: raw images, and the cores that QEMU, VirtualBox and Xen write of a guest.

use alloc::vec::Vec;

use dumplens_base::{ByteSource, Bytes, Machine, Note, PAGE_SIZE, ReadError, Source, read_record};

use crate::{
    limits,
    store::{PageExtent, PageStore, Pages, RunTable},
};

/// Memory of a whole machine in a file that says nothing about Windows.
#[derive(Debug)]
pub struct PhysicalImage {
    source: Source_,
    /// What kind of file it is.
    pub kind: PhysicalKind,
    /// Architecture, where the file names one.
    pub machine: Option<Machine>,
    /// Page table roots (CR3) that the file's processor notes name, one for each processor.
    pub roots: Vec<u64>,
    extents: Vec<PageExtent>,
}

/// Keeps the source out of the derived `Debug`.
struct Source_(Source);

impl core::fmt::Debug for Source_ {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("..")
    }
}

/// Kinds of physical images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhysicalKind {
    /// Page after page from address 0.
    Raw,
    /// An ELF core of a virtual machine.
    GuestCore,
}

impl PhysicalKind {
    /// What such a file holds, in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Raw => "Raw image of physical memory: no header, no bug check",
            Self::GuestCore => "Core of a virtual machine: the guest's physical memory, no bug check",
        }
    }
}

/// Smallest file that is taken for a raw image: less holds no Windows.
const SMALLEST_RAW: u64 = 16 * 1024 * 1024;
/// Bytes of notes that are read.
const NOTES: u64 = 4 * 1024 * 1024;

const ELF_CLASS_64: u8 = 2;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;

impl PhysicalImage {
    /// Whether a file of unknown content may be a raw image of memory.
    pub(crate) fn may_be_raw(source: &dyn ByteSource) -> bool {
        source.len() >= SMALLEST_RAW && source.len().is_multiple_of(PAGE_SIZE)
    }

    /// A raw image: file offsets are physical addresses.
    pub(crate) fn raw(source: Source) -> Self {
        let pages = source.len() / PAGE_SIZE;
        let extents = Vec::from([PageExtent { pfn: 0, pages, offset: 0 }]);
        Self { source: Source_(source), kind: PhysicalKind::Raw, machine: None, roots: Vec::new(), extents }
    }

    /// An ELF core, if it is one of a whole machine: cores of Linux processes have no physical addresses.
    ///
    /// # Errors
    /// If its headers cannot be read.
    pub(crate) fn guest_core(source: Source) -> Result<Option<Self>, ReadError> {
        let raw = read_record(&source, 0, 0x40, 0x40, "ELF header")?;
        if raw.get(4) != Some(&ELF_CLASS_64) {
            return Ok(None);
        }
        let mut bytes = Bytes::new(&raw, 0);
        bytes.seek(0x12, "ELF machine")?;
        let machine = match bytes.u16("ELF machine")? {
            62 => Some(Machine::X64),
            183 => Some(Machine::Arm64),
            3 => Some(Machine::X86),
            _ => None,
        };
        bytes.seek(0x20, "ELF program headers")?;
        let table = bytes.u64("offset of the program headers")?;
        bytes.seek(0x36, "ELF program headers")?;
        let (size, count) = (bytes.u16("size of a program header")?, bytes.u16("number of program headers")?);
        if size < 0x38 {
            return Err(ReadError::invalid("size of a program header", 0x36, u64::from(size)));
        }
        let length = u64::from(size) * u64::from(count);
        let raw = read_record(&source, table, length, limits::SEGMENTS * 0x40, "program headers")?;
        let (mut extents, mut roots, mut physical) = (Vec::new(), Vec::new(), false);
        for index in 0..usize::from(count) {
            let mut bytes = Bytes::new(&raw, table);
            bytes.seek(index * usize::from(size), "program header")?;
            let kind = bytes.u32("segment type")?;
            bytes.skip(4, "segment flags")?;
            let offset = bytes.u64("segment offset")?;
            bytes.skip(8, "segment virtual address")?;
            let address = bytes.u64("segment physical address")?;
            let in_file = bytes.u64("segment size")?;
            match kind {
                PT_LOAD => {
                    physical |= address != 0;
                    if address.is_multiple_of(PAGE_SIZE) {
                        extents.push(PageExtent { pfn: address / PAGE_SIZE, pages: in_file / PAGE_SIZE, offset });
                    }
                }
                PT_NOTE => {
                    let found = processor_notes(&source, offset, in_file, &mut roots);
                    physical |= found.unwrap_or(false);
                }
                _ => {}
            }
        }
        if !physical || extents.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { source: Source_(source), kind: PhysicalKind::GuestCore, machine, roots, extents }))
    }

    /// The memory.
    pub fn physical(&self, notes: &mut Vec<Note>) -> PageStore {
        let runs = RunTable::new(self.extents.clone(), notes);
        PageStore::new(self.source.0.clone(), Pages::Runs(runs))
    }

    /// The first bytes of physical memory that are worth searching for page tables, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.source.0.len()
    }
}

/// Reads ELF notes: QEMU's processor states name CR3. Says whether there was a note of a hypervisor at all.
fn processor_notes(source: &Source, offset: u64, size: u64, roots: &mut Vec<u64>) -> Result<bool, ReadError> {
    const CR3_IN_QEMU_STATE: usize = 416;
    let raw = read_record(source, offset, size.min(NOTES), NOTES, "notes")?;
    let mut bytes = Bytes::new(&raw, offset);
    let mut hypervisor = false;
    while bytes.remaining() >= 12 {
        let (name_size, size) = (bytes.u32("note")? as usize, bytes.u32("note")? as usize);
        bytes.skip(4, "note type")?;
        let name = bytes.take(name_size.min(64).next_multiple_of(4), "note name")?;
        let body = bytes.take(size.next_multiple_of(4).min(bytes.remaining()), "note")?;
        if name.starts_with(b"QEMU") {
            hypervisor = true;
            let mut state = Bytes::new(body, 0);
            if state.seek(CR3_IN_QEMU_STATE, "CR3").is_ok() && roots.len() < 4096 {
                roots.extend(state.u64("CR3").ok());
            }
        }
        hypervisor |= name.starts_with(b"VBCORE") || name.starts_with(b"Xen");
    }
    Ok(hypervisor)
}
