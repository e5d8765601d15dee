//! Every public symbol, procedure and line of every PDB in the data set, against `llvm-pdbutil`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{PDBS, data, open, pdbutil};
use dumplens_symbols::{PdbFile, SymbolKind};

/// How often each thing occurs.
type Bag<T> = BTreeMap<T, i64>;

fn bag<T: Ord>(items: impl IntoIterator<Item = T>) -> Bag<T> {
    let mut bag = Bag::new();
    for item in items {
        *bag.entry(item).or_default() += 1;
    }
    bag
}

/// What only one of the two has.
fn difference<T: Ord + Clone + std::fmt::Debug>(ours: &Bag<T>, theirs: &Bag<T>) -> Vec<String> {
    let mut all: Bag<T> = ours.clone();
    for (item, count) in theirs {
        *all.entry(item.clone()).or_default() -= count;
    }
    all.into_iter().filter(|(_, count)| *count != 0).map(|(item, count)| format!("{count:+} {item:?}")).collect()
}

/// `0001:0288`, with a decimal offset.
fn place(text: &str) -> (u16, u32) {
    let (section, offset) = text.split_once(':').unwrap();
    (section.parse().unwrap(), offset.parse().unwrap())
}

/// The name between the first back-tick and the last.
fn quoted(line: &str) -> &str {
    let start = line.find('`').unwrap() + 1;
    &line[start..line.rfind('`').unwrap()]
}

fn publics(text: &str) -> Bag<(String, u16, u32)> {
    let mut found = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if line.contains("| S_PUB32") {
            name = Some(quoted(line).to_owned());
        } else if let (Some(_), Some(at)) = (&name, line.find("addr = ")) {
            let (section, offset) = place(line[at + 7..].trim());
            found.push((name.take().unwrap(), section, offset));
        }
    }
    bag(found)
}

fn procedures(text: &str) -> Bag<(String, u16, u32, u32)> {
    let mut found = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if ["| S_GPROC32", "| S_LPROC32"].iter().any(|kind| line.contains(kind)) {
            name = Some(quoted(line).to_owned());
        } else if let (Some(_), Some(at)) = (&name, line.find("addr = ")) {
            let (address, size) = line[at + 7..].split_once(", code size = ").unwrap();
            let (section, offset) = place(address);
            found.push((name.take().unwrap(), section, offset, size.trim().parse().unwrap()));
        }
    }
    bag(found)
}

/// Module, file, section, offset, line.
fn lines(text: &str) -> Bag<(u32, String, u16, u32, Option<u32>)> {
    let mut found = Vec::new();
    let (mut module, mut file, mut section) = (0, String::new(), 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Mod ") {
            module = rest[..4].trim().parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("  ").filter(|rest| rest.contains("line/addr entries")) {
            section = u16::from_str_radix(&rest[..4], 16).unwrap();
        } else if line.starts_with(NO_FILE) {
            file = NO_FILE.to_owned();
        } else if !line.starts_with(' ') && (line.ends_with(')') && line.contains(" (")) {
            file = line[..line.rfind(" (").unwrap()].to_owned();
        } else if line.starts_with(' ') && section != 0 {
            // An exclamation mark stands behind what is no statement.
            let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "!").collect();
            for pair in words.chunks(2) {
                let [number, offset] = pair else { continue };
                let offset = u32::from_str_radix(offset, 16).unwrap();
                // 0, 0xfeefee and 0xf00f00 stand for code that comes from no line.
                let number = number.parse().ok().filter(|number| ![0, 16_707_566, 15_732_480].contains(number));
                found.push((module, file.clone(), section, offset, number));
            }
        }
    }
    bag(found)
}

fn our_lines(pdb: &PdbFile) -> Bag<(u32, String, u16, u32, Option<u32>)> {
    let mut found = Vec::new();
    let mut module = 0;
    while pdb.module_name(module).unwrap().is_some() {
        for line in pdb.lines(module).unwrap() {
            let file = line.file.as_deref().unwrap_or_default().to_owned();
            found.push((module, file, line.place.section, line.place.offset, line.line));
        }
        module += 1;
    }
    bag(found)
}

/// Lines that `llvm-pdbutil` gives wrongly, by PDB. These modules have no stream, so they have no lines: it repeats those
/// of the module before, and knows no file for them.
const WRONG_LINES: [(&str, i64); 2] = [("pe-pdb/win64-ci/WriteArgument.pdb", 16), ("pe-pdb/win64-ci/softokn3.pdb", 48)];

/// What `llvm-pdbutil` calls a file that is not listed in the module.
const NO_FILE: &str = "(unknown file name";

#[test]
fn all_publics_procedures_and_lines_are_those_of_llvm_pdbutil() {
    let Some(folder) = data() else { return };
    println!("{:60} {:>9} {:>11} {:>9}", "PDB", "publics", "procedures", "lines");
    let mut wrong = Vec::new();
    for name in PDBS {
        let path = folder.join(name);
        let pdb = open(&path);
        let Some(text) = pdbutil(&path, &["-publics"]) else { return };
        let theirs = publics(&text);
        let ours = pdb.public_symbols().unwrap().map(Result::unwrap);
        let ours = bag(ours.map(|public| (public.name, public.place.section, public.place.offset)));
        let mut differ = difference(&ours, &theirs);
        let counts = [ours.values().sum::<i64>()];

        let theirs = procedures(&pdbutil(&path, &["-symbols"]).unwrap());
        let ours = pdb.procedures().map(Result::unwrap).filter(|found| found.kind == SymbolKind::Procedure);
        let ours = bag(ours.map(|found| (found.name, found.place.section, found.place.offset, found.length)));
        differ.extend(difference(&ours, &theirs));
        let counts = [counts[0], ours.values().sum::<i64>()];

        let mut theirs = lines(&pdbutil(&path, &["-l"]).unwrap());
        let mut repeated = 0;
        theirs.retain(|(_, file, ..), count| {
            repeated += if file == NO_FILE { *count } else { 0 };
            file != NO_FILE
        });
        let expected = WRONG_LINES.iter().find(|(pdb, _)| *pdb == name).map_or(0, |(_, count)| *count);
        if repeated != expected {
            wrong.push(format!("{name}: {repeated} lines without a file, {expected} are known"));
        }
        let ours = our_lines(&pdb);
        differ.extend(difference(&ours, &theirs));
        println!("{name:60} {:>9} {:>11} {:>9}", counts[0], counts[1], ours.values().sum::<i64>());
        if !differ.is_empty() {
            wrong.push(format!("{name}: {} differ, such as {:#?}", differ.len(), &differ[..differ.len().min(6)]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
