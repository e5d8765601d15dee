//! Types of a PDB: layouts of structures, and constants of enumerations.

use std::{
    io::{self, Write},
    path::Path,
    rc::Rc,
};

use dumplens_base::{
    Memory, Va,
    types::{Enumeration, Field, FieldRole, Layout, TypeRef, Types as _},
};
use dumplens_report::{Hex, text::clean};
use dumplens_symbols::{
    PdbFile, SymbolError,
    types::{
        Found, ListEnd, PrintError, Printer, Reader, TypeKind, TypeTable, list as follow, print_values, type_text,
    },
};
use serde::Serialize;

use crate::{
    args::{TypesArgs, Unpacking},
    commands::{Outcome, render},
    memory,
    source::FileSource,
};

/// Most types that one pattern lists.
const MOST: usize = 100_000;
/// Most structures within structures in JSON.
const DEEPEST: u32 = 16;
/// Elements of an array whose values are shown.
const ELEMENTS: u64 = 8;
/// Most entries of a list that are followed.
const ENTRIES: usize = 10_000;

/// A type in JSON.
#[derive(Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<FieldRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constants: Option<Vec<ConstantRow>>,
}

#[derive(Serialize)]
struct FieldRow {
    name: String,
    /// From the start of the structure that it is a member of; nothing for what is elsewhere.
    offset: Option<Hex>,
    #[serde(rename = "type")]
    of: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<Row>,
}

#[derive(Serialize)]
struct ConstantRow {
    name: String,
    /// In decimal, as text: it may have more bits than JSON's readers keep.
    value: String,
}

fn open(path: &Path) -> Result<(PdbFile, TypeTable), String> {
    let file = FileSource::open(path).map_err(|error| format!("cannot open the file: {error}"))?;
    let pdb = PdbFile::open(Rc::new(file), PdbFile::DEFAULT_BUDGET).map_err(|error| error.to_string())?;
    let table = TypeTable::open(&pdb, TypeTable::DEFAULT_BUDGET).map_err(|error| error.to_string())?;
    let table =
        table.ok_or("the PDB has no types; public PDBs of most drivers and applications are stripped of them")?;
    Ok((pdb, table))
}

/// Prints layouts, or lists the types whose names match a pattern.
///
/// # Errors
/// Only if the answer cannot be written.
pub(crate) fn types(out: &mut impl Write, args: &TypesArgs, unpacking: &Unpacking) -> io::Result<Outcome> {
    let explain = |reason: &dyn std::fmt::Display| eprintln!("dumplens: {}: {reason}", args.file.display());
    let (pdb, table) = match open(&args.file) {
        Ok(both) => both,
        Err(reason) => {
            explain(&reason);
            return Ok(Outcome::Unreadable);
        }
    };
    let place = match (&args.dump, args.address) {
        (Some(dump), Some(address)) => match memory_of(dump, args, unpacking) {
            Ok(memory) => Some((memory, Va(address.0))),
            Err(outcome) => return Ok(outcome),
        },
        _ => None,
    };
    let mut worst = Outcome::Complete;
    let mut first = true;
    for name in &args.names {
        let answer = match (&place, name.contains(['*', '?']) && !name.starts_with('?')) {
            (_, true) => list(&table, name, args.json),
            (Some((memory, at)), false) => values((&pdb, &table), name, &**memory, *at, args).map(|answer| {
                answer.map(|(text, whole)| {
                    worst = worst.max(if whole { Outcome::Complete } else { Outcome::Partial });
                    text
                })
            }),
            (None, false) => one((&pdb, &table), name, args, &mut first),
        };
        match answer {
            Ok(Some(text)) => out.write_all(text.as_bytes())?,
            Ok(None) => {
                explain(&format_args!("no type has the name {}; * and ? stand for parts of names", clean(name)));
                worst = worst.max(Outcome::Partial);
            }
            Err(error) => {
                explain(&error);
                worst = worst.max(Outcome::Partial);
            }
        }
    }
    Ok(worst)
}

/// The memory of a dump, or the outcome if it has none.
fn memory_of(dump: &Path, args: &TypesArgs, unpacking: &Unpacking) -> Result<Rc<dyn Memory>, Outcome> {
    let (session, space) = memory::open_in(&args.space, dump, unpacking)?;
    session.memory(space).map_err(|failure| {
        eprintln!("dumplens: {}: {failure}", dump.display());
        Outcome::Unreadable
    })
}

/// The values of a structure, or of those in a list, and whether the dump has all of them.
fn values(
    (pdb, table): (&PdbFile, &TypeTable),
    name: &str,
    memory: &dyn Memory,
    at: Va,
    args: &TypesArgs,
) -> Result<Option<(String, bool)>, SymbolError> {
    let Some(found) = table.find_any(pdb, name)? else { return Ok(None) };
    let Some(layout) = table.layout(&found.named)? else { return Ok(None) };
    let (mut text, mut whole) = (String::new(), true);
    let mut entries = vec![at];
    if let Some(member) = &args.list {
        let Some(link) = layout.fields.iter().find(|field| field.name == *member && field.role == FieldRole::Member)
        else {
            return Ok(Some((format!("{} has no member {}\n", clean(name), clean(member)), false)));
        };
        let walk = follow(memory, at, u8::try_from(table.pointer_size()).unwrap_or(8), ENTRIES);
        entries = walk.entries.iter().map(|entry| Va(entry.0.wrapping_sub(link.offset))).collect();
        whole = walk.end == ListEnd::Head;
        let end = match walk.end {
            ListEnd::Head => "back at its head".into(),
            ListEnd::Null => "at a null pointer: the list is damaged, or the address is no head".into(),
            ListEnd::Loop => "at an entry met before: the list is damaged, or the address is no head".into(),
            ListEnd::Limit => format!("after {ENTRIES} entries; there are more"),
            ListEnd::Absent(fault) => format!("where the dump does: {fault}"),
        };
        text = format!("{} entries; the list ends {end}\n", entries.len());
    }
    for at in entries {
        let values = Reader::new(table, memory, args.depth, ELEMENTS).read(at, &layout)?;
        whole &= values.iter().all(|its| its.value.is_ok());
        text += &clean_lines(&render(|out| print_values(out, &layout, at, &values)));
    }
    Ok(Some((text, whole)))
}

/// Text whose lines the printer made, without what turns its direction.
fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line).to_string() + "\n").collect()
}

fn list(table: &TypeTable, pattern: &str, json: bool) -> Result<Option<String>, SymbolError> {
    let found = table.list(pattern, MOST)?;
    let mut text = String::new();
    for found in &found {
        let Found { named, kind, size } = found;
        if json {
            text += &serde_json::to_string(&row(&named.name, kind.name(), *size)).unwrap_or_default();
        } else {
            let kind = kind.name();
            text += &format!("{size:#8x}  {kind:9}  {}", clean(&named.name));
        }
        text.push('\n');
    }
    if found.len() == MOST {
        eprintln!("dumplens: only the first {MOST} types are listed");
    }
    Ok((!found.is_empty()).then_some(text))
}

fn one(
    (pdb, table): (&PdbFile, &TypeTable),
    name: &str,
    args: &TypesArgs,
    first: &mut bool,
) -> Result<Option<String>, SymbolError> {
    let Some(found) = table.find_any(pdb, name)? else { return Ok(None) };
    let printer = Printer::new(table, args.depth);
    let mut text = if *first || args.json { String::new() } else { "\n".into() };
    *first = false;
    // Printing to text fails only where a structure within cannot be read.
    let mut failed = None;
    match found.kind {
        TypeKind::Layout(_) => {
            let Some(layout) = table.layout(&found.named)? else { return Ok(None) };
            if args.json {
                let mut left = MOST;
                text += &serde_json::to_string(&layout_row(table, &layout, args.depth.min(DEEPEST), &mut left)?)
                    .unwrap_or_default();
                text.push('\n');
            } else {
                text += &render(|out| {
                    failed = printer.layout(out, &layout).err();
                    Ok(())
                });
            }
        }
        TypeKind::Enumeration => {
            let Some(enumeration) = table.enumeration(&found.named)? else { return Ok(None) };
            if args.json {
                text += &serde_json::to_string(&enumeration_row(&enumeration)).unwrap_or_default();
                text.push('\n');
            } else {
                text += &render(|out| {
                    failed = printer.enumeration(out, &enumeration).err();
                    Ok(())
                });
            }
        }
    }
    if let Some(PrintError::Types(error)) = failed {
        return Err(error);
    }
    Ok(Some(clean_lines(&text)))
}

fn row(name: &str, kind: &'static str, size: u64) -> Row {
    Row { name: name.into(), kind, size, fields: None, constants: None }
}

fn enumeration_row(of: &Enumeration) -> Row {
    let constants = of.constants.iter();
    let constants =
        constants.map(|constant| ConstantRow { name: constant.name.clone(), value: constant.value.to_string() });
    Row { constants: Some(constants.collect()), ..row(&of.name, "enum", of.size) }
}

fn layout_row(table: &TypeTable, layout: &Layout, depth: u32, left: &mut usize) -> Result<Row, SymbolError> {
    let mut fields = Vec::new();
    for field in &layout.fields {
        let Some(less) = left.checked_sub(1) else { break };
        *left = less;
        fields.push(field_row(table, field, depth, left)?);
    }
    Ok(Row { fields: Some(fields), ..row(&layout.name, layout.kind.name(), layout.size) })
}

fn field_row(table: &TypeTable, field: &Field, depth: u32, left: &mut usize) -> Result<FieldRow, SymbolError> {
    let (role, here) = match field.role {
        FieldRole::Member => ("member", true),
        FieldRole::Base => ("base", true),
        FieldRole::Vtable => ("vtable", true),
        FieldRole::VirtualBase { .. } => ("virtual base", false),
        FieldRole::Static => ("static", false),
    };
    let within = match (&field.of, depth.checked_sub(1)) {
        (TypeRef::Struct(named) | TypeRef::Union(named), Some(depth)) if here => match table.layout(named)? {
            Some(layout) => Some(layout_row(table, &layout, depth, left)?),
            None => None,
        },
        _ => None,
    };
    let offset = here.then_some(field.offset.into());
    Ok(FieldRow { name: field.name.clone(), offset, of: type_text(&field.of), role, within })
}
