//! Stacks of the data set's x86 user dumps, with and without their PDB.
//!
//! Two peers walked the same dumps:
//!
//! | thread | `minidump-stackwalk` 0.27.0 | `lldb` 19 |
//! |---|---|---|
//! | 1636, no symbols | the same frames, found by the same means | the first only: `ebp` leads nowhere |
//! | 1636, with the PDB | the same frames, from a `.sym` file made of what `llvm-pdbutil` 19 prints | takes no frame data from a PDB |
//! | 3580, 2600 | without ntdll's second frame: they go by the frame pointer where `ret` comes next | the same |
//! | 2920, 4544 | the first frame only | the first frame only |
//! | 3060 | the same frames, found by the same means | the same frames |
//!
//! 2920 and 4544 wrote the dumps they are in: their registers are older than their stacks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{ask, open, real};
use dumplens_engine::Session;
use dumplens_report::{
    model::{Stack, Trust},
    protocol::{Reply, Request, StackOf},
};

const CRASH: u64 = 1636;
const PDB: &str = "user/symbols/crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb";

fn stack(session: &mut Session, thread: u64) -> Stack {
    match ask(session, Request::Stack { of: StackOf::Thread { id: thread }, arguments: false }) {
        Ok(Reply::Stack(found)) => found.stack,
        other => panic!("{other:?}"),
    }
}

/// Module and offset of each frame that is no inlined call, and how it was found.
fn frames(stack: &Stack) -> Vec<(String, Trust)> {
    let outer = stack.frames.iter().filter(|frame| !frame.inline);
    let row = |frame: &dumplens_report::model::Frame| {
        let module = frame.module.as_deref().unwrap_or("?");
        (format!("{module}+{:x}", frame.offset.map_or(0, |offset| offset.0)), frame.trust)
    };
    outer.map(row).collect()
}

fn rows(expected: &[(&str, Trust)]) -> Vec<(String, Trust)> {
    expected.iter().map(|(place, trust)| ((*place).to_owned(), *trust)).collect()
}

/// How every thread of these dumps begins that did not start by itself.
const START: [(&str, Trust); 3] = [
    ("kernel32+162c4", Trust::FramePointer),
    ("ntdll+60f79", Trust::FramePointer),
    ("ntdll+60f44", Trust::FramePointer),
];

#[test]
fn a_pdb_that_comes_later_makes_the_stack_true() {
    let Some(dump) = real("user/windows_x86_crash.dmp") else { return };
    let mut session = open(dump).unwrap();
    // main uses ebp for something else: without frame data its caller is found by scanning, among what earlier calls left.
    let before = stack(&mut session, CRASH);
    let left_over = [
        ("crash+2a3d", Trust::Context),
        ("crash+28d0", Trust::FramePointer),
        ("rpcrt4+3e9c0", Trust::Scan),
        ("dbgcore+ae40", Trust::Scan),
        ("rpcrt4+3e9c0", Trust::Scan),
        ("crash+3435", Trust::Scan),
        ("crash+2d97", Trust::Scan),
    ];
    assert_eq!(frames(&before), [rows(&left_over), rows(&START)].concat());
    assert!(
        before.warnings[0].starts_with("no frame data (their PDBs have it) for crash.exe"),
        "{:?}",
        before.warnings
    );

    session.add_symbols(Rc::new(real(PDB).unwrap()), "crash.pdb").unwrap();
    let after = stack(&mut session, CRASH);
    let own = [("crash+2a3d", Trust::Context), ("crash+2d97", Trust::Unwind), ("kernel32+162c4", Trust::Unwind)];
    assert_eq!(frames(&after), [rows(&own), rows(&START[1..])].concat());
    assert_eq!(after.stop, "The stack ends here.");
    assert_eq!(
        after.warnings,
        ["no frame data (their PDBs have it) for kernel32.dll, ntdll.dll: frames below may be wrong"]
    );

    let named = |index: usize| {
        let frame = &after.frames[index];
        let file = frame.file.as_deref().and_then(|path| path.rsplit('\\').next()).unwrap_or_default();
        (frame.function.as_deref().unwrap(), file, frame.line)
    };
    assert_eq!(named(2), ("main", "main.cpp", Some(35)));
    assert_eq!(named(3), ("invoke_main", "exe_common.inl", Some(78)));
    assert_eq!(named(4), ("_scrt_common_main_seh", "exe_common.inl", Some(283)));
}

#[test]
fn the_image_shows_which_words_follow_a_call() {
    let Some(dump) = real("user/windows_x86_crash.dmp") else { return };
    let mut session = open(dump).unwrap();
    session.add_symbols(Rc::new(real("user/symbols/crash.exe").unwrap()), "crash.exe").unwrap();
    let found = stack(&mut session, CRASH);
    // What the walk without it takes for the first caller, the function after `printf`, follows no call.
    let of_crash: Vec<_> = frames(&found).into_iter().filter(|(place, _)| place.starts_with("crash")).collect();
    assert!(of_crash.contains(&("crash+2d97".to_owned(), Trust::Scan)), "{of_crash:?}");
    assert!(!of_crash.iter().any(|(place, _)| place == "crash+28d0"), "{of_crash:?}");
}

#[test]
fn threads_that_wait_stand_in_a_system_call() {
    let Some(dump) = real("user/windows_x86_crash.dmp") else { return };
    let mut session = open(dump).unwrap();
    for thread in [3580, 2600] {
        let found = stack(&mut session, thread);
        // Code around the instruction pointer was captured: `ret` is next, so that the caller is certain. The peers go by the
        // frame pointer at once and miss ntdll's own frame.
        let own = [("ntdll+7016c", Trust::Context), ("ntdll+36a11", Trust::Unwind)];
        assert_eq!(frames(&found), [rows(&own), rows(&START)].concat());
        assert_eq!(found.stop, "The stack ends here.");
    }
}

#[test]
fn frame_pointers_are_followed_to_the_end_where_they_are_kept() {
    let Some(dump) = real("user/breakpad_test_x86.dmp") else { return };
    let mut session = open(dump).unwrap();
    let found = stack(&mut session, 3060);
    let expected = [
        ("test_app+429e", Trust::Context),
        ("test_app+4200", Trust::FramePointer),
        ("test_app+53ec", Trust::FramePointer),
        ("kernel32+16fd7", Trust::FramePointer),
    ];
    assert_eq!(frames(&found), rows(&expected));
    assert_eq!(found.stop, "The stack ends here.");
    // The other thread wrote the dump: its context is older than its stack, and what a scan finds is what it is.
    let writer = stack(&mut session, 4544);
    assert!(writer.frames[1..].iter().all(|frame| frame.trust == Trust::Scan));
    assert!(writer.warnings.iter().any(|warning| warning.contains("candidates")));
}
