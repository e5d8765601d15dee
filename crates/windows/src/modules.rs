//! The list of loaded modules and the array of unloaded ones.

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{MemoryExt, Note, Va};

use crate::{DebuggerData, Kernel, list::follow};

/// A loaded kernel module, from its `KLDR_DATA_TABLE_ENTRY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelModule {
    /// Address of the list entry.
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

    /// The loaded modules in list order: the kernel first.
    pub fn modules(&self, notes: &mut Vec<Note>) -> Vec<KernelModule> {
        let Some(head) = self.module_list else { return Vec::new() };
        let list = follow(&*self.space, head, self.pointer(), MOST_MODULES);
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
