//! A small table with one of everything, however it is packed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{SMALL, SMALL_XZ, gzip, open};
use dumplens_isf::{BaseKind, Isf, LayoutKind, Named, Packing, TypeRef, sniff};

fn int() -> TypeRef {
    TypeRef::Base { name: "int".into(), size: 4, signed: true, kind: BaseKind::Int }
}

fn pointer(size: u64, to: TypeRef) -> TypeRef {
    TypeRef::Pointer { size: Some(size), to: Box::new(to) }
}

fn small() -> Isf {
    open(SMALL.as_bytes()).unwrap()
}

#[test]
fn a_table_is_told_by_its_content() {
    let gz = gzip(SMALL.as_bytes());
    assert_eq!(sniff(&SMALL.as_bytes()), Some(Packing::Plain));
    assert_eq!(sniff(&SMALL_XZ), Some(Packing::Xz));
    assert_eq!(sniff(&gz.as_slice()), Some(Packing::Gzip));
    let dump = gzip(b"PAGEDU64 and more");
    let others: [&[u8]; 8] = [b"", b"{", b"{}", b"{\"symbols", b"{\"symbol\":1}", b"[1]", b"MDMP", &dump];
    for other in others {
        assert_eq!(sniff(&other), None, "{other:?}");
    }
    assert_eq!(sniff(&gz.get(..gz.len() / 2).unwrap()), Some(Packing::Gzip), "half a table is told from its half");
}

#[test]
fn every_packing_gives_the_same_table() {
    let streams = [SMALL_XZ, &[0; 8]].concat();
    let half = SMALL.len() / 2;
    let members = [gzip(&SMALL.as_bytes()[..half]), gzip(&SMALL.as_bytes()[half..])].concat();
    let expected: Vec<_> = small().symbols().map(|symbol| (symbol.name.to_owned(), symbol.rva)).collect();
    for packed in [SMALL_XZ.to_vec(), streams, gzip(SMALL.as_bytes()), members] {
        let isf = open(&packed).unwrap();
        assert_eq!(isf.identity(), small().identity());
        assert!(isf.symbols().map(|symbol| (symbol.name.to_owned(), symbol.rva)).eq(expected.iter().cloned()));
        assert_eq!(isf.type_layout("_ALL"), small().type_layout("_ALL"));
    }
}

#[test]
fn the_table_says_what_it_belongs_to() {
    let isf = small();
    let identity = isf.identity();
    assert_eq!(identity.pdb_name.as_deref(), Some("small.pdb"));
    let guid = [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    assert!(identity.matches(&guid, 3) && !identity.matches(&guid, 1) && !identity.matches(&[0; 16], 3));
    assert_eq!((identity.machine_type, identity.format.as_str()), (Some(0x8664), "6.1.0"));
}

#[test]
fn names_are_found_by_name_and_by_address() {
    let isf = small();
    assert_eq!(isf.symbol("Folded"), Some(0x1000));
    assert_eq!((isf.symbol("Later"), isf.symbol("_Later")), (Some(0x2000), Some(0x2000)));
    assert_eq!((isf.symbol("later"), isf.symbol("")), (None, None));
    assert_eq!(isf.nearest(0xfff), None);
    assert_eq!(isf.nearest(0x1fff), Some(("Also", 0xfff)), "of folded functions the first undecorated name");
    let folded: Vec<_> = isf.symbols_at(0x1000).map(|symbol| symbol.name).collect();
    assert_eq!(folded, ["Also", "Folded", "?Folded@@YAXXZ"]);
    assert_eq!(isf.nearest(0x2000), Some(("Later", 0)));
    assert_eq!(isf.nearest(u64::MAX), Some(("Ä\"quoted\\", u64::MAX - 0x4000)));
    assert_eq!(isf.symbols().len(), 5);
    assert_eq!(isf.symbols_at(0x2000).next().unwrap().linkage_name, Some("_Later"));
}

#[test]
fn types_are_described() {
    let isf = small();
    let layout = isf.type_layout("_ALL").unwrap();
    assert_eq!((layout.size, layout.kind), (48, LayoutKind::Struct));
    let names: Vec<_> = layout.fields.iter().map(|field| (field.name.as_str(), field.offset)).collect();
    let expected =
        [("Next", 0), ("Short", 8), ("Low", 12), ("High", 12), ("Text", 16), ("Mode", 24), ("u1", 28), ("Call", 32)];
    assert_eq!(names[..8], expected);
    let of = |name: &str| layout.fields.iter().find(|field| field.name == name).unwrap().of.clone();
    assert_eq!(of("Next"), pointer(8, TypeRef::Struct(Named::new("_ALL".into()))));
    assert_eq!(of("Short"), pointer(4, TypeRef::Void));
    assert_eq!(of("High"), TypeRef::Bitfield { position: 1, length: 31, of: Box::new(int()) });
    assert_eq!(of("Call"), pointer(8, TypeRef::Function));
    assert_eq!(of("Odd"), TypeRef::Unknown("not described".into()));
    let sizes: Vec<_> = ["Next", "Short", "Low", "Text", "Mode", "u1"].map(|name| isf.size_of(&of(name))).into();
    assert_eq!(sizes, [8, 4, 4, 8, 4, 4].map(Some));
    assert_eq!((isf.size_of(&of("Odd")), isf.size_of(&TypeRef::Struct(Named::new("absent".into())))), (None, None));
    assert!(layout.fields.iter().filter(|field| field.anonymous).map(|field| field.name.as_str()).eq(["u1"]));
    assert_eq!(isf.type_layout("__unnamed_1").unwrap().kind, LayoutKind::Union);
    assert_eq!(isf.field_offset("_ALL", "Mode"), Some(24));
    assert_eq!((isf.field_offset("_ALL", "mode"), isf.field_offset("ALL", "Mode")), (None, None));
    assert!(isf.types().eq(["_ALL", "__unnamed_1"]) && isf.type_layout("_MODE").is_none());
}

#[test]
fn enumerations_keep_signs() {
    let isf = small();
    let mode = isf.enumeration("_MODE").unwrap();
    assert_eq!((mode.size, mode.base), (4, int()));
    let values: Vec<_> = mode.constants.iter().map(|constant| (constant.name.as_str(), constant.value)).collect();
    assert_eq!(values, [("None", -1), ("Kernel", 0), ("User", 1), ("Wide", i128::from(u64::MAX))]);
    assert!(isf.enumerations().eq(["_MODE"]) && isf.enumeration("_ALL").is_none());
}

#[test]
fn known_addresses_prove_or_refute() {
    let isf = small();
    let base = 0xffff_f804_0000_0000;
    let proof = isf.prove(base, &[("Folded", base + 0x1000), ("Later", base + 0x2000), ("Absent", base)]);
    assert!(proof.holds());
    assert_eq!((proof.agree, proof.unknown), (vec!["Folded".into(), "Later".into()], vec!["Absent".into()]));
    let proof = isf.prove(base, &[("Folded", base + 0x1000), ("Later", base + 0x2010)]);
    assert!(!proof.holds());
    let text = "the symbol table does not belong to this kernel: Later is at 0xfffff80400002010 and would be at \
                0xfffff80400002000; agreeing: Folded";
    assert_eq!(proof.to_string(), text);
    assert!(!isf.prove(base, &[]).holds());
    let proof = isf.prove(base, &[("Later", base + 0x2000)]);
    assert!(!proof.holds() && proof.to_string().ends_with("Later agrees, which proves little alone"), "{proof}");
    // The addresses of a 32-bit machine count without the sign that a header may give them.
    let x86 = open(SMALL.replace("34404", "332").as_bytes()).unwrap();
    let known = [("Later", 0xffff_ffff_8000_2000), ("Folded", 0x8000_1000)];
    assert!(x86.prove(0x8000_0000, &known).holds());
}
