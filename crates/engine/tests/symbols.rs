//! Symbol files that are added to an open dump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{cell::Cell, rc::Rc};

use common::{ask, open, real, report};
use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use dumplens_engine::{AddError, Session};
use dumplens_report::{
    model::{NoteKind, SymbolStatus},
    protocol::{Reply, Request},
    symbols::FileKind,
};
use dumplens_testkit::{
    machine::{MachineSpec, Store, WIN10_X64},
    pdb::LargePdb,
};

#[test]
fn an_image_is_matched_by_time_stamp_and_size_and_names_its_pdb() {
    let Some(dump) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let amdppm = real("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap();
    let mut session = open(dump).unwrap();
    let Ok(Reply::Symbols(before)) = ask(&mut session, Request::Symbols) else { panic!() };
    assert_eq!(before[0].module, "amdppm");
    assert_eq!(before[0].files[0].path.to_lowercase(), "amdppm.sys/c9c030003b000/amdppm.sys");
    assert!(before[0].files.iter().all(|file| file.kind == FileKind::Image), "the PDB is not known yet");
    let added = session.add_symbols(Rc::new(amdppm), "amdppm.sys").unwrap();
    assert_eq!(added.modules, ["amdppm"]);
    let Ok(Reply::Symbols(after)) = ask(&mut session, Request::Symbols) else { panic!() };
    assert_eq!(after[0].symbols, SymbolStatus::Exports);
    assert_eq!(after[0].files[0].path, "amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb");
}

#[test]
fn another_version_of_an_image_says_how_it_differs() {
    let Some(dump) = real("kernel/training_9f.dmp") else { return };
    let amdppm = real("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap();
    let mut session = open(dump).unwrap();
    let added = session.add_symbols(Rc::new(amdppm), "Wdf01000.sys").unwrap();
    assert!(added.modules.is_empty());
    let Ok(Reply::Symbols(needs)) = ask(&mut session, Request::Symbols) else { panic!() };
    let wdf = needs.iter().find(|need| need.module == "Wdf01000").unwrap();
    assert_eq!(wdf.symbols, SymbolStatus::Mismatched);
    let reason = wdf.reason.as_deref().unwrap();
    assert!(reason.contains("time stamp") && reason.contains("size"), "{reason}");
}

#[test]
fn what_is_no_symbol_file_is_refused_and_changes_nothing() {
    let mut session = open(MachineSpec::small(WIN10_X64).build().write(Store::Full)).unwrap();
    for (bytes, name) in
        [(&b"hello, world, this is text"[..], "notes.txt"), (&[][..], "empty"), (&b"MZ"[..], "cut.sys")]
    {
        let error = session.add_symbols(Rc::new(bytes.to_vec()), name).unwrap_err();
        assert!(matches!(error, AddError::NotSymbols(_) | AddError::Damaged(_)), "{error}");
    }
    assert!(!report(&mut session).is_partial());
}

#[test]
fn images_in_memory_name_frames_by_their_exports() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = open(machine.write(Store::BitmapKernel)).unwrap();
    let report = report(&mut session);
    let frames = report.stack.unwrap().frames;
    let names: Vec<_> = frames.iter().map(|frame| (frame.module.as_deref(), frame.function.as_deref())).collect();
    assert_eq!(names[0], (Some("glasswing"), Some("glasswingEntry")));
    assert_eq!(names[1], (Some("nt"), Some("IofCallDriver")));
    assert_eq!(frames[1].function_offset.unwrap().0, 8, "the return address, though the call before it was looked up");
}

#[test]
fn a_symbol_table_is_proved_by_the_headers_addresses_and_names_the_kernels_frames() {
    let Some(dump) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let name = "kernel.json.xz";
    let folder = std::path::PathBuf::from(std::env::var_os("DUMPLENS_DATA").unwrap()).join("kernel/isf");
    let file = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    let table = std::fs::read(file).unwrap();
    let mut session = open(dump).unwrap();
    let added = session.add_symbols(Rc::new(table.clone()), name).unwrap();
    assert_eq!(added.modules, ["nt"]);
    let report = report(&mut session);
    let nt = report.modules.iter().find(|module| module.name == "nt").unwrap();
    assert_eq!(nt.symbols, SymbolStatus::Loaded);
    let named: Vec<String> = report
        .stack
        .unwrap()
        .frames
        .iter()
        .filter(|frame| frame.module.as_deref() == Some("nt"))
        .map(|frame| format!("{}+{}", frame.function.as_deref().unwrap(), frame.function_offset.unwrap()))
        .collect();
    // The nt frames of the known stack, in order.
    let mut rest = named.iter();
    for expected in [
        "IofCallDriver+0x55",
        "PnpAsynchronousCall+0xea",
        "PnpSendIrp+0x9e",
        "PnpStartDevice+0x88",
        "PnpStartDeviceNode+0xec",
        "PipProcessStartPhase1+0x73",
        "PipProcessDevNodeTree+0x319",
        "PiProcessStartSystemDevices+0x60",
        "PnpDeviceActionWorker+0x4cc",
        "ExpWorkerThread+0x105",
        "PspSystemThreadStartup+0x55",
        "KiStartSystemThread+0x28",
    ] {
        assert!(rest.any(|name| name == expected), "{expected} is missing in {named:?}");
    }
    // Addresses of routines, kept to call them, stand on this stack too. Taken for return addresses, they would bear the
    // names of the functions that end right before them.
    for pointer in ["CmDevicePropertyWrite", "PnpRequestDeviceAction", "MiProtectionToCacheAttribute"] {
        assert!(!named.iter().any(|name| name.starts_with(pointer)), "{pointer} in {named:?}");
    }
    // The same build's kernel of another revision has its variables elsewhere.
    let mut other = open(real("kernel/training_9f.dmp").unwrap()).unwrap();
    assert!(other.add_symbols(Rc::new(table), name).unwrap().modules.is_empty());
    let Ok(Reply::Symbols(needs)) = ask(&mut other, Request::Symbols) else { panic!() };
    let nt = needs.iter().find(|need| need.module == "nt").unwrap();
    assert_eq!(nt.symbols, SymbolStatus::Mismatched, "{:?}", nt.reason);
}

#[test]
fn a_file_that_does_not_match_is_used_when_the_user_insists_and_is_marked_so() {
    let Some(dump) = real("user/windows_x86_crash.dmp") else { return };
    let pdb = real("kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb").unwrap();
    let mut session = open(dump).unwrap();
    assert!(session.add_symbols(Rc::new(pdb), "amdppm.pdb").unwrap().modules.is_empty());
    let Ok(Reply::Modules(modules)) = ask(&mut session, Request::Modules) else { panic!() };
    let module = modules.iter().find(|module| module.name == "crash").unwrap().base;
    let force = |file: Option<&str>| Request::ForceSymbols { module, file: file.map(String::from) };
    let Ok(Reply::Symbols(needs)) = ask(&mut session, force(Some("amdppm.pdb"))) else { panic!() };
    assert_eq!(needs[0].symbols, SymbolStatus::Forced);
    assert!(needs[0].reason.as_deref().unwrap().contains("insisted"));
    let forced = report(&mut session);
    assert_eq!(forced.modules.iter().find(|module| module.name == "crash").unwrap().symbols, SymbolStatus::Forced);
    let Ok(Reply::Symbols(needs)) = ask(&mut session, force(None)) else { panic!() };
    assert_eq!(needs[0].symbols, SymbolStatus::Missing);
    assert!(ask(&mut session, force(Some("other.pdb"))).is_err());
}

#[test]
fn a_mismatch_stays_in_sight_while_exports_name_the_module() {
    let Some(other) = real("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys") else { return };
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = open(machine.write(Store::BitmapKernel)).unwrap();
    session.add_symbols(Rc::new(other), "glasswing.sys").unwrap();
    let Ok(Reply::Symbols(needs)) = ask(&mut session, Request::Symbols) else { panic!() };
    let need = needs.iter().find(|need| need.module == "glasswing").unwrap();
    assert_eq!(need.symbols, SymbolStatus::Exports, "the image in memory names its functions");
    assert_eq!(need.reason.as_deref(), Some("exported names of the image in the dump's memory"));
    let [mismatch] = need.mismatches.as_slice() else { panic!("{:?}", need.mismatches) };
    assert_eq!(mismatch.file, "glasswing.sys");
    assert!(mismatch.reason.contains("time stamp") && mismatch.reason.contains("size"), "{mismatch}");
    let report = report(&mut session);
    assert_eq!(report.stack.as_ref().unwrap().frames[0].function.as_deref(), Some("glasswingEntry"));
    let note = report.notes.iter().find(|note| note.text.starts_with("glasswing: glasswing.sys does not fit: "));
    assert_eq!(note.unwrap().kind, NoteKind::Info, "the dump itself lacks nothing");
    let mut text = String::new();
    dumplens_report::text::symbol_needs(&mut text, &needs).unwrap();
    assert!(text.contains("glasswing.sys does not fit: the image offered is another version"), "{text}");
}

#[test]
fn a_pdb_is_matched_though_nobody_asked_for_the_modules_yet() {
    // In this dump only the image in memory says which PDB is the kernel's, and opening does not read images.
    let mut session = open(MachineSpec::small(WIN10_X64).build().write(Store::BitmapKernel)).unwrap();
    let pdb = LargePdb { modules: 2, functions: 8, page: 4096, skipped: 64, structures: 0, guid: [1; 16], age: 1 };
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ntkrnlmp.pdb");
    pdb.write_to(&mut std::fs::File::create(&path).unwrap()).unwrap();
    let added = session.add_symbols(Rc::new(std::fs::read(path).unwrap()), "ntkrnlmp.pdb").unwrap();
    assert_eq!(added.modules, ["nt"]);
    let frames = report(&mut session).stack.unwrap().frames;
    assert_eq!((frames[1].function.clone(), frames[1].function_offset.unwrap().0), (Some(pdb.name(4)), 8));
}

#[test]
fn a_wrong_pdb_is_named_beside_the_exports_of_the_right_image() {
    let Some(dump) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let amdppm = real("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap();
    let ntdll = real("pe-pdb/ntdll/ntdll_x64.pdb").unwrap();
    let right = real("kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb").unwrap();
    let mut session = open(dump).unwrap();
    session.add_symbols(Rc::new(amdppm), "amdppm.sys").unwrap();
    session.add_symbols(Rc::new(ntdll), "amdppm.pdb").unwrap();
    let Ok(Reply::Symbols(needs)) = ask(&mut session, Request::Symbols) else { panic!() };
    assert_eq!((needs[0].module.as_str(), needs[0].symbols), ("amdppm", SymbolStatus::Exports));
    assert_eq!(needs[0].reason.as_deref(), Some("exported names of amdppm.sys"));
    assert_eq!(needs[0].mismatches.len(), 1);
    assert!(needs[0].mismatches[0].reason.contains("another build"), "{}", needs[0].mismatches[0]);
    session.add_symbols(Rc::new(right), "amdppm.pdb").unwrap();
    let Ok(Reply::Symbols(needs)) = ask(&mut session, Request::Symbols) else { panic!() };
    assert_eq!((needs[0].symbols, needs[0].mismatches.len()), (SymbolStatus::Loaded, 0));
}

#[test]
fn the_same_file_is_kept_once_and_the_newer_copy_is_read() {
    let Some(dump) = real("kernel/triage_x64_0x1000007e_19041.dmp") else { return };
    let image = Rc::new(real("kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys").unwrap());
    let pdb = real("kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb").unwrap();
    let mut session = open(dump).unwrap();
    for again in [false, true, true] {
        let added = session.add_symbols(image.clone(), "amdppm.sys").unwrap();
        assert_eq!((added.again, added.modules), (again, vec!["amdppm".to_owned()]));
    }
    assert_eq!(Rc::strong_count(&image), 2, "one of them is kept");
    // A copy that can no longer be read is made good by a whole one.
    let gone = Rc::new(Failing { bytes: pdb.clone(), fails: Cell::new(false) });
    assert!(!session.add_symbols(gone.clone(), "amdppm.pdb").unwrap().again);
    gone.fails.set(true);
    let frame = |session: &mut Session| report(session).stack.unwrap().frames[0].function.clone();
    assert_eq!(frame(&mut session), None);
    let added = session.add_symbols(Rc::new(pdb.clone()), "copy.pdb").unwrap();
    assert_eq!((added.again, added.modules), (true, vec!["amdppm".to_owned()]));
    assert!(frame(&mut session).is_some());
    // Another length is another file: a damaged download, or one with more in it.
    assert!(!session.add_symbols(Rc::new([pdb, vec![0; 4096]].concat()), "amdppm.pdb").unwrap().again);
}

#[test]
fn a_forced_file_that_is_added_again_stays_forced() {
    let Some(dump) = real("user/windows_x86_crash.dmp") else { return };
    let pdb = Rc::new(real("kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb").unwrap());
    let mut session = open(dump).unwrap();
    session.add_symbols(pdb.clone(), "amdppm.pdb").unwrap();
    let Ok(Reply::Modules(modules)) = ask(&mut session, Request::Modules) else { panic!() };
    let module = modules.iter().find(|module| module.name == "crash").unwrap().base;
    ask(&mut session, Request::ForceSymbols { module, file: Some("amdppm.pdb".into()) }).unwrap();
    let added = session.add_symbols(pdb, "renamed.pdb").unwrap();
    assert_eq!((added.again, added.modules), (true, vec!["crash".to_owned()]));
    let Ok(Reply::Symbols(needs)) = ask(&mut session, Request::Symbols) else { panic!() };
    assert_eq!(needs[0].symbols, SymbolStatus::Forced);
    assert!(needs[0].reason.as_deref().unwrap().starts_with("renamed.pdb "), "{:?}", needs[0].reason);
}

/// A file that can be taken away.
struct Failing {
    bytes: Vec<u8>,
    fails: Cell<bool>,
}

impl ByteSource for Failing {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        if self.fails.get() {
            return Err(SourceError { offset, len: buf.len() as u64, kind: SourceErrorKind::Changed });
        }
        self.bytes.read_at(offset, buf)
    }
}
