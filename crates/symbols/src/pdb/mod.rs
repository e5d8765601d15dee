//! Windows PDBs (MSF 7).

mod container;
mod dbi;
mod frames;
mod function;
mod globals;
mod ids;
mod inline;
mod lines;
mod list;
mod module;
mod places;
mod records;
mod stream;

use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
};

use dumplens_base::{ByteSource as _, Bytes, Machine, Source};

use self::{
    container::Container,
    dbi::Dbi,
    frames::Frames,
    function::Function,
    globals::{Names, Nearest, Publics},
    ids::Items,
    module::Module,
    places::Places,
    records::Record,
    stream::Pages,
};
pub use self::{
    frames::FrameRecords,
    list::{LineRecord, ListedProcedure, ListedPublic, Procedures, PublicSymbols},
    places::Place,
    stream::PdbStream,
};
pub(crate) use self::{globals::hash, stream::Window};
use crate::{Location, SymbolError, cache::Cache, demangle};

/// Number of the stream with the identity, and of those with types, with debug information and with ids.
const INFO: u16 = 1;
pub(crate) const TYPES: u16 = 2;
const DEBUG: u16 = 3;
const IDS: u16 = 4;
/// No stream.
const NONE: u16 = u16::MAX;

/// Most bytes of the stream with the identity.
const INFO_LIMIT: u64 = 16 << 20;
/// Least bytes of the file that are kept.
const LEAST_CACHE: usize = 64 << 10;
/// Longest path of a source file.
const PATH: usize = 32 << 10;

/// Which image a PDB belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As its bytes stand in image and PDB: three little-endian fields, then eight bytes.
    pub guid: [u8; 16],
    /// The age that the image was linked with: that of the debug information, or of the file if it has none.
    pub age: u32,
    /// How often the file was written. Tools that strip or index a PDB count on, so that it says nothing about images.
    pub info_age: u32,
    /// What the image runs on, if there is debug information.
    pub machine: Option<Machine>,
}

impl Identity {
    /// Whether an image with this identity in its CodeView record belongs to the PDB.
    #[must_use]
    pub fn matches(&self, guid: &[u8; 16], age: u32) -> bool {
        self.guid == *guid && self.age == age
    }
}

/// A PDB, open.
///
/// All methods take `&self`; what was read is kept, within the budget, in caches. It stays on one thread.
pub struct PdbFile {
    file: u64,
    budget: usize,
    pages: Rc<Pages>,
    container: RefCell<Container>,
    identity: Identity,
    /// Names and numbers of named streams.
    named: Vec<(String, u32)>,
    minimal: bool,
    dbi: Option<Dbi>,
    places: OnceCell<Places>,
    records: OnceCell<Option<PdbStream>>,
    publics: OnceCell<Option<Publics>>,
    globals: OnceCell<Option<Names>>,
    ids: OnceCell<Option<Items>>,
    types: OnceCell<Option<Items>>,
    names: OnceCell<Option<PdbStream>>,
    frames: OnceCell<Frames>,
    modules: Cache<Rc<Module>>,
    /// By the RVA, as it was linked, from where on they are the answer.
    functions: Cache<Function>,
    files: Cache<Rc<str>>,
    inlinees: Cache<Rc<str>>,
}

impl core::fmt::Debug for PdbFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PdbFile").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// What a cell holds, after it was filled.
fn filled<T>(cell: &OnceCell<T>, fill: impl FnOnce() -> Result<T, SymbolError>) -> Result<&T, SymbolError> {
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = fill()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}

impl PdbFile {
    /// Bytes that a PDB keeps unless another budget is set.
    pub const DEFAULT_BUDGET: usize = 32 << 20;

    /// Opens a PDB; reads its header, its directory and its identity. `budget` bounds the bytes that are kept beside
    /// the directory and one module's index; less than 1 MiB is taken as that.
    ///
    /// # Errors
    /// [`SymbolError`] if it is no PDB of format 7, or its directory or identity is damaged.
    pub fn open(source: Source, budget: usize) -> Result<Self, SymbolError> {
        let budget = budget.max(1 << 20);
        let file = source.len();
        // Small files are read again as quickly as they are kept.
        let cached = usize::try_from(file / 16).unwrap_or(usize::MAX).clamp(LEAST_CACHE, budget / 4);
        let pages = Pages::new(source, cached);
        let container = Container::open(&pages)?;
        let mut pdb = Self {
            file,
            pages: Rc::new(pages),
            budget,
            container: RefCell::new(container),
            identity: Identity { guid: [0; 16], age: 0, info_age: 0, machine: None },
            named: Vec::new(),
            minimal: false,
            dbi: None,
            places: OnceCell::new(),
            records: OnceCell::new(),
            publics: OnceCell::new(),
            globals: OnceCell::new(),
            ids: OnceCell::new(),
            types: OnceCell::new(),
            names: OnceCell::new(),
            frames: OnceCell::new(),
            modules: Cache::new(budget / 4),
            functions: Cache::new(budget / 4),
            files: Cache::new(budget / 8),
            inlinees: Cache::new(budget / 8),
        };
        pdb.identify()?;
        Ok(pdb)
    }

    fn identify(&mut self) -> Result<(), SymbolError> {
        let info = self.stream(INFO)?.ok_or(SymbolError::missing("identity (stream 1)"))?;
        let bytes = info.vec(0, info.len(), INFO_LIMIT, "identity")?;
        let mut bytes = Bytes::new(&bytes, info.file_offset(0));
        bytes.skip(8, "identity")?;
        let age = bytes.u32("age")?;
        let guid = bytes.guid("GUID")?;
        // Old tools wrote less; without the names there are no source files, and the rest can be had.
        (self.named, self.minimal) = named_streams(&mut bytes).unwrap_or_default();
        let dbi = match self.stream(DEBUG)? {
            Some(stream) if !stream.is_empty() => Some(Dbi::open(stream)?),
            _ => None,
        };
        let machine = dbi.as_ref().map(|dbi| dbi.machine);
        self.identity = Identity { guid, age: dbi.as_ref().map_or(age, |dbi| dbi.age), info_age: age, machine };
        self.dbi = dbi;
        Ok(())
    }

    /// Which image the PDB belongs to.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether the image was rearranged after it was linked (OMAP).
    ///
    /// # Errors
    /// If the section headers cannot be read.
    pub fn is_rearranged(&self) -> Result<bool, SymbolError> {
        Ok(self.places()?.is_rearranged())
    }

    /// Stream `index`; `None` if there is none.
    ///
    /// # Errors
    /// If the directory is damaged there.
    pub fn stream(&self, index: u16) -> Result<Option<PdbStream>, SymbolError> {
        if index == NONE {
            return Ok(None);
        }
        let map = self.container.borrow_mut().pages(index, self.file)?;
        Ok(map.map(|map| PdbStream::new(map, Rc::clone(&self.pages))))
    }

    /// The stream of that name, such as `/names`.
    ///
    /// # Errors
    /// If the directory is damaged there.
    pub fn named_stream(&self, name: &str) -> Result<Option<PdbStream>, SymbolError> {
        let found = self.named.iter().find(|(its, _)| its == name);
        found.and_then(|(_, index)| u16::try_from(*index).ok()).map_or(Ok(None), |index| self.stream(index))
    }

    fn dbi(&self) -> Result<&Dbi, SymbolError> {
        self.dbi.as_ref().ok_or(SymbolError::missing("debug information (stream 3)"))
    }

    fn places(&self) -> Result<&Places, SymbolError> {
        filled(&self.places, || {
            let extra = self.dbi()?.extra;
            let to_source = self.stream(extra.omap_to_source)?;
            let from_source = self.stream(extra.omap_from_source)?;
            let original = if from_source.is_some() { self.stream(extra.original_sections)? } else { None };
            let headers = match original {
                Some(headers) => Some(headers),
                None => self.stream(extra.sections)?,
            };
            Places::open(&headers.ok_or(SymbolError::missing("section headers"))?, to_source, from_source)
        })
    }

    fn symbol_records(&self) -> Result<Option<&PdbStream>, SymbolError> {
        filled(&self.records, || self.stream(self.dbi()?.records)).map(Option::as_ref)
    }

    fn publics(&self) -> Result<Option<&Publics>, SymbolError> {
        let publics = filled(&self.publics, || {
            let stream = self.stream(self.dbi()?.publics)?.filter(|stream| !stream.is_empty());
            stream.map(|stream| Publics::open(stream, self.minimal, self.budget / 8)).transpose()
        });
        publics.map(Option::as_ref)
    }

    fn globals(&self) -> Result<Option<&Names>, SymbolError> {
        let globals = filled(&self.globals, || {
            let stream = self.stream(self.dbi()?.globals)?;
            stream.map(|stream| Names::globals(stream, self.minimal)).transpose()
        });
        globals.map(Option::as_ref)
    }

    fn items(&self, index: u16) -> Result<Option<Items>, SymbolError> {
        let stream = self.stream(index)?.filter(|stream| !stream.is_empty());
        stream.map(|stream| Items::open(stream, |hashes| self.stream(hashes))).transpose()
    }

    /// The public symbol at or below a place, and where the next one is.
    fn nearest_public(&self, place: Place) -> Result<(Option<Nearest>, Option<u32>), SymbolError> {
        match (self.publics()?, self.symbol_records()?) {
            (Some(publics), Some(records)) => publics.nearest(records, place),
            _ => Ok((None, None)),
        }
    }

    /// Module `index`, from 0; `None` if there are fewer, or its stream was stripped.
    fn module(&self, index: u32) -> Result<Option<Rc<Module>>, SymbolError> {
        if let Some(module) = self.modules.get(index) {
            return Ok(Some(module));
        }
        let Some(entry) = self.dbi()?.module(index)? else { return Ok(None) };
        let Some(stream) = self.stream(entry.stream)? else { return Ok(None) };
        let module = Rc::new(Module::open(stream, &entry));
        self.modules.insert(index, Rc::clone(&module), module.cost());
        Ok(Some(module))
    }

    /// The text at `at` in the table of names; `None` if the PDB has no such table.
    fn text(&self, at: u32, longest: usize, what: &'static str) -> Result<Option<Rc<str>>, SymbolError> {
        /// What stands before the names in their table.
        const HEADER: u64 = 12;
        let Some(names) = filled(&self.names, || self.named_stream("/names"))? else { return Ok(None) };
        let text = names.text(HEADER.saturating_add(at.into()), longest, what)?;
        Ok(Some(String::from_utf8_lossy(&text).into()))
    }

    /// The name of a source file of a module; `file` is the offset of its record.
    fn file_name(&self, module: &Module, file: u32) -> Result<Option<Rc<str>>, SymbolError> {
        let Some(at) = module.file(file)? else { return Ok(None) };
        if let Some(name) = self.files.get(at) {
            return Ok(Some(name));
        }
        let Some(name) = self.text(at, PATH, "name of a source file")? else { return Ok(None) };
        self.files.insert(at, Rc::clone(&name), name.len());
        Ok(Some(name))
    }

    /// The name of the function with that id; empty if there is none.
    fn inlinee_name(&self, id: u32) -> Result<Rc<str>, SymbolError> {
        if let Some(name) = self.inlinees.get(id) {
            return Ok(name);
        }
        let types = filled(&self.types, || self.items(TYPES))?;
        let name = match filled(&self.ids, || self.items(IDS))? {
            Some(ids) => ids::function(ids, types.as_ref(), id)?,
            None => None,
        };
        let name: Rc<str> = name.map(|name| Rc::from(demangle::readable(&name))).unwrap_or_default();
        self.inlinees.insert(id, Rc::clone(&name), name.len());
        Ok(name)
    }

    /// What stands at an RVA of the image as it is; `None` if no symbol stands at or before it in its section.
    ///
    /// # Errors
    /// [`SymbolError`] if what decides it is damaged or missing; other addresses may be fine.
    pub fn lookup(&self, rva: u32) -> Result<Option<Location>, SymbolError> {
        let places = self.places()?;
        let Some((linked, _)) = places.linked(rva)? else { return Ok(None) };
        let Some(place) = places.place(linked) else { return Ok(None) };
        let known = self.functions.floor(linked, |_, function| {
            // It begins at or before the place, but may be of another section.
            let fits = function.section == place.section && place.offset < function.high;
            fits.then(|| function.location(place.offset))
        });
        if known.is_some() {
            return Ok(known);
        }
        let Some((low, function)) = self.make(place)? else { return Ok(None) };
        let location = function.location(place.offset);
        let cost = function.cost();
        // What begins at `low` does so as far before the place as before its RVA.
        self.functions.insert(linked.saturating_sub(place.offset.saturating_sub(low)), function, cost);
        Ok(Some(location))
    }

    /// The RVA of the symbol with exactly that name: a public symbol as the linker knows it (`?run@@YAXXZ`, `_main`), or
    /// a procedure or data as its source does (`app::run`, `main`). `None` if there is none, or it was removed when
    /// the image was rearranged.
    ///
    /// # Errors
    /// If the tables of names are damaged.
    pub fn by_name(&self, name: &str) -> Result<Option<u32>, SymbolError> {
        let Some(records) = self.symbol_records()? else { return Ok(None) };
        let places = self.places()?;
        let mut found = |record: Record<'_>| match record {
            Record::Public { place, .. } | Record::Data { place, .. } | Record::Procedure { place, .. } => {
                places.rva(place)
            }
            Record::Reference { module, offset, .. } => self.referred(module, offset),
            Record::Thunk { .. } | Record::Separated { .. } | Record::Typedef { .. } => Ok(None),
        };
        if let Some(publics) = self.publics()?
            && let Some(rva) = publics.names.find(records, name.as_bytes(), &mut found)?
        {
            return Ok(Some(rva));
        }
        match self.globals()? {
            Some(globals) => globals.find(records, name.as_bytes(), &mut found),
            None => Ok(None),
        }
    }

    /// The RVA of the symbol whose record stands at `offset` of a module's stream; modules count from 1.
    fn referred(&self, module: u16, offset: u32) -> Result<Option<u32>, SymbolError> {
        let Some(index) = module.checked_sub(1) else { return Ok(None) };
        let Some(entry) = self.dbi()?.module(index.into())? else { return Ok(None) };
        let Some(stream) = self.stream(entry.stream)? else { return Ok(None) };
        let place = globals::record(&stream, offset.into(), |kind, data| {
            Ok(match records::parse(kind, data, stream.file_offset(offset.into()))? {
                Some(Record::Procedure { place, .. } | Record::Data { place, .. } | Record::Thunk { place, .. }) => {
                    Some(place)
                }
                _ => None,
            })
        })?;
        place.map_or(Ok(None), |place| self.places()?.rva(place))
    }
}

/// Names and numbers of the named streams, and whether the PDB refers to object files for its symbols.
fn named_streams(bytes: &mut Bytes<'_>) -> Option<(Vec<(String, u32)>, bool)> {
    /// `MINI`: made with `/DEBUG:FASTLINK`.
    const MINIMAL: u32 = 0x494e_494d;
    let len = bytes.u32("size of the stream names").ok()?;
    let text = bytes.take(len as usize, "stream names").ok()?;
    let count = bytes.u32("number of stream names").ok()?;
    bytes.skip(4, "stream names").ok()?;
    for _ in 0..2 {
        let words = bytes.u32("map of the stream names").ok()?;
        bytes.skip((words as usize).checked_mul(4)?, "map of the stream names").ok()?;
    }
    let count = bytes.count(count.into(), u32::MAX.into(), 8, "stream names").ok()?;
    let mut named = Vec::new();
    for _ in 0..count {
        let (at, index) = (bytes.u32("stream name").ok()?, bytes.u32("stream number").ok()?);
        let name = text.get(at as usize..).unwrap_or_default();
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        // Names are short; a list of offsets into one long text is none.
        let name = name.get(..end.min(256)).unwrap_or_default();
        named.push((String::from_utf8_lossy(name).into_owned(), index));
    }
    bytes.skip(4, "last stream number").ok()?;
    let mut minimal = false;
    while let Ok(feature) = bytes.u32("feature") {
        minimal |= feature == MINIMAL;
    }
    Some((named, minimal))
}
