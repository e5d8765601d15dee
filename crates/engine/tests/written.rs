//! Dumps from the testkit, whose writers share no code with the readers: every field comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{cell::Cell, rc::Rc};

use common::{Counting, ask, open, report};
use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use dumplens_engine::Session;
use dumplens_report::{
    Hex,
    model::{DumpFormat, Trust},
    protocol::{Reply, Request, StackOf},
};
use dumplens_testkit::{
    context::{Arch, Registers, context, exception_record},
    damage,
    kernel::{Header, TestDriver, header32, small_dump32},
    minidump::{MinidumpBuilder, TestModule, TestThread},
    story,
};

#[test]
fn the_driver_story_is_told_as_it_was_written() {
    let mut session = open(story::driver_at_raised_irql()).unwrap();
    let report = report(&mut session);
    assert!(!report.is_partial(), "{:?}", report.notes);
    assert_eq!(report.bugcheck.as_ref().unwrap().name.as_deref(), Some("DRIVER_IRQL_NOT_LESS_OR_EQUAL"));
    assert_eq!(report.verdict.blamed.unwrap().image.as_deref(), Some("glasswing.sys"));
    assert_eq!(report.dump.machine.as_deref(), Some("Contoso Lantern 14"));
    assert_eq!(report.dump.time.as_deref(), Some("2026-03-14T09:26:53Z"));
    assert_eq!(report.dump.uptime_seconds, Some(3 * 3600 + 12 * 60));
    assert_eq!(report.modules.len(), 29);
    assert_eq!(report.modules[28].image, "\\SystemRoot\\System32\\drivers\\glasswing.sys");
    let unloaded: Vec<_> = report.unloaded_modules.iter().map(|module| (module.name.as_str(), module.size)).collect();
    // Small dumps keep 12 characters of the name of an unloaded driver.
    assert_eq!(unloaded, [("dump_stornvm", 0x2_e000), ("glasswing_ol", 0x1_b000), ("WdBoot.sys", 0xd000)]);
    let thread = &report.threads[0];
    assert_eq!((thread.id, thread.process_id, thread.state.as_deref()), (268, Some(4), Some("Running")));
    assert_eq!(thread.object, Some(Hex(0xffff_bc8a_6a21_5080)));
    let process = &report.processes[0];
    assert_eq!((process.name.as_deref(), process.threads), (Some("System"), Some(131)));
    assert_eq!(process.object, Some(Hex(0xffff_bc8a_6a09_e040)));
    let frames = report.stack.unwrap().frames;
    let modules: Vec<_> = frames.iter().filter_map(|frame| frame.module.as_deref()).collect();
    // The trap frame on the stack has the registers of the instruction that the bug check names.
    assert_eq!(modules, ["glasswing", "glasswing", "glasswing", "Wdf01000", "Wdf01000", "nt", "nt", "nt"]);
    assert_eq!(frames[0].offset, Some(Hex(0x4a1c)));
    let request = Request::Stack { of: StackOf::Header, arguments: false };
    let Ok(Reply::Stack(header)) = ask(&mut session, request) else { panic!() };
    let modules: Vec<_> = header.stack.frames.iter().filter_map(|frame| frame.module.as_deref()).collect();
    assert_eq!(modules, ["nt", "nt", "nt", "glasswing", "glasswing", "Wdf01000", "Wdf01000", "nt", "nt", "nt"]);
    // To a scan the interrupted instruction is no return address, nor is a leftover below it: the code before both is
    // known and is no call.
    let scanned = header.stack.frames.iter().chain(frames.iter().skip(1));
    let mut offsets = scanned.filter_map(|frame| frame.offset);
    assert!(offsets.all(|offset| offset != Hex(0x4a1c) && offset != Hex(0x1_1111)));
}

#[test]
fn objects_are_laid_over_memory_where_they_were() {
    let mut session = open(story::driver_at_raised_irql()).unwrap();
    let request = Request::Memory {
        space: dumplens_report::protocol::Space::Current,
        address: Hex(0xffff_bc8a_6a09_e040 + 0x5a8),
        length: 6,
    };
    let Ok(Reply::Memory(chunks)) = ask(&mut session, request) else { panic!() };
    assert_eq!(chunks[0].bytes.as_ref().unwrap().0, b"System");
    let request = Request::Memory {
        space: dumplens_report::protocol::Space::Current,
        address: Hex(0xffff_f801_1f00_0000 + 0xc0_0b20 + 0x10),
        length: 4,
    };
    let Ok(Reply::Memory(chunks)) = ask(&mut session, request) else { panic!() };
    assert_eq!(chunks[0].bytes.as_ref().unwrap().0, b"KDBG");
}

#[test]
fn the_program_story_is_told_as_it_was_written() {
    let mut session = open(story::application_null_call()).unwrap();
    let report = report(&mut session);
    assert!(!report.is_partial(), "{:?}", report.notes);
    assert!(report.verdict.title.starts_with("lantern.exe called a function through a null pointer."));
    assert_eq!((report.dump.process_id, report.dump.process_uptime_seconds), (Some(5_980), Some(754)));
    assert_eq!(report.modules[0].version.as_deref(), Some("2.4.1.0"));
    assert_eq!(report.modules[0].debug_id.as_deref(), Some("A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A11"));
    let names: Vec<_> = report.threads.iter().filter_map(|thread| thread.name.as_deref()).collect();
    assert_eq!(names, ["main", "render", "io-worker", "tp-wait"]);
    assert_eq!(report.crashing_thread, Some(6_412));
    let trust: Vec<_> = report.stack.unwrap().frames.iter().map(|frame| frame.trust).collect();
    use Trust::{Context, FramePointer, Scan};
    assert_eq!(trust, [Context, Scan, FramePointer, FramePointer, FramePointer, Scan]);
    assert!(report.threads.iter().all(|thread| thread.frames.len() >= 3));
    let Ok(Reply::Streams(streams)) = ask(&mut session, Request::Streams) else { panic!() };
    let handles = streams.iter().position(|stream| stream.name == "HandleData").unwrap();
    let Ok(Reply::StreamDetails(details)) = ask(&mut session, Request::StreamDetails { index: handles as u32 }) else {
        panic!()
    };
    assert_eq!(details.tables[0].rows.len(), 3);
    assert_eq!(details.tables[0].rows[1][1], "File");
}

#[test]
fn x86_and_arm64_minidumps_keep_their_frame_pointer_chains() {
    for (arch, number, name) in [(Arch::X86, 0, "x86"), (Arch::Arm64, 12, "arm64")] {
        let word: usize = if arch == Arch::X86 { 4 } else { 8 };
        let mut stack = vec![0; 32 * word];
        let mut put = |slot: usize, value: u64| {
            stack[slot * word..(slot + 1) * word].copy_from_slice(&value.to_le_bytes()[..word])
        };
        put(4, 0x2_0000 + 8 * word as u64);
        put(5, 0x40_2000);
        put(8, 0);
        put(9, 0x40_3000);
        let registers =
            Registers { ip: 0x40_1000, sp: 0x2_0000, fp: 0x2_0000 + 4 * word as u64, ..Registers::default() };
        let context = context(arch, registers);
        let mut dump = MinidumpBuilder::new(1_700_000_000, 0);
        dump.system_info(number, 2, (10, 0, 22631), 4);
        let module = TestModule {
            base: 0x40_0000,
            size: 0x10_0000,
            path: "a.exe".into(),
            timestamp: 1,
            version: None,
            codeview: vec![],
        };
        dump.modules(&[module]);
        dump.threads(&[TestThread { teb: 0, id: 7, name: None, stack_at: 0x2_0000, stack, context: context.clone() }]);
        dump.exception(7, &exception_record(0xc000_0094, 0x40_1000, &[]), &context);
        let report = report(&mut open(dump.build()).unwrap());
        assert_eq!(report.dump.architecture.as_deref(), Some(name));
        let found: Vec<_> = report.stack.unwrap().frames.iter().map(|frame| (frame.address.0, frame.trust)).collect();
        let expected =
            [(0x40_1000, Trust::Context), (0x40_2000, Trust::FramePointer), (0x40_3000, Trust::FramePointer)];
        assert_eq!(found, expected, "{name}");
        assert!(report.exception.unwrap().name.unwrap().contains("DIVIDE"));
    }
}

#[test]
fn a_linux_minidump_speaks_of_signals() {
    let mut dump = MinidumpBuilder::new(1_700_000_000, 0);
    dump.system_info(9, 0x8201, (0, 0, 0), 4);
    dump.stream(0x4767_0004, b"Name:\tengine\nPid:\t4242\n");
    dump.modules(&[]).threads(&[]);
    dump.exception(7, &exception_record(11, 8, &[]), &context(Arch::X64, Registers::default()));
    dump.crashpad(&[("channel", "beta")], &[("gpu", "none")]);
    let mut session = open(dump.build()).unwrap();
    let report = report(&mut session);
    assert_eq!(report.exception.unwrap().name.as_deref(), Some("SIGSEGV"));
    assert_eq!(report.dump.process_id, Some(4242));
    let Ok(Reply::StreamDetails(details)) = ask(&mut session, Request::StreamDetails { index: 5 }) else { panic!() };
    let rows: Vec<_> = details.tables[0].rows.iter().map(|row| (row[1].as_str(), row[2].as_str())).collect();
    assert_eq!(rows, [("channel", "beta"), ("gpu", "none")]);
}

#[test]
fn headers_of_every_kernel_dump_type_are_recognised() {
    use DumpFormat::{KernelBitmap, KernelFull, KernelRange, KernelSummary};
    for (dump_type, format) in [
        (1, Some(KernelFull)),
        (2, Some(KernelSummary)),
        (3, None),
        (5, Some(KernelBitmap)),
        (6, Some(KernelBitmap)),
        (8, Some(KernelRange)),
        (9, Some(KernelRange)),
        (0xa, Some(KernelRange)),
        (0x77, None),
    ] {
        let report = report(&mut open(damage::other_kernel_dump(dump_type)).unwrap());
        assert_eq!(report.dump.format, format, "type {dump_type}");
        assert_eq!(report.bugcheck.as_ref().unwrap().name.as_deref(), Some("CRITICAL_PROCESS_DIED"));
        assert!(report.is_partial(), "what is not read yet is said");
    }
}

#[test]
fn a_32_bit_kernel_header_gives_code_time_and_registers() {
    let header = Header {
        build: 7601,
        processors: 2,
        code: 0x1000_008e,
        parameters: [0xc000_0005, 0x8284_1234, 0x8d9f_f9a0, 0],
        dump_type: 4,
        time: 129_000_000_000_000_000,
        up_time: 600_000_000,
        context: context(
            Arch::X86,
            Registers { ip: 0x8284_1234, sp: 0x8d9f_f000, fp: 0x8d9f_f010, ..Registers::default() },
        ),
        debugger_data: 0x8294_0be8,
    };
    let mut file = header32(&header);
    file.zeros(0x1000);
    let report = report(&mut open(file.into_bytes()).unwrap());
    assert_eq!(report.dump.architecture.as_deref(), Some("x86"));
    assert_eq!(report.dump.os.as_deref(), Some("Windows 7 SP1"));
    let bugcheck = report.bugcheck.unwrap();
    assert_eq!((bugcheck.code, bugcheck.base_code), (Hex(0x1000_008e), Hex(0x8e)));
    assert_eq!(report.exception.unwrap().address, Hex(0x8284_1234));
    assert!(report.notes.iter().any(|note| note.text.contains("trap frame at bug check parameter 3")));
    let registers = report.context.unwrap().registers.0;
    assert!(registers.contains(&("eip".into(), Hex(0x8284_1234))));
}

#[test]
fn a_32_bit_small_dump_gives_drivers_stack_and_memory() {
    let trap_frame = 0x8d9f_f9a0_u32;
    let mut stack = vec![0; 0x200];
    // A chain of two frame pointers above the trap frame's registers.
    let put = |stack: &mut Vec<u8>, at: usize, value: u32| stack[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(&mut stack, 0x60, trap_frame + 0x100);
    put(&mut stack, 0x68, 0x92c0_1234);
    put(&mut stack, 0x100, trap_frame + 0x120);
    put(&mut stack, 0x104, 0x92c0_2000);
    put(&mut stack, 0x124, 0x8284_5000);
    let header = Header {
        build: 7601,
        processors: 2,
        code: 0x1000_008e,
        parameters: [0xc000_0005, 0x92c0_1234, u64::from(trap_frame), 0],
        dump_type: 4,
        time: 129_000_000_000_000_000,
        up_time: 600_000_000,
        context: context(Arch::X86, Registers { ip: 0x8284_1234, sp: 0x8d9f_f000, ..Registers::default() }),
        debugger_data: 0,
    };
    let driver = |base, size, path: &str| TestDriver {
        base,
        size,
        path: path.into(),
        timestamp: 0x4ce7_8a09,
        checksum: 0x3d_0000,
    };
    let drivers = [
        driver(0x8280_0000, 0x41_2000, "\\SystemRoot\\system32\\ntkrnlpa.exe"),
        driver(0x92c0_0000, 0x1_0000, "\\??\\C:\\x\\moth.sys"),
    ];
    let file = small_dump32(
        &header,
        (trap_frame, &stack),
        &drivers,
        &[("old_moth.sys", 0x93a0_0000, 0x93a1_0000)],
        &[(0x92c0_8000, b"hello"), (0x92c0_8005, b" again")],
    );
    let mut session = open(file).unwrap();
    let report = report(&mut session);
    let modules: Vec<_> = report.modules.iter().map(|module| (module.name.as_str(), module.base.0)).collect();
    assert_eq!(modules, [("nt", 0x8280_0000), ("moth", 0x92c0_0000)]);
    assert_eq!(report.unloaded_modules[0].base, Hex(0x93a0_0000));
    let context = report.context.unwrap();
    assert_eq!(context.source, "trap frame at bug check parameter 3");
    // A fault in kernel mode pushes no stack pointer: it is where the frame's slot for it would be.
    assert!(context.registers.0.contains(&("esp".into(), Hex(u64::from(trap_frame) + 0x74))));
    let found: Vec<_> = report.stack.unwrap().frames.iter().map(|frame| (frame.address.0, frame.trust)).collect();
    let expected =
        [(0x92c0_1234, Trust::Context), (0x92c0_2000, Trust::FramePointer), (0x8284_5000, Trust::FramePointer)];
    assert_eq!(found, expected);
    assert_eq!(report.verdict.blamed.unwrap().module, "moth");
    let Ok(Reply::Memory(chunks)) = ask(
        &mut session,
        Request::Memory { space: dumplens_report::protocol::Space::Current, address: Hex(0x92c0_8000), length: 11 },
    ) else {
        panic!()
    };
    assert_eq!(chunks[0].bytes.as_ref().unwrap().0, b"hello again");
}

/// The value of a named field, or the cells of a table's first row.
fn shown(session: &mut Session, stream: &str) -> (Vec<(String, String)>, Vec<String>) {
    let Ok(Reply::Streams(streams)) = ask(session, Request::Streams) else { panic!() };
    let index = streams.iter().position(|row| row.name == stream).unwrap_or_else(|| panic!("no {stream} stream"));
    let Ok(Reply::StreamDetails(details)) = ask(session, Request::StreamDetails { index: index as u32 }) else {
        panic!()
    };
    assert!(details.notes.is_empty(), "{stream}: {:?}", details.notes);
    let fields = details.fields.into_iter().map(|field| (field.name, field.value)).collect();
    (fields, details.tables.first().and_then(|table| table.rows.first().cloned()).unwrap_or_default())
}

#[test]
fn smaller_streams_are_shown_field_by_field() {
    let words = |values: &[u64], width: usize| {
        values.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect::<Vec<u8>>()
    };
    let mut dump = MinidumpBuilder::new(1_700_000_000, 0);
    dump.system_info(9, 2, (10, 0, 19045), 4).modules(&[]).threads(&[]);
    // Token: list header, then an element of 16 bytes of header and 4 of data.
    dump.stream(19, &words(&[36, 1, 16, 16, 20, 77, 0x44, 0, 0xdead], 4));
    // FunctionTable: header, then one table of two entries of 12 bytes after a native descriptor of 8.
    let mut tables = words(&[24, 32, 8, 12, 1, 0], 4);
    tables.extend(words(&[0x1000, 0x2000, 0x800], 8));
    tables.extend(words(&[2, 0], 4));
    tables.extend([0; 8 + 24]);
    dump.stream(13, &tables);
    // SystemMemoryInfo: revision, basic information, file cache, performance.
    let mut memory = words(&[1, 0, 4096, 2_097_152], 4);
    memory.resize(4 + 0x34 + 0x3c, 0);
    memory.extend(words(&[500, 600, 700, 650], 8));
    dump.stream(21, &memory);
    // ProcessVmCounters, revision 2.
    let mut counters = words(&[2, 123], 4);
    counters.extend(words(&[9_000, 8_000, 0, 0, 0, 0, 5_000, 6_000, 1, 2, 4_000, 0], 8));
    dump.stream(22, &counters);
    // ThreadInfoList.
    let mut threads = words(&[12, 64, 1, 7, 2, 0, 0], 4);
    threads.extend(words(&[133_000_000_000_000_000, 0, 10_000_000, 25_000_000, 0x40_1000, 0xff], 8));
    dump.stream(17, &threads);
    // Breakpad: which threads, and an assertion.
    dump.stream(0x4767_0001, &words(&[3, 11, 12], 4));
    let mut assertion = Vec::new();
    for text in ["x > 0", "check", "a.cc"] {
        let mut field: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        field.resize(256, 0);
        assertion.extend(field);
    }
    assertion.extend(words(&[42, 1], 4));
    dump.stream(0x4767_0002, &assertion);
    let mut session = open(dump.build()).unwrap();
    let cells = |session: &mut Session, stream| shown(session, stream).1;
    assert_eq!(cells(&mut session, "Token"), ["77", "0x44", "20"]);
    assert_eq!(cells(&mut session, "FunctionTable"), ["0x1000 to 0x2000", "0x800", "2"]);
    assert_eq!(cells(&mut session, "ThreadInfoList")[2..], ["2.500 s", "1.000 s", "0x401000"]);
    let mut has = |stream, name: &str, value: &str| {
        let (fields, _) = shown(&mut session, stream);
        assert!(fields.contains(&(name.into(), value.into())), "{stream}: {fields:?}");
    };
    has("SystemMemoryInfo", "Physical pages", "2097152");
    has("SystemMemoryInfo", "Peak commitment (pages)", "650");
    has("ProcessVmCounters", "Working set (bytes)", "8000");
    has("ProcessVmCounters", "Private usage (bytes)", "4000");
    has("BreakpadInfo", "Requesting thread", "12");
    has("BreakpadAssertion", "Line", "42");
    has("SystemInfo", "Version", "10.0.19045");
}

/// A file of many gigabytes of which only the start is real; the rest reads as a pattern of its offset.
struct Huge {
    start: Vec<u8>,
    len: u64,
}

impl ByteSource for Huge {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(SourceError { offset, len: buf.len() as u64, kind: SourceErrorKind::OutOfRange });
        }
        for (step, byte) in buf.iter_mut().enumerate() {
            let at = offset + step as u64;
            *byte = usize::try_from(at).ok().and_then(|at| self.start.get(at).copied()).unwrap_or((at >> 12) as u8);
        }
        Ok(())
    }
}

#[test]
fn memory_beyond_four_gigabytes_is_found_by_offset_and_read_alone() {
    const GIB: u64 = 1 << 30;
    let mut dump = MinidumpBuilder::new(1_700_000_000, 2);
    dump.system_info(9, 2, (10, 0, 19045), 4);
    dump.modules(&[]).threads(&[]);
    dump.memory64(0x10_0000, &[(0x10_0000_0000, 5 * GIB), (0x7000_0000_0000, GIB)]);
    let source =
        Rc::new(Counting { source: Huge { start: dump.build(), len: 0x10_0000 + 6 * GIB }, bytes: Cell::new(0) });
    let mut session = Session::open(Rc::clone(&source) as Rc<dyn ByteSource>, None).unwrap();
    let Ok(Reply::Memory(chunks)) = ask(
        &mut session,
        Request::Memory {
            space: dumplens_report::protocol::Space::Current,
            address: Hex(0x7000_0000_3000),
            length: 16,
        },
    ) else {
        panic!()
    };
    // The second range starts where the first ends in the file.
    let expected = ((0x10_0000 + 5 * GIB + 0x3000) >> 12) as u8;
    assert_eq!(chunks[0].bytes.as_ref().unwrap().0, [expected; 16]);
    assert!(source.bytes.get() < 64 * 1024, "{} bytes were read of a 6 GiB file", source.bytes.get());
}
