//! Stacks of user minidumps beside those of minidump-stackwalk and LLDB. Every difference is in a table, with its reason.
//!
//! `minidump-stackwalk` (`cargo install minidump-stackwalk`) and `lldb` are taken from the path; neither is given symbols
//! or images, which the dumps are without too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use common::ask;
use dumplens_engine::Session;
use dumplens_report::{
    model::Stack,
    protocol::{Reply, Request, StackOf},
};
use dumplens_testkit::programs::{Workshop, find};
use serde_json::Value;

/// The dumps of x64, and those of x86.
const X64: [&str; 7] = [
    "calc",
    "sigsegv_x64",
    "invalid-parameter",
    "tiny-exe-fastfail_x64",
    "crashpad_annotation",
    "simple-crashpad",
    "linux_inside_module",
];
const X86: [&str; 2] = ["windows_x86_crash", "breakpad_test_x86"];

const WINDOW: &str = "the peer looks through 40 words for the next frame, we through 64 KiB, up to the thread's start";
const WRITER: &str = "the peer shows no stack for the thread that wrote the dump";

/// Dump and thread; frames of ours, of the peer, and how many are the same from the first on; why.
const DIFFERENCES: [(&str, u64, [usize; 3], &str); 13] = [
    ("calc", 3428, [128, 36, 36], WINDOW),
    ("invalid-parameter", 5896, [45, 3, 3], WINDOW),
    ("invalid-parameter", 4944, [117, 0, 0], WRITER),
    ("invalid-parameter", 14112, [4, 2, 2], WINDOW),
    ("invalid-parameter", 11744, [5, 3, 3], WINDOW),
    ("invalid-parameter", 12044, [5, 3, 3], WINDOW),
    ("invalid-parameter", 13188, [4, 2, 2], WINDOW),
    ("tiny-exe-fastfail_x64", 36104, [4, 2, 2], WINDOW),
    ("tiny-exe-fastfail_x64", 26620, [4, 2, 2], WINDOW),
    ("tiny-exe-fastfail_x64", 34828, [4, 2, 2], WINDOW),
    ("crashpad_annotation", 4779405, [3, 2, 2], WINDOW),
    ("crashpad_annotation", 4780519, [3, 2, 2], WINDOW),
    (
        "linux_inside_module",
        144260,
        [8, 11, 2],
        "the second frame's pointer leads us to libc, which called main; the peer wants that of libc to be good as well",
    ),
];

fn data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DUMPLENS_DATA")?;
    Some(PathBuf::from(folder).join("user").join(format!("{name}.dmp")))
}

/// Threads with the addresses of their frames.
type Threads = Vec<(u64, Vec<u64>)>;

fn addresses(stack: &Stack) -> Vec<u64> {
    stack.frames.iter().filter(|frame| !frame.inline).map(|frame| frame.address.0).collect()
}

fn ours(dump: &Path) -> Threads {
    let mut session = Session::open(Rc::new(fs::read(dump).unwrap()), None).unwrap();
    let Reply::Threads(threads) = ask(&mut session, Request::Threads) else { panic!() };
    let stacks = threads.iter().map(|thread| {
        let request = Request::Stack { of: StackOf::Thread { id: thread.id }, arguments: false };
        let Reply::Stack(found) = ask(&mut session, request) else { panic!() };
        (thread.id, addresses(&found.stack))
    });
    stacks.collect()
}

/// The peer's frames; it tells the address of the call, one byte before the return address.
fn stackwalk(program: &Path, dump: &Path) -> Threads {
    let output = Command::new(program).arg("--json").arg(dump).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let threads = report["threads"].as_array().unwrap().iter().map(|thread| {
        let frames = thread["frames"].as_array().unwrap().iter().enumerate().map(|(index, frame)| {
            let digits = frame["offset"].as_str().unwrap().trim_start_matches("0x");
            u64::from_str_radix(digits, 16).unwrap() + u64::from(index > 0)
        });
        (thread["thread_id"].as_u64().unwrap(), frames.collect())
    });
    threads.collect()
}

/// How many frames are the same from the first on.
fn common(ours: &[u64], theirs: &[u64]) -> usize {
    ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count()
}

#[test]
fn minidump_stackwalk_differs_where_the_table_says() {
    let Some(program) = find(&["minidump-stackwalk"]) else {
        println!("skipped: minidump-stackwalk is not installed");
        return;
    };
    let mut found = Vec::new();
    for name in X64 {
        let Some(dump) = data(name) else {
            println!("skipped: DUMPLENS_DATA not set");
            return;
        };
        let mine = ours(&dump);
        for (thread, theirs) in stackwalk(&program, &dump) {
            let (_, mine) = mine.iter().find(|(id, _)| *id == thread).unwrap();
            if *mine != theirs {
                found.push((name, thread, [mine.len(), theirs.len(), common(mine, &theirs)]));
            }
        }
    }
    let expected: Vec<_> = DIFFERENCES.iter().map(|(name, thread, counts, _)| (*name, *thread, *counts)).collect();
    assert_eq!(found, expected);
    // x86 has frame pointers and data of PDBs to go by, which differ more: the first frames must not.
    for name in X86 {
        let dump = data(name).unwrap();
        for ((thread, mine), (_, theirs)) in ours(&dump).iter().zip(stackwalk(&program, &dump)) {
            println!("{name} {thread}: {} frames, the peer {}", mine.len(), theirs.len());
            assert!(theirs.is_empty() || common(mine, &theirs) > 0, "{name} {thread}");
        }
    }
}

/// LLDB's frames of the thread that crashed.
fn lldb(program: &Path, dump: &Path, folder: &Path) -> Vec<u64> {
    let mut command = Command::new(program);
    command
        .args(["--batch", "--no-lldbinit"])
        .arg("-O")
        .arg(format!("settings append target.exec-search-paths {}", folder.display()));
    command.arg("-c").arg(dump).args(["-o", "settings set frame-format FRAME=${frame.pc}\\n", "-o", "bt 100000"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let hex = |line: &str| u64::from_str_radix(line.split("FRAME=0x").nth(1)?.trim(), 16).ok();
    let frames: Vec<u64> = text.lines().filter_map(hex).collect();
    assert!(!frames.is_empty(), "{}: {text}", dump.display());
    frames
}

#[test]
fn lldb_s_frames_are_ours() {
    let Some(program) = find(&["lldb-19", "lldb"]) else {
        println!("skipped: LLDB is not installed");
        return;
    };
    for name in ["calc", "sigsegv_x64", "invalid-parameter", "tiny-exe-fastfail_x64"] {
        let Some(dump) = data(name) else {
            println!("skipped: DUMPLENS_DATA not set");
            return;
        };
        let mut session = Session::open(Rc::new(fs::read(&dump).unwrap()), None).unwrap();
        let Reply::Stack(found) = ask(&mut session, Request::Stack { of: StackOf::default(), arguments: false }) else {
            panic!()
        };
        let theirs = lldb(&program, &dump, dump.parent().unwrap());
        let mine = addresses(&found.stack);
        assert_eq!(common(&mine, &theirs), theirs.len(), "{name}: {mine:x?}, LLDB {theirs:x?}");
    }
}

/// A program whose stack is known from its source. Neither peer takes unwind data from images in the dump's memory: the one
/// scans as far as its window goes, which large frames exceed, the other stops. What they find are our first frames.
#[test]
fn peers_on_the_dump_of_a_program_of_ours() {
    let workshop = match Workshop::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers-stories")) {
        Ok(workshop) => workshop,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let program = workshop.build("stories.c", "-O2");
    let dump = workshop.dumps(&program, &["calls"]).remove(0);
    let mut session = Session::open(Rc::new(fs::read(&dump).unwrap()), None).unwrap();
    let Reply::Stack(found) = ask(&mut session, Request::Stack { of: StackOf::default(), arguments: false }) else {
        panic!()
    };
    let mine = addresses(&found.stack);
    if let Some(peer) = find(&["minidump-stackwalk"]) {
        let thread = found.stack.thread.unwrap();
        let (_, theirs) = stackwalk(&peer, &dump).into_iter().find(|(id, _)| *id == thread).unwrap();
        assert_eq!(common(&mine, &theirs), theirs.len(), "minidump-stackwalk: {theirs:x?}, ours {mine:x?}");
        assert!(theirs.len() < mine.len());
    }
    if let Some(peer) = find(&["lldb-19", "lldb"]) {
        let theirs = lldb(&peer, &dump, dump.parent().unwrap());
        assert_eq!(common(&mine, &theirs), theirs.len(), "LLDB: {theirs:x?}, ours {mine:x?}");
        assert!(theirs.len() < mine.len());
    }
    fs::remove_file(dump).unwrap();
}
