//! Raw images of physical memory and cores of virtual machines: no header, no bug check unless memory holds one.

use alloc::{boxed::Box, format, rc::Rc, string::String, vec::Vec};

use dumplens_analysis::{Mode, bug_check_access};
use dumplens_base::{Note, PhysMemory};
use dumplens_dump::PhysicalImage;
use dumplens_report::model::DumpInfo;
use dumplens_windows::{Kernel, find_in_memory};

use super::full::{self, Full};
use crate::{
    facts::{Crash, World},
    images::Images,
    parts::image::ImageParts,
};

/// Gathers a physical image.
///
/// # Errors
/// One sentence, if no kernel of Windows can be found in it.
pub(crate) fn gather(image: &PhysicalImage, file_name: Option<String>, file_size: u64) -> Result<World, String> {
    let mut notes = Vec::new();
    let store = Rc::new(image.physical(&mut notes));
    let phys: Rc<dyn PhysMemory> = store.clone();
    let hints = find_in_memory(&phys, image.machine, &image.roots, &mut notes)?;
    let kernel = Kernel::find(phys, &hints, &mut notes)?;
    let mut full = Full::new(kernel, store, &mut notes);
    full.place_crash(None);
    let modules = full::modules(&full, &mut notes);
    // A crash that was on its way when memory was taken has left its code.
    let bugcheck = full.kernel.bug_check().filter(|(code, _)| *code != 0);
    let access = bugcheck.and_then(|(code, parameters)| bug_check_access(code, parameters));
    let crash =
        Crash { bugcheck, access, instruction: access.and_then(|access| access.instruction), ..Crash::default() };
    if bugcheck.is_none() {
        notes.push(Note::info("nothing crashed: this is memory of a running system"));
    }
    let processors = full.processors.len();
    let info = DumpInfo {
        file_name,
        format: None,
        description: image.kind.description().into(),
        architecture: Some(hints.machine.name().into()),
        os: dumplens_windows::release_name(hints.build, false).map(String::from).or_else(|| Some("Windows".into())),
        build: Some(hints.build),
        build_string: full.kernel.build_lab(),
        processors: u32::try_from(processors).ok().filter(|count| *count > 0),
        processor: None,
        machine: None,
        firmware: None,
        time: None,
        uptime_seconds: None,
        process_uptime_seconds: None,
        process: None,
        process_id: None,
        comment: None,
        file_size,
    };
    let found = [("PsLoadedModuleList", hints.module_list), ("PsActiveProcessHead", hints.process_list)];
    let landmarks = found.into_iter().filter_map(|(name, va)| Some((name, va?.0))).collect();
    let lists = full::first_lists(&full, &crash, &modules);
    let parts = ImageParts::new(image, &full, format!("{:#x}", hints.directory_table_base));
    Ok(World {
        mode: Mode::Kernel,
        machine: hints.machine,
        windows: true,
        dump: info,
        modules,
        memory: Rc::clone(&full.space) as Rc<_>,
        lists,
        full: Some(Box::new(full)),
        crash,
        symbols: crate::symbols::Symbols::default(),
        landmarks,
        parts: Box::new(parts),
        images: Images::default(),
        notes,
    })
}
