//! Every address of every procedure, against the crate `pdb-addr2line`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{collections::BTreeMap, io::Cursor};

use common::{PDBS, bytes, data, open};
use dumplens_symbols::{Location, SymbolKind};
use pdb_addr2line::{ContextPdbData, pdb::PDB};

/// A frame as both can say it: file and line.
type Source = (Option<String>, Option<u32>);

fn ours(found: &Location) -> Vec<Source> {
    let text = |file: &Option<std::rc::Rc<str>>| file.as_deref().map(str::to_owned);
    let inlines = found.inlines.iter().map(|inline| (text(&inline.file), inline.line));
    inlines.chain([(text(&found.file), found.line)]).collect()
}

/// The peer does not find the functions of an image that was rearranged after linking at the addresses they have now.
/// What is found there is held against the `.sym` file beside it instead.
const REARRANGED: &str = "pe-pdb/breakpad/omap_reorder_bbs.pdb";

/// Addresses in functions that the linker folded into one because their code is the same. The peer names the first of
/// them, as we do, and gives the lines of the last; here the lines are those of the function that is named.
const FOLDED: [(&str, u32); 4] = [
    ("pe-pdb/driver_x64/systeminformer.pdb", 347),
    ("pe-pdb/seh/ARM64/xcpt4.pdb", 100),
    ("pe-pdb/seh/x64/xcpt4.pdb", 52),
    ("pe-pdb/win64-ci/softokn3.pdb", 228),
];

#[test]
fn all_addresses_of_all_procedures_have_the_frames_of_pdb_addr2line() {
    let Some(folder) = data() else { return };
    let mut wrong = Vec::new();
    println!(
        "{:60} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "PDB", "addresses", "inlined", "names", "frames", "no line", "other"
    );
    for name in PDBS.into_iter().filter(|name| *name != REARRANGED) {
        let path = folder.join(name);
        let pdb = open(&path);
        let theirs = ContextPdbData::try_from_pdb(PDB::open(Cursor::new(bytes(&path))).unwrap()).unwrap();
        let theirs = theirs.make_context().unwrap();
        let procedures: BTreeMap<u32, u32> = pdb
            .procedures()
            .map(Result::unwrap)
            .filter(|found| found.kind == SymbolKind::Procedure)
            .filter_map(|found| Some((found.rva?, found.length)))
            .collect();
        let (mut all, mut inlined, mut names, mut frames, mut unmarked) = (0, 0, 0, 0, 0);
        let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
        for (start, length) in procedures {
            for rva in start..start + length {
                let found = pdb.lookup(rva).unwrap();
                let peer = theirs.find_frames(rva).unwrap();
                all += 1;
                let (Some(found), Some(peer)) = (&found, &peer) else {
                    *reasons.entry(format!("only one: {} {}", found.is_some(), peer.is_some())).or_default() += 1;
                    continue;
                };
                inlined += u32::from(!found.inlines.is_empty());
                let their: Vec<Source> =
                    peer.frames.iter().map(|frame| (frame.file.as_deref().map(str::to_owned), frame.line)).collect();
                let named = peer.frames.last().and_then(|frame| frame.function.clone()).unwrap_or_default();
                let same = named.contains(&*found.function) || named == *found.raw_name;
                names += u32::from(same);
                if !same {
                    let reason = format!("name {:?} {:?} {named:?}", found.function, found.raw_name);
                    *reasons.entry(reason).or_default() += 1;
                }
                let our = ours(found);
                let same = our == their;
                // The peer lets the line before reach over code that the compiler marked as coming from no line, at the
                // beginning of a function even that of another function; or gives the line 0.
                let pairs = our.iter().zip(&their);
                let marked = our.len() == their.len()
                    && pairs.clone().any(|(our, _)| our.1.is_none())
                    && pairs.clone().all(|(our, their)| our.1.is_none() || our == their);
                frames += u32::from(same);
                unmarked += u32::from(!same && marked);
                if !same && !marked {
                    let reason = format!("{} frames {our:?} {their:?}", found.function);
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
        let other = all - frames - unmarked;
        println!("{name:60} {all:>9} {inlined:>9} {names:>9} {frames:>9} {unmarked:>9} {other:>9}");
        let folded = FOLDED.iter().find(|(pdb, _)| *pdb == name).map_or(0, |(_, count)| *count);
        if names != all || other != folded {
            wrong.extend(reasons.into_iter().take(8).map(|(reason, count)| format!("{name}: {count} {reason}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
