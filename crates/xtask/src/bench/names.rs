//! Names from PDBs, beside other readers, and what a large PDB costs.

use std::{fmt::Write as _, path::PathBuf};

use super::{Bench, Numbers};
use crate::Result;

/// PDBs of the data set, and about where their images' code ends.
const PDBS: [(&str, u32); 4] = [
    ("pe-pdb/ntdll/ntdll_x64.pdb", 0x11_0000),
    ("pe-pdb/driver_x64/systeminformer.pdb", 0x4_0000),
    ("pe-pdb/win64-ci/softokn3.pdb", 0x3_0000),
    ("kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb", 0x2_8000),
];

/// Rounds of each reader: they are short, so that what else the machine does shows.
const ROUNDS: usize = 15;
/// Rounds of llvm-symbolizer, which takes its time.
const SLOW_ROUNDS: usize = 3;

const NAMES: &str = "\
## Names from PDBs

100 000 random addresses, the median of fifteen rounds in turns (llvm-symbolizer: three). Peers are the crate pdb-addr2line
0.12.1, which is given the file and not its bytes, and the program llvm-symbolizer. First name: from the file's name to the
first answer; llvm-symbolizer is a program of its own, so that its start is in it. Heap is the peak of what is allocated.
Process is the peak of what is resident, above what the process has before it begins; of llvm-symbolizer all of it. For
small PDBs most of that is the program itself, of which the operating system brings in more or less as it likes.

| PDB | | first name | names per second | heap | process |
|---|---|---|---|---|---|
";

/// A cell: a number, or why there is none.
fn cell(numbers: &Numbers, name: &str, show: impl Fn(f64) -> String) -> String {
    match numbers.get(name) {
        Some(value) => show(*value),
        None if numbers.contains_key("crashed") => "it crashes on this PDB".into(),
        None => "–".into(),
    }
}

/// Peak memory above that of an idle process, in KiB.
fn memory(numbers: &Numbers) -> f64 {
    let get = |name: &str| numbers.get(name).copied().unwrap_or(0.0);
    get("peak_kib") - get("base_kib")
}

pub(super) fn names(bench: &Bench, page: &mut String) -> Result {
    let Some(data) = std::env::var_os("DUMPLENS_DATA") else {
        println!("DUMPLENS_DATA is not set: names are not measured");
        return Ok(());
    };
    println!("looking names up…");
    page.push_str(NAMES);
    let mut has_symbolizer = false;
    for (name, end) in PDBS {
        let (file, end) = (PathBuf::from(&data).join(name).to_string_lossy().into_owned(), end.to_string());
        let programs = ["names", "peer-names", "llvm-names"].map(|program| vec![program, file.as_str(), end.as_str()]);
        let (readers, symbolizer) = programs.split_at(2);
        let mut all = bench.medians(readers, ROUNDS)?;
        all.extend(bench.medians(symbolizer, SLOW_ROUNDS)?);
        let [ours, ..] = all.as_slice() else { continue };
        let short = name.rsplit('/').next().unwrap_or(name);
        for (who, numbers) in ["Dumplens", "pdb-addr2line", "llvm-symbolizer"].iter().zip(&all) {
            has_symbolizer |= *who == "llvm-symbolizer" && !numbers.is_empty();
            if numbers.is_empty() {
                continue;
            }
            let ratio = |name: &str, value: f64, of: fn(f64, f64) -> f64| {
                let own = ours.get(name).copied().unwrap_or(f64::NAN);
                if *who == "Dumplens" { String::new() } else { format!(" ({:.1}×)", of(own, value)) }
            };
            let first =
                cell(numbers, "first_ms", |ms| format!("{ms:.2} ms{}", ratio("first_ms", ms, |own, its| its / own)));
            let speed = cell(numbers, "per_second", |per_second| {
                format!("{per_second:.0}{}", ratio("per_second", per_second, |own, its| its / own))
            });
            let heap = match numbers.get("heap_kib") {
                Some(kib) => format!("{kib:.0} KiB{}", ratio("heap_kib", *kib, |own, its| its / own)),
                None => "–".into(),
            };
            let process = cell(numbers, "peak_kib", |_| {
                let (own, its) = (memory(ours), memory(numbers));
                let ratio = if *who == "Dumplens" { String::new() } else { format!(" ({:.1}×)", its / own) };
                format!("{its:.0} KiB{ratio}")
            });
            let _ = writeln!(page, "| {short} | {who} | {first} | {speed} | {heap} | {process} |");
        }
    }
    page.push_str("\nIn brackets: the peer's number over ours.\n\n");
    if !has_symbolizer {
        page.push_str("llvm-symbolizer was not measured: it is not installed.\n\n");
    }
    Ok(())
}

/// Where the code of the large PDB ends.
const LARGE_END: u32 = 0xa0_0000;
const LARGE: &str = "\
## A PDB of 1.3 GB

Written by the testkit: 2 500 modules with streams of half a megabyte, their pages in disorder, 160 000 functions, 20 000
structures; what readers skip is a hole on the disk.

| | time | bytes read | reads | heap | process |
|---|---|---|---|---|---|
";

pub(super) fn large(bench: &Bench, page: &mut String) -> Result {
    println!("reading a large PDB…");
    let file = bench.folder.join("ntkrnlmp.pdb").to_string_lossy().into_owned();
    let end = LARGE_END.to_string();
    let programs = [
        vec!["first-name", &file, &end],
        vec!["first-type", &file, "_LARGE_STRUCTURE12345"],
        vec!["names", &file, &end],
    ];
    let all = bench.medians(&programs, 3)?;
    let rows = [
        ("Dumplens, first name", "first_ms"),
        ("Dumplens, layout of one structure", "first_ms"),
        ("Dumplens, 100 000 names", "ms"),
    ];
    page.push_str(LARGE);
    for ((what, time), numbers) in rows.iter().zip(&all) {
        let time = cell(numbers, time, |ms| format!("{ms:.1} ms"));
        let read = cell(numbers, "read", |bytes| format!("{:.2} MB", bytes / 1e6));
        let reads = cell(numbers, "reads", |reads| reads.to_string());
        let heap = cell(numbers, "heap_kib", |kib| format!("{:.1} MiB", kib / 1024.0));
        let process = memory(numbers) / 1024.0;
        let _ = writeln!(page, "| {what} | {time} | {read} | {reads} | {heap} | {process:.1} MiB |");
    }
    page.push('\n');
    Ok(())
}

/// The same PDB dropped on the page.
pub(super) fn large_in_the_browser(bench: &Bench, page: &mut String) -> Result {
    let value = bench.page("bench-pdb.mjs", &["kernel.dmp", "ntkrnlmp.pdb"])?;
    let get = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
    let _ = writeln!(
        page,
        "A PDB of 1.3 GB, dropped on a dump that is open: the name is on the stack after {:.0} ms; {:.2} MB were read in {} \
         reads; the engine has {:.1} MiB of memory.",
        get("name"),
        get("bytes") / 1e6,
        get("reads"),
        get("memory") / f64::from(1 << 20),
    );
    Ok(())
}
