//! Benchmarks: Dumplens beside the crate kdmp-parser on the same files in the same run, and beside itself as WebAssembly.
//!
//! Absolute times depend on the machine and on what else it does; the ratios are what `docs/benchmarks.md` keeps.

mod names;
mod stacks;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, browser, dist, root, run};

/// Sizes of the test machines in GiB.
const SIZES: [u64; 4] = [1, 16, 64, 256];
/// The size at which readers are compared.
const COMPARED: u64 = 64;

/// Numbers that one run printed.
type Numbers = BTreeMap<String, f64>;

struct Bench {
    program: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn run(&self, args: &[&str]) -> Result<Numbers> {
        let text = run::output(Command::new(&self.program).args(args))?;
        let number = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Ok(text.lines().filter_map(number).collect())
    }

    /// The medians of some programs' numbers, run in turns, so that what the machine does beside hits all alike. What was
    /// not printed is absent.
    fn medians(&self, programs: &[Vec<&str>], rounds: usize) -> Result<Vec<Numbers>> {
        let mut runs: Vec<BTreeMap<String, Vec<f64>>> = vec![BTreeMap::new(); programs.len()];
        // The first round, with cold caches of the operating system, does not count.
        for round in 0..=rounds {
            for (program, runs) in programs.iter().zip(&mut runs) {
                for (name, value) in self.run(program)?.into_iter().filter(|_| round > 0) {
                    runs.entry(name).or_default().push(value);
                }
            }
        }
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let medians = |runs: BTreeMap<String, Vec<f64>>| runs.into_iter().map(|(name, values)| (name, middle(values)));
        Ok(runs.into_iter().map(|runs| medians(runs).collect()).collect())
    }

    /// What a script that measures the page, which must have been built, prints of files in the folder: one value.
    fn page(&self, script: &str, files: &[&str]) -> Result<serde_json::Value> {
        let (node, folder, chromium) = browser::set_up()?;
        let text = run::output(
            Command::new(node)
                .arg(script)
                .args(files.iter().map(|name| self.folder.join(name)))
                .current_dir(folder)
                .env("DUMPLENS_DIST", root().join("dist"))
                .env("CHROMIUM", chromium),
        )?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    fn file(&self, gib: u64) -> String {
        self.folder.join(format!("bitmap-{gib}.dmp")).to_string_lossy().into_owned()
    }

    /// The median of `field` over some rounds; the first, with cold caches of the operating system, does not count.
    fn median(&self, args: &[&str], field: &str, rounds: usize) -> Result<f64> {
        self.run(args)?;
        let mut values = Vec::new();
        for _ in 0..rounds {
            values.push(*self.run(args)?.get(field).ok_or_else(|| format!("{args:?} printed no {field}"))?);
        }
        values.sort_by(f64::total_cmp);
        Ok(values[values.len() / 2])
    }
}

/// Runs all benchmarks and writes the table.
pub(crate) fn bench(with_browser: bool) -> Result {
    let target = dist::target_folder()?;
    println!("building the benchmark program (a minute or two the first time)…");
    run::cargo(&["build", "--locked", "--quiet", "--release", "--package", "dumplens-bench"])?;
    let bench = Bench { program: target.join("release/dumplens-bench"), folder: target.join("bench") };
    println!("making sparse dumps of up to 256 GiB (a few MB on disk)…");
    run::check(Command::new(&bench.program).arg("prepare").arg(&bench.folder))?;
    let mut page = String::from(INTRODUCTION);
    opening(&bench, &mut page)?;
    reading(&bench, &mut page)?;
    names::names(&bench, &mut page)?;
    names::large(&bench, &mut page)?;
    stacks::stacks(&bench, &mut page)?;
    webassembly(&bench, &target, &mut page)?;
    if with_browser {
        in_the_browser(&bench, &mut page)?;
    }
    let out = root().join("docs/benchmarks.md");
    fs::write(&out, &page).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("{page}\nwritten to docs/benchmarks.md");
    Ok(())
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by `cargo xtask bench`. Every comparison is made in one run on one machine; take the ratios, not the times.
Test dumps are sparse files of the testkit's x64 machine (build 19041, `FDMP` bitmap) that claim to hold all pages.
The peer is the crate kdmp-parser 0.8.2 where no other is named.

";

fn opening(bench: &Bench, page: &mut String) -> Result {
    page.push_str("## Opening a bitmap dump and listing its modules\n\n");
    page.push_str("| dump | Dumplens | bytes read | reads | peak memory | kdmp-parser | its peak memory | faster | less memory |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for gib in SIZES {
        println!("opening {gib} GiB…");
        let file = bench.file(gib);
        let wall = bench.median(&["open", &file], "wall_ms", 5)?;
        let ours = bench.run(&["open", &file])?;
        let peer = bench.run(&["kdmp-open", &file])?;
        let rounds = if gib > 16 { 1 } else { 3 };
        let peer_wall = bench.median(&["kdmp-open", &file], "wall_ms", rounds)?;
        let get = |numbers: &Numbers, name: &str| numbers.get(name).copied().unwrap_or(f64::NAN);
        let (memory, peer_memory) = (get(&ours, "peak_kib") / 1024.0, get(&peer, "peak_kib") / 1024.0);
        let _ = writeln!(
            page,
            "| {gib} GiB | {wall:.1} ms | {:.2} MB | {} | {memory:.1} MiB | {peer_wall:.0} ms | {peer_memory:.0} MiB | {:.0}× | {:.0}× |",
            get(&ours, "read") / 1e6,
            get(&ours, "reads"),
            peer_wall / wall,
            peer_memory / memory,
        );
    }
    page.push_str(
        "\nCost follows what is asked: the header, page tables and lists, and of the bitmap what lies below the highest page \
         that is needed.\n\n",
    );
    Ok(())
}

fn reading(bench: &Bench, page: &mut String) -> Result {
    println!("reading memory…");
    let (file, gib) = (bench.file(COMPARED), COMPARED.to_string());
    // In turns, so that what the machine does beside hits both alike.
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        ours.push(bench.median(&["random", &file, &gib], "per_read_us", 1)?);
        peer.push(bench.median(&["kdmp-random", &file, &gib], "per_read_us", 1)?);
    }
    let middle = |mut list: Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list[1]
    };
    let (ours, peer) = (middle(ours), middle(peer));
    let sequential = bench.median(&["sequential", &file, &gib], "mib_per_s", 3)?;
    let whole = bench.median(&["file", &file, &gib], "mib_per_s", 3)?;
    page.push_str(
        "## Reading virtual memory (processor time, 64 GiB dump)\n\n| | Dumplens | peer | ratio |\n|---|---|---|---|\n",
    );
    let _ = writeln!(
        page,
        "| 100 000 random 4 KiB reads of 512 MiB | {ours:.2} µs each | kdmp-parser {peer:.2} µs each | {:.1}× faster |",
        peer / ours
    );
    let _ = writeln!(
        page,
        "| sequential read of 512 MiB | {sequential:.0} MiB/s | the file itself {whole:.0} MiB/s | {:.0} % |\n",
        sequential / whole * 100.0
    );
    Ok(())
}

fn webassembly(bench: &Bench, target: &Path, page: &mut String) -> Result {
    let Some(node) = run::find("node") else {
        page.push_str("WebAssembly was not measured: Node.js is not installed.\n");
        return Ok(());
    };
    println!("building the benchmark as WebAssembly…");
    let module = dist::node_module("dumplens-bench", &target.join("bench/wasm"))?;
    let dump = bench.folder.join("crowded.dmp");
    let script = root().join("tests/browser/bench-wasm.mjs");
    let text = run::output(Command::new(node).arg(script).arg(module).arg(&dump))?;
    let wasm: BTreeMap<String, f64> =
        serde_json::from_str(text.trim()).map_err(|error| format!("{error} in {text}"))?;
    page.push_str(
        "## WebAssembly against native\n\nThe same requests on the same 72 MB dump (306 processes, 2411 threads) held in memory; \
         the best of many rounds, native and in Node.\n\n| request | native | WebAssembly | ratio |\n|---|---|---|---|\n",
    );
    let dump = dump.to_string_lossy().into_owned();
    let names = run::output(Command::new(&bench.program).arg("workloads"))?;
    for name in names.lines() {
        let native = bench.run(&["workload", name, &dump])?.get("ms").copied().unwrap_or(f64::NAN);
        let slow = wasm.get(name).copied().unwrap_or(f64::NAN);
        let _ = writeln!(page, "| {name} | {native:.3} ms | {slow:.3} ms | {:.1}× |", slow / native);
    }
    page.push('\n');
    Ok(())
}

fn in_the_browser(bench: &Bench, page: &mut String) -> Result {
    let site = target_site()?;
    let (node, folder, chromium) = browser::set_up()?;
    println!("measuring the page in {}…", chromium.display());
    let text = run::output(
        Command::new(node)
            .arg("bench.mjs")
            .args(SIZES.map(|gib| bench.file(gib)))
            .current_dir(folder)
            .env("DUMPLENS_DIST", site)
            .env("CHROMIUM", chromium),
    )?;
    page.push_str("## In the browser (headless Chromium)\n\n| dump | drop to summary | engine memory | bytes read | reads |\n|---|---|---|---|---|\n");
    for (gib, line) in SIZES.iter().zip(text.lines()) {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))?;
        let get = |name: &str| value[name].as_f64().unwrap_or(f64::NAN);
        let _ = writeln!(
            page,
            "| {gib} GiB | {:.0} ms | {:.1} MiB | {:.2} MB | {} |",
            get("summary"),
            get("memory") / f64::from(1 << 20),
            get("bytes") / 1e6,
            get("reads"),
        );
    }
    page.push('\n');
    stacks::in_the_browser(bench, page)?;
    names::large_in_the_browser(bench, page)
}

fn target_site() -> Result<PathBuf> {
    let site = root().join("dist");
    dist::dist(&site, None)?;
    Ok(site)
}
