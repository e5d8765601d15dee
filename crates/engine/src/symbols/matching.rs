//! Which file belongs to which module, and why others do not.

use alloc::{format, rc::Rc, string::String, vec::Vec};

use dumplens_dump::{DebugId, Guid, Module};
use dumplens_image::CodeView;
use dumplens_report::model::SymbolStatus;

use super::{Content, Names, SymbolFile, Symbols};
use crate::modules::{ModuleMap, ModuleSymbols};

/// What a look at the files came to for one module.
struct Match {
    status: SymbolStatus,
    reason: Option<String>,
    names: Option<Rc<dyn Names>>,
}

/// Matches every module against every file anew. Files are few, modules some hundreds.
pub(crate) fn rematch(symbols: &Symbols, modules: &mut ModuleMap) {
    for index in 0..modules.all().len() {
        if let Some(image) = symbols.files.iter().find_map(|file| image_of(file, modules.module(index)?)) {
            modules.update(index, |module| learn(module, &image));
        }
        let Some(module) = modules.module(index) else { continue };
        let found = find(symbols, module);
        modules.set_symbols(index, ModuleSymbols { status: found.status, reason: found.reason, names: found.names });
    }
}

/// The debug record of an image file that is this module's.
fn image_of(file: &SymbolFile, module: &Module) -> Option<CodeView> {
    let Content::Image(image) = &file.content;
    let headers = image.image.headers();
    is_same_image(headers.timestamp, headers.size_of_image, module).then(|| image.code_view.clone()).flatten()
}

/// Images are identified as symbol stores do: by time stamp and size.
fn is_same_image(timestamp: u32, size: u32, module: &Module) -> bool {
    module.timestamp == Some(timestamp) && module.size == u64::from(size)
}

/// Takes over the name of the PDB from an image that is the module's.
fn learn(module: &mut Module, record: &CodeView) {
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

fn find(symbols: &Symbols, module: &Module) -> Match {
    let mut near: Option<String> = None;
    for file in &symbols.files {
        let Content::Image(image) = &file.content;
        let headers = image.image.headers();
        if is_same_image(headers.timestamp, headers.size_of_image, module) {
            return Match {
                status: SymbolStatus::Exports,
                reason: Some(format!("exported names of {}", file.name)),
                names: Some(Rc::clone(file) as Rc<dyn Names>),
            };
        }
        if file.name.eq_ignore_ascii_case(module.file_name()) {
            near = near.or_else(|| Some(difference(headers.timestamp, headers.size_of_image, module)));
        }
    }
    let status = if near.is_some() { SymbolStatus::Mismatched } else { SymbolStatus::Missing };
    Match { status, reason: near, names: None }
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
    fn place(&self, rva: u32) -> Option<super::Place> {
        let Content::Image(image) = &self.content;
        image.place(rva)
    }
}
