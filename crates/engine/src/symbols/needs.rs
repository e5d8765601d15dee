//! Which symbol files would help, ordered by how much they matter to this crash.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use dumplens_base::{Note, Va};
use dumplens_report::symbols::{SymbolNeed, WantedFile};

use crate::{Session, facts::World, modules::Named};

/// Every module that is not fully named, the ones on the crash's stack first, in the order of its frames.
pub(crate) fn needs(session: &mut Session) -> Vec<SymbolNeed> {
    let frames: Vec<Va> =
        session.summary().stack.iter().flat_map(|stack| &stack.frames).map(|frame| Va(frame.address.0)).collect();
    let world = session.world();
    let mut on_stack: BTreeMap<Va, usize> = BTreeMap::new();
    for (number, ip) in frames.iter().enumerate() {
        if let Some(named) = world.modules.find(*ip) {
            on_stack.entry(named.module.base).or_insert(number);
        }
    }
    let rank = |named: &Named| (on_stack.get(&named.module.base).copied().unwrap_or(usize::MAX), named.name != "nt");
    let mut modules: Vec<&Named> = world.modules.all().iter().collect();
    // Equal ranks keep the order of the module list.
    modules.sort_by_key(|named| rank(named));
    let needs = modules.into_iter().map(|named| {
        let matters = match on_stack.get(&named.module.base) {
            Some(0) => Some("where it crashed".to_string()),
            Some(number) => Some(format!("frame {number} of the crash")),
            None if named.name == "nt" => Some("the kernel: its structures name processes and threads".to_string()),
            None => None,
        };
        SymbolNeed {
            module: named.name.clone(),
            image: named.module.file_name().to_string(),
            symbols: named.status(),
            reason: named.reason().or_else(|| unidentified(named)),
            mismatches: named.symbols.mismatches.clone(),
            matters,
            files: files(world, named),
        }
    });
    needs.collect()
}

/// Notes on files that were offered and do not fit, each with the reason.
const MOST_NOTED: usize = 16;

/// What is to be said of files that do not fit: they were meant to help, and do not.
pub(crate) fn notes(world: &World) -> Vec<Note> {
    let all = world.modules.all().iter();
    let all: Vec<_> =
        all.flat_map(|named| named.symbols.mismatches.iter().map(move |mismatch| (named, mismatch))).collect();
    let mut notes: Vec<Note> = all
        .iter()
        .take(MOST_NOTED)
        .map(|(named, mismatch)| Note::info(format!("{}: {mismatch}", named.name)))
        .collect();
    let more = all.len().saturating_sub(notes.len());
    if more > 0 {
        notes.push(Note::info(format!("{more} more symbol files do not fit; the list of symbols says why")));
    }
    notes
}

/// Why a module cannot be asked for at all.
fn unidentified(named: &Named) -> Option<String> {
    let module = &named.module;
    let known = module.debug_id.is_some() || module.timestamp.is_some_and(|stamp| stamp != 0);
    (!known).then(|| {
        "the dump holds neither its debug record nor its time stamp, so no store can be asked for it; supply the file".into()
    })
}

/// Names of the kernel's image in stores: the module list calls every kernel `ntoskrnl.exe`.
const KERNEL_FILE: &str = "ntoskrnl.exe";

fn files(world: &World, named: &Named) -> Vec<WantedFile> {
    let module = &named.module;
    let public = world.windows && is_windows_file(&module.path);
    let pdb = module.debug_id.as_ref().zip(module.debug_file.as_ref());
    let pdb = pdb.and_then(|(id, name)| WantedFile::pdb(name, &id.store_key(), public));
    let name = if named.name == "nt" { KERNEL_FILE } else { module.file_name() };
    let image = module
        .timestamp
        .filter(|stamp| *stamp != 0 && world.windows)
        .and_then(|stamp| WantedFile::image(name, stamp, module.size, public));
    [pdb, image].into_iter().flatten().collect()
}

/// Whether a file stands where Windows keeps its own: Microsoft's server may have it, though drivers of others stand there too.
fn is_windows_file(path: &str) -> bool {
    let path = path.to_lowercase().replace('/', "\\");
    path.starts_with("\\systemroot\\")
        || path.contains(":\\windows\\")
        || path.starts_with("\\windows\\")
        // Older kernels list their own files without a folder.
        || !path.contains('\\')
}
