//! Real small kernel dumps. Numbers, codes and driver names only: the files hold bits of people's machines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{ask, open, real, report};
use dumplens_report::{
    Hex,
    model::{DumpFormat, Trust},
    protocol::{Reply, Request, StackOf},
};

/// File, code, parameters that are known (0 where they are not), build, drivers (0 where not counted by another tool).
const DUMPS: [(&str, u64, [u64; 4], u32, usize); 13] = [
    (
        "triage_x64_0x1000007e_19041.dmp",
        0x1000_007e,
        [0xffff_ffff_c000_0005, 0xffff_f804_8b58_334c, 0xffff_8504_2989_1ee8, 0xffff_8504_2989_1720],
        19041,
        151,
    ),
    ("training_116_0.dmp", 0x116, [0, 0xffff_f802_7a96_0a40, 0xffff_ffff_c000_0001, 4], 19041, 194),
    ("training_13a.dmp", 0x13a, [0x12, 0, 0, 0], 26100, 203),
    ("training_1a.dmp", 0x1a, [0x41792, 0xffff_dd01_0bc5_d3f8, 0x20_0000_0000, 0], 26100, 0),
    ("training_3b_0.dmp", 0x3b, [0xc000_0005, 0, 0, 0], 26100, 0),
    ("training_50_0.dmp", 0x50, [0; 4], 26100, 0),
    ("training_7e_0.dmp", 0x1000_007e, [0xffff_ffff_c000_0005, 0, 0, 0], 19041, 0),
    ("training_9f.dmp", 0x9f, [3, 0, 0, 0], 19041, 0),
    ("training_d1.dmp", 0xd1, [0x29, 2, 0, 0], 19041, 0),
    ("training_ef.dmp", 0xef, [0; 4], 19041, 0),
    ("102622-12000-01.dmp", 0x101, [0xc, 0, 0, 2], 19041, 0),
    ("102622-12546-01.dmp", 0x1e, [0; 4], 19041, 0),
    ("040124-5218-01.dmp", 0x1a, [0x41792, 0, 0, 0], 19041, 0),
];

#[test]
fn headers_and_driver_lists_are_read_without_a_complaint() {
    for (name, code, parameters, build, drivers) in DUMPS {
        let Some(bytes) = real(&format!("kernel/{name}")) else { return };
        let report = report(&mut open(bytes).unwrap());
        assert_eq!(report.dump.format, Some(DumpFormat::KernelTriage), "{name}");
        assert_eq!(report.dump.build, Some(build), "{name}");
        assert_eq!(report.dump.architecture.as_deref(), Some("x64"), "{name}");
        let bugcheck = report.bugcheck.as_ref().unwrap();
        assert_eq!(bugcheck.code, Hex(code), "{name}");
        for (index, parameter) in parameters.into_iter().enumerate().filter(|(_, value)| *value != 0) {
            assert_eq!(bugcheck.parameters[index], Hex(parameter), "{name}, parameter {}", index + 1);
        }
        if drivers > 0 {
            assert_eq!(report.modules.len(), drivers, "{name}");
        }
        assert_eq!(report.modules[0].name, "nt", "{name}");
        assert!(!report.is_partial(), "{name}: {:?}", report.notes);
        // One process and one thread, found where the processor's control block says they were.
        assert_eq!((report.processes.len(), report.threads.len()), (1, 1), "{name}");
        assert!(report.stack.as_ref().unwrap().frames.len() > 3, "{name}");
    }
}

#[test]
fn the_fault_context_is_taken_from_where_the_parameters_point() {
    let Some(bytes) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let report = report(&mut open(bytes).unwrap());
    let context = report.context.unwrap();
    assert_eq!(context.source, "context record at bug check parameter 4");
    let register = |name: &str| context.registers.0.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(register("rip"), Hex(0xffff_f804_8b58_334c));
    assert_eq!(register("rsp"), Hex(0xffff_8504_2989_2120));
    let exception = report.exception.unwrap();
    assert_eq!((exception.code, exception.address), (Hex(0xc000_0005), Hex(0xffff_f804_8b58_334c)));
    assert_eq!(exception.parameters, [Hex(1), Hex(u64::MAX)]);
    assert_eq!((report.dump.processors, report.dump.uptime_seconds), (Some(16), Some(3)));
    assert_eq!(report.dump.time.as_deref(), Some("2021-02-21T01:38:22Z"));
    assert_eq!((report.dump.process.as_deref(), report.dump.process_id), (Some("System"), Some(4)));
}

/// What a debugger with all symbols and images at hand finds in nt below `IofCallDriver`.
const TRUE_NT_FRAMES: [u64; 11] = [
    0xffff_f804_7c15_48a6,
    0xffff_f804_7bce_0d1e,
    0xffff_f804_7bd6_ab7c,
    0xffff_f804_7c12_3760,
    0xffff_f804_7c12_362f,
    0xffff_f804_7c12_6bdd,
    0xffff_f804_7c1b_df0c,
    0xffff_f804_7bd6_c2ec,
    0xffff_f804_7bc2_5975,
    0xffff_f804_7bd1_7e25,
    0xffff_f804_7bdf_d0d8,
];

/// The bug checks that name the instruction which failed: its trap frame is on the captured stack, and the registers of
/// the fault are shown, not those of the routine that stopped the system.
#[test]
fn the_trap_frame_of_the_named_instruction_is_found_on_the_stack() {
    let mut seen = 0;
    // The routine itself tells a driver's fault from the kernel's own: it is called with another code then.
    for (name, parameter, module, called_with) in [
        ("training_d1.dmp", 4, "ks", 0xa),
        ("training_50_0.dmp", 3, "nt", 0x50),
        ("102622-12546-01.dmp", 2, "nt", 0x1e),
    ] {
        let Some(bytes) = real(&format!("kernel/{name}")) else { return };
        let mut session = open(bytes).unwrap();
        let report = report(&mut session);
        let bugcheck = report.bugcheck.unwrap();
        let instruction = bugcheck.parameters[parameter - 1];
        let context = report.context.unwrap();
        assert!(context.source.starts_with("trap frame at"), "{name}: {}", context.source);
        let rip = context.registers.0.iter().find(|(register, _)| register == "rip").unwrap().1;
        assert_eq!(rip, instruction, "{name}");
        let first = &report.stack.unwrap().frames[0];
        assert_eq!((first.address, first.module.as_deref(), first.trust), (instruction, Some(module), Trust::Context));
        // Those of the header, from which the debuggers start, are still there.
        let Ok(Reply::Contexts(choices)) = ask(&mut session, Request::Contexts) else { panic!() };
        assert!(choices.iter().any(|choice| choice.of == StackOf::Header), "{name}: {choices:?}");
        let request = Request::Stack { of: StackOf::Header, arguments: true };
        let Ok(Reply::Stack(header)) = ask(&mut session, request) else { panic!() };
        assert_eq!(header.stack.frames[0].module.as_deref(), Some("nt"), "{name}");
        // On entry to the bug check routine its first four arguments are stored: the code and the parameters.
        assert_eq!(header.stack.frames[0].arguments[0], Hex(called_with), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_scan_of_the_known_stack_holds_every_true_return_address_in_order() {
    let Some(bytes) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let stack = report(&mut open(bytes).unwrap()).stack.unwrap();
    assert_eq!(stack.frames[0].address, Hex(0xffff_f804_8b58_334c));
    assert_eq!(stack.frames[0].trust, Trust::Context);
    assert!(
        stack.frames[1..].iter().all(|frame| frame.trust == Trust::Scan),
        "no frame pretends to be more than it is"
    );
    // What a debugger with all symbols and images at hand unwinds below amdppm.
    let truth = [
        0xffff_f804_799c_c027,
        0xffff_f804_7996_6f81,
        0xffff_f804_799c_b227,
        0xffff_f804_799c_9e21,
        0xffff_f804_799c_99da,
        0xffff_f804_799c_b6b1,
        0xffff_f804_799c_b47a,
        0xffff_f804_799d_299e,
        0xffff_f804_7995_cc5f,
        0xffff_f804_7995_a866,
        0xffff_f804_7bc5_2f55,
    ];
    let mut frames = stack.frames.iter();
    for address in truth.into_iter().chain(TRUE_NT_FRAMES) {
        assert!(frames.any(|frame| frame.address == Hex(address)), "{address:#x} is missing or out of order");
    }
}

#[test]
fn with_their_images_at_hand_drivers_are_unwound() {
    let Some(bytes) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let mut session = open(bytes).unwrap();
    for name in ["amdppm.sys/c9c030003b000/amdppm.sys", "Wdf01000.sys/a9a9d36ed1000/Wdf01000.sys"] {
        let image = real(&format!("kernel/symbols/{name}")).unwrap();
        session.add_symbols(Rc::new(image), name.rsplit('/').next().unwrap()).unwrap();
    }
    let stack = report(&mut session).stack.unwrap();
    // What another tool finds, from the second frame on; the last one is where unwind data ends.
    let truth: [u64; 16] = [
        0xffff_f804_8b58_313f,
        0xffff_f804_8b58_3234,
        0xffff_f804_8b5a_0e8f,
        0xffff_f804_8b5a_83f6,
        0xffff_f804_8b59_f852,
        0xffff_f804_799c_c027,
        0xffff_f804_7996_6f81,
        0xffff_f804_799c_b227,
        0xffff_f804_799c_9e21,
        0xffff_f804_799c_99da,
        0xffff_f804_799c_b6b1,
        0xffff_f804_799c_b47a,
        0xffff_f804_799d_299e,
        0xffff_f804_7995_cc5f,
        0xffff_f804_7995_a866,
        0xffff_f804_7bc5_2f55,
    ];
    let unwound: Vec<_> = stack.frames[1..17].iter().map(|frame| (frame.address.0, frame.trust)).collect();
    assert_eq!(unwound, truth.map(|address| (address, Trust::Unwind)));
    // Two of them follow calls that the system rewrote when it loaded the driver: the file shows other code there.
    assert!(stack.frames[..17].iter().all(|frame| frame.note.is_none()), "nothing was interrupted: {:?}", stack.frames);
    assert!(stack.frames[17..].iter().all(|frame| frame.trust == Trust::Scan && frame.module.as_deref() == Some("nt")));
    let mut rest = stack.frames[17..].iter();
    for address in TRUE_NT_FRAMES {
        assert!(rest.any(|frame| frame.address == Hex(address)), "{address:#x} is missing or out of order");
    }
    let warning = "no unwind data for ntoskrnl.exe: frames below may be wrong";
    assert!(stack.warnings.iter().any(|known| known == warning), "{:?}", stack.warnings);
}

#[test]
fn whom_the_parameters_accuse_is_named() {
    for (name, module) in [
        ("training_116_0.dmp", "nvlddmkm"),
        ("training_7e_0.dmp", "nvlddmkm"),
        ("training_d1.dmp", "ks"),
        ("training_3b_0.dmp", "win32kfull"),
        ("triage_x64_0x1000007e_19041.dmp", "amdppm"),
    ] {
        let Some(bytes) = real(&format!("kernel/{name}")) else { return };
        let report = report(&mut open(bytes).unwrap());
        assert_eq!(report.verdict.blamed.map(|blame| blame.module).as_deref(), Some(module), "{name}");
    }
    for name in ["training_1a.dmp", "040124-5218-01.dmp", "102622-12000-01.dmp"] {
        let Some(bytes) = real(&format!("kernel/{name}")) else { return };
        let report = report(&mut open(bytes).unwrap());
        assert_eq!(report.verdict.blamed, None, "{name}: hardware, whoever is on the stack");
    }
}

#[test]
fn every_captured_byte_reads_and_the_rest_says_why_not() {
    let Some(bytes) = real("kernel/training_9f.dmp") else { return };
    let mut session = open(bytes).unwrap();
    let Ok(Reply::Regions(regions)) = ask(
        &mut session,
        Request::Regions { space: dumplens_report::protocol::Space::Current, from: Hex(0), count: 1000 },
    ) else {
        panic!()
    };
    assert_eq!(regions.regions.len(), 1000, "this dump has thousands of blocks");
    for region in &regions.regions {
        let length = u32::try_from(region.length.0.min(0x1000)).unwrap();
        let request =
            Request::Memory { space: dumplens_report::protocol::Space::Current, address: region.start, length };
        let Ok(Reply::Memory(chunks)) = ask(&mut session, request) else { panic!() };
        assert!(chunks.iter().all(|chunk| chunk.bytes.is_some()), "{}", region.start);
    }
    let Ok(Reply::Memory(chunks)) = ask(
        &mut session,
        Request::Memory { space: dumplens_report::protocol::Space::Current, address: Hex(0x1000), length: 16 },
    ) else {
        panic!()
    };
    assert_eq!(chunks.len(), 1);
    assert!(chunks[0].bytes.is_none() && chunks[0].reason.as_ref().unwrap().contains("not in the dump"));
}

#[test]
fn a_folder_of_dumps_from_one_machine_is_read_and_its_empty_files_are_named() {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA") else { return println!("skipped: DUMPLENS_DATA not set") };
    let folder = std::path::Path::new(&folder).join("kernel/many");
    let (mut read, mut refused) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        match open(bytes) {
            Ok(mut session) => {
                let report = report(&mut session);
                assert_eq!(report.dump.build, Some(9600));
                assert!(!report.is_partial(), "{:?}", report.notes);
                read += 1;
            }
            Err(failure) => refused.push(failure.message),
        }
    }
    refused.sort();
    assert_eq!(read, 20);
    assert_eq!(refused.len(), 3);
    assert_eq!(refused.iter().filter(|message| message.contains("empty")).count(), 2, "{refused:?}");
    assert_eq!(refused.iter().filter(|message| message.contains("only zeros")).count(), 1, "{refused:?}");
}
