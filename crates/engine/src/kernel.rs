//! A kernel dump in neutral form.

use alloc::{boxed::Box, rc::Rc, string::String, string::ToString, vec::Vec};

use dumplens_analysis::{ContextSource, Mode, System, base_code, bug_check_access, context_source, exception_info};
use dumplens_base::{Fault, Machine, Memory, MemoryExt, Note, ReadOutcome, Region, Searched, Va, ascii_until_nul};
use dumplens_dump::{
    CapturedMemory, Context, ExceptionRecord, Extent, FileTime,
    kernel::{DumpKind, FileRange, KernelDump, Smbios, Triage},
};
use dumplens_report::{
    Hex,
    model::{self, DumpFormat, DumpInfo},
};
use dumplens_unwind::Bounds;
use dumplens_windows::{
    DebuggerData, KernelLayout, Prcb, Process, Thread, layout, read_prcb, read_process, read_thread,
};

use crate::{
    facts::{Crash, ThreadContext, ThreadEntry, World},
    modules::ModuleMap,
    parts::kernel::KernelParts,
    text::{exception_model, system_time},
};

/// Bytes at the start of a kernel image that are headers: drivers for x86 may start their first section early.
const fn header_size(machine: Machine) -> u64 {
    if matches!(machine, Machine::X86) { 0x200 } else { 0x1000 }
}

/// What the header's exception record holds in ordinary crash dumps.
const STATUS_BREAKPOINT: u32 = 0x8000_0003;

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

/// What a small dump adds to the header.
struct Small {
    memory: CapturedMemory,
    data: Option<DebuggerData>,
    prcb: Option<Prcb>,
    thread: Option<Thread>,
    process: Option<Process>,
    smbios: Option<Smbios>,
    named_driver: Option<String>,
}

/// Gathers a kernel dump.
pub(crate) fn gather(dump: KernelDump, file_name: Option<String>, file_size: u64) -> World {
    let mut notes = dump.header().check();
    let machine = dump.machine();
    let triage = dump.triage(&mut notes);
    let (loaded, unloaded) = match &triage {
        Some(triage) => (triage.drivers(&mut notes), triage.unloaded_drivers(&mut notes)),
        None => (Vec::new(), Vec::new()),
    };
    if dump.kind() != DumpKind::Triage {
        notes.push(Note::missing(alloc::format!(
            "this version reads the header of such dumps, not yet their memory: no modules, processes or stack ({})",
            dump.kind().description()
        )));
    }
    let blobs = triage.as_ref().map(|triage| triage.blobs(&mut notes)).unwrap_or_default();
    let small = triage.as_ref().map(|triage| {
        let smbios = triage.smbios(&blobs);
        gather_small(&dump, triage, smbios, &mut notes)
    });
    let modules = ModuleMap::new(loaded, unloaded, header_size(machine));
    let crash = crash(&dump, small.as_ref(), &mut notes);
    let info = info(&dump, small.as_ref(), file_name, file_size);
    let threads =
        small.as_ref().and_then(|small| small.thread.as_ref()).map(|thread| thread_entry(thread, &modules, &crash));
    let processes = small.as_ref().and_then(|small| small.process.as_ref()).map(process_row);
    let parts =
        KernelParts::new(&dump, triage.map(Rc::new), blobs, small.as_ref().and_then(|small| small.smbios.clone()));
    let memory: Box<dyn Memory> = match small {
        Some(small) => Box::new(small.memory),
        None => Box::new(NoMemory),
    };
    World {
        mode: Mode::Kernel,
        machine,
        windows: true,
        dump: info,
        modules,
        memory,
        threads: threads.into_iter().collect(),
        processes: processes.into_iter().collect(),
        crash,
        parts: Box::new(parts),
        notes,
    }
}

fn gather_small(dump: &KernelDump, triage: &Triage, smbios: Option<Smbios>, notes: &mut Vec<Note>) -> Small {
    let header = dump.header();
    let mut memory = triage.memory(notes);
    let data = triage.debugger_data(notes).and_then(|bytes| {
        let parsed = DebuggerData::parse(&bytes);
        if parsed.is_none() {
            notes.push(Note::damaged("the debugger data block has no KDBG tag: objects cannot be located by it"));
        }
        parsed
    });
    let layout = layout(dump.machine(), header.build, data.as_ref());
    let (mut prcb, mut thread, mut process) = (None, None, None);
    if let Some(data) = &data {
        (prcb, thread, process) = overlay_objects(triage, data, &layout, &mut memory, notes);
    }
    Small { memory, data, prcb, thread, process, smbios, named_driver: triage.broken_driver() }
}

/// The dump holds copies of the crashing processor's control block, its thread and its process, but not where they were.
/// The control block names the thread and the thread the process; the copies are laid over memory at those addresses.
fn overlay_objects(
    triage: &Triage,
    data: &DebuggerData,
    layout: &KernelLayout,
    memory: &mut CapturedMemory,
    notes: &mut Vec<Note>,
) -> (Option<Prcb>, Option<Thread>, Option<Process>) {
    // Objects are read through a scratch address first: their own is not known yet.
    const SCRATCH: Va = Va(0x1000);
    let scratch = |part: Option<FileRange>| {
        let part = part?;
        Some((Scratch { at: SCRATCH, bytes: triage.bytes(part).ok()? }, part))
    };
    let size = |size: Option<u16>| size.map(u64::from);
    let prcb =
        scratch(triage.prcb(size(data.size_prcb()))).map(|(copy, _)| read_prcb(&copy, SCRATCH, data, layout.pointer));
    let thread_copy = scratch(triage.thread(size(data.size_thread())));
    let process_copy = scratch(triage.process(size(data.size_process())));
    let thread_at = prcb.as_ref().and_then(|prcb| prcb.current_thread);
    let thread = thread_copy.map(|(copy, part)| {
        let mut thread = read_thread(&copy, SCRATCH, layout);
        thread.address = thread_at.unwrap_or_default();
        if let Some(address) = thread_at {
            memory.overlay(Extent { address, size: part.size, offset: part.offset, kind: "thread object" });
        }
        thread
    });
    let process = process_copy.map(|(copy, part)| {
        let mut process = read_process(&copy, SCRATCH, layout);
        // An idle thread borrows the address space of whatever ran before it: then its process is not the one copied.
        let owner = thread.as_ref().filter(|thread| thread.process_id.is_some() && thread.process_id == process.id);
        if let Some(address) = owner.and_then(|thread| thread.process) {
            process.address = address;
            memory.overlay(Extent { address, size: part.size, offset: part.offset, kind: "process object" });
        }
        process
    });
    if process.as_ref().is_some_and(|process| process.name.is_none()) {
        notes.push(Note::info(alloc::format!(
            "the process's name cannot be read: the offsets rest on {}",
            layout.source()
        )));
    }
    (prcb, thread, process)
}

/// An object's bytes at a made-up address.
struct Scratch {
    at: Va,
    bytes: Vec<u8>,
}

impl Memory for Scratch {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let start = va.offset_from(self.at).and_then(|start| usize::try_from(start).ok());
        let rest = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let filled = rest.len().min(buf.len());
        buf.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        if filled == buf.len() {
            return ReadOutcome::complete(filled);
        }
        let va = Va(va.0.saturating_add(filled as u64));
        ReadOutcome { filled, fault: Some(Fault::NotInDump { va, searched: Searched::TriageBlocks }) }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// The registers and the exception of the real fault.
fn crash(dump: &KernelDump, small: Option<&Small>, notes: &mut Vec<Note>) -> Crash {
    let header = dump.header();
    let (code, parameters) = (header.bugcheck_code, header.bugcheck_parameters);
    let access = bug_check_access(code, parameters);
    let memory: &dyn Memory = small.map_or(&NoMemory, |small| &small.memory);
    let (mut context, mut exception) = (None, None);
    match context_source(code, parameters) {
        ContextSource::ContextRecord { parameter, address, exception: record } => {
            context = pointed(memory, dump.machine(), parameter, Va(address), Kind::Context, notes);
            exception = record.and_then(|(number, at)| record_at(memory, dump, number, Va(at)));
        }
        ContextSource::TrapFrame { parameter, address, exception: record } => {
            context = pointed(memory, dump.machine(), parameter, Va(address), Kind::TrapFrame, notes);
            exception = record.and_then(|(number, at)| record_at(memory, dump, number, Va(at)));
        }
        ContextSource::None => {}
    }
    let context = context.or_else(|| dump.context(notes).map(|context| (context, "dump header".to_string())));
    let exception = exception.or_else(|| from_parameters(code, parameters)).or_else(|| {
        // Crash dumps record the break inside the bug-check routine there, which is no news; debuggers and live tools
        // record what they stopped on.
        let record = dump.exception(notes).filter(|record| record.code != STATUS_BREAKPOINT)?;
        Some(exception_model(System::Windows, &record, "dump header".into()))
    });
    Crash {
        thread: small.and_then(|small| small.thread.as_ref()).and_then(|thread| thread.id),
        context,
        exception,
        bugcheck: Some((code, parameters)),
        access,
        instruction: access.and_then(|access| access.instruction),
        named_driver: small.and_then(|small| small.named_driver.clone()),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Context,
    TrapFrame,
}

/// The registers where a bug-check parameter points.
fn pointed(
    memory: &dyn Memory,
    machine: Machine,
    parameter: u8,
    at: Va,
    kind: Kind,
    notes: &mut Vec<Note>,
) -> Option<(Context, String)> {
    let size = match (kind, machine) {
        (Kind::Context, _) => Context::size_of(machine),
        (Kind::TrapFrame, Machine::X86) => 0x8c,
        (Kind::TrapFrame, _) => 0x190,
    };
    let what = match kind {
        Kind::Context => "context record",
        Kind::TrapFrame => "trap frame",
    };
    let source = alloc::format!("{what} at bug check parameter {parameter}");
    let parsed = memory.read_vec(at, size).map_err(|fault| fault.to_string()).and_then(|bytes| {
        let parsed = match kind {
            Kind::Context => Context::parse(machine, &bytes, at.0),
            Kind::TrapFrame => Context::from_trap_frame(machine, &bytes, at.0),
        };
        parsed.map_err(|error| error.to_string())
    });
    match parsed {
        Ok(context) => Some((context, source)),
        Err(reason) => {
            let text =
                alloc::format!("the {source} cannot be read ({reason}); the dump header's context is used instead");
            notes.push(Note::missing(text));
            None
        }
    }
}

/// The exception record where a bug-check parameter points.
fn record_at(memory: &dyn Memory, dump: &KernelDump, parameter: u8, at: Va) -> Option<model::Exception> {
    let wide = dump.header().is_64_bit;
    let size = if wide { ExceptionRecord::SIZE_64 } else { ExceptionRecord::SIZE_32 };
    let bytes = memory.read_vec(at, size).ok()?;
    let mut cursor = dumplens_base::Bytes::new(&bytes, at.0);
    let record = if wide { ExceptionRecord::parse_64(&mut cursor) } else { ExceptionRecord::parse_32(&mut cursor) };
    Some(exception_model(
        System::Windows,
        &record.ok()?,
        alloc::format!("exception record at bug check parameter {parameter}"),
    ))
}

/// What the parameters of an exception-carrying bug check tell of the exception.
fn from_parameters(code: u32, parameters: [u64; 4]) -> Option<model::Exception> {
    let [first, second, third, fourth] = parameters;
    let known: Vec<u64> = match base_code(code) {
        0x1e => Vec::from([third, fourth]),
        0x3b | 0x7e | 0x8e => Vec::new(),
        _ => return None,
    };
    let status = first as u32;
    let info = exception_info(System::Windows, status, second, &known);
    Some(model::Exception {
        code: Hex::from(status),
        name: info.name.map(String::from),
        address: Hex(second),
        description: info.description,
        flags: Hex(0),
        parameters: known.into_iter().map(Hex).collect(),
        access: info.access.map(crate::text::access_model),
        source: "bug check parameters".into(),
    })
}

fn info(dump: &KernelDump, small: Option<&Small>, file_name: Option<String>, file_size: u64) -> DumpInfo {
    let header = dump.header();
    let server = header.product_type.is_some_and(|kind| kind != 1);
    let smbios = small.and_then(|small| small.smbios.as_ref());
    let prcb = small.and_then(|small| small.prcb.as_ref());
    let process = small.and_then(|small| small.process.as_ref());
    let join = |parts: [Option<&String>; 3]| {
        let present: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        (!present.is_empty()).then(|| present.join(" "))
    };
    let format = match dump.kind() {
        DumpKind::Triage => Some(DumpFormat::KernelTriage),
        DumpKind::Full => Some(DumpFormat::KernelFull),
        DumpKind::BitmapFull | DumpKind::BitmapKernel => Some(DumpFormat::KernelBitmap),
        DumpKind::Summary => Some(DumpFormat::KernelSummary),
        DumpKind::Range => Some(DumpFormat::KernelRange),
        DumpKind::Header | DumpKind::Unknown(_) => None,
    };
    let vendor = prcb.and_then(|prcb| {
        let mhz = prcb.mhz.map(|mhz| alloc::format!(" {mhz} MHz")).unwrap_or_default();
        prcb.vendor.as_ref().map(|vendor| alloc::format!("{vendor}{mhz}"))
    });
    DumpInfo {
        file_name,
        format,
        description: dump.kind().description().into(),
        architecture: Some(header.machine.name().into()),
        os: dumplens_windows::release_name(header.build, server).map(String::from).or_else(|| Some("Windows".into())),
        build: Some(header.build),
        build_string: small.and_then(build_lab),
        processors: Some(header.processors),
        processor: smbios.and_then(|smbios| smbios.processors.first().cloned()).or(vendor),
        machine: smbios.and_then(|smbios| join([smbios.manufacturer.as_ref(), smbios.product.as_ref(), None])),
        firmware: smbios.and_then(|smbios| {
            join([smbios.bios_vendor.as_ref(), smbios.bios_version.as_ref(), smbios.bios_date.as_ref()])
        }),
        time: header.system_time.map(|time| time.to_string()),
        uptime_seconds: header.system_up_time.map(|time| time / 10_000_000),
        process_uptime_seconds: process.and_then(|process| process.create_time).and_then(|start| {
            let crashed = header.system_time?;
            crashed.0.checked_sub(start).map(|time| time / 10_000_000)
        }),
        process: process.and_then(|process| process.name.clone()),
        process_id: process.and_then(|process| process.id),
        comment: header.comment.clone(),
        file_size,
    }
}

/// The build lab string that the kernel keeps: `19041.1.amd64fre.vb_release.191206-1406`.
fn build_lab(small: &Small) -> Option<String> {
    let at = Va(small.data.as_ref()?.nt_build_lab()?);
    let mut bytes = [0; 64];
    let filled = small.memory.read(at, &mut bytes).filled;
    ascii_until_nul(bytes.get(..filled)?).filter(|text| text.len() > 4)
}

fn thread_entry(thread: &Thread, modules: &ModuleMap, crash: &Crash) -> ThreadEntry {
    let bounds = match (thread.stack_limit, thread.stack_base) {
        (Some(limit), Some(base)) => Some(Bounds { limit, base }),
        _ => None,
    };
    let ip = crash.context.as_ref().map(|(context, _)| context.instruction_pointer());
    let row = model::Thread {
        id: thread.id.unwrap_or(0),
        name: None,
        process_id: thread.process_id,
        crashed: true,
        state: thread.state.map(String::from),
        // The field keeps its last value while a thread runs.
        wait_reason: thread.wait_reason.filter(|_| thread.state == Some("Waiting")).map(String::from),
        priority: thread.priority.map(i32::from),
        suspend_count: None,
        object: Some(thread.address).filter(|address| address.0 != 0).map(|address| Hex(address.0)),
        teb: thread.teb.map(|teb| Hex(teb.0)),
        start_address: thread.start_address.map(|start| Hex(start.0)),
        stack_limit: thread.stack_limit.map(|limit| Hex(limit.0)),
        stack_base: thread.stack_base.map(|base| Hex(base.0)),
        instruction_pointer: ip.map(|ip| Hex(ip.0)),
        location: ip.and_then(|ip| modules.location(ip)),
        create_time: thread.create_time.map(FileTime).and_then(system_time),
        frames: Vec::new(),
    };
    ThreadEntry { row, bounds, context: ThreadContext::Crash }
}

fn process_row(process: &Process) -> model::Process {
    model::Process {
        id: process.id,
        parent_id: process.parent_id,
        name: process.name.clone(),
        current: true,
        session: None,
        object: Some(process.address).filter(|address| address.0 != 0).map(|address| Hex(address.0)),
        peb: process.peb.map(|peb| Hex(peb.0)),
        directory_table_base: process.directory_table_base.map(Hex),
        threads: process.active_threads,
        create_time: process.create_time.map(FileTime).and_then(system_time),
    }
}
