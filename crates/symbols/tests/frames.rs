//! Every record of x86 frames in the PDBs of the data set: against `llvm-pdbutil`, and against the `STACK WIN` records of
//! the `.sym` files beside some of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{PDBS, bytes, data, open, pdbutil};
use dumplens_base::frame::{CountedFrame, FrameAt, FrameData, FrameRule};
use dumplens_symbols::{PdbFile, SymbolErrorKind};
use dumplens_testkit::pdb::writer;
use proptest::prelude::*;

fn program(record: &FrameData) -> &str {
    match &record.rule {
        FrameRule::Program { text, .. } => text.trim(),
        FrameRule::Counts { .. } => "",
    }
}

/// A line of `llvm-pdbutil dump -fpo`, made of a record.
fn line(record: &FrameData) -> String {
    let FrameData { start, size, locals, arguments, saved, prologue, rule } = record;
    match rule {
        FrameRule::Program { text, seh, eh, function_start } => {
            format!("{start:08X}|{size}|{locals}|{arguments}|0|{prologue}|{saved}|{seh}|{eh}|{function_start}|{text}")
        }
        FrameRule::Counts { kind, .. } => {
            let kind = match kind {
                CountedFrame::NoPointer => "FPO",
                CountedFrame::Trap => "Trap",
                CountedFrame::Task => "TSS",
                CountedFrame::Pointer => "Non-FPO",
            };
            let (locals, arguments, saved) = (locals / 4, arguments / 4, saved / 4);
            // It takes both flags from the bits that hold the number of registers; the `.sym` files tell ours apart.
            let (uses_ebp, seh) = (saved >> 2 & 1 != 0, saved >> 1 & 1 != 0);
            format!("{start:08X}|{size}|{locals}|{arguments}|{prologue}|{saved}|{uses_ebp}|{seh}|{kind}")
        }
    }
}

#[test]
fn all_records_are_those_of_llvm_pdbutil() {
    let Some(folder) = data() else { return };
    let mut counted = Vec::new();
    for name in PDBS {
        let path = folder.join(name);
        let Some(text) = pdbutil(&path, &["-fpo"]) else { return };
        let rows = text.lines().filter(|line| line.get(..8).is_some_and(|rva| u32::from_str_radix(rva, 16).is_ok()));
        // Columns are padded; the program, which comes last, may end in a space of its own.
        let row = |row: &str| row.split('|').map(str::trim).collect::<Vec<_>>().join("|");
        let mut theirs: Vec<String> = rows.map(row).collect();
        let pdb = open(&path);
        let ours = pdb.frame_records().unwrap().map(|record| line(&record.unwrap()).trim().to_owned());
        let mut ours: Vec<String> = ours.collect();
        theirs.sort();
        ours.sort();
        let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).take(4).collect();
        assert!(differ.is_empty() && ours.len() == theirs.len(), "{name}: {differ:?}");
        if !ours.is_empty() {
            counted.push((name.rsplit('/').next().unwrap(), ours.len()));
        }
    }
    println!("{counted:?}");
    let total: usize = counted.iter().map(|(_, count)| count).sum();
    assert_eq!(counted.len(), 6, "{counted:?}");
    assert_eq!(total, 8964);
}

/// A `STACK WIN` record.
struct Win<'a> {
    kind: u32,
    /// RVA, length, prologue, epilogue, arguments, saved registers, locals, and the largest stack.
    numbers: [u32; 8],
    rest: &'a str,
}

fn win(line: &str) -> Option<Win<'_>> {
    let mut words = line.strip_prefix("STACK WIN ")?.splitn(11, ' ');
    let mut number = || u32::from_str_radix(words.next().unwrap(), 16).unwrap();
    let kind = number();
    let numbers = std::array::from_fn(|_| number());
    let _has_program = number();
    Some(Win { kind, numbers, rest: words.next().unwrap().trim() })
}

/// All `STACK WIN` records, and those that stand for a part of a range of the PDB.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    programs: u32,
    counts: u32,
    parts: u32,
    /// Those in which a narrower one begins at the same place.
    around: u32,
    /// `__finally` blocks and the like, which have a record of each kind: the program counts.
    both: u32,
}

#[test]
fn all_stack_win_records_are_found_where_they_are() {
    let Some(folder) = data() else { return };
    for (name, expected) in [
        ("dump_syms_regtest", Figures { programs: 252, counts: 14, parts: 0, around: 0, both: 15 }),
        ("omap_reorder_bbs", Figures { programs: 1070, counts: 14, parts: 989, around: 1407, both: 15 }),
    ] {
        let pdb = open(&folder.join(format!("pe-pdb/breakpad/{name}.pdb")));
        let sym = String::from_utf8(bytes(&folder.join(format!("pe-pdb/breakpad/{name}.sym")))).unwrap();
        let listed: Vec<FrameData> = pdb.frame_records().unwrap().map(Result::unwrap).collect();
        let mut figures = Figures::default();
        let records: Vec<Win<'_>> = sym.lines().filter_map(win).collect();
        for record in &records {
            let [rva, size, prologue, _, arguments, saved, locals, _] = record.numbers;
            let found = pdb.frame(rva).unwrap().unwrap();
            let FrameAt { data, offset, .. } = found;
            match &data.rule {
                FrameRule::Program { .. } if record.kind == 4 => {
                    let agrees = |record: &Win<'_>| {
                        let [start, size, prologue, _, arguments, saved, locals, _] = record.numbers;
                        // Of a function in pieces, each piece has what is left of the prologue.
                        let left = data.prologue.saturating_sub((offset + start).saturating_sub(rva));
                        (start..start + size).contains(&rva)
                            && (locals, arguments, saved, prologue) == (data.locals, data.arguments, data.saved, left)
                            && program(&data) == record.rest
                    };
                    if agrees(record) {
                        figures.programs += 1;
                        figures.parts += u32::from(data.size != size);
                    } else {
                        // Where the image was cut, records around each other may begin at one place.
                        figures.around += 1;
                        assert!(records.iter().any(agrees), "{name}: {rva:x}: {data:?}");
                        let same = |other: &FrameData| {
                            (other.locals, other.arguments, other.saved) == (locals, arguments, saved)
                                && program(other) == record.rest
                        };
                        assert!(listed.iter().any(same), "{name}: {rva:x}");
                    }
                }
                FrameRule::Counts { uses_ebp, .. } if record.kind == 0 => {
                    figures.counts += 1;
                    let ours =
                        (data.locals, data.arguments, data.saved, data.prologue, u32::from(*uses_ebp).to_string());
                    assert_eq!(ours, (locals, arguments, saved, prologue, record.rest.into()), "{name}: {rva:x}");
                }
                FrameRule::Program { text, .. } => {
                    figures.both += 1;
                    assert!(text.contains(".raSearchStart"), "{name}: {rva:x}: {text}");
                    let same =
                        |other: &FrameData| matches!(other.rule, FrameRule::Counts { .. }) && other.start == data.start;
                    assert_eq!(listed.iter().filter(|other| same(other)).count(), 1, "{name}: {rva:x}");
                }
                rule => panic!("{name}: {rva:x} {size:x}: {rule:?}"),
            }
        }
        assert_eq!(figures, expected, "{name}");
    }
}

fn sample() -> PdbFile {
    PdbFile::open(Rc::new(writer::sample()), 0).unwrap()
}

#[test]
fn the_narrowest_record_counts_in_whatever_order_they_stand() {
    let pdb = sample();
    let at = |rva: u32| pdb.frame(rva).unwrap().map(|found| (found.data.start, found.offset, found.contiguous));
    assert_eq!(at(0xfff), None);
    for (rva, start) in [(0x1000, 0x1000), (0x100f, 0x1000), (0x1010, 0x1010), (0x102f, 0x1010), (0x1030, 0x1000)] {
        assert_eq!(at(rva), Some((start, rva - start, true)), "{rva:x}");
    }
    assert_eq!(at(0x105f), Some((0x1040, 0x1f, true)));
    // Where both kinds tell of an address, the program counts.
    assert_eq!((at(0x1060), at(0x108f), at(0x1090)), (Some((0x1030, 0x30, true)), Some((0x1030, 0x5f, true)), None));

    let outer = pdb.frame(0x1000).unwrap().unwrap().data;
    let rule = FrameRule::Program { text: writer::PROGRAM.into(), seh: true, eh: false, function_start: true };
    let expected = FrameData { start: 0x1000, size: 0x40, locals: 24, arguments: 8, saved: 0, prologue: 6, rule };
    assert_eq!(outer, expected);
    let counted = pdb.frame(0x1080).unwrap().unwrap().data;
    let rule = FrameRule::Counts { kind: CountedFrame::Pointer, uses_ebp: true, seh: true };
    let expected = FrameData { start: 0x1030, size: 0x60, locals: 20, arguments: 8, saved: 8, prologue: 3, rule };
    assert_eq!(counted, expected);
    assert_eq!(pdb.frame_records().unwrap().count(), 4);
}

#[test]
fn a_program_outside_the_names_is_an_error_of_its_own_record() {
    let mut file = writer::sample();
    let record = [0x1010_u32, 0x20].map(u32::to_le_bytes).concat();
    let at = file.windows(8).position(|bytes| bytes == record).unwrap();
    file[at + 20..][..4].copy_from_slice(&0x00ff_0000_u32.to_le_bytes());
    let pdb = PdbFile::open(Rc::new(file), 0).unwrap();
    let error = pdb.frame(0x1010).unwrap_err();
    assert!(matches!(error.kind, SymbolErrorKind::Read(_)), "{error}");
    assert!(pdb.frame(0x1000).unwrap().is_some());
}

proptest! {
    #[test]
    fn damaged_frames_are_an_error_or_an_answer(
        at in any::<prop::sample::Index>(), bytes in any::<[u8; 4]>(), rva in 0xff0_u32..0x10a0
    ) {
        let mut file = writer::sample();
        let place = at.index(file.len() - 4);
        file[place..][..4].copy_from_slice(&bytes);
        let Ok(pdb) = PdbFile::open(Rc::new(file), 0) else { return Ok(()) };
        match pdb.frame(rva) {
            Ok(Some(found)) => prop_assert!(found.offset < found.data.size),
            Ok(None) => {}
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
        if let Ok(records) = pdb.frame_records() {
            prop_assert!(records.count() < 10_000);
        }
    }
}
