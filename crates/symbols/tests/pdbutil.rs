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
        } else if !line.starts_with(' ') && (line.ends_with(')') && line.contains(" (")) {
            file = line[..line.rfind(" (").unwrap()].to_owned();
        } else if line.starts_with(' ') && section != 0 {
            let words: Vec<&str> = line.split_whitespace().collect();
            for pair in words.chunks(2) {
                let [number, offset] = pair else { continue };
                let offset = u32::from_str_radix(offset, 16).unwrap();
                let number = number.trim_end_matches('!');
                found.push((module, file.clone(), section, offset, number.parse().ok()));
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

        let theirs = lines(&pdbutil(&path, &["-l"]).unwrap());
        let ours = our_lines(&pdb);
        differ.extend(difference(&ours, &theirs));
        println!("{name:60} {:>9} {:>11} {:>9}", counts[0], counts[1], ours.values().sum::<i64>());
        if !differ.is_empty() {
            wrong.push(format!("{name}: {} differ, such as {:#?}", differ.len(), &differ[..differ.len().min(6)]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
