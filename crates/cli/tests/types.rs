//! `dumplens types` as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../symbols/tests/common/types.rs"]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, unreachable_pub, dead_code, missing_docs)]
mod types;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use dumplens_testkit::pdb::writer;
use serde_json::{Value, json};

fn dumplens(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dumplens")).arg("types").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file in a folder of this test's own.
fn scratch(name: &str, bytes: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("types");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn layouts_are_printed_and_names_listed() {
    let path = scratch("text.pdb", &types::pdb(&types::sample(), types::Hashes::Whole));
    let output = dumplens(&[&path, "_LIST_ENTRY", "Color", "_*"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = "\
struct _LIST_ENTRY, 0x10 bytes
   +0x000 Flink : Ptr64 _LIST_ENTRY
   +0x008 Blink : Ptr64 _LIST_ENTRY

enum Color, 0x4 bytes, Int4B
   Red   = 0x0 (0)
   Green = 0xffffffff (-1)
   Blue  = 0x8000 (32768)
    0x10  struct     _LIST_ENTRY
    0x10  struct     _UNICODE_STRING
";
    assert_eq!(text(&output.stdout), expected);
    let output = dumplens(&["--depth", "1", &path, "Device"]);
    assert!(text(&output.stdout).contains("   +0x010   Links                    : _LIST_ENTRY\n      +0x000 Flink : "));
}

#[test]
fn json_has_one_document_a_line() {
    let path = scratch("json.pdb", &types::pdb(&types::sample(), types::Hashes::None));
    let output = dumplens(&["--json", "--depth", "1", &path, "Local", "Color", "app::B*"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = json!({ "name": "Value", "offset": "0x0", "type": "Int8B", "role": "member" });
    assert_eq!(rows[0], json!({ "name": "Local", "kind": "struct", "size": 8, "fields": [field] }));
    assert_eq!(rows[1]["constants"][1], json!({ "name": "Green", "value": "-1" }));
    assert_eq!(rows[2], json!({ "name": "app::Base", "kind": "class", "size": 16 }));
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let path = scratch("none.pdb", &types::pdb(&types::sample(), types::Hashes::Whole));
    let output = dumplens(&[&path, "_NO\u{1b}[2J", "Opaque"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    assert!(text(&output.stderr).lines().count() == 2 && !text(&output.stderr).contains('\u{1b}'));
    let bare = scratch("bare.pdb", &writer::sample());
    for (file, says) in [(bare.as_str(), "no types"), ("there/is/none.pdb", "cannot open the file")] {
        let output = dumplens(&[file, "_TEB"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

#[test]
fn real_types_are_printed() {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from) else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let path = folder.join("pe-pdb/ntdll/ntdll_x64.pdb");
    let output = dumplens(&[path.to_str().unwrap(), "_PEB", "_TEB*"]);
    let output = text(&output.stdout);
    for line in [
        "struct _PEB, 0x7c8 bytes\n",
        "   +0x003 IsAppContainer                       : Pos 5, 1 Bit\n",
        "   +0x018 Ldr                                  : Ptr64 _PEB_LDR_DATA\n",
        "  0x1838  struct     _TEB\n",
    ] {
        assert!(output.contains(line), "{output}");
    }
}

#[test]
fn values_come_from_the_dump() {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from) else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (dump, pdb) = (path("user/sigsegv_x64.dmp"), path("pe-pdb/ntdll/ntdll_x64.pdb"));
    let run = |args: &[&str]| {
        let output = dumplens(&[&["--dump", dump.as_str(), "--address"], args].concat());
        (output.status.code(), text(&output.stdout))
    };
    // The thread's block points to itself, and to the process's.
    let (code, teb) = run(&["addac91000", "--depth", "1", &pdb, "_TEB"]);
    assert_eq!(code, Some(0));
    for line in [
        "struct _TEB at 0xaddac91000, 0x1838 bytes\n",
        "      +0x030 Self                 : 0xaddac91000 _NT_TIB\n",
        " ProcessEnvironmentBlock            : 0xaddac90000 _PEB\n",
    ] {
        assert!(teb.contains(line), "{teb}");
    }
    let (code, absent) = run(&["1000", &pdb, "_LIST_ENTRY"]);
    assert_eq!(code, Some(1));
    assert!(absent.contains("   +0x000 Flink : ?? (0x1000 is not in the dump"), "{absent}");
    let (code, list) = run(&["addac91298", "--list", "Links", &pdb, "_TEB"]);
    assert_eq!((code, list.as_str()), (Some(1), "_TEB has no member Links\n"));
    // `FrameListCache` of the activation stack, which is empty.
    let (code, list) = run(&["addac91298", "--list", "FrameListCache", &pdb, "_ACTIVATION_CONTEXT_STACK"]);
    assert_eq!((code, list.as_str()), (Some(0), "0 entries; the list ends back at its head\n"));
}
