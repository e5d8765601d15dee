//! Values of types, read from memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/types.rs"]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, unreachable_pub, dead_code, missing_docs)]
mod types;

use std::rc::Rc;

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va, types::Types as _};
use dumplens_symbols::{
    PdbFile,
    types::{FieldValue, ListEnd, Reader, TypeTable, Value, list, value_text},
};
use types::{Hashes, pdb, sample};

/// Ranges of memory.
struct Ranges(Vec<(u64, Vec<u8>)>);

impl Memory for Ranges {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        for (filled, byte) in buf.iter_mut().enumerate() {
            let at = va.0.wrapping_add(filled as u64);
            let found =
                self.0.iter().find_map(|(start, bytes)| bytes.get(usize::try_from(at.checked_sub(*start)?).ok()?));
            match found {
                Some(found) => *byte = *found,
                None => {
                    let fault = Fault::NotInDump { va: Va(at), searched: Searched::MinidumpRanges };
                    return ReadOutcome { filled, fault: Some(fault) };
                }
            }
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

fn table() -> TypeTable {
    let pdb = PdbFile::open(Rc::new(pdb(&sample(), Hashes::Whole)), 0).unwrap();
    TypeTable::open(&pdb, 0).unwrap().unwrap()
}

const AT: u64 = 0x7ff0_0000_1000;

/// A `Device` at [`AT`].
fn device() -> Vec<u8> {
    let mut bytes = vec![0; 0x98];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &0x1_4000_2000_u64.to_le_bytes());
    put(8, &[1]);
    put(0x10, &(AT + 0x10).to_le_bytes());
    put(0x18, &(AT + 0x10).to_le_bytes());
    put(0x20, &0b10_1111_u32.to_le_bytes());
    put(0x24, &[7; 64]);
    put(0x64, &(-1_i32).to_le_bytes());
    put(0x68, b"text\0\x1b[2");
    put(0x78, &[8, 0, 16, 0]);
    put(0x80, &0x5000_u64.to_le_bytes());
    put(0x88, &1.5_f32.to_le_bytes());
    put(0x90, &(-5_i64).to_le_bytes());
    bytes
}

fn read(table: &TypeTable, memory: &Ranges, depth: u32) -> Vec<FieldValue> {
    let found = table.find("Device").unwrap().unwrap();
    let layout = table.layout(&found.named).unwrap().unwrap();
    Reader::new(table, memory, depth, 2).read(Va(AT), &layout).unwrap()
}

fn texts(values: &[FieldValue]) -> Vec<(String, String)> {
    values.iter().map(|its| (its.field.name.clone(), value_text(&its.value))).collect()
}

#[test]
fn every_kind_of_member_is_read() {
    let text: Vec<u8> = "\u{48}\u{e9}\u{1F600}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (table, memory) = (table(), Ranges(vec![(AT, device()), (0x5000, text)]));
    let values = read(&table, &memory, 0);
    let expected = [
        ("app::Base", "..."),
        ("Links", "(empty list)"),
        ("Mode", "0y10"),
        ("Table", "[[0x7, 0x7, ...], [0x7, 0x7, ...], ...]"),
        ("Color", "-1 ( Green )"),
        ("Text", "\"text\""),
        ("Context", "(null)"),
        ("Name", "\"H\u{e9}\u{1F600}\""),
        ("", "(2 members)"),
        ("Local", "..."),
    ];
    let texts = texts(&values);
    let texts: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(texts, expected, "static members and virtual bases are elsewhere");
    let Ok(Value::Struct(unnamed)) = &values[8].value else { panic!("{values:?}") };
    assert_eq!(unnamed[1].value, Ok(Value::Float(1.5)));
    assert_eq!(unnamed[1].address, Va(AT + 0x88));

    let values = read(&table, &memory, 1);
    let Ok(Value::Struct(base)) = &values[0].value else { panic!("{values:?}") };
    assert_eq!((&base[0].value, &base[1].value), (&Ok(Value::Pointer(Va(0x1_4000_2000))), &Ok(Value::Bool(true))));
    let Ok(Value::Struct(local)) = &values[9].value else { panic!("{values:?}") };
    assert_eq!(local[0].value, Ok(Value::Signed(-5)));
}

#[test]
fn what_is_not_in_the_dump_is_said_member_by_member() {
    let mut cut = device();
    cut.truncate(0x82);
    let (table, memory) = (table(), Ranges(vec![(AT, cut)]));
    let values = read(&table, &memory, 1);
    let absent = |va: u64| Fault::NotInDump { va: Va(va), searched: Searched::MinidumpRanges };
    assert_eq!(values[5].value.as_ref().map(|_| ()), Ok(()));
    assert_eq!(values[7].value, Err(absent(AT + 0x82)), "half of a pointer is no pointer");
    let Ok(Value::Struct(unnamed)) = &values[8].value else { panic!("{values:?}") };
    assert_eq!(unnamed[0].value, Err(absent(AT + 0x88)));
    assert!(
        value_text(&unnamed[0].value).starts_with("?? (") && value_text(&values[7].value).contains("not in the dump")
    );

    // The string is there and its text is not.
    let memory = Ranges(vec![(AT, device())]);
    let values = read(&table, &memory, 0);
    let Ok(Value::UnicodeString { length: 8, maximum: 16, buffer: Va(0x5000), text: Err(fault) }) = &values[7].value
    else {
        panic!("{values:?}")
    };
    assert_eq!(*fault, absent(0x5000));

    let nothing = Ranges(Vec::new());
    assert!(read(&table, &nothing, 0).iter().take(3).skip(1).all(|its| its.value.is_err()));
    // The end of the address space is no end of the program.
    let found = table.find("Device").unwrap().unwrap();
    let layout = table.layout(&found.named).unwrap().unwrap();
    assert!(Reader::new(&table, &nothing, 9, u64::MAX).read(Va(u64::MAX - 8), &layout).is_ok());
}

#[test]
fn lists_are_followed_to_their_end() {
    let link = |to: u64| to.to_le_bytes().to_vec();
    let memory = Ranges(vec![
        (0x1000, link(0x2000)),
        (0x2000, link(0x3000)),
        (0x3000, link(0x1000)),
        (0x4000, link(0x2000)),
        (0x5000, link(0)),
        (0x6000, link(0x7000)),
    ]);
    let walk = |head: u64, limit: usize| list(&memory, Va(head), 8, limit);
    assert_eq!((walk(0x1000, 9).entries, walk(0x1000, 9).end), (vec![Va(0x2000), Va(0x3000)], ListEnd::Head));
    assert_eq!((walk(0x1000, 1).entries.len(), walk(0x1000, 1).end), (1, ListEnd::Limit));
    assert_eq!(walk(0x4000, 9).end, ListEnd::Loop);
    assert_eq!(walk(0x5000, 9).end, ListEnd::Null);
    assert_eq!(walk(0x6000, 9).entries, [Va(0x7000)]);
    assert!(matches!(walk(0x6000, 9).end, ListEnd::Absent(_)));
}
