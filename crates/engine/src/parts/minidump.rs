//! The streams of a minidump.

use alloc::{rc::Rc, string::String, string::ToString, vec::Vec};

use dumplens_base::Note;
use dumplens_dump::{
    Context,
    minidump::{Minidump, Stream as Entry, StreamType, Thread, stream_name},
};
use dumplens_report::{
    Hex,
    protocol::{Details, Field, Stream, Table},
};

use super::{MOST_ROWS, Parts, field, hex, optional, preview, table};
use crate::kernel::Full;

/// The streams of a minidump.
pub(crate) struct MinidumpParts {
    dump: Rc<Minidump>,
    threads: Vec<Thread>,
    streams: Vec<Stream>,
}

/// Bytes of an undecoded stream that are shown.
const PREVIEW: u64 = 512;

/// Fields and tables being put together.
#[derive(Default)]
struct Body {
    fields: Vec<Field>,
    tables: Vec<Table>,
    text: Option<String>,
}

impl MinidumpParts {
    pub(crate) fn new(dump: Rc<Minidump>, threads: Vec<Thread>) -> Self {
        let streams = dump.streams().iter().map(|stream| Stream {
            kind: Some(Hex::from(stream.kind)),
            name: stream_name(stream.kind).into(),
            offset: Hex(stream.offset),
            size: u64::from(stream.size),
            summary: summary(stream.kind).map(String::from),
        });
        let streams = streams.collect();
        Self { dump, threads, streams }
    }

    fn body(&self, entry: Entry, notes: &mut Vec<Note>) -> Body {
        let dump = &*self.dump;
        let is = |kind: StreamType| entry.kind == kind as u32;
        let mut body = Body::default();
        if is(StreamType::SystemInfo) {
            body.fields = self.system_fields();
        } else if is(StreamType::ThreadList) || is(StreamType::ThreadExList) {
            body.tables.push(self.thread_table());
        } else if is(StreamType::MiscInfo) {
            body.fields = misc_fields(dump, notes);
        } else if is(StreamType::ModuleList) {
            body.tables.push(module_table(dump, notes));
        } else if is(StreamType::Exception) {
            body.fields = exception_fields(dump, notes);
        } else if is(StreamType::MemoryList) || is(StreamType::Memory64List) {
            body.tables.push(self.memory_table(notes));
        } else if is(StreamType::MemoryInfoList) {
            body.tables.extend(memory_info_table(dump, notes));
        } else if is(StreamType::HandleData) {
            body.tables.extend(handle_table(dump, notes));
        } else if is(StreamType::ThreadNames) {
            let names = dump.thread_names(notes);
            let rows =
                names.iter().take(MOST_ROWS).map(|(id, name)| Vec::from([id.to_string(), name.clone()])).collect();
            body.tables.push(table("Threads", &["Id", "Name"], rows, names.len() as u64));
        } else if is(StreamType::ThreadInfoList) {
            body.tables.push(thread_info_table(dump, notes));
        } else if is(StreamType::UnloadedModuleList) {
            let modules = dump.unloaded_modules(notes);
            let rows = modules
                .iter()
                .take(MOST_ROWS)
                .map(|module| Vec::from([module.base.to_string(), hex(module.size), module.name.clone()]));
            body.tables.push(table(
                "Unloaded modules",
                &["Base", "Size", "Name"],
                rows.collect(),
                modules.len() as u64,
            ));
        } else if is(StreamType::CrashpadInfo) {
            self.crashpad(&mut body, notes);
        } else if is(StreamType::BreakpadInfo) {
            let info = dump.breakpad_info(notes);
            body.fields.extend(optional("Dump thread", info.and_then(|info| info.dump_thread)));
            body.fields.extend(optional("Requesting thread", info.and_then(|info| info.requesting_thread)));
        } else if is(StreamType::BreakpadAssertion) {
            if let Some(assertion) = dump.breakpad_assertion(notes) {
                body.fields = Vec::from([
                    field("Expression", assertion.expression),
                    field("Function", assertion.function),
                    field("File", assertion.file),
                    field("Line", assertion.line),
                    field("Type", assertion.kind),
                ]);
            }
        } else if is(StreamType::Token) {
            let tokens = dump.tokens(notes).unwrap_or_default();
            let rows = tokens
                .iter()
                .take(MOST_ROWS)
                .map(|token| Vec::from([token.id.to_string(), hex(token.handle), token.size.to_string()]));
            body.tables.push(table("Tokens", &["Owner", "Handle", "Size"], rows.collect(), tokens.len() as u64));
        } else if is(StreamType::FunctionTable) {
            let tables = dump.function_tables(notes).unwrap_or_default();
            let rows = tables.iter().take(MOST_ROWS).map(|entry| {
                let range = alloc::format!("{} to {}", entry.minimum, entry.maximum);
                Vec::from([range, entry.base.to_string(), entry.entries.to_string()])
            });
            body.tables.push(table("Tables", &["Covers", "Base", "Entries"], rows.collect(), tables.len() as u64));
        } else if is(StreamType::SystemMemoryInfo) {
            body.fields = system_memory_fields(dump, notes);
        } else if is(StreamType::ProcessVmCounters) {
            body.fields = vm_counter_fields(dump, notes);
        } else if let Some(kind) = TEXTS.iter().find(|kind| is(**kind)) {
            body.text = dump.text(*kind, notes);
        } else {
            body.text = dump
                .stream_bytes(Entry { size: entry.size.min(PREVIEW as u32), ..entry }, PREVIEW, notes)
                .map(|bytes| preview(&bytes));
        }
        body
    }

    fn system_fields(&self) -> Vec<Field> {
        let Some(system) = self.dump.system_info() else { return Vec::new() };
        let mut fields = Vec::from([
            field("Processor architecture", system.machine),
            field("Processor level", system.processor_level),
            field("Processor revision", hex(system.processor_revision)),
            field("Number of processors", system.processors),
            field("Product type", system.product_type),
            field("Platform", system.os),
            field("Version", alloc::format!("{}.{}.{}", system.major, system.minor, system.build)),
        ]);
        fields.extend(optional("Service pack or version text", system.service_pack.as_ref()));
        fields.extend(optional("Vendor", system.vendor.as_ref()));
        fields
    }

    fn thread_table(&self) -> Table {
        let rows = self.threads.iter().take(MOST_ROWS).map(|thread| {
            Vec::from([
                thread.id.to_string(),
                thread.suspend_count.to_string(),
                thread.priority.to_string(),
                thread.teb.to_string(),
                thread.stack.address.to_string(),
                hex(thread.stack.size),
                hex(thread.context.size),
            ])
        });
        let columns = ["Id", "Suspended", "Priority", "TEB", "Stack", "Stack size", "Context size"];
        table("Threads", &columns, rows.collect(), self.threads.len() as u64)
    }

    fn memory_table(&self, notes: &mut Vec<Note>) -> Table {
        let memory = self.dump.memory(&self.threads, notes);
        let ranges = memory.extents();
        let rows = ranges
            .iter()
            .take(MOST_ROWS)
            .map(|range| Vec::from([range.address.to_string(), hex(range.size), hex(range.offset)]));
        table("Captured memory", &["Address", "Size", "File offset"], rows.collect(), ranges.len() as u64)
    }

    fn crashpad(&self, body: &mut Body, notes: &mut Vec<Note>) {
        let Some(info) = self.dump.crashpad_info(notes) else { return };
        body.fields = Vec::from([field("Report id", info.report_id), field("Client id", info.client_id)]);
        let rows = info.annotations.iter().take(MOST_ROWS).map(|annotation| {
            let module = annotation.module.map_or_else(|| "process".into(), |index| alloc::format!("module {index}"));
            Vec::from([module, annotation.name.clone(), annotation.value.clone()])
        });
        let total = info.annotations.len() as u64;
        body.tables.push(table("Annotations", &["Of", "Name", "Value"], rows.collect(), total));
    }
}

/// Streams that are text as they stand.
const TEXTS: [StreamType; 12] = [
    StreamType::CommentA,
    StreamType::CommentW,
    StreamType::LinuxCpuInfo,
    StreamType::LinuxProcStatus,
    StreamType::LinuxLsbRelease,
    StreamType::LinuxCmdLine,
    StreamType::LinuxEnviron,
    StreamType::LinuxMaps,
    StreamType::LinuxLimits,
    StreamType::MacBootArgs,
    StreamType::SoftErrors,
    StreamType::JavaScriptData,
];

const fn summary(kind: u32) -> Option<&'static str> {
    Some(match kind {
        3 | 8 => "threads, their stacks and registers",
        4 => "loaded modules",
        5 | 9 => "memory contents",
        6 => "the exception that ended the process",
        7 => "processor and operating system",
        10 | 11 => "comment of the writer",
        12 => "open handles",
        13 => "unwind data of generated code",
        14 => "modules that had been unloaded",
        15 => "process times, build and time zone",
        16 => "state and protection of memory",
        17 => "thread times and start addresses",
        19 => "access tokens",
        21 => "memory of the whole system",
        22 => "memory counters of the process",
        24 => "thread names",
        0x4350_0001 => "Crashpad annotations",
        0x4767_0001 => "which thread asked for the dump",
        0x4767_0002 => "failed assertion",
        0x4767_0007 => "environment: may hold secrets",
        _ => return None,
    })
}

fn misc_fields(dump: &Minidump, notes: &mut Vec<Note>) -> Vec<Field> {
    let info = dump.misc_info(notes).unwrap_or_default();
    let fields = [
        optional("Process id", info.process_id),
        optional("Process created (seconds since 1970)", info.create_time),
        optional("User time (s)", info.user_time),
        optional("Kernel time (s)", info.kernel_time),
        optional("Processor MHz", info.max_mhz),
        optional("Integrity level", info.integrity_level.map(hex)),
        optional("Protected process", info.protected),
        optional("Time zone id", info.time_zone_id),
        optional("Time zone", info.time_zone),
        optional("Build string", info.build_string),
        optional("Debugger build", info.debugger_build),
    ];
    fields.into_iter().flatten().collect()
}

fn module_table(dump: &Minidump, notes: &mut Vec<Note>) -> Table {
    let modules = dump.modules(notes);
    let rows = modules.iter().take(MOST_ROWS).map(|module| {
        let version = module.version.map(|version| version.to_string()).unwrap_or_default();
        Vec::from([module.base.to_string(), hex(module.size), version, module.path.clone()])
    });
    table("Modules", &["Base", "Size", "Version", "Image"], rows.collect(), modules.len() as u64)
}

fn exception_fields(dump: &Minidump, notes: &mut Vec<Note>) -> Vec<Field> {
    let Some(exception) = dump.exception(notes) else { return Vec::new() };
    let mut fields = Vec::from([
        field("Thread", exception.thread_id),
        field("Code", hex(exception.record.code)),
        field("Flags", hex(exception.record.flags)),
        field("Address", exception.record.address),
    ]);
    let parameters = exception.record.parameters.iter().enumerate();
    fields.extend(parameters.map(|(index, value)| field(&alloc::format!("Parameter {index}"), hex(*value))));
    fields
}

fn memory_info_table(dump: &Minidump, notes: &mut Vec<Note>) -> Option<Table> {
    let (regions, total) = dump.memory_info(MOST_ROWS, notes)?;
    let rows = regions.iter().map(|region| {
        let state = match region.state {
            0x1000 => "commit",
            0x2000 => "reserve",
            0x1_0000 => "free",
            _ => "other",
        };
        let kind = match region.kind {
            0x2_0000 => "private",
            0x4_0000 => "mapped",
            0x100_0000 => "image",
            _ => "",
        };
        Vec::from([region.base.to_string(), hex(region.size), state.into(), hex(region.protect), kind.into()])
    });
    Some(table("Address space", &["Base", "Size", "State", "Protection", "Type"], rows.collect(), total))
}

fn handle_table(dump: &Minidump, notes: &mut Vec<Note>) -> Option<Table> {
    let (handles, total) = dump.handles(MOST_ROWS, notes)?;
    let rows = handles.iter().map(|handle| {
        Vec::from([
            hex(handle.handle),
            handle.type_name.clone().unwrap_or_default(),
            hex(handle.granted_access),
            handle.handle_count.to_string(),
            handle.pointer_count.to_string(),
            handle.object_name.clone().unwrap_or_default(),
        ])
    });
    Some(table("Handles", &["Handle", "Type", "Access", "Handles", "Pointers", "Name"], rows.collect(), total))
}

fn thread_info_table(dump: &Minidump, notes: &mut Vec<Note>) -> Table {
    let infos = dump.thread_info(notes);
    let rows = infos.iter().take(MOST_ROWS).map(|(id, info)| {
        let created = crate::text::system_time(info.create_time).unwrap_or_default();
        let seconds = |time: u64| alloc::format!("{}.{:03} s", time / 10_000_000, time / 10_000 % 1_000);
        Vec::from([
            id.to_string(),
            created,
            seconds(info.user_time),
            seconds(info.kernel_time),
            info.start_address.to_string(),
        ])
    });
    let columns = ["Id", "Created", "User time", "Kernel time", "Start address"];
    table("Threads", &columns, rows.collect(), infos.len() as u64)
}

fn system_memory_fields(dump: &Minidump, notes: &mut Vec<Note>) -> Vec<Field> {
    let Some(info) = dump.system_memory_info(notes) else { return Vec::new() };
    Vec::from([
        field("Page size", info.page_size),
        field("Physical pages", info.physical_pages),
        field("Available pages", info.available_pages),
        field("Committed pages", info.committed_pages),
        field("Commit limit (pages)", info.commit_limit),
        field("Peak commitment (pages)", info.peak_commitment),
    ])
}

fn vm_counter_fields(dump: &Minidump, notes: &mut Vec<Note>) -> Vec<Field> {
    let Some(counters) = dump.vm_counters(notes) else { return Vec::new() };
    Vec::from([
        field("Page faults", counters.page_faults),
        field("Working set (bytes)", counters.working_set),
        field("Peak working set (bytes)", counters.peak_working_set),
        field("Page file usage (bytes)", counters.pagefile_usage),
        field("Peak page file usage (bytes)", counters.peak_pagefile_usage),
        field("Private usage (bytes)", counters.private_usage),
    ])
}

impl Parts for MinidumpParts {
    fn list(&self) -> &[Stream] {
        &self.streams
    }

    fn context(&self, index: usize) -> Option<Context> {
        let thread = self.threads.get(index)?;
        self.dump.context_at(thread.context, &mut Vec::new())
    }

    fn details(&self, index: usize, _: Option<&Full>) -> Option<Details> {
        let entry = *self.dump.streams().get(index)?;
        let mut notes = Vec::new();
        let Body { fields, tables, text } = self.body(entry, &mut notes);
        let notes = notes.iter().map(crate::text::note_model).collect();
        Some(Details { title: stream_name(entry.kind).into(), fields, tables, text, notes })
    }
}
