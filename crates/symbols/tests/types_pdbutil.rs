//! Every type record of every PDB in the data set, against `llvm-pdbutil dump -types`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/dumped.rs"]
#[allow(unreachable_pub, dead_code, missing_docs)]
mod dumped;

use std::collections::BTreeMap;

use common::{PDBS, data, open, pdbutil};
use dumped::{Expected, Theirs, parse};
use dumplens_base::types::{FieldRole, LayoutKind, Named, TypeRef, Types as _};
use dumplens_symbols::types::{TypeKind, TypeTable};

/// The same for ours.
fn ours(of: &TypeRef) -> String {
    match of {
        TypeRef::Base { name, size, .. } => format!("{name}:{size}"),
        TypeRef::Pointer { size, to } => format!("*{} {}", size.unwrap_or(0), ours(to)),
        TypeRef::Array { of, .. } if is_table(of) => "vtable".into(),
        TypeRef::Array { count, of } => format!("[{count}] {}", ours(of)),
        TypeRef::Struct(Named { name, id }) => format!("struct {:#x} {name}", id.unwrap()),
        TypeRef::Union(Named { name, id }) => format!("union {:#x} {name}", id.unwrap()),
        TypeRef::Enum(Named { name, id }) => format!("enum {:#x} {name}", id.unwrap()),
        TypeRef::Bitfield { position, length, of } => format!("bits {position}+{length} {}", ours(of)),
        TypeRef::Function => "function".into(),
        TypeRef::Void => "void".into(),
        TypeRef::Unknown(_) => "?".into(),
    }
}

/// What a table of virtual functions holds: pointers whose size the record does not tell.
fn is_table(of: &TypeRef) -> bool {
    matches!(of, TypeRef::Pointer { size: None, to } if **to == TypeRef::Function)
}

#[derive(Debug, Default)]
struct Figures {
    records: usize,
    layouts: usize,
    fields: usize,
    enumerations: usize,
    constants: usize,
    /// Mentions of types that both tools, only we, only the other tool, and neither finds described.
    both: usize,
    only_ours: Vec<String>,
    neither: usize,
    differences: Vec<String>,
}

impl Figures {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: &T, theirs: &T) {
        if ours != theirs {
            self.differences.push(format!("{what}: ours {ours:?}, theirs {theirs:?}"));
        }
    }
}

fn layout(figures: &mut Figures, table: &TypeTable, expected: &Expected<'_>, number: u32, record: &Theirs<'_>) {
    let what = |part: &str| format!("{number:#x} {} {part}", record.name);
    let named = Named { name: String::new(), id: Some(number) };
    let layout = table.layout(&named).unwrap().unwrap_or_else(|| panic!("{number:#x} has no layout"));
    let kind = match record.kind {
        "LF_CLASS" => LayoutKind::Class,
        "LF_UNION" => LayoutKind::Union,
        "LF_INTERFACE" => LayoutKind::Interface,
        _ => LayoutKind::Struct,
    };
    figures.layouts += 1;
    figures.same(&what("kind"), &layout.kind, &kind);
    figures.same(&what("name"), &layout.name.as_str(), &record.name);
    figures.same(&what("size"), &layout.size.to_string().as_str(), &record.word("sizeof ").unwrap());
    let theirs = record.number("field list: ").map(|list| expected.fields(list)).unwrap_or_default();
    let fields: Vec<String> = layout
        .fields
        .iter()
        .map(|field| match field.role {
            FieldRole::Member => format!("member {} {} {}", field.name, field.offset, ours(&field.of)),
            FieldRole::Static => format!("static {} {}", field.name, ours(&field.of)),
            FieldRole::Base => format!("base {} {} {}", field.name, field.offset, ours(&field.of)),
            FieldRole::VirtualBase { slot } => {
                format!("virtual {} {} {slot} {}", field.name, field.offset, ours(&field.of))
            }
            FieldRole::Vtable => format!("vtable {} {}", field.offset, ours(&field.of)),
        })
        .collect();
    figures.fields += fields.len();
    figures.same(&what("fields"), &fields, &theirs);
}

fn enumeration(figures: &mut Figures, table: &TypeTable, expected: &Expected<'_>, number: u32, record: &Theirs<'_>) {
    let what = |part: &str| format!("{number:#x} {} {part}", record.name);
    let named = Named { name: String::new(), id: Some(number) };
    let its = table.enumeration(&named).unwrap().unwrap_or_else(|| panic!("{number:#x} is no enumeration"));
    let base = record.number("underlying type: ").unwrap();
    figures.enumerations += 1;
    figures.same(&what("name"), &its.name.as_str(), &record.name);
    figures.same(&what("base"), &ours(&its.base), &expected.text(base));
    figures.same(&what("size"), &Some(its.size), &expected.size(base));
    let constants: Vec<_> = its.constants.iter().map(|constant| (constant.name.clone(), constant.value)).collect();
    let theirs = record.number("field list: ").map(|list| expected.constants(list)).unwrap_or_default();
    figures.constants += constants.len();
    figures.same(&what("constants"), &constants, &theirs);
}

fn compare(name: &str, table: &TypeTable, text: &str) -> Figures {
    let records = parse(text);
    let expected = Expected { pointer: table.pointer_size(), records: &records };
    let mut figures = Figures { records: records.len(), ..Figures::default() };
    assert!(records.keys().copied().eq(table.numbers()), "{name}: other numbers");
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    let mut described = Vec::new();
    for (number, record) in &records {
        figures.same(&format!("{number:#x} type"), &ours(&table.type_ref(*number).unwrap()), &expected.text(*number));
        figures.same(&format!("{number:#x} size"), &table.size(*number).unwrap(), &expected.size(*number));
        if !record.is_udt() {
            continue;
        }
        if record.is_forward() {
            match (table.resolve(*number).unwrap(), record.target()) {
                (Some(a), Some(b)) if a == b => figures.both += 1,
                (None, None) => figures.neither += 1,
                (Some(a), None) => {
                    // It must be the same type, which the tool misses where it is filed under something else.
                    let its = &records[&a];
                    assert!(!its.is_forward() && its.name == record.name && its.unique() == record.unique());
                    figures.only_ours.push(format!("{number:#x} {} -> {a:#x}", record.name));
                }
                (a, b) => figures.differences.push(format!("{number:#x} {}: ours {a:x?}, theirs {b:x?}", record.name)),
            }
            continue;
        }
        by_name.entry(record.name).or_insert(*number);
        if let Some(unique) = record.unique() {
            by_name.entry(unique).or_insert(*number);
        }
        described.push((*number, record.name.to_owned()));
        match record.kind {
            "LF_ENUM" => enumeration(&mut figures, table, &expected, *number, record),
            _ => layout(&mut figures, table, &expected, *number, record),
        }
    }
    for (name, number) in by_name {
        let found = table.find(name).unwrap().map(|found| (found.named.id, found.kind == TypeKind::Enumeration));
        figures.same(name, &found, &Some((Some(number), records[&number].kind == "LF_ENUM")));
    }
    let listed = table.list("*", usize::MAX).unwrap();
    let listed: Vec<_> = listed.into_iter().map(|found| (found.named.id.unwrap(), found.named.name)).collect();
    figures.same("list", &listed, &described);
    figures
}

#[test]
fn all_records_are_as_the_other_tool_reads_them() {
    let Some(folder) = data() else { return };
    let mut sum = Figures::default();
    for name in PDBS {
        let path = folder.join(name);
        let Some(text) = pdbutil(&path, &["-types"]) else { return };
        let pdb = open(&path);
        let table = TypeTable::open(&pdb, TypeTable::DEFAULT_BUDGET).unwrap().unwrap();
        let figures = compare(name, &table, &text);
        println!(
            "{name}: {} records, {} layouts with {} fields, {} enumerations with {} constants; mentions: {} found by both, \
             {} by us only, {} by neither; {} differences",
            figures.records,
            figures.layouts,
            figures.fields,
            figures.enumerations,
            figures.constants,
            figures.both,
            figures.only_ours.len(),
            figures.neither,
            figures.differences.len(),
        );
        for line in figures.only_ours.iter().chain(figures.differences.iter().take(20)) {
            println!("    {}", line.chars().take(600).collect::<String>());
        }
        sum.records += figures.records;
        sum.layouts += figures.layouts;
        sum.fields += figures.fields;
        sum.enumerations += figures.enumerations;
        sum.constants += figures.constants;
        sum.both += figures.both;
        sum.neither += figures.neither;
        sum.only_ours.extend(figures.only_ours);
        sum.differences.extend(figures.differences);
    }
    println!(
        "all: {} records, {} layouts with {} fields, {} enumerations with {} constants; mentions: {} found by both, {} by \
         us only, {} by neither; {} differences",
        sum.records,
        sum.layouts,
        sum.fields,
        sum.enumerations,
        sum.constants,
        sum.both,
        sum.only_ours.len(),
        sum.neither,
        sum.differences.len(),
    );
    assert!(sum.records > 40_000 && sum.fields > 25_000 && sum.constants > 10_000);
    assert!(sum.differences.is_empty(), "{}", sum.differences.len());
}
