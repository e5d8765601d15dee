//! The command as a user runs it: output, exit codes, and JSON that keeps its schema.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dumplens_testkit::{damage, story};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sample(name: &str) -> PathBuf {
    root().join("public/samples").join(name)
}

fn dumplens(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dumplens")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file in a folder of this test's own.
fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Every file of the data set that can be opened. Empty, with a message, if there is no data set.
fn real_dumps() -> Vec<PathBuf> {
    let Some(data) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return Vec::new();
    };
    let folders = ["kernel", "kernel/many", "user", "malformed"].map(|folder| Path::new(&data).join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let dumps: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "dmp" || end == "mdmp")).collect();
    assert!(dumps.len() >= 45, "the data set is incomplete");
    dumps
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
fn the_samples_read_as_they_always_did() {
    for name in ["driver-irql", "null-call"] {
        let path = sample(&format!("{name}.dmp"));
        let path = path.to_str().unwrap();
        let output = dumplens(&["analyze", path]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        snapshot(&format!("{name}.txt"), &stdout(&output));
        for list in ["modules", "threads", "processes", "streams"] {
            let output = dumplens(&[list, path]);
            assert_eq!(output.status.code(), Some(0), "{list}: {}", stderr(&output));
            snapshot(&format!("{name}-{list}.txt"), &stdout(&output));
        }
    }
}

#[test]
fn the_report_keeps_its_schema() {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join("docs/report.schema.json")).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut files = vec![sample("driver-irql.dmp"), sample("null-call.dmp")];
    files.extend(real_dumps());
    let mut documents = 0;
    for path in files {
        let output = dumplens(&["analyze", "--json", path.to_str().unwrap()]);
        if output.status.code() == Some(2) {
            assert!(output.stdout.is_empty(), "{}", path.display());
            continue;
        }
        let text = stdout(&output);
        assert_eq!(text.lines().count(), 1, "one document, one line: {}", path.display());
        let document: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).take(3).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        documents += 1;
    }
    assert!(documents >= 2);
    // The schema is not so loose that it takes anything.
    assert!(!validator.is_valid(&serde_json::json!({ "schema": "dumplens.report.v1" })));
}

#[test]
fn several_files_give_several_documents_and_the_worst_exit_code() {
    let broken = scratch("not-a-dump.txt", b"Dear support team\n");
    let (good, broken) = (sample("null-call.dmp"), broken.to_str().unwrap().to_string());
    let output = dumplens(&["analyze", "--json", good.to_str().unwrap(), &broken, good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output).lines().count(), 2);
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("text file"));
}

#[test]
fn what_cannot_be_opened_is_told_in_one_line() {
    for (name, bytes, word) in [
        ("empty.dmp", &b""[..], "empty"),
        ("zeros.dmp", &[0; 9000][..], "zeros"),
        ("archive.dmp", b"PK\x03\x04........", "zip"),
        ("short.dmp", b"PAGEDU64", "dump header"),
        ("shorter.dmp", b"MDMP", "minidump header"),
    ] {
        let path = scratch(name, bytes);
        let output = dumplens(&["analyze", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(word) && stderr(&output).lines().count() == 1, "{name}: {}", stderr(&output));
    }
    let output = dumplens(&["analyze", "/no/such/file.dmp"]);
    assert_eq!((output.status.code(), stderr(&output).lines().count()), (Some(2), 1));
    let output = dumplens(&["analyze", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!((output.status.code(), stderr(&output).lines().count()), (Some(2), 1));
}

#[test]
fn memory_is_dumped_and_absent_bytes_are_said() {
    let path = sample("driver-irql.dmp");
    let path = path.to_str().unwrap();
    let output = dumplens(&["read", path, "fffff801`3a604a1c", "0x10"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("fffff8013a604a1c  48 8b 40 10"), "{}", stdout(&output));
    let output = dumplens(&["read", path, "0xfffff8013a604a3c", "64"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("??") && stdout(&output).contains("not in the dump"));
    assert_eq!(dumplens(&["read", path, "zz", "1"]).status.code(), Some(2));
}

#[test]
fn damaged_files_end_in_exit_code_1_or_2() {
    let mut count = 0;
    for (name, bytes) in [("driver", story::driver_at_raised_irql()), ("program", story::application_null_call())] {
        for (len, cut) in damage::truncations(&bytes, 24).filter(|(len, _)| *len + 8 <= bytes.len()) {
            let path = scratch(&format!("{name}-{len}.dmp"), &cut);
            let code = dumplens(&["analyze", path.to_str().unwrap()]).status.code();
            assert!(matches!(code, Some(1 | 2)), "{name} cut off at {len}: {code:?}");
            count += 1;
        }
    }
    for (name, bytes) in damage::hostile() {
        let path = scratch(&format!("{}.dmp", name.replace(' ', "-")), &bytes);
        let output = dumplens(&["analyze", "--json", path.to_str().unwrap()]);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {output:?}");
        count += 1;
    }
    assert!(count > 60);
}

#[test]
fn no_real_dump_ends_in_anything_but_an_answer() {
    for path in real_dumps() {
        for command in ["analyze", "modules", "threads", "processes", "streams"] {
            let code = dumplens(&[command, path.to_str().unwrap()]).status.code();
            assert!(matches!(code, Some(0..=2)), "{command} {}: {code:?}", path.display());
        }
    }
}

#[test]
fn symbol_folders_name_frames_lines_and_inlined_calls() {
    let Some(data) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let data = Path::new(&data);
    let path = |name: &str| data.join(name).to_str().unwrap().to_string();
    let output =
        dumplens(&["analyze", "--json", "--symbols", &path("user/symbols"), &path("user/windows_x86_crash.dmp")]);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let frames = report["stack"]["frames"].as_array().unwrap();
    assert_eq!(frames[2]["function"], "main");
    assert_eq!((&frames[2]["line"], &frames[2]["trust"]), (&Value::from(35), &Value::from("context")));
    assert_eq!((&frames[0]["inline"], &frames[0]["trust"]), (&Value::from(true), &Value::from("inline")));
    assert_eq!(frames[0]["line"], 24);
    let module = report["modules"].as_array().unwrap().iter().find(|module| module["name"] == "crash").unwrap();
    assert_eq!(module["symbols"], "loaded");
    // A store in the usual layout, and a table of the kernel's symbols.
    let output = dumplens(&[
        "analyze",
        "--symbols",
        &path("kernel/symbols"),
        "--symbols",
        &path("kernel/isf"),
        &path("kernel/triage_x64_0x1000007e_19041.dmp"),
    ]);
    let text = stdout(&output);
    for name in ["amdppm!WriteIoMemRawEx+0x70", "amdppm!InitAcpiCpc+0x317", "nt!ExpWorkerThread+0x105"] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    let output = dumplens(&["symbols", &path("kernel/triage_x64_0x1000007e_19041.dmp")]);
    let first = stdout(&output).lines().nth(1).unwrap().to_string();
    assert!(first.starts_with("amdppm") && first.contains("amdppm.sys/C9C030003b000/amdppm.sys"), "{first}");
}

#[test]
fn symbols_in_cabinets_and_zips_are_unpacked() {
    let Some(data) = std::env::var_os("DUMPLENS_DATA") else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let pdb =
        fs::read(Path::new(&data).join("user/symbols/crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb")).unwrap();
    let dump = Path::new(&data).join("user/windows_x86_crash.dmp").to_str().unwrap().to_string();
    // A store as SymStore makes it with compression: the last letter of the name is an underscore.
    let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store/crash.pdb/3249D99D0C4049318610F4E4FB0B69361");
    fs::create_dir_all(&store).unwrap();
    let mut cabinet = cab::CabinetBuilder::new();
    cabinet.add_folder(cab::CompressionType::MsZip).add_file("crash.pdb");
    let mut writer = cabinet.build(std::io::Cursor::new(Vec::new())).unwrap();
    while let Some(mut file) = writer.next_file().unwrap() {
        std::io::Write::write_all(&mut file, &pdb).unwrap();
    }
    fs::write(store.join("crash.pd_"), writer.finish().unwrap().into_inner()).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("from/a/colleague/crash.pdb", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &pdb).unwrap();
    let zip = scratch("symbols.zip", &zip.finish().unwrap().into_inner());
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("store");
    for place in [&root, &zip] {
        let output = dumplens(&["analyze", "--symbols", place.to_str().unwrap(), &dump]);
        assert!(stdout(&output).contains("crash!main+"), "{}: {}", place.display(), stderr(&output));
    }
}

#[test]
fn symbols_that_do_not_fit_are_said_and_twins_are_kept_once() {
    let Some(data) = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from) else {
        println!("skipped: DUMPLENS_DATA not set");
        return;
    };
    let file = |name: &str| data.join(name).to_string_lossy().into_owned();
    let image = file("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys");
    let wrong = scratch("amdppm.pdb", &fs::read(file("pe-pdb/ntdll/ntdll_x64.pdb")).unwrap());
    let wrong = wrong.to_string_lossy().into_owned();
    let dump = file("kernel/triage_x64_0x1000007e_19041.dmp");
    let output = dumplens(&["symbols", "--symbols", &image, "--symbols", &image, "--symbols", &wrong, &dump]);
    let text = stdout(&output);
    let of_module: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("amdppm ")).take(4).collect();
    assert!(of_module[0].contains("exports"), "{text}");
    assert!(of_module.iter().any(|line| line.contains("exported names of amdppm.sys")), "{text}");
    assert!(of_module.iter().any(|line| line.contains("amdppm.pdb does not fit: the PDB offered is ")), "{text}");
    let said = stderr(&output);
    assert_eq!(said.matches("the same file was added before").count(), 1, "{said}");
}
