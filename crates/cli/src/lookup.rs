//! Addresses of an image, named by its PDB or its exports.

use std::{
    io::{self, BufRead as _, Write},
    path::Path,
    rc::Rc,
};

use dumplens_base::{BlockCache, ByteSource as _, Source};
use dumplens_image::{ExportIndex, Image};
use dumplens_report::{Hex, text::clean};
use dumplens_symbols::{Location, PdbFile, Style, SymbolError, demangle};
use serde::Serialize;

use crate::{args::Rvas, commands::Outcome, source::FileSource};

/// One line of the answer in JSON.
#[derive(Default, Serialize)]
struct Row<'a> {
    rva: Hex,
    function: Option<&'a str>,
    function_offset: Option<Hex>,
    file: Option<&'a str>,
    line: Option<u32>,
    inlines: Vec<Inline<'a>>,
    raw_name: Option<&'a str>,
    kind: Option<&'a str>,
}

#[derive(Serialize)]
struct Inline<'a> {
    function: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
}

/// What names addresses.
enum Symbols {
    Pdb(Box<PdbFile>),
    Exports(ExportIndex),
}

impl Symbols {
    fn open(path: &Path) -> Result<Self, String> {
        let file = FileSource::open(path).map_err(|error| format!("cannot open the file: {error}"))?;
        let mut magic = [0; 2];
        let is_image = file.len() >= 2 && file.read_at(0, &mut magic).is_ok() && magic == *b"MZ";
        if is_image {
            let source: Source = Rc::new(BlockCache::for_files(file));
            let index = Image::file(source).and_then(|image| image.export_index());
            return index.map(Self::Exports).map_err(|error| error.to_string());
        }
        // It has a cache of its own.
        let pdb = PdbFile::open(Rc::new(file), PdbFile::DEFAULT_BUDGET).map_err(|error| error.to_string())?;
        Ok(Self::Pdb(Box::new(pdb)))
    }
}

/// Names addresses.
///
/// # Errors
/// Only if the answer cannot be written.
pub(crate) fn lookup(out: &mut impl Write, json: bool, path: &Path, rvas: &[Rvas]) -> io::Result<Outcome> {
    let explain = |reason: &dyn std::fmt::Display| eprintln!("dumplens: {}: {reason}", path.display());
    let symbols = match Symbols::open(path) {
        Ok(symbols) => symbols,
        Err(reason) => {
            explain(&reason);
            return Ok(Outcome::Unreadable);
        }
    };
    let module = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut worst = Outcome::Complete;
    let mut one = |rva: Hex, out: &mut dyn Write| -> io::Result<()> {
        let found = match answer(out, json, &module, &symbols, rva)? {
            Ok(found) => found,
            Err(error) => {
                explain(&error);
                false
            }
        };
        if !found {
            worst = worst.max(Outcome::Partial);
        }
        Ok(())
    };
    let mut wrong = false;
    for rvas in rvas {
        match rvas {
            Rvas::One(rva) => one(*rva, out)?,
            Rvas::Input => {
                for line in io::stdin().lock().lines() {
                    let line = match line {
                        Ok(line) => line,
                        Err(error) => {
                            eprintln!("dumplens: standard input cannot be read: {error}");
                            wrong = true;
                            break;
                        }
                    };
                    match Hex::parse(&line) {
                        Some(rva) => one(rva, out)?,
                        None if line.trim().is_empty() => {}
                        None => {
                            eprintln!("dumplens: {} on standard input is no hexadecimal address", clean(&line));
                            wrong = true;
                        }
                    }
                }
            }
        }
    }
    Ok(if wrong { Outcome::Unreadable } else { worst })
}

/// Prints what stands at `rva`, and says whether anything does.
fn answer(
    out: &mut dyn Write,
    json: bool,
    module: &str,
    symbols: &Symbols,
    rva: Hex,
) -> io::Result<Result<bool, SymbolError>> {
    let short = u32::try_from(rva.0).ok();
    let mut write = |row: &Row<'_>| match json {
        true => writeln!(out, "{}", serde_json::to_string(row).map_err(io::Error::other)?),
        false => print(out, module, row),
    };
    let nothing = Row { rva, ..Row::default() };
    match symbols {
        Symbols::Pdb(pdb) => match short.map_or(Ok(None), |rva| pdb.lookup(rva)) {
            Ok(Some(location)) => write(&of_pdb(rva, &location)).map(|()| Ok(true)),
            Ok(None) => write(&nothing).map(|()| Ok(false)),
            Err(error) => write(&nothing).map(|()| Err(error)),
        },
        Symbols::Exports(index) => {
            let Some((export, offset)) = short.and_then(|rva| index.nearest(rva)) else {
                return write(&nothing).map(|()| Ok(false));
            };
            let name = export.name.clone().unwrap_or_else(|| format!("#{}", export.ordinal));
            let readable = demangle(&name, Style::Name).unwrap_or_else(|| name.clone());
            let row = Row {
                function: Some(&readable),
                function_offset: Some(offset.into()),
                raw_name: Some(&name),
                kind: Some("export"),
                ..nothing
            };
            write(&row).map(|()| Ok(true))
        }
    }
}

fn of_pdb(rva: Hex, location: &Location) -> Row<'_> {
    let inlines = location.inlines.iter().map(|inline| Inline {
        function: &inline.function,
        file: inline.file.as_deref(),
        line: inline.line,
    });
    Row {
        rva,
        function: Some(&location.function),
        function_offset: Some(location.function_offset.into()),
        file: location.file.as_deref(),
        line: location.line,
        inlines: inlines.collect(),
        raw_name: Some(&location.raw_name),
        kind: Some(location.kind.name()),
    }
}

/// One line a frame, innermost first, as debuggers list a stack.
fn print(out: &mut dyn Write, module: &str, row: &Row<'_>) -> io::Result<()> {
    let source = |file: Option<&str>, line: Option<u32>| match (file, line) {
        (Some(file), Some(line)) => format!("  {}:{line}", clean(file)),
        (Some(file), None) => format!("  {}", clean(file)),
        (None, Some(line)) => format!("  line {line}"),
        (None, None) => String::new(),
    };
    let rva = row.rva.to_string();
    let Some(function) = row.function else { return writeln!(out, "{rva:10}  no symbol") };
    for inline in &row.inlines {
        let name = if inline.function.is_empty() { "(no name)" } else { inline.function };
        writeln!(out, "{rva:10}  {}!{}  (inlined){}", clean(module), clean(name), source(inline.file, inline.line))?;
    }
    let offset = row.function_offset.filter(|offset| offset.0 != 0).map(|offset| format!("+{offset}"));
    let (offset, kind) = (offset.unwrap_or_default(), row.kind.unwrap_or_default());
    writeln!(out, "{rva:10}  {}!{}{offset}  ({kind}){}", clean(module), clean(function), source(row.file, row.line))
}
