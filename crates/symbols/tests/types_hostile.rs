//! Types that were damaged, or made to do harm: errors, never a panic, in bounded time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/types.rs"]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, unreachable_pub, dead_code, missing_docs)]
mod types;

use std::{rc::Rc, time::Instant};

use dumplens_base::types::{Named, Types as _};
use dumplens_symbols::{
    PdbFile, SymbolErrorKind,
    types::{Printer, TypeTable},
};
use dumplens_testkit::pdb::writer::Out;
use proptest::prelude::*;
use types::{FORWARD, Hashes, Type, array, list, member, more, pdb, plain, sample, structure};

fn open(bytes: Vec<u8>) -> Option<TypeTable> {
    TypeTable::open(&PdbFile::open(Rc::new(bytes), 0).ok()?, 0).ok()?
}

fn table(types: &[Type]) -> TypeTable {
    open(pdb(types, Hashes::Whole)).unwrap()
}

/// Asks everything, and takes every answer.
fn exercise(bytes: Vec<u8>, step: usize) {
    let Some(table) = open(bytes) else { return };
    let mut text = String::new();
    for number in table.numbers().step_by(step).take(2000) {
        let _ = table.type_ref(number);
        let _ = table.size(number);
        let _ = table.resolve(number);
        let named = Named { name: String::new(), id: Some(number) };
        if let Ok(Some(layout)) = table.layout(&named) {
            text.clear();
            let _ = Printer::new(&table, 2).layout(&mut text, &layout);
        }
        let _ = table.enumeration(&named);
    }
    for name in ["Device", "Color", "_TEB", "Local", ".?AULocal@?1??main@@", "no such"] {
        let _ = table.find(name);
    }
    let _ = table.list("*", 1000);
}

/// What is done to a file: a byte, a number, or the end cut off.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Number(usize, u32),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![Just(0), Just(u32::MAX), Just(0x1000), 0x1000..0x1020_u32, any::<u32>()];
    prop_oneof![
        8 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        4 => (any::<usize>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => any::<usize>().prop_map(Damage::Cut),
    ]
}

/// Damages the file behind its first `from` bytes.
fn apply(file: &mut Vec<u8>, from: usize, damage: &Damage) {
    let len = file.len() - from;
    match *damage {
        Damage::Byte(at, byte) => file[from + at % len] ^= byte,
        Damage::Number(at, number) => {
            let at = from + (at % (len - 4)) / 2 * 2;
            file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        Damage::Cut(at) => file.truncate(from + 8 + at % (len - 8)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]
    #[test]
    fn damaged_written_types_are_read_or_refused(
        damages in proptest::collection::vec(damage(), 1..6),
        hashes in prop_oneof![Just(Hashes::Whole), Just(Hashes::None), Just(Hashes::Odd), Just(Hashes::Newest(0x1003))],
    ) {
        // The streams stand behind the header and the maps of free pages.
        let mut file = pdb(&sample(), hashes);
        for damage in &damages {
            if file.len() > 1536 + 16 { apply(&mut file, 1536, damage); }
        }
        exercise(file, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn damaged_real_types_are_read_or_refused(damages in proptest::collection::vec(damage(), 1..40)) {
        let Some(folder) = common::data() else { return Ok(()) };
        for (name, step) in [("user/symbols/sigsegv/sigsegv.pdb", 1), ("pe-pdb/seh/x64/xcpt4.pdb", 7)] {
            let mut file = common::bytes(&folder.join(name));
            for damage in &damages {
                if file.len() > 64 { apply(&mut file, 0, damage); }
            }
            exercise(file, step);
        }
    }
}

/// The kind of the error that the layout of that number gives.
fn refused(types: &[Type], number: u32) -> SymbolErrorKind {
    let named = Named { name: String::new(), id: Some(number) };
    table(types).layout(&named).unwrap_err().kind
}

#[test]
fn lists_that_never_end_are_refused() {
    let types = [list(&[member(0x74, 0, "a"), more(0x1000)]), structure(0x1505, 0, 0x1000, 8, "Loop", "")];
    assert!(matches!(refused(&types, 0x1001), SymbolErrorKind::Read(_)));
    let types = [list(&[more(0x1001)]), list(&[more(0x1000)]), structure(0x1505, 0, 0x1000, 8, "Loop", "")];
    assert!(matches!(refused(&types, 0x1002), SymbolErrorKind::Read(_)));
    // A list that is none, and one that is not there.
    let types = [structure(0x1505, 0, 0x1000, 8, "Self", ""), structure(0x1505, 0, 0x9999, 8, "None", "")];
    assert!(matches!(refused(&types, 0x1000), SymbolErrorKind::Read(_)));
    assert!(matches!(refused(&types, 0x1001), SymbolErrorKind::Read(_)));
}

#[test]
fn types_that_hold_themselves_end() {
    let types = [
        list(&[member(0x1001, 0, "a"), member(0x1001, 8, "b"), member(0x1002, 0, "c")]),
        structure(0x1505, 0, 0x1000, 8, "<unnamed-tag>", ""),
        array(0x1002, 0x4000_0000),
        plain(0x1001, Out::default().u32(0x1003).u16(1)),
        plain(0x1002, Out::default().u32(0x1004).u32(0x1_000c)),
        structure(0x1505, FORWARD, 0, 0, "Nowhere", ""),
    ];
    let table = table(&types);
    let started = Instant::now();
    for number in table.numbers() {
        table.type_ref(number).unwrap();
        table.size(number).unwrap();
    }
    let layout = table.layout(&Named { name: String::new(), id: Some(0x1001) }).unwrap().unwrap();
    let mut text = String::new();
    Printer::new(&table, u32::MAX).layout(&mut text, &layout).unwrap();
    assert!(text.lines().count() <= 100_002 && text.contains("more than 100000 lines"));
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn long_names_do_not_multiply() {
    let long = "n".repeat(60_000);
    let members: Vec<Vec<u8>> = (0..2000).map(|_| member(0x1001, 0, "m")).collect();
    let types = [structure(0x1505, FORWARD, 0, 0, &long, ""), types::pointer64(0x1000), list(&members)];
    let mut types = Vec::from(types);
    types.push(structure(0x1505, 0, 0x1002, 8, "Small", ""));
    assert!(matches!(refused(&types, 0x1003), SymbolErrorKind::Read(_)));
}

#[test]
fn a_thousand_types_of_one_name_cost_little() {
    let same = |flags: u16| structure(0x1505, flags, 0, 4, "Same", "");
    let mut types: Vec<Type> = (0..3000).map(|_| same(FORWARD)).collect();
    types.extend((0..3000).map(|index| structure(0x1505, 0, 0, 4, "Same", &format!(".?AU{index}@@"))));
    let table = table(&types);
    assert_eq!(table.find("Same").unwrap().unwrap().named.id, Some(0x1000 + 3000));
    let last = table.find(".?AU2999@@").unwrap().unwrap();
    assert_eq!(last.named.id, Some(0x1000 + 5999), "found by the name that is its own");
    for number in table.numbers() {
        table.resolve(number).unwrap();
    }
}

#[test]
fn names_do_not_move_the_cursor() {
    let types = [list(&[member(0x74, 0, "a\u{1b}[2J\nb")]), structure(0x1505, 0, 0x1000, 8, "x\ny", "")];
    let table = table(&types);
    let layout = table.layout(&Named { name: "x\ny".into(), id: None }).unwrap().unwrap();
    let mut text = String::new();
    Printer::new(&table, 0).layout(&mut text, &layout).unwrap();
    assert_eq!(text, "struct x\u{fffd}y, 0x8 bytes\n   +0x000 a\u{fffd}[2J\u{fffd}b : Int4B\n");
}
