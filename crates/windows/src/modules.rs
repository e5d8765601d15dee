//! The list of loaded modules and the array of unloaded ones.

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{MemoryExt, Note, PAGE_SIZE, Va};
use dumplens_image::Image;
use dumplens_paging::{Mode, Search};

use crate::{Broken, DebuggerData, Kernel, list::follow};

/// A loaded kernel module, from its `KLDR_DATA_TABLE_ENTRY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelModule {
    /// Address of the list entry; 0 if the image was found without one.
    pub entry: Va,
    /// Base of the image.
    pub base: Va,
    /// `SizeOfImage` in bytes.
    pub size: u32,
    /// Full path; the base name if only that can be read.
    pub path: String,
    /// `CheckSum` of the image.
    pub checksum: Option<u32>,
    /// `TimeDateStamp` of the image: Windows 10 and later keep it in the list.
    pub timestamp: Option<u32>,
}

/// An unloaded driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedDriver {
    /// Name, as the kernel kept it.
    pub name: String,
    /// First address.
    pub start: Va,
    /// Address above the last.
    pub end: Va,
    /// When it was unloaded: `FILETIME`.
    pub time: u64,
}

/// Most modules that are followed.
const MOST_MODULES: usize = 4_096;
/// Page tables and pages that a search for images reads.
const SEARCH_TABLES: u32 = 1 << 14;
const SEARCH_PAGES: u32 = 1 << 18;
/// Bytes of the longest name.
const NAME_BYTES: u16 = 1_024;
/// Entries of the array of unloaded drivers (`MI_UNLOADED_DRIVERS`).
const UNLOADED: u32 = 50;

/// Offsets of the base and size of an image in a list entry.
pub(crate) const fn image_offsets(pointer: u8) -> (u64, u64) {
    if pointer == 4 { (0x18, 0x20) } else { (0x30, 0x40) }
}

impl Kernel {
    /// Reads a `UNICODE_STRING`.
    pub(crate) fn unicode_string(&self, at: Va) -> Option<String> {
        let length = self.space.read_u16(at).ok().filter(|length| length % 2 == 0 && *length <= NAME_BYTES)?;
        let buffer = self.pointer_at(at.checked_add(u64::from(self.pointer()))?)?;
        self.space.read_utf16(buffer, length).ok().filter(|text| !text.is_empty())
    }

    /// The loaded modules in list order: the kernel first. Where the list's head is not in the dump, memory is searched for
    /// images instead.
    pub fn modules(&self, notes: &mut Vec<Note>) -> Vec<KernelModule> {
        let list = self.module_list.map(|head| follow(&*self.space, head, self.pointer(), MOST_MODULES));
        let list = match list {
            Some(list) if !list.nodes.is_empty() => list,
            other => {
                let why = match other.and_then(|list| list.broken) {
                    Some(Broken::Unreadable { fault, .. }) => format!("{fault}"),
                    _ => String::from("where it starts is not known, or it is empty"),
                };
                return self.images(&why, notes);
            }
        };
        if let Some(broken) = list.broken {
            notes.push(Note::damaged(format!("the list of loaded modules is not whole: {broken}")));
        }
        let mut skipped = 0_u32;
        let mut modules = Vec::with_capacity(list.nodes.len());
        for entry in list.nodes {
            match self.module(entry) {
                Some(module) => modules.push(module),
                None => skipped += 1,
            }
        }
        if skipped > 0 {
            notes.push(Note::damaged(format!(
                "{skipped} entries of the list of loaded modules make no sense (base or size) and were left out"
            )));
        }
        modules
    }

    /// Images found by searching the addresses at which kernels and drivers are loaded, in address order.
    fn images(&self, why: &str, notes: &mut Vec<Note>) -> Vec<KernelModule> {
        let mode = self.space.mode();
        let mut at = match mode {
            Mode::X86 | Mode::X86Pae => mode.kernel_start(),
            _ => Va(0xffff_f800_0000_0000),
        };
        let (mut modules, mut fuel, mut pages) = (Vec::new(), SEARCH_TABLES, SEARCH_PAGES);
        'search: while fuel > 0 && modules.len() < MOST_MODULES {
            let region = match self.space.search(at, 64) {
                Search::Found(region) => region,
                Search::Tired(next) => {
                    fuel = fuel.saturating_sub(64);
                    at = next;
                    continue;
                }
                Search::Nothing => break,
            };
            fuel = fuel.saturating_sub(1);
            let mut offset = 0;
            while offset < region.len {
                if pages == 0 {
                    break 'search;
                }
                pages -= 1;
                let Some(page) = region.start.checked_add(offset) else { break 'search };
                let mut magic = [0; 2];
                let found = self.space.read_exact(page, &mut magic).is_ok() && &magic == b"MZ";
                if let Some(module) = found.then(|| self.image(page)).flatten() {
                    // The search goes on behind the image, which may be in another region.
                    at =
                        Va(page.0.saturating_add(u64::from(module.size)).saturating_add(PAGE_SIZE - 1)
                            & !(PAGE_SIZE - 1));
                    modules.push(module);
                    continue 'search;
                }
                offset += PAGE_SIZE;
            }
            match region.start.checked_add(region.len) {
                Some(next) => at = next,
                None => break,
            }
        }
        notes.push(Note::missing(format!(
            "the list of loaded modules cannot be read ({why}); {} images were found by searching memory, named by their \
             debug records",
            modules.len()
        )));
        modules
    }

    /// The image at an address, named as well as it names itself.
    fn image(&self, base: Va) -> Option<KernelModule> {
        let image = Image::mapped(&*self.space, base).ok()?;
        let headers = image.headers();
        if headers.size_of_image == 0 || headers.size_of_image > 1 << 30 {
            return None;
        }
        let exported = image.export_module_name().ok().flatten().filter(|name| !name.is_empty());
        let from_pdb = || {
            let record = image.code_view().ok()??;
            let stem = record.file_name()?.rsplit_once('.')?.0.into();
            Some::<String>(stem)
        };
        Some(KernelModule {
            entry: Va(0),
            base,
            size: headers.size_of_image,
            path: exported.or_else(from_pdb).unwrap_or_else(|| format!("image_{:x}", base.0)),
            checksum: Some(headers.checksum).filter(|sum| *sum != 0),
            timestamp: Some(headers.timestamp),
        })
    }

    fn module(&self, entry: Va) -> Option<KernelModule> {
        let p = self.pointer();
        let (base_at, size_at) = image_offsets(p);
        let (full, short, checksum, stamp) = if p == 4 { (0x24, 0x2c, 0x40, 0x58) } else { (0x48, 0x58, 0x78, 0x9c) };
        let at = |offset: u64| entry.checked_add(offset);
        let base = Va(self.space.read_pointer(at(base_at)?, p).ok()?);
        let size = self.space.read_u32(at(size_at)?).ok()?;
        if !self.space.mode().is_kernel(base) || !base.0.is_multiple_of(0x1000) || size == 0 || size > 1 << 30 {
            return None;
        }
        let name = self.unicode_string(at(short)?);
        let path = self.unicode_string(at(full)?).or_else(|| name.clone());
        Some(KernelModule {
            entry,
            base,
            size,
            path: path.unwrap_or_else(|| format!("module at {base}")),
            checksum: self.space.read_u32(at(checksum)?).ok().filter(|sum| *sum != 0),
            timestamp: (self.build >= 10_240)
                .then(|| at(stamp).and_then(|at| self.space.read_u32(at).ok()))
                .flatten()
                .filter(|stamp| *stamp != 0),
        })
    }

    /// Drivers that were unloaded, oldest first, as far as the kernel remembers.
    pub fn unloaded_drivers(&self) -> Vec<UnloadedDriver> {
        let array = self.stated(DebuggerData::mm_unloaded_drivers).and_then(|at| self.pointer_at(at));
        let Some(array) = array else { return Vec::new() };
        let next = self.stated(DebuggerData::mm_last_unloaded_driver).and_then(|at| self.space.read_u32(at).ok());
        let next = next.unwrap_or(0) % UNLOADED;
        let (size, start_at, end_at, time_at) =
            if self.pointer() == 4 { (0x18, 8, 0xc, 0x10) } else { (0x28, 0x10, 0x18, 0x20) };
        // The array is a ring: the entry that would be written next is the oldest.
        let order = (next..UNLOADED).chain(0..next);
        let read = |index: u32| {
            let entry = array.checked_add(u64::from(index) * size)?;
            let start = self.pointer_at(entry.checked_add(start_at)?)?;
            let end = self.pointer_at(entry.checked_add(end_at)?).filter(|end| *end > start)?;
            let time = self.space.read_u64(entry.checked_add(time_at)?).ok()?;
            Some(UnloadedDriver { name: self.unicode_string(entry)?, start, end, time })
        };
        order.filter_map(read).collect()
    }
}
