//! `dumplens lookup` as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use dumplens_testkit::pdb::writer;
use serde_json::{Value, json};

fn dumplens(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dumplens"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file in a folder of this test's own.
fn scratch(name: &str, bytes: &[u8]) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lookup");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn text_lists_the_frames_innermost_first() {
    let path = scratch("app.pdb", &writer::sample());
    let output = dumplens(&["lookup", &path, "1000", "0x1024", "1090", "1`0050"], "");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let expected = "\
0x1000      app!app::run  (procedure)  run.cpp:10
0x1024      app!app::inner  (inlined)  run.cpp:31
0x1024      app!app::run+0x24  (procedure)  run.cpp:12
0x1090      app!_stop+0x10  (public)
0x10050     no symbol
";
    assert_eq!(stdout(&output), expected);
}

#[test]
fn json_has_one_document_a_line() {
    let path = scratch("json.pdb", &writer::sample());
    let output = dumplens(&["lookup", "--json", &path, "1024", "-"], "0x1000\n\n1090\r\n");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let rows: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let inlined = json!({
        "rva": "0x1024", "function": "app::run", "function_offset": "0x24", "file": "run.cpp", "line": 12,
        "inlines": [{ "function": "app::inner", "file": "run.cpp", "line": 31 }],
        "raw_name": "?run@app@@YAXXZ", "kind": "procedure",
    });
    assert_eq!(rows[0], inlined);
    assert_eq!((&rows[1]["rva"], &rows[1]["function_offset"]), (&json!("0x1000"), &json!("0x0")));
    let public = json!({
        "rva": "0x1090", "function": "_stop", "function_offset": "0x10", "file": null, "line": null, "inlines": [],
        "raw_name": "_stop", "kind": "public",
    });
    assert_eq!(rows[2..], [public]);

    let output = dumplens(&["lookup", "--json", &path, "500", "fffff80000001000"], "");
    assert_eq!(output.status.code(), Some(1));
    let rows: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["function"], &rows[1]["rva"]), (&Value::Null, &json!("0xfffff80000001000")));
}

#[test]
fn what_cannot_be_read_is_said_in_one_line() {
    let path = scratch("no.pdb", b"BSJB and more");
    for (args, says) in [
        (vec!["lookup", path.as_str(), "1000"], "portable PDB"),
        (vec!["lookup", "there/is/none.pdb", "1000"], "cannot open the file"),
        (vec!["lookup", path.as_str(), "main"], "hexadecimal"),
    ] {
        let output = dumplens(&args, "");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let path = scratch("input.pdb", &writer::sample());
    let output = dumplens(&["lookup", &path, "-"], "1000\nmain\u{1b}[2J\n1090\n");
    assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(2), 2));
    assert!(!stderr(&output).contains('\u{1b}'));
}

#[test]
fn real_files_are_named() {
    let Some(folder) = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from) else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let row = |file: &str, rva: &str| -> Value {
        let path = folder.join(file);
        let output = dumplens(&["lookup", "--json", path.to_str().unwrap(), rva], "");
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    let main = row("user/symbols/sigsegv/sigsegv.pdb", "1050");
    assert_eq!((&main["function"], &main["line"]), (&json!("main"), &json!(38)));
    // The catalogue of the data set names this address: the driver's base is 0xfffff8048b580000.
    let pdb = "kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb";
    let fault = row(pdb, "334c");
    assert_eq!((&fault["function"], &fault["function_offset"]), (&json!("WriteIoMemRawEx"), &json!("0x70")));
    let export = row("pe-pdb/win64-ci/softokn3.dll", "f1b5");
    assert_eq!((&export["function"], &export["function_offset"]), (&json!("C_GetFunctionList"), &json!("0x5")));
    assert_eq!(export["kind"], "export");
}
