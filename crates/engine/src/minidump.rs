//! A user minidump in neutral form.

use alloc::{boxed::Box, rc::Rc, string::String, string::ToString, vec::Vec};

use dumplens_analysis::{Mode, System};
use dumplens_base::{Machine, Memory, Note};
use dumplens_dump::{
    FileTime,
    minidump::{Minidump, MiscInfo, Os, StreamType, SystemInfo, Thread},
};
use dumplens_image::Image;
use dumplens_report::{
    Hex,
    model::{self, DumpFormat, DumpInfo},
};
use dumplens_unwind::{
    Bounds,
    x64::{DynamicTable, RuntimeFunction},
};

use crate::{
    facts::{Crash, Lists, ThreadContext, ThreadEntry, World},
    images::Images,
    modules::ModuleMap,
    parts::minidump::MinidumpParts,
    symbols::{is_same_image, learn},
    text::{exception_model, system_time},
};

/// `MINIDUMP_TYPE` bit: all accessible memory is included.
const FULL_MEMORY: u64 = 2;

/// Most images whose headers are read when a dump is opened.
const MOST_IDENTIFIED: usize = 1_024;

/// Gathers a minidump.
pub(crate) fn gather(dump: Minidump, file_name: Option<String>, file_size: u64) -> World {
    let mut notes = dump.opening_notes().to_vec();
    let machine = dump.machine();
    let windows = dump.os() == Os::Windows;
    if dump.stream(StreamType::ModuleList).is_none() {
        notes.push(Note::missing("the minidump has no ModuleList stream: addresses cannot be told apart by module"));
    }
    // Headers of ELF and Mach-O images have no set size, but are longer than this.
    let header_size = if windows { 0x1000 } else { 0x20 };
    let modules = ModuleMap::new(dump.modules(&mut notes), dump.unloaded_modules(&mut notes), header_size);
    let list = dump.threads(&mut notes);
    if dump.stream(StreamType::ThreadList).is_none() && dump.stream(StreamType::ThreadExList).is_none() {
        notes.push(Note::missing("the minidump has no ThreadList stream"));
    }
    let memory: Rc<dyn Memory> = Rc::new(dump.memory(&list, &mut notes));
    let mut modules = modules.with_memory(Rc::clone(&memory));
    if windows {
        identify(&*memory, &mut modules);
    }
    let misc = dump.misc_info(&mut notes).unwrap_or_default();
    let crash = crash(&dump, &list, &mut notes);
    let info = info(&dump, &misc, &modules, file_name, file_size, &mut notes);
    let threads = threads(&dump, &list, &modules, &crash, &mut notes);
    let processes = process(&dump, &info, &misc, list.len());
    let images = Images::with_generated(generated(&dump, machine, &mut notes));
    let parts = MinidumpParts::new(Rc::new(dump), list);
    World {
        mode: Mode::User,
        machine,
        windows,
        dump: info,
        modules,
        memory,
        lists: Lists::complete(threads, processes),
        full: None,
        crash,
        symbols: crate::symbols::Symbols::default(),
        landmarks: Vec::new(),
        parts: Box::new(parts),
        images,
        notes,
    }
}

/// Takes the names of PDBs from images in memory where the module list, as Wine's may, does not have them.
fn identify(memory: &dyn Memory, modules: &mut ModuleMap) {
    let unnamed = modules.all().iter().enumerate().filter(|(_, named)| named.module.debug_id.is_none());
    let unnamed: Vec<usize> = unnamed.map(|(index, _)| index).take(MOST_IDENTIFIED).collect();
    for index in unnamed {
        modules.update(index, |module| {
            let Ok(image) = Image::mapped(memory, module.base) else { return };
            let headers = image.headers();
            if is_same_image(headers.timestamp, headers.size_of_image, module)
                && let Ok(Some(record)) = image.code_view()
            {
                learn(module, &record);
            }
        });
    }
}

/// Function tables of code that the process made while it ran.
fn generated(dump: &Minidump, machine: Machine, notes: &mut Vec<Note>) -> Vec<DynamicTable> {
    if machine != Machine::X64 || dump.stream(StreamType::FunctionTable).is_none() {
        return Vec::new();
    }
    let tables = dump.function_tables(notes).unwrap_or_default().into_iter().map(|table| {
        let entry = |&[begin, end, unwind]: &[u32; 3]| RuntimeFunction { begin, end, unwind };
        let functions = table.functions.iter().map(entry).collect();
        DynamicTable::new(table.base, table.minimum, table.maximum, functions)
    });
    tables.collect()
}

fn crash(dump: &Minidump, threads: &[Thread], notes: &mut Vec<Note>) -> Crash {
    let system = match dump.os() {
        Os::MacOs | Os::Ios => System::MacOs,
        Os::Linux | Os::Android => System::Linux,
        Os::Windows | Os::Unknown(_) => System::Windows,
    };
    if let Some(exception) = dump.exception(notes) {
        let context = exception.context.map(|context| (context, "exception stream".to_string()));
        let stored = || {
            let thread = threads.iter().find(|thread| thread.id == exception.thread_id)?;
            dump.context_at(thread.context, &mut Vec::new()).map(|context| (context, "thread list".to_string()))
        };
        return Crash {
            thread: Some(u64::from(exception.thread_id)),
            context: context.or_else(stored),
            exception: Some(exception_model(system, &exception.record, "exception stream".into())),
            ..Crash::default()
        };
    }
    // Breakpad says which thread asked for the dump when nothing crashed.
    let asked = dump.breakpad_info(notes).and_then(|info| info.requesting_thread.or(info.dump_thread));
    let thread = asked.and_then(|id| threads.iter().find(|thread| thread.id == id));
    let context = thread.and_then(|thread| dump.context_at(thread.context, notes));
    Crash {
        thread: thread.map(|thread| u64::from(thread.id)),
        context: context.map(|context| (context, "thread list".to_string())),
        ..Crash::default()
    }
}

fn info(
    dump: &Minidump,
    misc: &MiscInfo,
    modules: &ModuleMap,
    file_name: Option<String>,
    file_size: u64,
    notes: &mut Vec<Note>,
) -> DumpInfo {
    let header = dump.header();
    let system = dump.system_info();
    let full = header.flags & FULL_MEMORY != 0 || dump.stream(StreamType::Memory64List).is_some();
    let description = match (dump.stream(StreamType::CrashpadInfo), dump.stream(StreamType::BreakpadInfo)) {
        _ if full => "User minidump with full memory",
        (Some(_), _) => "User minidump written by Crashpad: threads, modules and portions of memory",
        (_, Some(_)) => "User minidump written by Breakpad: threads, modules and portions of memory",
        _ => "User minidump: threads, modules and portions of memory",
    };
    let text = [StreamType::CommentW, StreamType::CommentA].into_iter().find_map(|kind| dump.text(kind, notes));
    let status = dump.text(StreamType::LinuxProcStatus, notes);
    let linux_id = status.as_deref().and_then(|text| status_number(text, "Pid:"));
    DumpInfo {
        file_name,
        format: Some(DumpFormat::Minidump),
        description: description.into(),
        architecture: system.map(|system| system.machine.name().into()),
        os: system.map(os_name),
        build: system.map(|system| system.build).filter(|build| *build != 0),
        build_string: misc.build_string.clone().or_else(|| {
            system.filter(|system| system.os != Os::Windows).and_then(|system| system.service_pack.clone())
        }),
        processors: system.map(|system| u32::from(system.processors)).filter(|count| *count != 0),
        processor: system.and_then(|system| processor(system, misc)),
        machine: None,
        firmware: None,
        time: (header.timestamp != 0).then(|| FileTime::from_unix(header.timestamp)).and_then(system_time),
        uptime_seconds: None,
        process_uptime_seconds: misc
            .create_time
            .filter(|start| *start != 0)
            .and_then(|start| header.timestamp.checked_sub(start))
            .map(u64::from),
        process: program(modules),
        process_id: misc.process_id.map(u64::from).or(linux_id),
        comment: text.map(|text| text.trim().into()).filter(|text: &String| !text.is_empty()),
        file_size,
    }
}

/// The program itself: the first module, except that the loader may stand before it on macOS.
fn program(modules: &ModuleMap) -> Option<String> {
    let mut names = modules.all().iter().map(|named| named.module.file_name());
    names.find(|name| !name.starts_with("dyld")).map(String::from)
}

fn status_number(status: &str, label: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(label))?.trim().parse().ok()
}

fn os_name(system: &SystemInfo) -> String {
    let server = system.product_type > 1;
    match system.os {
        Os::Windows => {
            let release = dumplens_windows::release_name(system.build, server).map(String::from);
            release.unwrap_or_else(|| alloc::format!("Windows {}.{}", system.major, system.minor))
        }
        // Breakpad leaves the version 0 on Linux and puts the kernel's text into the service pack.
        other if system.major == 0 => other.to_string(),
        other => alloc::format!("{other} {}.{}", system.major, system.minor),
    }
}

fn processor(system: &SystemInfo, misc: &MiscInfo) -> Option<String> {
    let vendor = system.vendor.clone()?;
    let mhz = misc.max_mhz.filter(|mhz| *mhz != 0).map(|mhz| alloc::format!(" {mhz} MHz")).unwrap_or_default();
    let (model, stepping) = (system.processor_revision >> 8, system.processor_revision & 0xff);
    Some(alloc::format!("{vendor} family {} model {model} stepping {stepping}{mhz}", system.processor_level))
}

fn threads(
    dump: &Minidump,
    list: &[Thread],
    modules: &ModuleMap,
    crash: &Crash,
    notes: &mut Vec<Note>,
) -> Vec<ThreadEntry> {
    let names = dump.thread_names(notes);
    let infos = dump.thread_info(notes);
    let entries = list.iter().enumerate().map(|(index, thread)| {
        let info = infos.get(&thread.id);
        let crashed = crash.thread == Some(u64::from(thread.id));
        let own_context = crashed.then_some(()).and(crash.context.as_ref()).map(|(context, _)| context.clone());
        // A damaged context is said when its thread is asked for; a list of thousands would say it thousands of times.
        let context = own_context.or_else(|| dump.context_at(thread.context, &mut Vec::new()));
        let ip = context.map(|context| context.instruction_pointer());
        let nonzero = |address: u64| (address != 0).then_some(Hex(address));
        let row = model::Thread {
            id: u64::from(thread.id),
            name: names.get(&thread.id).cloned(),
            process_id: None,
            crashed,
            state: None,
            wait_reason: None,
            priority: i32::try_from(thread.priority).ok().or(Some(thread.priority.cast_signed())),
            suspend_count: Some(thread.suspend_count),
            object: None,
            teb: nonzero(thread.teb.0),
            start_address: info.and_then(|info| nonzero(info.start_address.0)),
            stack_limit: nonzero(thread.stack.address.0),
            stack_base: nonzero(thread.stack.address.0).map(|_| Hex(thread.stack.end().0)),
            instruction_pointer: ip.map(|ip| Hex(ip.0)),
            location: ip.and_then(|ip| modules.location(ip)),
            create_time: info.map(|info| info.create_time).and_then(system_time),
            frames: Vec::new(),
        };
        // The captured bytes start at the stack pointer: they bound the walk from above. Below them nothing is known.
        let bounds = (thread.stack.size > 0).then(|| Bounds { limit: thread.stack.address, base: thread.stack.end() });
        let context =
            if crashed && crash.context.is_some() { ThreadContext::Crash } else { ThreadContext::Stored(index) };
        ThreadEntry { row, bounds, context }
    });
    entries.collect()
}

fn process(dump: &Minidump, info: &DumpInfo, misc: &MiscInfo, threads: usize) -> Vec<model::Process> {
    if dump.streams().is_empty() {
        return Vec::new();
    }
    let created = misc.create_time.filter(|time| *time != 0).map(FileTime::from_unix).and_then(system_time);
    Vec::from([model::Process {
        id: info.process_id,
        parent_id: None,
        name: info.process.clone(),
        current: true,
        session: None,
        object: None,
        peb: None,
        directory_table_base: None,
        threads: u32::try_from(threads).ok().filter(|count| *count > 0),
        create_time: created,
    }])
}
