//! The table of the kernel whose real triage dump is in the data set, held against an independent reading and the dump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{collections::BTreeMap, fmt::Write, process::Command, rc::Rc};

use common::{REAL, open, path, real};
use dumplens_base::Source;
use dumplens_dump::kernel::KernelDump;
use dumplens_isf::{BaseKind, Isf, Packing, TypeRef, sniff};

/// The base of the kernel in the triage dump, and its addresses on the stack with their names, from the stack's inner
/// end. The data set's catalogue names four of them; the rest are what Python finds in the table.
const STACK: [(u64, &str, u64); 12] = [
    (0xffff_f804_7bc5_2f55, "IofCallDriver", 0x55),
    (0xffff_f804_7c15_48a6, "PnpAsynchronousCall", 0xea),
    (0xffff_f804_7bce_0d1e, "PnpSendIrp", 0x9e),
    (0xffff_f804_7bd6_ab7c, "PnpStartDevice", 0x88),
    (0xffff_f804_7c12_3760, "PnpStartDeviceNode", 0xec),
    (0xffff_f804_7c12_362f, "PipProcessStartPhase1", 0x73),
    (0xffff_f804_7c12_6bdd, "PipProcessDevNodeTree", 0x319),
    (0xffff_f804_7c1b_df0c, "PiProcessStartSystemDevices", 0x60),
    (0xffff_f804_7bd6_c2ec, "PnpDeviceActionWorker", 0x4cc),
    (0xffff_f804_7bc2_5975, "ExpWorkerThread", 0x105),
    (0xffff_f804_7bd1_7e25, "PspSystemThreadStartup", 0x55),
    (0xffff_f804_7bdf_d0d8, "KiStartSystemThread", 0x28),
];

fn table() -> Option<Isf> {
    let bytes = real(REAL)?;
    assert_eq!(sniff(&bytes), Some(Packing::Xz));
    Some(open(&bytes).unwrap())
}

/// What the dump's header says, and the base of its first driver, which is the kernel.
fn dump(name: &str) -> Option<(u64, Vec<(&'static str, u64)>)> {
    let source: Source = Rc::new(real(name)?);
    let dump = KernelDump::open(source).unwrap();
    let base = dump.triage(&mut Vec::new()).unwrap().drivers(&mut Vec::new()).first().unwrap().base.0;
    let header = dump.header();
    let mut known = vec![
        ("PsLoadedModuleList", header.ps_loaded_module_list.0),
        ("PsActiveProcessHead", header.ps_active_process_head.0),
    ];
    known.extend(header.kd_debugger_data_block.map(|block| ("KdDebuggerDataBlock", block.0)));
    Some((base, known))
}

#[test]
fn the_header_of_the_dump_proves_the_table() {
    let (Some(isf), Some((base, known))) = (table(), dump("kernel/triage_x64_0x1000007e_19041.dmp")) else { return };
    assert_eq!(isf.symbol("PsLoadedModuleList"), Some(0xc2_a390));
    let proof = isf.prove(base, &known);
    assert!(proof.holds(), "{proof}");
    assert_eq!(proof.agree, ["PsLoadedModuleList", "PsActiveProcessHead", "KdDebuggerDataBlock"]);
    assert!(proof.unknown.is_empty());
    for (address, name, offset) in STACK {
        assert_eq!(isf.nearest(address - base), Some((name, offset)), "{address:#x}");
    }
}

#[test]
fn the_headers_of_other_dumps_refute_it() {
    let (Some(isf), Some(folder)) = (table(), path("kernel")) else { return };
    let mut refuted = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".dmp") || name.starts_with("triage_x64") {
            continue;
        }
        let Some((base, known)) = dump(&format!("kernel/{name}")) else { continue };
        let proof = isf.prove(base, &known);
        println!("{name}: {proof}");
        assert!(!proof.holds(), "{name}: {proof}");
        refuted += 1;
    }
    assert!(refuted > 5);
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn described(of: &TypeRef) -> String {
    match of {
        TypeRef::Base { name, size, signed, kind } => {
            let kind = match kind {
                BaseKind::Void => "void",
                BaseKind::Int => "int",
                BaseKind::Float => "float",
                BaseKind::Char => "char",
                BaseKind::Bool => "bool",
            };
            format!("base:{}:{size}:{}:{kind}", hex(name), u8::from(*signed))
        }
        TypeRef::Pointer { size, to } => format!("pointer:{}({})", size.unwrap(), described(to)),
        TypeRef::Array { count, of } => format!("array:{count}({})", described(of)),
        TypeRef::Struct(of) => format!("struct:{}", hex(&of.name)),
        TypeRef::Union(of) => format!("union:{}", hex(&of.name)),
        TypeRef::Enum(of) => format!("enum:{}", hex(&of.name)),
        TypeRef::Bitfield { position, length, of } => format!("bits:{position}:{length}({})", described(of)),
        TypeRef::Function => "function".into(),
        TypeRef::Void => "void".into(),
        TypeRef::Unknown(name) => format!("unknown:{}", hex(name)),
    }
}

/// Every fact of the table as a line, as `read_isf.py` prints them.
fn lines(isf: &Isf) -> Vec<String> {
    let identity = isf.identity();
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = identity.guid;
    let mut guid = [a3, a2, a1, a0, b1, b0, c1, c0].map(|byte| format!("{byte:02X}")).concat();
    guid += &rest.map(|byte| format!("{byte:02X}")).concat();
    let pdb = identity.pdb_name.as_deref().unwrap();
    let machine = identity.machine_type.unwrap();
    let mut lines = vec![format!("identity {guid} {} {pdb} {machine} {}", identity.age, identity.format)];
    for symbol in isf.symbols() {
        let linkage = symbol.linkage_name.unwrap_or(symbol.name);
        lines.push(format!("symbol {} {} {}", hex(symbol.name), symbol.rva, hex(linkage)));
        assert_eq!(isf.symbol(symbol.name), Some(symbol.rva));
    }
    for name in isf.types() {
        let layout = isf.type_layout(name).unwrap();
        let kind = layout.kind.name();
        lines.push(format!("type {} {kind} {} {}", hex(name), layout.size, layout.fields.len()));
        for field in layout.fields {
            assert_eq!(isf.field_offset(name, &field.name), Some(field.offset));
            let (anonymous, of) = (u8::from(field.anonymous), described(&field.of));
            lines.push(format!("field {} {} {} {anonymous} {of}", hex(name), hex(&field.name), field.offset));
        }
    }
    for name in isf.enumerations() {
        let it = isf.enumeration(name).unwrap();
        lines.push(format!("enum {} {} {} {}", hex(name), it.size, described(&it.base), it.constants.len()));
        for constant in it.constants {
            lines.push(format!("constant {} {} {}", hex(name), hex(&constant.name), constant.value));
        }
    }
    lines.sort_unstable();
    lines
}

#[test]
fn every_fact_agrees_with_an_independent_reading() {
    let (Some(isf), Some(path)) = (table(), path(REAL)) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_isf.py");
    let output = match Command::new("python3").arg(script).arg(&path).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: python3 cannot be run: {error}");
            return;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut theirs: Vec<_> = text.lines().map(str::to_owned).collect();
    theirs.sort_unstable();
    let ours = lines(&isf);
    if let Some((one, two)) = ours.iter().zip(&theirs).find(|(one, two)| one != two) {
        panic!("ours: {one}\ntheirs: {two}");
    }
    assert_eq!(ours.len(), theirs.len());
    let mut counts = BTreeMap::<&str, usize>::new();
    for line in &ours {
        *counts.entry(line.split(' ').next().unwrap()).or_default() += 1;
    }
    println!("agree: {counts:?}");
    assert_eq!((counts["symbol"], counts["type"]), (39_832, 1646));
}

#[test]
fn the_kernel_s_known_offsets_agree() {
    let (Some(isf), Some(path)) = (table(), path("")) else { return };
    let Some(path) = path.parent().map(|folder| folder.join("reference/nt-layouts-x64.tsv")) else { return };
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let mut agree = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, field, "19041", _, _, offset] = columns[..] else { continue };
        let ours = match field {
            "(size)" => isf.type_layout(name).map(|layout| layout.size),
            _ => isf.field_offset(name, field),
        };
        assert_eq!(ours, u64::from_str_radix(offset, 16).ok(), "{name}.{field}");
        agree += 1;
    }
    println!("agree: {agree} offsets and sizes");
    assert!(agree > 100);
}
