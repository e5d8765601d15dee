//! Images of a process, from the loader's list in its own memory.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Memory, MemoryExt, Va};

use crate::list::{Broken, follow};

/// An image of a process, from its `LDR_DATA_TABLE_ENTRY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserModule {
    /// Base of the image.
    pub base: Va,
    /// `SizeOfImage` in bytes.
    pub size: u32,
    /// Full path.
    pub path: String,
    /// `TimeDateStamp` of the image.
    pub timestamp: u32,
}

/// Images of a process, and why there may be more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserModules {
    /// In the order in which they were loaded.
    pub modules: Vec<UserModule>,
    /// What was wrong with the list.
    pub broken: Option<Broken>,
    /// Entries that made no sense or whose memory is absent.
    pub skipped: u32,
}

/// Most images of one process.
const MOST_MODULES: usize = 4_096;
/// Bytes of the longest path.
const PATH_BYTES: u16 = 0x1000;

/// Offsets in the environment block, the loader's data and its entries, for one size of pointers.
struct Offsets {
    loader: u64,
    list: u64,
    base: u64,
    size: u64,
    path: u64,
    timestamp: u64,
}

const WIDE: Offsets = Offsets { loader: 0x18, list: 0x10, base: 0x30, size: 0x40, path: 0x48, timestamp: 0x80 };
const NARROW: Offsets = Offsets { loader: 0xc, list: 0xc, base: 0x18, size: 0x20, path: 0x24, timestamp: 0x44 };

/// Reads the images of a process; `pointer` is the pointer size of its environment block (4 for the 32-bit half of a
/// process on a 64-bit system). `None` if the block or the loader's data cannot be read.
#[must_use]
pub fn user_modules(memory: &dyn Memory, peb: Va, pointer: u8) -> Option<UserModules> {
    let o = if pointer == 4 { NARROW } else { WIDE };
    let loader = memory.read_pointer(peb.checked_add(o.loader)?, pointer).ok().filter(|loader| *loader != 0)?;
    let list = follow(memory, Va(loader).checked_add(o.list)?, pointer, MOST_MODULES);
    if list.nodes.is_empty() && list.broken.is_some() {
        return None;
    }
    let (mut modules, mut skipped) = (Vec::new(), 0_u32);
    for entry in list.nodes {
        match module(memory, entry, pointer, &o) {
            Some(module) => modules.push(module),
            None => skipped = skipped.saturating_add(1),
        }
    }
    Some(UserModules { modules, broken: list.broken, skipped })
}

fn module(memory: &dyn Memory, entry: Va, pointer: u8, o: &Offsets) -> Option<UserModule> {
    let base = memory.read_pointer(entry.checked_add(o.base)?, pointer).ok()?;
    let size = memory.read_u32(entry.checked_add(o.size)?).ok()?;
    if base == 0 || base & 0xfff != 0 || size == 0 || base.checked_add(u64::from(size)).is_none() {
        return None;
    }
    let length = memory.read_u16(entry.checked_add(o.path)?).ok()?;
    let text = memory.read_pointer(entry.checked_add(o.path)?.checked_add(u64::from(pointer))?, pointer).ok()?;
    let path = if length % 2 == 0 && length <= PATH_BYTES { memory.read_utf16(Va(text), length).ok() } else { None };
    let timestamp = memory.read_u32(entry.checked_add(o.timestamp)?).ok()?;
    // An image whose name is paged out is still an image.
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| alloc::format!("image_{base:x}"));
    Some(UserModule { base: Va(base), size, path, timestamp })
}
