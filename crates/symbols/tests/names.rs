//! Identity and names of real PDBs: found through the tables of names, none missed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{collections::HashMap, rc::Rc};

use common::{Counting, PDBS, bytes, data, open};
use dumplens_base::Source;
use dumplens_image::{CodeView, Image};
use dumplens_symbols::{PdbFile, SymbolKind};

const AMDPPM: &str = PDBS[0];

#[test]
fn the_age_of_the_debug_information_is_that_of_the_image() {
    let Some(folder) = data() else { return };
    let pdb = open(&folder.join(AMDPPM));
    assert_eq!((pdb.identity().age, pdb.identity().info_age), (1, 3));
    for (pdb, image) in [
        (AMDPPM, "kernel/symbols/amdppm.sys/c9c030003b000/amdppm.sys"),
        ("pe-pdb/breakpad/dump_syms_regtest64.pdb", "pe-pdb/breakpad/dump_syms_regtest64.exe"),
        ("pe-pdb/driver_x64/systeminformer.pdb", "pe-pdb/driver_x64/systeminformer.sys"),
        ("pe-pdb/seh/ARM64/nested_collided.pdb", "pe-pdb/seh/ARM64/nested_collided.exe"),
        ("pe-pdb/seh/ARM64/xcpt4.pdb", "pe-pdb/seh/ARM64/xcpt4.exe"),
        ("pe-pdb/seh/x64/nested_collided.pdb", "pe-pdb/seh/x64/nested_collided.exe"),
        ("pe-pdb/seh/x64/xcpt4.pdb", "pe-pdb/seh/x64/xcpt4.exe"),
        ("pe-pdb/seh/x86/nested_collided.pdb", "pe-pdb/seh/x86/nested_collided.exe"),
        ("pe-pdb/seh/x86/xcpt4.pdb", "pe-pdb/seh/x86/xcpt4.exe"),
        ("pe-pdb/win64-ci/WriteArgument.pdb", "pe-pdb/win64-ci/WriteArgument.exe"),
        ("pe-pdb/win64-ci/softokn3.pdb", "pe-pdb/win64-ci/softokn3.dll"),
    ] {
        let source: Source = Rc::new(bytes(&folder.join(image)));
        let image = Image::file(source).unwrap();
        let Some(CodeView::Pdb70 { guid, age, .. }) = image.code_view().unwrap() else { panic!("{pdb}") };
        let open = open(&folder.join(pdb));
        let identity = open.identity();
        assert!(identity.matches(&guid, age), "{pdb}: {age} {identity:?}");
        assert_eq!(identity.machine, Some(image.headers().machine), "{pdb}");
    }
}

#[test]
fn every_name_is_found_through_the_tables_of_names() {
    let Some(folder) = data() else { return };
    for name in PDBS {
        let pdb = open(&folder.join(name));
        // Several may have one name; any of them is an answer.
        let mut places: HashMap<String, Vec<u32>> = HashMap::new();
        for public in pdb.public_symbols().unwrap().map(Result::unwrap) {
            places.entry(public.name).or_default().extend(public.rva);
        }
        for procedure in pdb.procedures().map(Result::unwrap) {
            if procedure.kind == SymbolKind::Procedure {
                places.entry(procedure.name).or_default().extend(procedure.rva);
            }
        }
        let mut missing = 0;
        for (symbol, rvas) in &places {
            match pdb.by_name(symbol).unwrap() {
                Some(rva) => assert!(rvas.contains(&rva), "{name}: {symbol} is not at {rva:#x}"),
                None if rvas.is_empty() => {}
                None => missing += 1,
            }
        }
        println!("{name:60} {} names, {missing} not found", places.len());
        assert_eq!(missing, 0, "{name}");
    }
}

/// Answers are kept for ranges of addresses: none may reach over what another address would be given.
#[test]
fn an_answer_does_not_depend_on_what_was_asked_before() {
    let Some(folder) = data() else { return };
    for name in PDBS {
        let file: Source = Rc::new(bytes(&folder.join(name)));
        let end = open(&folder.join(name)).procedures().filter_map(|found| found.unwrap().rva).max();
        let end = end.unwrap_or(0x10_0000) + 0x1000;
        // A step through all of it in disorder, as the two numbers have no common divisor.
        let count = end / 61;
        let step = (count / 3..).find(|step| step % 2 == 1 && gcd(*step, count) == 1).unwrap();
        let known = PdbFile::open(Rc::clone(&file), PdbFile::DEFAULT_BUDGET).unwrap();
        let forgetful = PdbFile::open(Rc::clone(&file), 0).unwrap();
        for index in 0..count {
            let rva = (u64::from(index) * u64::from(step) % u64::from(count)) as u32 * 61;
            let found = known.lookup(rva);
            assert_eq!(forgetful.lookup(rva), found, "{name}: {rva:#x}");
            // To open it anew takes a while.
            if index % 8 == 0 {
                let fresh = PdbFile::open(Rc::clone(&file), 0).unwrap();
                assert_eq!(fresh.lookup(rva), found, "{name}: {rva:#x}");
            }
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn a_first_lookup_reads_little_of_the_file() {
    let Some(folder) = data() else { return };
    for name in PDBS {
        let file = bytes(&folder.join(name));
        let len = file.len() as u64;
        let source = Counting::new(file);
        let (read, reads) = (Rc::clone(&source.bytes), Rc::clone(&source.reads));
        let pdb = PdbFile::open(Rc::new(source), PdbFile::DEFAULT_BUDGET).unwrap();
        pdb.lookup(0x1050).unwrap();
        println!("{name:60} {len:>9} bytes, {:>7} read in {} reads", read.get(), reads.get());
        assert!(reads.get() < 60 && (read.get() < 400_000 || read.get() < len / 4), "{name}");
    }
}
