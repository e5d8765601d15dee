//! Every type record of every PDB in the data set, against `llvm-pdbutil dump -types`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{PDBS, data, open, pdbutil};
use dumplens_base::types::{FieldRole, LayoutKind, Named, TypeRef, Types as _};
use dumplens_symbols::types::{TypeKind, TypeTable};

/// A record as the other tool prints it: its kind, its name and the lines under it.
struct Theirs<'a> {
    kind: &'a str,
    name: &'a str,
    lines: Vec<&'a str>,
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// The word behind `key`, up to a comma, a space or a bracket.
fn word<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    Some(rest.split([',', ' ', ']', '\n']).next().unwrap())
}

/// Between the first back-tick and the last.
fn quoted(line: &str) -> Option<&str> {
    let start = line.find('`')? + 1;
    Some(&line[start..line.rfind('`')?])
}

impl Theirs<'_> {
    fn word(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| word(line, key))
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.word(key).filter(|word| word.starts_with("0x")).map(hex)
    }

    fn options(&self) -> &str {
        self.lines.iter().find_map(|line| line.trim().strip_prefix("options:")).unwrap_or("")
    }

    fn is_udt(&self) -> bool {
        matches!(self.kind, "LF_STRUCTURE" | "LF_CLASS" | "LF_INTERFACE" | "LF_UNION" | "LF_ENUM")
    }

    fn is_forward(&self) -> bool {
        self.options().contains("forward ref")
    }

    /// The record that it says describes the type.
    fn target(&self) -> Option<u32> {
        let rest = self.options().split_once("forward ref (")?.1;
        (!rest.starts_with('=')).then(|| hex(rest.split_once(' ').unwrap().1.split(')').next().unwrap()))
    }

    fn unique(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.trim().strip_prefix("unique name: ")).and_then(quoted)
    }
}

fn parse(text: &str) -> BTreeMap<u32, Theirs<'_>> {
    let mut all = BTreeMap::new();
    let mut last = 0;
    for line in text.lines() {
        let head = line.trim_start().strip_prefix("0x").and_then(|rest| rest.split_once(" | LF_"));
        match head.filter(|(number, _)| number.len() <= 8 && u32::from_str_radix(number, 16).is_ok()) {
            Some((number, rest)) => {
                last = hex(number);
                let at = line.find("LF_").unwrap();
                let kind = line[at..].split(' ').next().unwrap();
                all.insert(last, Theirs { kind, name: quoted(rest).unwrap_or(""), lines: Vec::new() });
            }
            None => {
                if let Some(record) = all.get_mut(&last) {
                    record.lines.push(line);
                }
            }
        }
    }
    all
}

/// Types without a record: number, its name here, bytes. From Microsoft's `cvinfo.h`, as far as the data set has them.
const SIMPLE: [(u32, &str, u64); 28] = [
    (0x08, "HRESULT", 4),
    (0x10, "signed char", 1),
    (0x11, "short", 2),
    (0x12, "long", 4),
    (0x13, "__int64", 8),
    (0x20, "unsigned char", 1),
    (0x21, "unsigned short", 2),
    (0x22, "unsigned long", 4),
    (0x23, "unsigned __int64", 8),
    (0x30, "bool", 1),
    (0x40, "float", 4),
    (0x41, "double", 8),
    (0x42, "long double", 10),
    (0x68, "__int8", 1),
    (0x69, "unsigned __int8", 1),
    (0x70, "char", 1),
    (0x71, "wchar_t", 2),
    (0x72, "__int16", 2),
    (0x73, "unsigned __int16", 2),
    (0x74, "int", 4),
    (0x75, "unsigned int", 4),
    (0x76, "__int64", 8),
    (0x77, "unsigned __int64", 8),
    (0x78, "__int128", 16),
    (0x79, "unsigned __int128", 16),
    (0x7a, "char16_t", 2),
    (0x7b, "char32_t", 4),
    (0x7c, "char8_t", 1),
];

struct Expected<'a> {
    pointer: u64,
    records: &'a BTreeMap<u32, Theirs<'a>>,
}

impl Expected<'_> {
    fn simple(number: u32) -> String {
        let base = match number & 0xff {
            0 => "?".into(),
            3 => "void".into(),
            byte => match SIMPLE.iter().find(|(its, ..)| *its == byte) {
                Some((_, name, size)) => format!("{name}:{size}"),
                None => panic!("simple type {number:#x} is not in the table"),
            },
        };
        match number >> 8 {
            0 => base,
            // `std::nullptr_t`.
            1 => format!("*0 {base}"),
            4 => format!("*4 {base}"),
            6 => format!("*8 {base}"),
            _ => panic!("simple type {number:#x} is not in the table"),
        }
    }

    fn size(&self, number: u32) -> Option<u64> {
        if number < 0x1000 {
            return match number >> 8 {
                1 => Some(self.pointer),
                4 => Some(4),
                6 => Some(8),
                _ => SIMPLE.iter().find(|(its, ..)| *its == number & 0xff).map(|(_, _, size)| *size),
            };
        }
        let record = &self.records[&number];
        match record.kind {
            "LF_ENUM" if !record.is_forward() => self.size(record.number("underlying type: ")?),
            kind if record.is_udt() && record.is_forward() => {
                let same = |its: &Theirs<'_>| !its.is_forward() && its.unique() == record.unique() && its.kind == kind;
                let found = record.target().or_else(|| {
                    // The tool does not find what is filed under something else than its name.
                    self.records.iter().find(|(_, its)| its.name == record.name && same(its)).map(|(number, _)| *number)
                });
                self.size(found?)
            }
            _ if record.is_udt() => Some(record.word("sizeof ")?.parse().unwrap()),
            "LF_POINTER" => Some(if record.word("kind = ")? == "ptr64" { 8 } else { 4 }),
            "LF_ARRAY" => Some(record.word("size: ")?.parse().unwrap()),
            "LF_MODIFIER" => self.size(record.number("referent = ")?),
            "LF_BITFIELD" => self.size(record.number("type = ")?),
            _ => None,
        }
    }

    /// What we should say the type of that number is.
    fn text(&self, number: u32) -> String {
        if number < 0x1000 {
            return Self::simple(number);
        }
        let record = &self.records[&number];
        let number_of = |key: &str| record.number(key).unwrap_or_else(|| panic!("{number:#x} has no {key}"));
        match record.kind {
            "LF_STRUCTURE" | "LF_CLASS" | "LF_INTERFACE" => format!("struct {number:#x} {}", record.name),
            "LF_UNION" => format!("union {number:#x} {}", record.name),
            "LF_ENUM" => format!("enum {number:#x} {}", record.name),
            "LF_POINTER" => {
                format!("*{} {}", self.size(number).unwrap(), self.text(number_of("referent = ")))
            }
            "LF_ARRAY" => {
                let of = number_of("element type: ");
                let count = self.size(number).unwrap().checked_div(self.size(of).unwrap_or(0)).unwrap_or(0);
                format!("[{count}] {}", self.text(of))
            }
            "LF_MODIFIER" => self.text(number_of("referent = ")),
            "LF_BITFIELD" => {
                let (position, length) = (record.word("bit offset = ").unwrap(), record.word("# bits = ").unwrap());
                format!("bits {position}+{length} {}", self.text(number_of("type = ")))
            }
            "LF_PROCEDURE" | "LF_MFUNCTION" => "function".into(),
            "LF_VTSHAPE" => "vtable".into(),
            _ => "?".into(),
        }
    }

    /// Role, name, offset and type of each member.
    fn fields(&self, list: u32) -> Vec<String> {
        let record = &self.records[&list];
        let mut fields = Vec::new();
        for (index, line) in record.lines.iter().enumerate() {
            let Some((kind, _)) =
                line.trim().strip_prefix("- LF_").map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
            else {
                continue;
            };
            let more = record.lines.get(index + 1).copied().unwrap_or("");
            let number = |text: &str, key: &str| hex(word(text, key).unwrap_or_else(|| panic!("{line}: no {key}")));
            // The offset stands behind the name, which may hold anything.
            let (name, rest) = match quoted(line) {
                Some(name) => (name, &line[line.rfind('`').unwrap()..]),
                None => ("", *line),
            };
            fields.push(match kind {
                "MEMBER" => {
                    let offset = word(rest, "offset = ").unwrap();
                    format!("member {name} {offset} {}", self.text(number(rest, "Type = ")))
                }
                "STMEMBER" => format!("static {name} {}", self.text(number(rest, "type = "))),
                "BCLASS" | "BINTERFACE" => {
                    let of = number(more, "type = ");
                    format!("base {} {} {}", self.records[&of].name, word(more, "offset = ").unwrap(), self.text(of))
                }
                "VBCLASS" | "IVBCLASS" => {
                    let of = number(more, "base = ");
                    let (at, slot) = (word(more, "vbptr offset = ").unwrap(), word(more, "vtable index = ").unwrap());
                    format!("virtual {} {at} {slot} {}", self.records[&of].name, self.text(of))
                }
                "VFUNCTAB" => format!("vtable 0 {}", self.text(number(rest, "type = "))),
                "INDEX" => panic!("lists that go on are not in the data set"),
                "METHOD" | "ONEMETHOD" | "NESTTYPE" => continue,
                other => panic!("member {other}"),
            });
        }
        fields
    }

    fn constants(&self, list: u32) -> Vec<(String, i128)> {
        let lines = self.records[&list].lines.iter();
        lines
            .filter_map(|line| line.trim().strip_prefix("- LF_ENUMERATE [")?.strip_suffix(']')?.rsplit_once(" = "))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }
}

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
