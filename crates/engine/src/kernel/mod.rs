//! A kernel dump in neutral form.

mod crash;
mod full;
mod image;
mod info;
mod rows;
mod small;
pub(crate) mod threads;
pub(crate) mod user;

use alloc::{boxed::Box, rc::Rc, string::String, vec::Vec};

use dumplens_analysis::Mode;
use dumplens_base::{Fault, Machine, Memory, Note, ReadOutcome, Region, Searched, Va};
use dumplens_dump::kernel::{DumpKind, KernelDump, KernelHeader};

pub(crate) use full::Full;
pub(crate) use image::gather as gather_image;

use crate::{
    facts::{Lists, ThreadContext, World},
    images::Images,
    modules::ModuleMap,
    parts::kernel::KernelParts,
};

/// Bytes at the start of a kernel image that are headers: drivers for x86 may start their first section early.
const fn header_size(machine: Machine) -> u64 {
    if matches!(machine, Machine::X86) { 0x200 } else { 0x1000 }
}

/// Memory of a dump of which none is read.
struct NoMemory;

impl Memory for NoMemory {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        if buf.is_empty() {
            return ReadOutcome::complete(0);
        }
        ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::Nothing }) }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// The variables of the kernel that the header names.
fn landmarks(header: &KernelHeader) -> Vec<(&'static str, u64)> {
    let known = [
        ("PsLoadedModuleList", Some(header.ps_loaded_module_list)),
        ("PsActiveProcessHead", Some(header.ps_active_process_head)),
        ("KdDebuggerDataBlock", header.kd_debugger_data_block),
    ];
    known.into_iter().filter_map(|(name, va)| Some((name, va?.0))).filter(|(_, va)| *va != 0).collect()
}

/// Gathers a kernel dump of any kind.
pub(crate) fn gather(dump: KernelDump, file_name: Option<String>, file_size: u64) -> World {
    let mut notes = dump.header().check();
    let mut world = match dump.kind() {
        DumpKind::Triage => gather_small(&dump, file_name, file_size, notes),
        _ => match full::open(&dump, &mut notes) {
            Some(full) => full::gather(&dump, full, file_name, file_size, notes),
            None => gather_header(&dump, file_name, file_size, notes),
        },
    };
    world.start_at_fault();
    world
}

/// A dump of which only the header can be read.
fn gather_header(dump: &KernelDump, file_name: Option<String>, file_size: u64, mut notes: Vec<Note>) -> World {
    if matches!(dump.kind(), DumpKind::Header | DumpKind::Unknown(_)) {
        notes.push(Note::missing("this dump holds nothing but its header: no modules, processes or stack"));
    }
    let crash = crash::crash(dump, &NoMemory, &mut notes);
    World {
        mode: Mode::Kernel,
        machine: dump.machine(),
        windows: true,
        dump: info::info(dump, info::Seen::default(), file_name, file_size),
        modules: ModuleMap::new(Vec::new(), Vec::new(), header_size(dump.machine())),
        memory: Rc::new(NoMemory),
        lists: Lists::default(),
        full: None,
        crash,
        symbols: crate::symbols::Symbols::default(),
        landmarks: landmarks(dump.header()),
        parts: Box::new(KernelParts::new(dump, None, Vec::new(), None)),
        images: Images::default(),
        notes,
    }
}

fn gather_small(dump: &KernelDump, file_name: Option<String>, file_size: u64, mut notes: Vec<Note>) -> World {
    let Some(triage) = dump.triage(&mut notes) else { return gather_header(dump, file_name, file_size, notes) };
    let (loaded, unloaded) = (triage.drivers(&mut notes), triage.unloaded_drivers(&mut notes));
    let blobs = triage.blobs(&mut notes);
    let small = small::gather(dump, &triage, triage.smbios(&blobs), &mut notes);
    let modules = ModuleMap::new(loaded, unloaded, header_size(dump.machine()));
    let mut crash = crash::crash(dump, &small.memory, &mut notes);
    crash.thread = small.thread.as_ref().and_then(|thread| thread.id);
    crash.named_driver = small.named_driver.clone();
    let seen = info::Seen {
        smbios: small.smbios.as_ref(),
        prcb: small.prcb.as_ref(),
        process: small.process.as_ref(),
        build_lab: small.build_lab(),
    };
    let info = info::info(dump, seen, file_name, file_size);
    let mut threads: Vec<_> =
        small.thread.iter().map(|thread| rows::thread_entry(thread, true, ThreadContext::Crash)).collect();
    let ip = crash.context.as_ref().map(|(context, _)| context.instruction_pointer());
    for entry in &mut threads {
        entry.locate(ip, &modules);
    }
    let processes = small.process.iter().map(|process| rows::process_row(process, true, None)).collect();
    let parts = KernelParts::new(dump, Some(Rc::new(triage)), blobs, small.smbios.clone());
    World {
        mode: Mode::Kernel,
        machine: dump.machine(),
        windows: true,
        dump: info,
        modules,
        memory: Rc::new(small.memory),
        lists: Lists::complete(threads, processes),
        full: None,
        crash,
        symbols: crate::symbols::Symbols::default(),
        landmarks: landmarks(dump.header()),
        parts: Box::new(parts),
        images: Images::default(),
        notes,
    }
}
