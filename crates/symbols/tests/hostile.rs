//! PDBs that were damaged, or made to do harm: errors, never a panic, in bounded time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use dumplens_base::Machine;
use dumplens_symbols::{PdbFile, SymbolErrorKind, SymbolKind};
use dumplens_testkit::pdb::writer;
use proptest::prelude::*;

fn open(bytes: Vec<u8>) -> Result<PdbFile, dumplens_symbols::SymbolError> {
    PdbFile::open(Rc::new(bytes), 0)
}

#[test]
fn a_written_pdb_reads_as_it_was_written() {
    let pdb = open(writer::sample()).unwrap();
    let identity = pdb.identity();
    assert_eq!((identity.guid, identity.age, identity.info_age), ([0x11; 16], 2, 7));
    assert_eq!(identity.machine, Some(Machine::X64));
    assert!(identity.matches(&[0x11; 16], 2) && !identity.matches(&[0x11; 16], 7));

    let found = pdb.lookup(0x1014).unwrap().unwrap();
    assert_eq!(found.in_module("app"), "app!app::run+0x14");
    assert_eq!((&*found.raw_name, found.kind, found.length), ("?run@app@@YAXXZ", SymbolKind::Procedure, Some(0x40)));
    assert_eq!((found.file.as_deref(), found.line, found.inlines.len()), (Some("run.cpp"), Some(12), 0));
    assert_eq!(pdb.lookup(0x100f).unwrap().unwrap().line, Some(10));

    let found = pdb.lookup(0x1027).unwrap().unwrap();
    assert_eq!(found.line, Some(12));
    let [inline] = &found.inlines[..] else { panic!("{found:?}") };
    assert_eq!((&*inline.function, inline.file.as_deref(), inline.line), ("app::inner", Some("run.cpp"), Some(31)));
    assert!(pdb.lookup(0x1028).unwrap().unwrap().inlines.is_empty());

    let behind = pdb.lookup(0x1050).unwrap().unwrap();
    assert_eq!((behind.to_string(), behind.length, behind.line), ("app::run+0x50".into(), Some(0x40), None));
    let public = pdb.lookup(0x1090).unwrap().unwrap();
    assert_eq!((public.to_string(), public.kind), ("_stop+0x10".into(), SymbolKind::Public));
    assert_eq!(pdb.lookup(0xfff).unwrap(), None);
    assert_eq!(pdb.lookup(0x9000).unwrap(), None);

    assert_eq!(pdb.by_name("?run@app@@YAXXZ").unwrap(), Some(0x1000));
    assert_eq!(pdb.by_name("_stop").unwrap(), Some(0x1080));
    assert_eq!(pdb.by_name("app::run").unwrap(), Some(0x1000));
    assert_eq!(pdb.by_name("app::walk").unwrap(), None);
    assert_eq!(pdb.module_name(0).unwrap().as_deref(), Some("run.obj"));
    assert_eq!(pdb.lines(0).unwrap().len(), 2);
}

#[test]
fn other_formats_are_refused_by_name() {
    for (head, kind, says) in [
        (&b"Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0"[..], SymbolErrorKind::OldPdb, "2.00"),
        (b"Microsoft MSFZ Container\r\n\x1aALD\0\0", SymbolErrorKind::CompressedPdb, "MSFZ"),
        (b"BSJB\x01\0\x01\0", SymbolErrorKind::PortablePdb, "portable"),
        (b"MZ", SymbolErrorKind::NotAPdb, "no PDB"),
        (b"", SymbolErrorKind::NotAPdb, "no PDB"),
    ] {
        let error = open(head.to_vec()).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(error.to_string().contains(says), "{error}");
    }
    let cut = writer::sample()[..1000].to_vec();
    assert!(matches!(open(cut).unwrap_err().kind, SymbolErrorKind::Container { .. }));
}

#[test]
fn a_section_ends_where_the_address_space_does() {
    let mut file = writer::sample();
    let header = file.windows(8).position(|bytes| bytes == b".text\0\0\0").unwrap();
    for (at, value) in [(8, u32::MAX), (12, 0xffff_f000)] {
        file[header + at..][..4].copy_from_slice(&u32::to_le_bytes(value));
    }
    let pdb = open(file).unwrap();
    assert_eq!(pdb.lookup(0x1014), Ok(None));
    let found = pdb.lookup(0xffff_f014).unwrap().unwrap();
    assert_eq!((found.function_rva, found.function_offset), (0xffff_f000, 0x14));
}

/// Asks everything, and takes every answer.
fn exercise(bytes: Vec<u8>, rvas: &[u32]) {
    let Ok(pdb) = open(bytes) else { return };
    for rva in rvas {
        let _ = pdb.lookup(*rva);
    }
    for name in ["main", "_stop", "?run@app@@YAXXZ", "app::run"] {
        let _ = pdb.by_name(name);
    }
    if let Ok(publics) = pdb.public_symbols() {
        publics.take(100_000).for_each(drop);
    }
    pdb.procedures().take(100_000).for_each(drop);
    for module in 0..64 {
        let _ = pdb.module_name(module);
        let _ = pdb.lines(module);
    }
}

/// What is done to a file: bytes changed at a place, or the end cut off.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Number(usize, u32),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(0x7fff_ffff), Just(0x8000_0000), any::<u32>()];
    prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        4 => (any::<usize>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => any::<usize>().prop_map(Damage::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, damage: &Damage) {
    match *damage {
        Damage::Byte(at, byte) => {
            let at = at % file.len();
            file[at] ^= byte;
        }
        Damage::Number(at, number) => {
            let at = (at % (file.len() - 4)) & !3;
            file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        Damage::Cut(len) => file.truncate(1 + len % file.len()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_written_pdb_is_read_or_refused(damages in proptest::collection::vec(damage(), 1..6)) {
        let mut file = writer::sample();
        for damage in &damages {
            apply(&mut file, damage);
            if file.len() < 8 { break; }
        }
        exercise(file, &(0x1000..0x1300).step_by(5).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_real_pdb_is_read_or_refused(damages in proptest::collection::vec(damage(), 1..20)) {
        let Some(folder) = common::data() else { return Ok(()) };
        for (name, rvas) in [
            ("user/symbols/sigsegv/sigsegv.pdb", 0x1000..0x3000),
            ("pe-pdb/win64-ci/WriteArgument.pdb", 0x1000..0x3000),
            ("pe-pdb/breakpad/omap_reorder_bbs.pdb", 0x1000..0x7000),
        ] {
            let mut file = common::bytes(&folder.join(name));
            for damage in &damages {
                apply(&mut file, damage);
                if file.len() < 8 { break; }
            }
            exercise(file, &rvas.step_by(37).collect::<Vec<_>>());
        }
    }
}
