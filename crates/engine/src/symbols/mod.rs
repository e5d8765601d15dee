//! Symbol files that were dropped, and the names that modules get from them.
//!
//! A file is recognised by content and matched by identity: an image by its time stamp and size, a PDB by the GUID and age
//! that an image or the dump names, a table of kernel symbols by the addresses that the dump's header states. A file that
//! does not match stays with the session: a later file (the image that names the PDB) may make it match.

mod files;
mod matching;
pub(crate) mod needs;

use alloc::{collections::BTreeMap, rc::Rc, string::String, vec::Vec};

use dumplens_base::{Va, frame::FrameAt};

use dumplens_report::symbols::AddedSymbols;

use crate::modules::ModuleMap;

pub use files::AddError;
pub(crate) use files::{Content, SymbolFile, export_place};
pub(crate) use matching::{is_same_image, learn, rematch};

/// A named place in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Function, as people write it.
    pub(crate) function: String,
    /// Bytes from the function's start.
    pub(crate) offset: u64,
    /// Source file and line.
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    /// Calls that the compiler put into the function, innermost first.
    pub(crate) inlines: Vec<InlinePlace>,
    /// What a reader should know about the name.
    pub(crate) note: Option<&'static str>,
}

/// An inlined call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InlinePlace {
    pub(crate) function: String,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
}

/// Something that names places in one image, and may know more of them.
pub(crate) trait Names {
    /// The function that holds an address, given relative to the image's base.
    fn place(&self, rva: u32) -> Option<Place>;

    /// How x86 code at an address lays out its frame.
    fn frame(&self, rva: u32) -> Option<FrameAt> {
        let _ = rva;
        None
    }
}

/// What a session knows of symbol files.
#[derive(Default)]
pub(crate) struct Symbols {
    pub(crate) files: Vec<Rc<SymbolFile>>,
    /// Modules for which the user insists on a file, by base address.
    pub(crate) forced: BTreeMap<Va, Rc<SymbolFile>>,
}

impl Symbols {
    /// Takes a file in. Whether one of the same content was there: then the newer copy stands in its place, for the older one
    /// may no longer be readable.
    pub(crate) fn add(&mut self, file: &Rc<SymbolFile>) -> bool {
        let Some(known) = self.files.iter_mut().find(|known| known.is_same(file)) else {
            // What was named by an older file of the same name stays possible: identities decide, not names.
            self.files.push(Rc::clone(file));
            return false;
        };
        for forced in self.forced.values_mut().filter(|forced| Rc::ptr_eq(forced, known)) {
            *forced = Rc::clone(file);
        }
        *known = Rc::clone(file);
        true
    }

    /// The file of that name that a module is to use although it does not fit: the newest, and of several the one that
    /// the module does not use already.
    pub(crate) fn to_force(&self, name: &str, modules: &ModuleMap, base: Va) -> Option<Rc<SymbolFile>> {
        let used = modules.find(base).and_then(|named| named.symbols.names.as_ref());
        let is_used = |file: &Rc<SymbolFile>| used.is_some_and(|names| is_from(names, file));
        let mut named = self.files.iter().rev().filter(|file| file.name == name);
        let newest = named.clone().next();
        named.find(|file| !is_used(file)).or(newest).cloned()
    }
}

/// Whether these names are those of a file.
fn is_from(names: &Rc<dyn Names>, file: &Rc<SymbolFile>) -> bool {
    core::ptr::addr_eq(Rc::as_ptr(names), Rc::as_ptr(file))
}

/// What a file that was just added has changed.
pub(crate) fn added(file: &Rc<SymbolFile>, again: bool, modules: &ModuleMap) -> AddedSymbols {
    let uses = |names: &Rc<dyn Names>| is_from(names, file);
    let named = modules.all().iter().filter(|named| named.symbols.names.as_ref().is_some_and(uses));
    let named: Vec<String> = named.map(|named| named.name.clone()).collect();
    AddedSymbols { name: file.name.clone(), identity: file.identity(), modules: named, again }
}
