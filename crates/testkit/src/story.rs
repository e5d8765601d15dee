//! Two dumps with a story, for visitors who have none. All names in them are made up.

use crate::{
    asm::Asm,
    context::{Arch, Registers, context, exception_record},
    kernel::{Header, SmallDump, TestDriver, smbios},
    minidump::{MinidumpBuilder, TestModule, TestThread, rsds},
};

/// 2026-03-14T09:26:53Z in seconds since 1970.
const CRASH_TIME: u32 = 1_773_480_413;
/// The same as a `FILETIME`.
const CRASH_FILETIME: u64 = (CRASH_TIME as u64 + 11_644_473_600) * 10_000_000;

const NT: u64 = 0xffff_f801_1f00_0000;
const WDF: u64 = 0xffff_f801_2260_0000;
const GLASSWING: u64 = 0xffff_f801_3a60_0000;

/// Code in which the instruction before `address` is `call`: 32 bytes on both sides.
fn code_after_call(address: u64, call: &[u8]) -> (u64, Vec<u8>) {
    let mut code = vec![0x90; 64];
    code[32 - call.len()..32].copy_from_slice(call);
    (address - 32, code)
}

const CALL_RELATIVE: [u8; 5] = [0xe8, 0x44, 0x12, 0, 0];
const CALL_RAX: [u8; 2] = [0xff, 0xd0];

/// Driver names, sizes and gaps between them; bases follow each other.
const DRIVERS: [(&str, u32); 26] = [
    ("hal.dll", 0x6000),
    ("kdcom.dll", 0xb000),
    ("mcupdate.dll", 0x30_0000),
    ("CLFS.SYS", 0x6_a000),
    ("tm.sys", 0x2_7000),
    ("PSHED.dll", 0x1_a000),
    ("BOOTVID.dll", 0xb000),
    ("FLTMGR.SYS", 0x7_1000),
    ("ksecdd.sys", 0x2_9000),
    ("CI.dll", 0xe_3000),
    ("cng.sys", 0xb_7000),
    ("ACPI.sys", 0xc_c000),
    ("WMILIB.SYS", 0xc000),
    ("pci.sys", 0x7_2000),
    ("partmgr.sys", 0x2_f000),
    ("volmgr.sys", 0x1_9000),
    ("stornvme.sys", 0x2_e000),
    ("storport.sys", 0xb_0000),
    ("Ntfs.sys", 0x2d_8000),
    ("ndis.sys", 0x17_3000),
    ("NETIO.SYS", 0x9_8000),
    ("tcpip.sys", 0x2f_0000),
    ("USBXHCI.SYS", 0x9_9000),
    ("dxgkrnl.sys", 0x3a_c000),
    ("win32kbase.sys", 0x2d_2000),
    ("win32kfull.sys", 0x3b_6000),
];

/// The drivers of the small kernel dump, the kernel first.
#[must_use]
pub fn drivers() -> Vec<TestDriver> {
    let driver = |base, size, path: String, seed: u32| TestDriver {
        base,
        size,
        path,
        timestamp: 0x6510_0000 ^ seed.wrapping_mul(0x9e37_79b9),
        checksum: 0x1_0000 + seed * 0x1357,
    };
    let mut list = vec![driver(NT, 0x104_6000, "\\SystemRoot\\system32\\ntoskrnl.exe".into(), 1)];
    let mut base = 0xffff_f801_2400_0000;
    for (index, (name, size)) in DRIVERS.iter().enumerate() {
        let folder =
            if name.ends_with(".dll") { "\\SystemRoot\\system32\\" } else { "\\SystemRoot\\System32\\drivers\\" };
        list.push(driver(base, *size, format!("{folder}{name}"), index as u32 + 2));
        base += u64::from(*size).next_multiple_of(0x1_0000) + 0x1_0000;
    }
    list.push(driver(WDF, 0xd_1000, "\\SystemRoot\\system32\\drivers\\Wdf01000.sys".into(), 60));
    list.push(driver(GLASSWING, 0x1_c000, "\\SystemRoot\\System32\\drivers\\glasswing.sys".into(), 61));
    list
}

/// A small kernel dump: `glasswing.sys` reads paged pool in a deferred procedure call, at raised IRQL.
#[must_use]
pub fn driver_at_raised_irql() -> Vec<u8> {
    const STACK_LOW: u64 = 0xffff_a10e_4c1e_0000;
    const STACK_HIGH: u64 = STACK_LOW + 0x6000;
    const SP: u64 = STACK_LOW + 0x5200;
    const PAGED: u64 = 0xffff_bc8a_7d40_3010;
    const FAULT: u64 = GLASSWING + 0x4a1c;
    let callers = [
        NT + 0x40_7769, // the bug-check dispatcher
        NT + 0x40_3a69, // the page fault handler, with the trap frame above it
        GLASSWING + 0x31f8,
        GLASSWING + 0x2b07,
        WDF + 0x8a53,
        WDF + 0x7c1e,
        NT + 0x2c_5e85,
        NT + 0x2c_4b31,
        NT + 0x3f_b60e,
    ];
    let mut stack = Asm::new();
    stack.u64(callers[0]).zeros(0x38).u64(0xd1).u64(PAGED).u64(2).u64(0).u64(FAULT).zeros(0x20);
    stack.u64(callers[1]);
    // The trap frame: 0x190 bytes; the interrupted code's registers stand at its end.
    let frame = stack.here() as usize;
    stack.zeros(0x190);
    stack.put_u64(frame + 0x30, PAGED).put_u64(frame + 0x158, SP + 0x400).put_u64(frame + 0x168, FAULT);
    stack.put_u64(frame + 0x170, 0x10).put_u64(frame + 0x178, 0x1_0246).put_u64(frame + 0x188, 0x18);
    let interrupted = SP + u64::from(stack.here());
    stack.put_u64(frame + 0x180, interrupted);
    stack.zeros(0x48);
    for (index, caller) in callers.iter().enumerate().skip(2) {
        stack.u64(*caller).zeros(0x30 + index * 8);
        if index == 4 {
            // Left over from an earlier call: code of the framework that no call leads to.
            stack.u64(WDF + 0x1_1111).u64(0xffff_bc8a_7000_0000 + index as u64);
        }
    }
    let room = (STACK_HIGH - SP) as usize - stack.here() as usize;
    stack.zeros(room);

    let mut blocks: Vec<_> = callers.iter().map(|caller| code_after_call(*caller, &CALL_RELATIVE)).collect();
    // mov rax, [rax+10h]: the instruction that fails.
    let mut failing = vec![0x90; 64];
    failing[32..36].copy_from_slice(&[0x48, 0x8b, 0x40, 0x10]);
    blocks.push((FAULT - 32, failing));
    blocks.push((WDF + 0x1_1111 - 32, vec![0x90; 64]));

    let dump = SmallDump {
        header: Header {
            build: 19041,
            processors: 8,
            code: 0xd1,
            parameters: [PAGED, 2, 0, FAULT],
            dump_type: 4,
            time: CRASH_FILETIME,
            up_time: (3 * 3600 + 12 * 60) * 10_000_000,
            context: context(Arch::X64, Registers { ip: NT + 0x3f_5a80, sp: SP, first: 0xd1, ..Registers::default() }),
            debugger_data: NT + 0xc0_0b20,
        },
        stack: (SP, stack.into_bytes()),
        drivers: drivers(),
        unloaded: vec![
            ("dump_stornvme.sys".into(), 0xffff_f801_3900_0000, 0xffff_f801_3902_e000),
            ("glasswing_old.sys".into(), 0xffff_f801_3910_0000, 0xffff_f801_3911_b000),
            ("WdBoot.sys".into(), 0xffff_f801_3920_0000, 0xffff_f801_3920_d000),
        ],
        blocks,
        thread_at: 0xffff_bc8a_6a21_5080,
        process_at: 0xffff_bc8a_6a09_e040,
        ids: (268, 4),
        process: "System".into(),
        stack_bounds: (STACK_LOW, STACK_HIGH),
        blobs: vec![smbios("Contoso", "Lantern 14")],
    };
    dump.build()
}

const LANTERN: u64 = 0x7ff6_1c20_0000;
const KERNEL32: u64 = 0x7ffb_c0d0_0000;
const NTDLL: u64 = 0x7ffb_c1e0_0000;

fn program_modules() -> Vec<TestModule> {
    const LIBRARIES: [(&str, u64, u32); 13] = [
        ("ntdll.dll", NTDLL, 0x1f_8000),
        ("kernel32.dll", KERNEL32, 0xbf_000),
        ("KERNELBASE.dll", 0x7ffb_bf40_0000, 0x2d_2000),
        ("ucrtbase.dll", 0x7ffb_bf20_0000, 0x10_0000),
        ("user32.dll", 0x7ffb_c060_0000, 0x1a_1000),
        ("win32u.dll", 0x7ffb_bf80_0000, 0x2_2000),
        ("gdi32.dll", 0x7ffb_c0a0_0000, 0x2_a000),
        ("msvcp140.dll", 0x7ffb_ad10_0000, 0x8_d000),
        ("vcruntime140.dll", 0x7ffb_ad00_0000, 0x1_b000),
        ("combase.dll", 0x7ffb_c120_0000, 0x35_4000),
        ("rpcrt4.dll", 0x7ffb_c0f0_0000, 0x12_6000),
        ("sechost.dll", 0x7ffb_c050_0000, 0x9_c000),
        ("ws2_32.dll", 0x7ffb_c040_0000, 0x6_b000),
    ];
    let module = |path: String, base, size, version, pdb: &str, seed: u8| TestModule {
        base,
        size,
        path,
        timestamp: 0x6400_0000 + u32::from(seed) * 0x11_1111,
        version: Some(version),
        codeview: rsds([seed; 16], 1, pdb),
    };
    let mut list = vec![module(
        "C:\\Program Files\\Lantern\\lantern.exe".into(),
        LANTERN,
        0x5_8000,
        [2, 4, 1, 0],
        "C:\\build\\lantern\\lantern.pdb",
        0xa1,
    )];
    for (index, (name, base, size)) in LIBRARIES.iter().enumerate() {
        let pdb = format!("{}.pdb", name.split('.').next().unwrap().to_lowercase());
        let path = format!("C:\\Windows\\System32\\{name}");
        list.push(module(path, *base, *size, [10, 0, 19041, 3636], &pdb, index as u8 + 1));
    }
    list.push(module(
        "C:\\Program Files\\Lantern\\plugins\\shade.dll".into(),
        0x7ffb_9000_0000,
        0x1_9000,
        [1, 0, 3, 0],
        "C:\\build\\shade\\shade.pdb",
        0xb2,
    ));
    list
}

/// The stack of the thread that calls through a null pointer: the return address on top, then a chain of frame pointers.
fn crashing_stack(at: u64) -> Vec<u8> {
    let mut stack = Asm::new();
    stack.u64(LANTERN + 0x41b3).zeros(0x38);
    stack.u64(at + 0x90).u64(LANTERN + 0x2a7e).zeros(0x40);
    stack.u64(at + 0xe0).u64(LANTERN + 0x1c05).zeros(0x40);
    stack.u64(0).u64(KERNEL32 + 0x1_7374).zeros(0x20).u64(NTDLL + 0x4_cc91).zeros(0x30);
    stack.into_bytes()
}

/// A user minidump: `lantern.exe` calls a function that a plug-in did not set.
#[must_use]
pub fn application_null_call() -> Vec<u8> {
    const STACK: u64 = 0x4b_6f5f_f6a0;
    let registers = Registers { ip: 0, sp: STACK, fp: STACK + 0x40, ..Registers::default() };
    let crash = context(Arch::X64, registers);
    let waiting = |id: u32, name: &str, depth: u64| {
        let at = STACK + 0x10_0000 * u64::from(id & 0xff);
        let mut stack = Asm::new();
        stack.u64(0x7ffb_bf43_1b5e).zeros(0x50).u64(LANTERN + 0x8000 + depth * 0x140).zeros(0x40);
        stack.u64(KERNEL32 + 0x1_7374).zeros(0x20).u64(NTDLL + 0x4_cc91).zeros(0x28);
        let registers = Registers { ip: NTDLL + 0x9_d9d4, sp: at, ..Registers::default() };
        TestThread {
            teb: 0,
            id,
            name: Some(name.into()),
            stack_at: at,
            stack: stack.into_bytes(),
            context: context(Arch::X64, registers),
        }
    };
    let main = TestThread {
        teb: 0,
        id: 6_412,
        name: Some("main".into()),
        stack_at: STACK,
        stack: crashing_stack(STACK),
        context: crash.clone(),
    };
    let threads = [main, waiting(6_420, "render", 1), waiting(6_424, "io-worker", 2), waiting(6_428, "tp-wait", 3)];
    let record = exception_record(0xc000_0005, 0, &[8, 0]);

    let mut dump = MinidumpBuilder::new(CRASH_TIME, 0x1824);
    dump.system_info(9, 2, (10, 0, 19045), 8);
    dump.misc_info(5_980, CRASH_TIME - 754, "10.0.19041.3636 (vb_release.191206-1406)");
    dump.modules(&program_modules());
    dump.unloaded(&[(0x7ffb_9100_0000, 0x1_2000, 0x6400_0001, "shade_legacy.dll")]);
    dump.threads(&threads);
    dump.exception(6_412, &record, &crash);
    dump.memory(&[
        code_after_call(LANTERN + 0x41b3, &CALL_RAX),
        code_after_call(LANTERN + 0x2a7e, &CALL_RELATIVE),
        code_after_call(LANTERN + 0x1c05, &CALL_RELATIVE),
    ]);
    dump.memory_info(&[
        (0, 0x1_0000, 0x1_0000, 1, 0),
        (LANTERN, 0x1000, 0x1000, 2, 0x100_0000),
        (LANTERN + 0x1000, 0x4_2000, 0x1000, 0x20, 0x100_0000),
    ]);
    dump.handles(&[
        (0x4, "Event", ""),
        (0x1c, "File", "\\Device\\HarddiskVolume3\\Program Files\\Lantern\\scenes\\dusk.scene"),
        (0x94, "Mutant", "\\Sessions\\1\\BaseNamedObjects\\LanternSingleInstance"),
    ]);
    dump.comment("Lantern stopped while a plug-in was being reloaded.");
    dump.build()
}

/// The samples: file name, title, story, bytes.
#[must_use]
pub fn samples() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    vec![
        (
            "driver-irql.dmp",
            "A driver that touched paged memory",
            "A small kernel dump: glasswing.sys read paged pool in a deferred procedure call.",
            driver_at_raised_irql(),
        ),
        (
            "null-call.dmp",
            "A program that called nothing",
            "A user minidump: lantern.exe called a function that a plug-in had not set.",
            application_null_call(),
        ),
    ]
}

/// The list that the page shows: a JSON array.
#[must_use]
pub fn index() -> String {
    let rows = samples().into_iter().map(|(file, title, story, _)| {
        format!("  {{ \"file\": \"{file}\", \"title\": \"{title}\", \"story\": \"{story}\" }}")
    });
    format!("[\n{}\n]\n", rows.collect::<Vec<_>>().join(",\n"))
}
