//! Dumps that hold physical memory, on the command line: lists, spaces, translations, ranges.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use dumplens_testkit::machine::{Machine, MachineSpec, Marks, Store, WIN7_PAE, WIN10_X64};
use serde_json::Value;

fn dumplens(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dumplens")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Writes a machine's dump into this test's folder under a name of its own, because tests run side by side.
fn dump(name: &str, release: dumplens_testkit::machine::Release, store: Store) -> (Machine, String) {
    let machine = MachineSpec::small(release).build();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, machine.write(store)).unwrap();
    (machine, path.to_str().unwrap().to_string())
}

fn snapshot(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("DUMPLENS_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "{name} changed; if that is meant, run the test with DUMPLENS_BLESS=1. It is now:\n{text}");
}

#[test]
fn a_kernel_dump_reads_as_it_always_did() {
    let (_, path) = dump("machine.dmp", WIN10_X64, Store::BitmapKernel);
    for command in ["analyze", "modules", "threads", "processes", "streams", "regions"] {
        let output = dumplens(&[command, &path]);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        snapshot(&format!("machine-{command}.txt"), &stdout(&output));
    }
}

#[test]
fn translations_show_each_level_like_a_debugger() {
    let (machine, path) = dump("translate.dmp", WIN10_X64, Store::BitmapKernel);
    let marks = &machine.marks;
    let addresses = [marks.large, marks.prototype, marks.transition, marks.paged_out, marks.absent, marks.unmapped];
    let addresses = addresses.map(|address| format!("{address:#x}"));
    let mut args = vec!["translate", path.as_str()];
    args.extend(addresses.iter().map(String::as_str));
    let output = dumplens(&args);
    assert_eq!(output.status.code(), Some(1), "some of them lead to no byte");
    snapshot("machine-translate.txt", &stdout(&output));
    let output = dumplens(&["translate", "--json", &path, &addresses[0]]);
    assert_eq!(output.status.code(), Some(0));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["steps"].as_array().unwrap().len(), 3);
    let physical = value["physical"].as_str().unwrap().to_string();
    let output = dumplens(&["read", "--physical", &path, &physical, "8"]);
    let bytes: Vec<String> = Marks::LARGE.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(stdout(&output).contains(&bytes.join(" ")), "{}", stdout(&output));
}

#[test]
fn a_process_is_named_by_id_by_name_or_by_its_object() {
    let (machine, path) = dump("process.dmp", WIN7_PAE, Store::Full);
    let user = format!("{:#x}", machine.marks.user);
    let object = format!("{:#x}", machine.process_objects[5]);
    for name in ["4816", "notepad.exe", "NOTEPAD.EXE", &object] {
        let output = dumplens(&["read", "--process", name, &path, &user, "4"]);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(stdout(&output).contains(" d0 12 00 00"), "the process id stands there: {}", stdout(&output));
    }
    let output = dumplens(&["read", "--process", "nobody.exe", &path, &user, "4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no process nobody.exe"));
    let output = dumplens(&["regions", "--process", "4816", "--json", &path]);
    let regions: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(regions.as_array().unwrap().iter().any(|region| region["start"] == user.as_str()));
}

#[test]
fn stacks_are_printed_one_or_all() {
    let (_, path) = dump("stacks.dmp", WIN10_X64, Store::BitmapKernel);
    let output = dumplens(&["stack", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("Stack of thread 8, from the dump header\n"), "{}", stdout(&output));
    let output = dumplens(&["stack", "--thread", "12", "--json", &path]);
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(value["stack"]["frames"][0]["function"], "glasswingEntry");
    assert_eq!(dumplens(&["stack", "--thread", "99", &path]).status.code(), Some(2));
    let output = dumplens(&["stack", "--all", &path]);
    let all = stdout(&output);
    // Those of the processors, of the system's waiting thread, of five programs, and of a thread whose stack is paged out.
    assert_eq!(all.matches("\nStack of ").count() + 1, 9, "{all}");
    assert!(all.starts_with("Stack of 2 threads: 408, 412\n"), "{all}");
    assert!(all.contains("notepad!") && all.contains("32-bit code (WOW64) from here on"), "{all}");
    assert!(all.contains("its kernel stack is not resident") && all.contains("paging file 1"), "{all}");
    let by_processor = stdout(&dumplens(&["stack", "--cpu", "1", &path]));
    assert!(by_processor.starts_with("Stack of thread 12, from the context of processor 1\n"), "{by_processor}");
    let places = stdout(&dumplens(&["stack", "--contexts", &path]));
    assert_eq!(places.lines().filter(|line| line.contains("--cpu")).count(), 2, "{places}");
    let nowhere = dumplens(&["stack", "--trap", "1000", &path]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("there is no trap frame at 0x1000"));
    // A user dump whose threads wait alike.
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../public/samples/null-call.dmp");
    let output = dumplens(&["stack", "--all", sample.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("lantern"));
}
