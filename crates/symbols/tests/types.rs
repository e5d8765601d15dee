//! Types: written PDBs, real ones, and what is damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/types.rs"]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, unreachable_pub, dead_code, missing_docs)]
mod types;

use std::rc::Rc;

use common::{Counting, bytes, data};
use dumplens_base::types::{Named, TypeRef, Types as _};
use dumplens_symbols::{
    PdbFile,
    types::{Printer, TypeTable, type_text},
};
use types::{Hashes, pdb, sample};

fn open(bytes: Vec<u8>) -> TypeTable {
    let pdb = PdbFile::open(Rc::new(bytes), 0).unwrap();
    TypeTable::open(&pdb, 0).unwrap().unwrap()
}

fn print(table: &TypeTable, name: &str, depth: u32) -> String {
    let found = table.find(name).unwrap().unwrap_or_else(|| panic!("{name} is not found"));
    let printer = Printer::new(table, depth);
    let mut text = String::new();
    match table.layout(&found.named).unwrap() {
        Some(layout) => printer.layout(&mut text, &layout).unwrap(),
        None => printer.enumeration(&mut text, &table.enumeration(&found.named).unwrap().unwrap()).unwrap(),
    }
    text
}

#[test]
fn a_written_type_reads_as_it_was_written() {
    for hashes in [Hashes::Whole, Hashes::None, Hashes::Odd] {
        let table = open(pdb(&sample(), hashes));
        let expected = "\
struct Device, 0x98 bytes
   +0x000   (base app::Base)         : app::Base
   +0x010   Links                    : _LIST_ENTRY
   +0x020   Mode                     : Pos 4, 2 Bits
   +0x024   Table                    : [4] [16] UChar
   +0x064   Color                    : Color
   +0x068   Text                     : [8] Char
   +0x070   Context                  : Ptr64 Void
   +0x078   Name                     : _UNICODE_STRING
   +0x088   (unnamed)                : <unnamed-tag>
      +0x088 Number : Uint4B
      +0x088 Real   : Float
   +0x090   Local                    : Local
   =static  Count                    : Int4B
   =virtual (virtual base app::Base) : app::Base
";
        assert_eq!(print(&table, "Device", 0), expected, "{hashes:?}");
        let deep = print(&table, ".?AUDevice@@", 1);
        for line in [
            "      +0x000 __vfptr : Ptr64 [2] Ptr Function\n      +0x008 Ready   : Bool\n",
            "      +0x000 Flink : Ptr64 _LIST_ENTRY\n",
            "      +0x008 Buffer        : Ptr64 WChar\n",
            "      +0x000 Value : Int8B\n",
        ] {
            assert!(deep.contains(line), "{deep}");
        }
        let expected =
            "enum Color, 0x4 bytes, Int4B\n   Red   = 0x0 (0)\n   Green = 0xffffffff (-1)\n   Blue  = 0x8000 (32768)\n";
        assert_eq!(print(&table, "Color", 0), expected);
        assert_eq!(type_text(&table.type_ref(0x101c).unwrap()), "[3] Ptr64 Device");
        assert_eq!((table.size(0x1000).unwrap(), table.size(0x101d).unwrap()), (Some(16), None));
        assert_eq!((table.resolve(0x1016).unwrap(), table.resolve(0x101d).unwrap()), (Some(0x1018), None));
        assert_eq!(table.find("Local").unwrap().unwrap().size, 8, "what one function knows is found too");
        assert_eq!(table.find("Opaque").unwrap(), None, "what is only mentioned is not described");
        let named = Named { name: "_LIST_ENTRY".into(), id: None };
        assert_eq!(table.layout(&named).unwrap().unwrap().fields.len(), 2);
        let names: Vec<String> = table.list("*I*", 9).unwrap().into_iter().map(|found| found.named.name).collect();
        assert_eq!(names, ["_LIST_ENTRY", "_UNICODE_STRING"]);
        assert_eq!(table.list("*", 3).unwrap().len(), 3);
    }
}

#[test]
fn of_several_types_of_a_name_the_one_linked_last_counts() {
    let all = || -> Vec<types::Type> {
        let again = |size: i64, flags: u16| types::structure(0x1505, flags, 0, size, "Again", ".?AUAgain@@");
        vec![again(0, types::FORWARD), again(4, 0), again(8, 0)]
    };
    for (hashes, size) in [
        (Hashes::Whole, 4),
        (Hashes::Newest(0x1002), 8),
        // A record that is another, or none.
        (Hashes::Newest(0x1000), 4),
        (Hashes::Newest(0x9000), 4),
    ] {
        let table = open(pdb(&all(), hashes));
        assert_eq!(table.find("Again").unwrap().unwrap().size, size, "{hashes:?}");
        assert_eq!(table.size(0x1000).unwrap(), Some(size), "{hashes:?}");
    }
}

#[test]
fn the_structures_of_ntdll_are_where_windows_has_them() {
    let Some(folder) = data() else { return };
    for (file, pointer, expected) in [
        ("pe-pdb/ntdll/ntdll_x64.pdb", 8, [0x18, 0x60, 0x1480, 0x30, 0x68, 0x1838, 0x7c8]),
        ("pe-pdb/ntdll/wntdll_x86.pdb", 4, [0x0c, 0x30, 0xe10, 0x18, 0x34, 0x1000, 0x480]),
    ] {
        let table = open(bytes(&folder.join(file)));
        let layout = |name: &str| {
            let found = table.find(name).unwrap().unwrap();
            table.layout(&found.named).unwrap().unwrap()
        };
        let offset = |of: &str, name: &str| {
            layout(of).fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("{of}.{name}")).offset
        };
        let got = [
            offset("_PEB", "Ldr"),
            offset("_TEB", "ProcessEnvironmentBlock"),
            offset("_TEB", "TlsSlots"),
            offset("_PEB", "ProcessHeap"),
            offset("_TEB", "LastErrorValue"),
            layout("_TEB").size,
            layout("_PEB").size,
        ];
        assert_eq!(got, expected, "{file}");
        assert_eq!((offset("_LIST_ENTRY", "Blink"), layout("_LIST_ENTRY").size), (pointer, 2 * pointer));
        let teb = layout("_TEB");
        let slots = teb.fields.iter().find(|field| field.name == "TlsSlots").unwrap();
        let of = Box::new(TypeRef::Pointer { size: Some(pointer), to: Box::new(TypeRef::Void) });
        assert_eq!(slots.of, TypeRef::Array { count: 64, of });
        let version = layout("_PEB");
        let version = version.fields.iter().filter(|field| field.name == "BeingDebugged").map(|field| field.offset);
        assert_eq!(version.collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn other_names_lead_to_their_types() {
    let Some(folder) = data() else { return };
    let pdb = common::open(&folder.join("pe-pdb/driver_x64/systeminformer.pdb"));
    let table = TypeTable::open(&pdb, TypeTable::DEFAULT_BUDGET).unwrap().unwrap();
    assert_eq!(table.find("REG_SAVE_KEY_INFORMATION").unwrap(), None);
    let found = table.find_any(&pdb, "REG_SAVE_KEY_INFORMATION").unwrap().unwrap();
    assert_eq!(found.named.name, "_REG_SAVE_KEY_INFORMATION");
    assert_eq!(table.find_any(&pdb, "LIST_ENTRY").unwrap().unwrap().named.name, "_LIST_ENTRY");
    assert_eq!(table.find_any(&pdb, "no such name").unwrap(), None);
}

#[test]
fn one_type_costs_a_fraction_of_the_file() {
    let Some(folder) = data() else { return };
    let file = Counting::new(bytes(&folder.join("pe-pdb/ntdll/ntdll_x64.pdb")));
    let read = Rc::clone(&file.bytes);
    let pdb = PdbFile::open(Rc::new(file), PdbFile::DEFAULT_BUDGET).unwrap();
    let opened = read.get();
    let table = TypeTable::open(&pdb, TypeTable::DEFAULT_BUDGET).unwrap().unwrap();
    let found = table.find("_TEB").unwrap().unwrap();
    table.layout(&found.named).unwrap().unwrap();
    let cold = read.get() - opened;
    let found = table.find("_PEB").unwrap().unwrap();
    table.layout(&found.named).unwrap().unwrap();
    let warm = read.get() - opened - cold;
    println!(
        "_TEB cold: {cold} bytes, then _PEB: {warm} bytes of {}",
        bytes(&folder.join("pe-pdb/ntdll/ntdll_x64.pdb")).len()
    );
    // Hash values take 15 KiB; the records of all types 311 KiB.
    assert!(cold < 200 << 10 && warm < 100 << 10, "{cold} {warm}");
}
