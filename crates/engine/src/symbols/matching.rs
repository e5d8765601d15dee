//! Which file belongs to which module, and why others do not.

use alloc::{format, rc::Rc, string::String, vec::Vec};

use dumplens_base::frame::FrameAt;
use dumplens_dump::{DebugId, Guid, Module};
use dumplens_image::CodeView;
use dumplens_isf::Isf;
use dumplens_report::{model::SymbolStatus, symbols::Mismatch};
use dumplens_symbols::{Location, PdbFile, Style, SymbolKind, demangle};

use super::{Content, InlinePlace, Names, Place, SymbolFile, Symbols, files::ImageFile};
use crate::modules::{ModuleMap, ModuleSymbols};

/// Files that do not fit, of which a module keeps the reasons.
const MOST_MISMATCHES: usize = 8;

/// Matches every module against every file anew. Files are few, modules some hundreds.
pub(crate) fn rematch(symbols: &Symbols, modules: &mut ModuleMap, landmarks: &[(&str, u64)]) {
    for index in 0..modules.all().len() {
        if let Some(image) = symbols.files.iter().find_map(|file| image_of(file, modules.module(index)?)) {
            modules.update(index, |module| learn(module, &image));
        }
        let Some(named) = modules.all().get(index) else { continue };
        let landmarks = if named.name == "nt" { landmarks } else { &[] };
        let found = find(symbols, &named.module, landmarks);
        modules.set_symbols(index, found);
    }
}

/// The debug record of an image file that is this module's.
fn image_of(file: &SymbolFile, module: &Module) -> Option<CodeView> {
    let Content::Image(image) = &file.content else { return None };
    let headers = image.image.headers();
    is_same_image(headers.timestamp, headers.size_of_image, module).then(|| image.code_view.clone()).flatten()
}

/// Images are identified as symbol stores do: by time stamp and size.
pub(crate) fn is_same_image(timestamp: u32, size: u32, module: &Module) -> bool {
    module.timestamp == Some(timestamp) && module.size == u64::from(size)
}

/// Takes over the name of the PDB from an image that is the module's, unless the module has it.
pub(crate) fn learn(module: &mut Module, record: &CodeView) {
    if module.debug_id.is_some() {
        return;
    }
    let (id, path) = match record {
        CodeView::Pdb70 { guid, age, path } => (DebugId::Pdb70 { guid: Guid(*guid), age: *age }, path),
        CodeView::Pdb20 { timestamp, age, path } => (DebugId::Pdb20 { timestamp: *timestamp, age: *age }, path),
    };
    module.debug_id = Some(id);
    module.debug_file.clone_from(path);
}

fn find(symbols: &Symbols, module: &Module, landmarks: &[(&str, u64)]) -> ModuleSymbols {
    if let Some(file) = symbols.forced.get(&module.base) {
        let reason = format!("{} ({}) is used because you insisted; names may be wrong", file.name, file.identity());
        let names = Some(Rc::clone(file) as Rc<dyn Names>);
        return ModuleSymbols { status: SymbolStatus::Forced, reason: Some(reason), names, ..ModuleSymbols::default() };
    }
    let mut best = ModuleSymbols::default();
    let mut mismatches = Vec::new();
    for file in &symbols.files {
        let found = match &file.content {
            Content::Image(image) => by_image(file, image, module),
            Content::Isf(table) => by_table(table, module, landmarks),
            Content::Pdb(pdb) => by_pdb(file, pdb, module, landmarks),
        };
        let Some((status, reason)) = found else { continue };
        if status == SymbolStatus::Mismatched && mismatches.len() < MOST_MISMATCHES {
            mismatches.push(Mismatch { file: file.name.clone(), reason: reason.clone() });
        }
        if rank(status) > rank(best.status) {
            let names = usable(status).then(|| Rc::clone(file) as Rc<dyn Names>);
            best = ModuleSymbols { status, reason: Some(reason), names, ..ModuleSymbols::default() };
        }
    }
    // Where a file fits, others that do not are of no more interest. Exports are less than what was meant to be there.
    if best.status != SymbolStatus::Loaded {
        best.mismatches = mismatches;
    }
    best
}

/// Which status is worth more.
const fn rank(status: SymbolStatus) -> u8 {
    match status {
        SymbolStatus::Missing => 0,
        SymbolStatus::Mismatched => 1,
        SymbolStatus::Exports => 2,
        SymbolStatus::Forced => 3,
        SymbolStatus::Loaded => 4,
    }
}

const fn usable(status: SymbolStatus) -> bool {
    matches!(status, SymbolStatus::Loaded | SymbolStatus::Forced | SymbolStatus::Exports)
}

/// What an image file is to a module; `None` if nothing.
fn by_image(file: &SymbolFile, image: &ImageFile, module: &Module) -> Option<(SymbolStatus, String)> {
    let headers = image.image.headers();
    if is_same_image(headers.timestamp, headers.size_of_image, module) {
        return Some((SymbolStatus::Exports, format!("exported names of {}", file.name)));
    }
    file.name
        .eq_ignore_ascii_case(module.file_name())
        .then(|| (SymbolStatus::Mismatched, difference(headers.timestamp, headers.size_of_image, module)))
}

/// What a PDB is to a module: matched by GUID and age of its debug information. A kernel whose dump does not name its PDB is
/// proved by the addresses that the dump states.
fn by_pdb(
    file: &SymbolFile,
    pdb: &PdbFile,
    module: &Module,
    landmarks: &[(&str, u64)],
) -> Option<(SymbolStatus, String)> {
    let own = pdb.identity();
    let called = module.debug_file.as_deref().is_some_and(|path| is_same_file(path, &file.name));
    match &module.debug_id {
        Some(DebugId::Pdb70 { guid, age }) if own.matches(&guid.0, *age) => {
            Some((SymbolStatus::Loaded, format!("{} {}, age {}", file.name, Guid(own.guid), own.age)))
        }
        Some(DebugId::Pdb70 { guid, age }) if own.guid == guid.0 => {
            let text = format!("the PDB offered has age {}, the module wants {age}: it is of another link", own.age);
            Some((SymbolStatus::Mismatched, text))
        }
        Some(DebugId::Pdb70 { guid, .. }) => called.then(|| {
            let text = format!("the PDB offered is {}, the module wants {guid}: another build", Guid(own.guid));
            (SymbolStatus::Mismatched, text)
        }),
        None if !landmarks.is_empty() => by_landmarks(file, pdb, module, landmarks),
        _ => None,
    }
}

/// Holds the addresses that the dump states against where a PDB has those variables.
fn by_landmarks(
    file: &SymbolFile,
    pdb: &PdbFile,
    module: &Module,
    landmarks: &[(&str, u64)],
) -> Option<(SymbolStatus, String)> {
    let (mut agree, mut differ) = (Vec::new(), Vec::new());
    for (name, address) in landmarks {
        let Ok(Some(rva)) = pdb.by_name(name) else { continue };
        let here = module.base.0.wrapping_add(u64::from(rva)) & mask(*address);
        if here == *address { agree.push(*name) } else { differ.push(*name) }
    }
    // One address alone may agree by chance: builds of the same source move little.
    if agree.len() >= 2 && differ.is_empty() {
        let text = format!("{}, proved by the addresses that the dump states: {}", file.name, agree.join(", "));
        return Some((SymbolStatus::Loaded, text));
    }
    (!differ.is_empty()).then(|| {
        let text = format!("the PDB offered is another kernel's: {} stand elsewhere in the dump", differ.join(", "));
        (SymbolStatus::Mismatched, text)
    })
}

/// Addresses of 32-bit machines are compared in 32 bits.
const fn mask(address: u64) -> u64 {
    if address >> 32 == 0 { 0xffff_ffff } else { u64::MAX }
}

/// What a symbol table is to a module: matched by GUID and age where the module names its PDB, else proved by the addresses
/// that the dump states.
fn by_table(table: &Isf, module: &Module, landmarks: &[(&str, u64)]) -> Option<(SymbolStatus, String)> {
    let identity = table.identity();
    let name = identity.pdb_name.as_deref().unwrap_or("symbol table");
    match &module.debug_id {
        Some(DebugId::Pdb70 { guid, age }) if identity.matches(&guid.0, *age) => {
            return Some((SymbolStatus::Loaded, format!("symbol table of {name}")));
        }
        // Another GUID: a table of another image, or of another version of this one.
        Some(DebugId::Pdb70 { guid, .. }) => {
            let same = module.debug_file.as_deref().is_some_and(|file| is_same_file(file, name));
            return same.then(|| {
                let text = format!("the symbol table of {name} is {}, the module wants {guid}", Guid(identity.guid));
                (SymbolStatus::Mismatched, text)
            });
        }
        _ => {}
    }
    if landmarks.is_empty() {
        return None;
    }
    let proof = table.prove(module.base.0, landmarks);
    if proof.holds() {
        let text = format!("symbol table of {name}, proved by the addresses that the dump states ({proof})");
        return Some((SymbolStatus::Loaded, text));
    }
    // A table of another image names none of the kernel's variables.
    (!proof.differ.is_empty() || !proof.agree.is_empty())
        .then(|| (SymbolStatus::Mismatched, format!("the symbol table of {name} is another kernel's: {proof}")))
}

fn is_same_file(path: &str, name: &str) -> bool {
    path.rsplit(['\\', '/']).next().is_some_and(|file| file.eq_ignore_ascii_case(name))
}

/// Why an image of the right name is not the module's.
fn difference(timestamp: u32, size: u32, module: &Module) -> String {
    let mut parts: Vec<String> = Vec::new();
    match module.timestamp {
        Some(own) if own != timestamp => {
            parts.push(format!("its time stamp is {timestamp:#x}, the module's {own:#x}"));
        }
        None => parts.push("the dump does not hold the module's time stamp".into()),
        Some(_) => {}
    }
    if module.size != u64::from(size) {
        parts.push(format!("its size is {size:#x}, the module's {:#x}", module.size));
    }
    format!("the image offered is another version: {}", parts.join("; "))
}

impl Names for SymbolFile {
    fn place(&self, rva: u32) -> Option<Place> {
        match &self.content {
            Content::Image(image) => image.place(rva),
            Content::Pdb(pdb) => pdb.lookup(rva).ok().flatten().map(|location| pdb_place(&location)),
            Content::Isf(table) => {
                let (name, offset) = table.nearest(u64::from(rva))?;
                let function = demangle(name, Style::Name).unwrap_or_else(|| name.into());
                Some(Place { function, offset, file: None, line: None, inlines: Vec::new(), note: None })
            }
        }
    }

    fn frame(&self, rva: u32) -> Option<FrameAt> {
        match &self.content {
            Content::Pdb(pdb) => pdb.frame(rva).ok().flatten(),
            Content::Image(_) | Content::Isf(_) => None,
        }
    }
}

/// Public symbols have no end: what stands far behind one most likely belongs to a function that has no name.
const PLAUSIBLE_PUBLIC: u32 = 0x1_0000;

fn pdb_place(location: &Location) -> Place {
    let text = |text: &Rc<str>| String::from(&**text);
    let far = location.kind == SymbolKind::Public && location.function_offset >= PLAUSIBLE_PUBLIC;
    Place {
        function: text(&location.function),
        offset: u64::from(location.function_offset),
        file: location.file.as_ref().map(text),
        line: location.line,
        inlines: location
            .inlines
            .iter()
            .map(|inlined| InlinePlace {
                function: text(&inlined.function),
                file: inlined.file.as_ref().map(text),
                line: inlined.line,
            })
            .collect(),
        note: far.then_some("the nearest public name is far away: the function is most likely another, unnamed one"),
    }
}
