//! A PDB with types, written by hand.

use dumplens_testkit::pdb::writer::{Out, hash, msf, record};

/// One record, and what the hash stream has it under.
pub struct Type {
    bytes: Vec<u8>,
    key: Option<String>,
}

/// A number as records hold it.
pub fn number(value: i64) -> Vec<u8> {
    match value {
        0..0x8000 => (value as u16).to_le_bytes().to_vec(),
        -128..0 => [&0x8000_u16.to_le_bytes()[..], &[value as u8]].concat(),
        0x8000..0x1_0000 => [0x8002_u16.to_le_bytes(), (value as u16).to_le_bytes()].concat(),
        _ => [&0x8009_u16.to_le_bytes()[..], &value.to_le_bytes()].concat(),
    }
}

/// Flags of a type.
pub const FORWARD: u16 = 0x80;
pub const SCOPED: u16 = 0x100;
const UNIQUE: u16 = 0x200;

fn named(out: Out, name: &str, unique: &str) -> Out {
    let out = out.bytes(name.as_bytes()).bytes(&[0]);
    if unique.is_empty() { out } else { out.bytes(unique.as_bytes()).bytes(&[0]) }
}

fn key(flags: u16, name: &str, unique: &str) -> Option<String> {
    match (flags & FORWARD != 0, flags & SCOPED != 0) {
        (true, _) => None,
        (false, false) => (name != "<unnamed-tag>").then(|| name.into()),
        (false, true) => (!unique.is_empty()).then(|| unique.into()),
    }
}

/// A structure (`LF_STRUCTURE`) or another kind with the same record.
pub fn structure(leaf: u16, flags: u16, list: u32, size: i64, name: &str, unique: &str) -> Type {
    let all = flags | if unique.is_empty() { 0 } else { UNIQUE };
    let body = Out::default().u16(0).u16(all).u32(list);
    let body = if leaf == 0x1506 { body } else { body.u32(0).u32(0) }.bytes(&number(size));
    Type { bytes: record(leaf, named(body, name, unique)).0, key: key(flags, name, unique) }
}

/// A structure as compilers may write it since 2019 (`LF_STRUCTURE2`).
pub fn structure2(list: u32, size: i64, name: &str, unique: &str) -> Type {
    let body = Out::default().u32(UNIQUE.into()).u32(list).u32(0).u32(0).u16(0).bytes(&number(size));
    Type { bytes: record(0x1609, named(body, name, unique)).0, key: key(0, name, unique) }
}

pub fn enumeration(base: u32, list: u32, name: &str) -> Type {
    let body = Out::default().u16(0).u16(0).u32(base).u32(list);
    Type { bytes: record(0x1507, named(body, name, "")).0, key: key(0, name, "") }
}

pub fn plain(leaf: u16, body: Out) -> Type {
    Type { bytes: record(leaf, body).0, key: None }
}

pub fn pointer64(to: u32) -> Type {
    plain(0x1002, Out::default().u32(to).u32(0x1_000c))
}

pub fn array(of: u32, size: i64) -> Type {
    plain(0x1503, Out::default().u32(of).u32(0x23).bytes(&number(size)).bytes(&[0]))
}

pub fn bits(of: u32, position: u8, length: u8) -> Type {
    plain(0x1205, Out::default().u32(of).bytes(&[length, position]))
}

/// A list of members.
pub fn list(members: &[Vec<u8>]) -> Type {
    let mut body = Out::default();
    for member in members {
        body = body.bytes(member);
        let pad = body.0.len().next_multiple_of(4) - body.0.len();
        for left in (1..=pad).rev() {
            body = body.bytes(&[0xf0 | left as u8]);
        }
    }
    plain(0x1203, body)
}

pub fn member(of: u32, offset: i64, name: &str) -> Vec<u8> {
    Out::default().u16(0x150d).u16(3).u32(of).bytes(&number(offset)).bytes(name.as_bytes()).bytes(&[0]).0
}

pub fn constant(value: i64, name: &str) -> Vec<u8> {
    Out::default().u16(0x1502).u16(3).bytes(&number(value)).bytes(name.as_bytes()).bytes(&[0]).0
}

/// A member that is a number and a name: static members, types, ...
pub fn other(leaf: u16, of: u32, name: &str) -> Vec<u8> {
    Out::default().u16(leaf).u16(3).u32(of).bytes(name.as_bytes()).bytes(&[0]).0
}

pub fn base(of: u32, offset: i64) -> Vec<u8> {
    Out::default().u16(0x1400).u16(3).u32(of).bytes(&number(offset)).0
}

pub fn virtual_base(of: u32, offset: i64, slot: i64) -> Vec<u8> {
    Out::default().u16(0x1401).u16(3).u32(of).u32(0x1001).bytes(&number(offset)).bytes(&number(slot)).0
}

pub fn vtable(of: u32) -> Vec<u8> {
    Out::default().u16(0x1409).u16(0).u32(of).0
}

pub fn more(list: u32) -> Vec<u8> {
    Out::default().u16(0x1404).u16(0).u32(list).0
}

/// How much of the hash stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// All of it.
    Whole,
    /// No stream.
    None,
    /// An index that leads nowhere, and values of two bytes.
    Odd,
    /// All of it, and it says that `Again` was linked last as that record.
    Newest(u32),
}

/// A PDB of these types, which are numbered from 0x1000.
pub fn pdb(types: &[Type], hashes: Hashes) -> Vec<u8> {
    const BUCKETS: u32 = 64;
    let info = Out::default().u32(20_000_404).u32(0).u32(1).bytes(&[0x22; 16]);
    let info = info.u32(7).bytes(b"/names\0").u32(1).u32(1).u32(1).u32(1).u32(0).u32(0).u32(5).u32(0).0;
    let names = Out::default().u32(0xeffe_effe).u32(1).u32(7).bytes(b"\0Again\0").0;
    let records: Vec<u8> = types.iter().flat_map(|its| its.bytes.clone()).collect();
    let mut values = Out::default();
    let key = if hashes == Hashes::Odd { 2 } else { 4 };
    for (index, its) in (0_u32..).zip(types) {
        let bucket = its.key.as_ref().map_or(index, |key| hash(key.as_bytes())) % BUCKETS;
        values = if key == 2 { values.u16(bucket as u16) } else { values.u32(bucket) };
    }
    let mut index = Out::default();
    let mut at = 0;
    for (number, its) in (0x1000..).zip(types) {
        // Every third record.
        if (number - 0x1000) % 3 == 0 {
            index = index.u32(number).u32(if hashes == Hashes::Odd { 7 } else { at });
        }
        at += its.bytes.len() as u32;
    }
    let (values_len, index_len) = (values.0.len() as u32, index.0.len() as u32);
    let mut newest = Out::default();
    if let Hashes::Newest(number) = hashes {
        newest = newest.u32(1).u32(2).u32(1).u32(1).u32(1).u32(0x3406).u32(1).u32(number);
    }
    let end = 0x1000 + types.len() as u32;
    let header = Out::default().u32(20_040_203).u32(56).u32(0x1000).u32(end).u32(records.len() as u32);
    let header = header.u16(if hashes == Hashes::None { 0xffff } else { 4 }).u16(0xffff).u32(key).u32(BUCKETS);
    let header = header
        .u32(0)
        .u32(values_len)
        .u32(values_len)
        .u32(index_len)
        .u32(values_len + index_len)
        .u32(newest.0.len() as u32);
    let types = header.bytes(&records).0;
    msf(&[Vec::new(), info, types, Vec::new(), values.bytes(&index.0).bytes(&newest.0).0, names])
}

/// Types of all kinds. `_LIST_ENTRY`, `_UNICODE_STRING`, `Color`, `Device` and what it has within.
pub fn sample() -> Vec<Type> {
    vec![
        structure(0x1505, FORWARD, 0, 0, "_LIST_ENTRY", ".?AU_LIST_ENTRY@@"), // 1000
        pointer64(0x1000),
        list(&[member(0x1001, 0, "Flink"), member(0x1001, 8, "Blink")]),
        structure(0x1505, 0, 0x1002, 16, "_LIST_ENTRY", ".?AU_LIST_ENTRY@@"),
        bits(0x75, 4, 2), // 1004
        array(0x20, 16),
        array(0x1005, 64),
        list(&[constant(0, "Red"), constant(-1, "Green"), constant(0x8000, "Blue")]),
        enumeration(0x74, 0x1007, "Color"), // 1008
        list(&[member(0x22, 0, "Number"), member(0x40, 0, "Real")]),
        structure(0x1506, 0, 0x1009, 4, "<unnamed-tag>", ".?AT<unnamed-tag>@Device@@"),
        pointer64(0x71),
        list(&[member(0x21, 0, "Length"), member(0x21, 2, "MaximumLength"), member(0x100b, 8, "Buffer")]), // 100c
        structure2(0x100c, 16, "_UNICODE_STRING", ".?AU_UNICODE_STRING@@"),
        structure(0x1504, FORWARD, 0, 0, "app::Base", ".?AVBase@app@@"),
        list(&[vtable(0x1012), member(0x30, 8, "Ready")]),
        structure(0x1504, 0, 0x100f, 16, "app::Base", ".?AVBase@app@@"), // 1010
        plain(0x000a, Out::default().u16(2).bytes(&[0x55])),
        pointer64(0x1011),
        // The end of a list that begins in the next record.
        list(&[
            member(0x100d, 0x78, "Name"),
            member(0x100a, 0x88, ""),
            member(0x1016, 0x90, "Local"),
            other(0x150e, 0x74, "Count"),
            other(0x1510, 0x100a, "<unnamed-tag>"),
            virtual_base(0x100e, 8, 1),
        ]),
        list(&[
            base(0x100e, 0),
            member(0x1003, 0x10, "Links"),
            member(0x1004, 0x20, "Mode"),
            member(0x1006, 0x24, "Table"),
            member(0x1008, 0x64, "Color"),
            member(0x1015, 0x68, "Text"),
            member(0x0603, 0x70, "Context"),
            more(0x1013),
        ]), // 1014
        array(0x70, 8),
        structure(0x1505, FORWARD | SCOPED, 0, 0, "Local", ".?AULocal@?1??main@@"),
        list(&[member(0x76, 0, "Value")]),
        structure(0x1505, SCOPED, 0x1017, 8, "Local", ".?AULocal@?1??main@@"), // 1018
        structure(0x1505, 0, 0x1014, 0x98, "Device", ".?AUDevice@@"),
        plain(0x1001, Out::default().u32(0x1019).u16(1)),
        pointer64(0x101a),
        array(0x101b, 24), // 101c
        structure(0x1505, FORWARD, 0, 0, "Opaque", ".?AUOpaque@@"),
    ]
}
