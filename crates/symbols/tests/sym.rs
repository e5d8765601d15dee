//! Every FUNC, line and PUBLIC record of the `.sym` files beside some PDBs, against lookups.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;

use common::{data, open};

/// Records that agree, and all records.
#[derive(Default, Debug, PartialEq)]
struct Figures {
    functions: [u32; 2],
    lines: [u32; 2],
    publics: [u32; 2],
    /// Functions whose name lacks its first underscore in the `.sym` file. Its writer took one off every name on x64,
    /// where the linker puts none.
    underscores: u32,
    /// Lines without code.
    empty_lines: u32,
}

/// Whether a name of the `.sym` file, which may have parameters and a result, is that of a lookup.
fn same_name(theirs: &str, ours: &str) -> bool {
    theirs.split('(').next().is_some_and(|start| start.ends_with(ours)) || theirs.contains(&format!("{ours}("))
}

fn count(pair: &mut [u32; 2], agrees: bool) {
    pair[0] += u32::from(agrees);
    pair[1] += 1;
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text, 16).unwrap()
}

/// Agreements and records of each kind.
fn compare(name: &str, wrong: &mut Vec<String>) -> Option<Figures> {
    let folder = data()?;
    let pdb = open(&folder.join(format!("pe-pdb/breakpad/{name}.pdb")));
    let sym = String::from_utf8(common::bytes(&folder.join(format!("pe-pdb/breakpad/{name}.sym")))).unwrap();
    let mut files = BTreeMap::new();
    let mut figures = Figures::default();
    for record in sym.lines() {
        let words: Vec<&str> = record.split(' ').filter(|word| *word != "m").collect();
        match words[..] {
            ["FILE", number, ref path @ ..] => {
                files.insert(number, path.join(" "));
            }
            ["FUNC", address, size, _, ref function @ ..] => {
                let (rva, size, function) = (hex(address), hex(size), function.join(" "));
                let found = pdb.lookup(rva).unwrap();
                let cut = found
                    .as_ref()
                    .and_then(|found| found.function.strip_prefix('_'))
                    .is_some_and(|cut| name.ends_with("64") && function == cut);
                figures.underscores += u32::from(cut);
                let agrees = found.as_ref().is_some_and(|found| {
                    // Pieces of a rearranged function have a record each.
                    let placed = if pdb.is_rearranged().unwrap() {
                        found.function_offset < found.length.unwrap()
                    } else {
                        found.function_rva == rva && found.length == Some(size)
                    };
                    placed && (cut || same_name(&function, &found.function))
                });
                count(&mut figures.functions, agrees);
                if !agrees {
                    wrong.push(format!(
                        "{name}: {record}: {:?}",
                        found.map(|found| (found.function, found.function_rva, found.length))
                    ));
                }
            }
            ["PUBLIC", address, _, ref function @ ..] => {
                let function = function.join(" ");
                let found = pdb.lookup(hex(address)).unwrap();
                let agrees = found.as_ref().is_some_and(|found| {
                    let raw = found.raw_name.trim_start_matches('_').split('@').next().unwrap();
                    found.function_offset == 0 && raw == function.trim_start_matches('_')
                });
                count(&mut figures.publics, agrees);
                if !agrees {
                    wrong.push(format!(
                        "{name}: {record}: {:?}",
                        found.map(|found| (found.function, found.function_offset))
                    ));
                }
            }
            [address, size, line, file] if u32::from_str_radix(address, 16).is_ok() && words.len() == 4 => {
                let (rva, size) = (hex(address), hex(size));
                if size == 0 {
                    figures.empty_lines += 1;
                    continue;
                }
                for rva in [rva, rva + size - 1] {
                    let found = pdb.lookup(rva).unwrap();
                    let same = found.as_ref().is_some_and(|found| {
                        found.line == line.parse().ok()
                            && found.file.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(&files[file]))
                    });
                    count(&mut figures.lines, same);
                    if !same {
                        wrong.push(format!(
                            "{name}: {record} at {rva:x}: {:?}",
                            found.map(|found| (found.function, found.line, found.file))
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    println!("{name:20} {figures:?}");
    Some(figures)
}

/// `PUBLIC` records inside procedures: labels of assembler code (`_NLG_Dispatch` in `_NLG_Notify`, `_NLG_Return2` in
/// `_NLG_Call`, `_alloca_probe_8` in `_alloca_probe_16`). A lookup names the procedure, whose lines it has.
const LABELS: u32 = 3;

#[test]
fn lookups_agree_with_all_records_of_sym_files() {
    for (name, functions, lines, publics, underscores, empty_lines) in [
        ("dump_syms_regtest", 158, 4378, [4 - LABELS, 4], 0, 30),
        ("dump_syms_regtest64", 246, 7076, [2, 2], 167, 61),
        ("omap_reorder_bbs", 953, 4866, [4 - LABELS, 4], 0, 30),
    ] {
        let mut wrong = Vec::new();
        let Some(figures) = compare(name, &mut wrong) else { return };
        let (functions, lines) = ([functions; 2], [lines; 2]);
        let expected = Figures { functions, lines, publics, underscores, empty_lines };
        assert_eq!(figures, expected, "{}", wrong.join("\n"));
    }
}
