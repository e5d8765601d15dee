//! Loaded and unloaded images, found by address and named as debuggers name them.

use alloc::{
    collections::BTreeMap,
    rc::Rc,
    string::{String, ToString},
    vec::Vec,
};

use core::cell::OnceCell;

use dumplens_base::{Memory, Va};
use dumplens_dump::{Module, UnloadedModule};
use dumplens_image::{ExportIndex, Image};
use dumplens_report::{Hex, model, symbols::Mismatch};
use dumplens_unwind::{Modules, Target};

use crate::symbols::{Names, Place, export_place};

/// The images of a dump, in list order.
#[derive(Default)]
pub(crate) struct ModuleMap {
    modules: Vec<Named>,
    unloaded: Vec<UnloadedModule>,
    /// Base → index in `modules`. Real images do not overlap; of two with the same base the first counts.
    by_base: BTreeMap<Va, usize>,
    /// Bytes at the start of an image that are headers and never code.
    header_size: u64,
    /// Where images may be found that nobody dropped.
    memory: Option<Rc<dyn Memory>>,
}

/// An image and its short name.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) module: Module,
    pub(crate) symbols: ModuleSymbols,
    /// Exports of the image in memory, read when a name is first wanted and nothing better is there.
    exports: OnceCell<Option<ExportIndex>>,
}

/// How far a module's names are known.
pub(crate) struct ModuleSymbols {
    pub(crate) status: model::SymbolStatus,
    /// What was loaded, or what did not match and why.
    pub(crate) reason: Option<String>,
    /// Files that were offered and do not fit.
    pub(crate) mismatches: Vec<Mismatch>,
    pub(crate) names: Option<Rc<dyn Names>>,
}

impl core::fmt::Debug for ModuleSymbols {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ModuleSymbols")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl Default for ModuleSymbols {
    fn default() -> Self {
        Self { status: model::SymbolStatus::Missing, reason: None, mismatches: Vec::new(), names: None }
    }
}

impl ModuleMap {
    /// `header_size` is how many bytes at the start of each image cannot be code on this platform.
    pub(crate) fn new(modules: Vec<Module>, unloaded: Vec<UnloadedModule>, header_size: u64) -> Self {
        let mut taken = BTreeMap::new();
        let mut by_base = BTreeMap::new();
        let mut named = Vec::with_capacity(modules.len());
        for (index, module) in modules.into_iter().enumerate() {
            let mut name = short_name(module.file_name());
            if taken.insert(name.to_lowercase(), ()).is_some() {
                name = alloc::format!("{name}_{:x}", module.base.0);
            }
            by_base.entry(module.base).or_insert(index);
            named.push(Named { name, module, symbols: ModuleSymbols::default(), exports: OnceCell::new() });
        }
        Self { modules: named, unloaded, by_base, header_size, memory: None }
    }

    /// Says in which memory images may be found.
    pub(crate) fn with_memory(mut self, memory: Rc<dyn Memory>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The module that holds an address, and the function there if it has a name.
    pub(crate) fn place(&self, address: Va) -> Option<(&Named, Option<Place>)> {
        let named = self.find(address)?;
        Some((named, named.place(address, self.memory.as_deref())))
    }

    pub(crate) fn all(&self) -> &[Named] {
        &self.modules
    }

    /// A module by its place in the list.
    pub(crate) fn module(&self, index: usize) -> Option<&Module> {
        self.modules.get(index).map(|named| &named.module)
    }

    /// Says how far a module's names are known now.
    pub(crate) fn set_symbols(&mut self, index: usize, symbols: ModuleSymbols) {
        if let Some(named) = self.modules.get_mut(index) {
            named.symbols = symbols;
        }
    }

    /// Changes what is known of a module; its base and size stay.
    pub(crate) fn update(&mut self, index: usize, change: impl FnOnce(&mut Module)) {
        if let Some(named) = self.modules.get_mut(index) {
            change(&mut named.module);
        }
    }

    pub(crate) fn unloaded(&self) -> &[UnloadedModule] {
        &self.unloaded
    }

    /// The image that holds `address`.
    pub(crate) fn find(&self, address: Va) -> Option<&Named> {
        let (_, index) = self.by_base.range(..=address).next_back()?;
        self.modules.get(*index).filter(|named| named.module.contains(address))
    }

    /// The unloaded image that had held `address`: the last one unloaded if several had.
    pub(crate) fn find_unloaded(&self, address: Va) -> Option<&UnloadedModule> {
        let holds =
            |module: &&UnloadedModule| address.offset_from(module.base).is_some_and(|offset| offset < module.size);
        self.unloaded.iter().rev().find(holds)
    }

    /// The name of an address: `module!function+offset`, or `module+offset` where no name is known.
    pub(crate) fn location(&self, address: Va) -> Option<String> {
        let (named, place) = self.place(address)?;
        if let Some(place) = place {
            return Some(alloc::format!("{}!{}+{:#x}", named.name, place.function, place.offset));
        }
        Some(alloc::format!("{}+{:#x}", named.name, address.offset_from(named.module.base)?))
    }

    /// The rows a front end lists.
    pub(crate) fn rows(&self) -> Vec<model::Module> {
        let rows = self.modules.iter().map(|named| (named, &named.module)).map(|(named, module)| model::Module {
            name: named.name.clone(),
            image: module.path.clone(),
            base: Hex(module.base.0),
            size: module.size,
            timestamp: module.timestamp.map(Hex::from),
            checksum: module.checksum.map(Hex::from),
            version: module.version.map(|version| version.to_string()),
            debug_file: module.debug_file.clone(),
            debug_id: module.debug_id.as_ref().map(dumplens_dump::DebugId::store_key),
            symbols: named.status(),
        });
        rows.collect()
    }

    /// The rows of unloaded images that a front end lists.
    pub(crate) fn unloaded_rows(&self) -> Vec<model::UnloadedModule> {
        let rows = self.unloaded.iter().map(|module| model::UnloadedModule {
            name: module.name.clone(),
            base: Hex(module.base.0),
            size: module.size,
            timestamp: module.timestamp.map(Hex::from),
            checksum: module.checksum.map(Hex::from),
        });
        rows.collect()
    }
}

impl Named {
    /// The function that holds an address, if it has a name.
    fn place(&self, address: Va, memory: Option<&dyn Memory>) -> Option<Place> {
        let rva = u32::try_from(address.offset_from(self.module.base)?).ok()?;
        if let Some(names) = &self.symbols.names {
            return names.place(rva);
        }
        let read = || Image::mapped(memory?, self.module.base).ok()?.export_index().ok();
        export_place(self.exports.get_or_init(read).as_ref()?, rva)
    }

    /// How far its names are known.
    pub(crate) fn status(&self) -> model::SymbolStatus {
        match (self.symbols.status, self.exports.get()) {
            (model::SymbolStatus::Missing | model::SymbolStatus::Mismatched, Some(Some(_))) => {
                model::SymbolStatus::Exports
            }
            (status, _) => status,
        }
    }

    /// Why it has that status, if there is more to say than the status does.
    pub(crate) fn reason(&self) -> Option<String> {
        match self.status() {
            model::SymbolStatus::Exports if self.symbols.names.is_none() => {
                Some("exported names of the image in the dump's memory".into())
            }
            _ => self.symbols.reason.clone(),
        }
    }
}

impl Modules for ModuleMap {
    fn target(&self, address: Va) -> Target {
        let is_code = self.find(address).is_some_and(|named| {
            address.offset_from(named.module.base).is_some_and(|offset| offset >= self.header_size)
        });
        if is_code { Target::Code } else { Target::Nothing }
    }
}

/// The name debuggers give an image: its file name without extension, with characters that expressions cannot hold
/// replaced; the kernel, whatever its file is called, is `nt`.
fn short_name(file_name: &str) -> String {
    const KERNELS: [&str; 5] = ["ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp", "ntkrla57"];
    let stem = match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    };
    if KERNELS.iter().any(|kernel| kernel.eq_ignore_ascii_case(stem)) {
        return "nt".to_string();
    }
    stem.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn module(path: &str, base: u64, size: u64) -> Module {
        Module {
            base: Va(base),
            size,
            path: path.into(),
            timestamp: None,
            checksum: None,
            version: None,
            debug_file: None,
            debug_id: None,
        }
    }

    #[test]
    fn short_names_are_those_of_debuggers() {
        for (path, name) in [
            ("ntoskrnl.exe", "nt"),
            ("NTKRNLMP.EXE", "nt"),
            ("amdppm.sys", "amdppm"),
            ("api-ms-win-core.dll", "api_ms_win_core"),
            ("Qt6 Core.dll", "Qt6_Core"),
            ("libc-2.31.so", "libc_2_31"),
            (".hidden", "_hidden"),
            ("", ""),
        ] {
            assert_eq!(short_name(path), name, "{path}");
        }
    }

    #[test]
    fn images_are_found_by_address_and_twins_are_told_apart() {
        let list = vec![module("C:\\a.dll", 0x5000, 0x1000), module("D:\\A.dll", 0x1000, 0x1000)];
        let map = ModuleMap::new(list, Vec::new(), 0x200);
        assert_eq!(map.find(Va(0x5fff)).map(|m| m.name.as_str()), Some("a"));
        assert_eq!(map.find(Va(0x1000)).map(|m| m.name.as_str()), Some("A_1000"));
        assert!(map.find(Va(0x6000)).is_none() && map.find(Va(0xfff)).is_none());
        assert_eq!(map.location(Va(0x5010)).as_deref(), Some("a+0x10"));
        assert_eq!(map.target(Va(0x51ff)), Target::Nothing);
        assert_eq!(map.target(Va(0x5200)), Target::Code);
    }
}
