//! Real user minidumps of Windows, Linux and macOS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{ask, open, real, report};
use dumplens_report::{
    Hex,
    model::{DumpFormat, Trust},
    protocol::{Reply, Request},
};

/// File, architecture, system, exception code, modules, threads. On all nine files, counts, module bases and module names
/// were equal to those that the PyPI package `minidump` reads (`MinidumpFile.parse(f).modules.modules`, `.threads.threads`).
const DUMPS: [(&str, &str, &str, u64, usize, usize); 9] = [
    ("windows_x86_crash.dmp", "x86", "Windows", 0xc000_0005, 17, 4),
    ("breakpad_test_x86.dmp", "x86", "Windows", 0xc000_0005, 13, 2),
    ("calc.dmp", "x64", "Windows", 0x8000_0003, 28, 5),
    ("tiny-exe-fastfail_x64.dmp", "x64", "Windows", 0xc000_0409, 21, 4),
    ("invalid-parameter.dmp", "x64", "Windows", 0xc000_000d, 31, 6),
    ("sigsegv_x64.dmp", "x64", "Windows", 0xc000_0005, 4, 1),
    ("crashpad_annotation.dmp", "x64", "iOS", 0x4350_6e78, 354, 7),
    ("simple-crashpad.dmp", "x64", "macOS", 0, 40, 1),
    ("linux_inside_module.dmp", "x64", "Linux", 0xb, 8, 1),
];

#[test]
fn every_real_minidump_is_read_without_a_complaint() {
    for (name, architecture, system, code, modules, threads) in DUMPS {
        let Some(bytes) = real(&format!("user/{name}")) else { return };
        let report = report(&mut open(bytes).unwrap());
        assert_eq!(report.dump.format, Some(DumpFormat::Minidump), "{name}");
        assert!(report.dump.os.as_ref().unwrap().starts_with(system), "{name}: {:?}", report.dump.os);
        assert_eq!(report.exception.as_ref().unwrap().code, Hex(code), "{name}");
        assert_eq!((report.modules.len(), report.threads.len()), (modules, threads), "{name}");
        assert!(!report.is_partial(), "{name}: {:?}", report.notes);
        assert!(report.stack.as_ref().unwrap().frames.len() > 1, "{name}");
        assert_eq!(report.dump.architecture.as_deref(), Some(architecture), "{name}");
    }
}

#[test]
fn the_crash_of_a_known_program_is_told_as_it_happened() {
    let Some(bytes) = real("user/windows_x86_crash.dmp") else { return };
    let report = report(&mut open(bytes).unwrap());
    let exception = report.exception.unwrap();
    let access = exception.access.unwrap();
    assert_eq!((access.kind.as_str(), access.address), ("write", Some(Hex(0x45))));
    let module = report.modules.iter().find(|module| module.name == "crash").unwrap();
    assert_eq!(module.debug_id.as_deref(), Some("3249D99D0C4049318610F4E4FB0B69361"));
    let frames = report.stack.unwrap().frames;
    assert_eq!((frames[0].module.as_deref(), frames[0].trust), (Some("crash"), Trust::Context));
    // This program keeps no frame pointers past its first call: what follows is found by scanning and says so, up to a frame
    // with a frame pointer that leads to the stack's end.
    assert_eq!(frames[1].trust, Trust::FramePointer);
    assert!(frames.iter().any(|frame| frame.trust == Trust::Scan && frame.module.as_deref() == Some("crash")));
    let last = frames.last().unwrap();
    assert_eq!((last.trust, last.module.as_deref()), (Trust::FramePointer, Some("ntdll")));
}

#[test]
fn streams_of_crashpad_and_breakpad_are_shown_field_by_field() {
    let Some(bytes) = real("user/crashpad_annotation.dmp") else { return };
    let mut session = open(bytes).unwrap();
    let Ok(Reply::Streams(streams)) = ask(&mut session, Request::Streams) else { panic!() };
    let index = streams.iter().position(|stream| stream.name == "CrashpadInfo").unwrap();
    let Ok(Reply::StreamDetails(details)) = ask(&mut session, Request::StreamDetails { index: index as u32 }) else {
        panic!()
    };
    assert!(!details.tables[0].rows.is_empty(), "annotations are there");
    assert!(details.notes.is_empty(), "{:?}", details.notes);
    // No part of any real dump fails to show.
    for (name, ..) in DUMPS {
        let mut session = open(real(&format!("user/{name}")).unwrap()).unwrap();
        let Ok(Reply::Streams(streams)) = ask(&mut session, Request::Streams) else { panic!() };
        for (index, stream) in streams.iter().enumerate() {
            let Ok(Reply::StreamDetails(details)) = ask(&mut session, Request::StreamDetails { index: index as u32 })
            else {
                panic!()
            };
            assert!(details.notes.is_empty(), "{name}, {}: {:?}", stream.name, details.notes);
        }
    }
}

#[test]
fn files_that_crashed_other_readers_end_in_a_message_or_a_partial_result() {
    for name in
        ["invalid-range.dmp", "invalid-record-count.dmp", "npe_r_mdmp.c-364_1.mdmp", "npe_w_bin_mdmp.c-111_1.mdmp"]
    {
        let Some(bytes) = real(&format!("malformed/{name}")) else { return };
        match open(bytes) {
            Ok(mut session) => assert!(report(&mut session).is_partial(), "{name}"),
            Err(failure) => assert!(failure.message.contains("offset"), "{name}: {failure}"),
        }
    }
}
