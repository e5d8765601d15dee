//! Fuzzing on the stable toolchain: the same instrumentation and the same libFuzzer as cargo-fuzz, without it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::{Result, root, run};

/// What cargo-fuzz passes, but for the sanitizers: those need a nightly toolchain, and there is no unsafe code to watch.
const FLAGS: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds that one input may take, and MiB that a process may hold.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

/// How a run starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what earlier runs found, and other numbers every time.
    Onwards,
    /// With the seeds alone and always the same numbers, so that a test fails again where it failed.
    Afresh,
}

/// What stands in the way of fuzzing on this machine: what to install.
pub(crate) fn missing() -> Option<&'static str> {
    let compiler =
        std::env::var_os("CXX").is_some() || ["c++", "g++", "clang++"].iter().any(|name| run::find(name).is_some());
    if cfg!(windows) {
        Some("cargo xtask fuzz runs on Linux and macOS; on Windows, use WSL")
    } else if compiler {
        None
    } else {
        Some("libFuzzer needs a C++ compiler: install g++ (apt install g++, dnf install gcc-c++) or clang")
    }
}

/// Builds the targets, writes their seeds and runs each for so many seconds; all of them if none is named.
pub(crate) fn fuzz(seconds: u32, only: &[String], start: Start) -> Result {
    if let Some(missing) = missing() {
        return Err(missing.into());
    }
    let names = names(only)?;
    let metadata: serde_json::Value = serde_json::from_str(&run::output(
        Command::new(cargo()).args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()),
    )?)
    .map_err(|error| format!("cargo metadata: {error}"))?;
    let work = Path::new(metadata["target_directory"].as_str().unwrap_or("target")).join("fuzz");
    let binaries = build(&work)?;
    let seeds = work.join("seeds");
    let example = ["run", "--locked", "--quiet", "--package", "dumplens-fuzz", "--example", "make-seeds", "--"];
    run::cargo(&[&example[..], &[&seeds.to_string_lossy()]].concat())?;

    let (waiting, lines) = (Mutex::new(names.iter().rev().collect::<Vec<_>>()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop();
                    let Some(name) = next else { break };
                    let place = Place { binary: binaries.join(name), seeds: seeds.join(name), work: &work, name };
                    let line = place.run(seconds, start);
                    lines.lock().unwrap().push((name, line));
                }
            });
        }
    });
    let mut lines = lines.into_inner().unwrap();
    lines.sort_by_key(|(name, _)| *name);
    let mut failed = 0;
    for (name, line) in lines {
        match line {
            Ok(line) => println!("{name:15} {line}"),
            Err(line) => {
                failed += 1;
                println!("{name:15} {line}");
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of {} fuzz targets failed", names.len())) }
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// The targets there are, or those that were asked for.
fn names(only: &[String]) -> Result<Vec<String>> {
    let folder = root().join("crates/fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut all: Vec<String> =
        files.flatten().filter_map(|file| file.file_name().to_str()?.strip_suffix(".rs").map(String::from)).collect();
    all.sort();
    match only.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(format!("there is no fuzz target {name}; there are {}", all.join(", "))),
        None if only.is_empty() => Ok(all),
        None => Ok(only.to_vec()),
    }
}

/// Builds every target and returns the folder of the binaries.
fn build(work: &Path) -> Result<PathBuf> {
    let version = run::output(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc does not name its host")?;
    // A target that is named keeps the flags away from build scripts, and a folder of its own keeps them from
    // making every other build start anew.
    let mut command = Command::new(cargo());
    command.args(["build", "--locked", "--quiet", "--package", "dumplens-fuzz", "--bins", "--features", "libfuzzer"]);
    command.args(["--profile", "fuzz", "--target", host, "--target-dir"]).arg(work.join("build"));
    command.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")).current_dir(root());
    run::check(&mut command)?;
    Ok(work.join("build").join(host).join("fuzz"))
}

/// A target and where its things are.
struct Place<'a> {
    binary: PathBuf,
    seeds: PathBuf,
    work: &'a Path,
    name: &'a str,
}

impl Place<'_> {
    /// Runs the target; what it came to in one line, or what it failed with.
    fn run(&self, seconds: u32, start: Start) -> Result<String> {
        let fail = |what: &Path, error: std::io::Error| format!("cannot make {}: {error}", what.display());
        let corpus = self.work.join(if start == Start::Afresh { "short" } else { "corpus" }).join(self.name);
        if start == Start::Afresh {
            let _ = fs::remove_dir_all(&corpus);
        }
        // Inputs that crashed before are tried first, until somebody removes them.
        let crashes = Path::new("crates/fuzz/crashes").join(self.name);
        for folder in [&corpus, &root().join(&crashes)] {
            fs::create_dir_all(folder).map_err(|error| fail(folder, error))?;
        }
        let mut command = Command::new(&self.binary);
        command.current_dir(root());
        command.args([&corpus, &self.seeds, &crashes]).args(LIMITS).arg("-print_final_stats=1");
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", crashes.display()));
        if start == Start::Afresh {
            command.arg("-seed=1");
        }
        let output = command.output().map_err(|error| format!("cannot start {}: {error}", self.binary.display()))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let log = self.work.join(format!("{}.log", self.name));
        fs::write(&log, text.as_bytes()).map_err(|error| fail(&log, error))?;
        let summary = summary(&text);
        if output.status.success() {
            return Ok(format!("{summary}, no crash"));
        }
        let reason = reason(&text);
        let file = text.lines().rev().find_map(|line| line.split_once("Test unit written to ")).map(|(_, file)| file);
        let again = match file {
            Some(file) => format!("again: {} {} {file}", self.binary.display(), LIMITS.join(" ")),
            // One of the inputs that crashed before is met while the corpus is read.
            None => format!("the input is one of those in {}", crashes.display()),
        };
        Err(format!("{summary}, CRASH: {reason}\n    {again}\n    log: {}", log.display()))
    }
}

/// Runs, coverage and speed, from what libFuzzer prints.
fn summary(text: &str) -> String {
    let after = |line: &str, word: &str| line.split_once(word)?.1.split_whitespace().next().map(String::from);
    // What crashes while the corpus is read has no coverage yet.
    let number = |word: &str| text.lines().rev().find_map(|line| after(line, word)).unwrap_or_else(|| "0".into());
    let runs = number("stat::number_of_executed_units:");
    let speed = number("stat::average_exec_per_sec:");
    format!("{runs} runs, {speed} a second, coverage {} ({} features)", number(" cov: "), number(" ft: "))
}

/// Why a run failed: the panic and its message, or what libFuzzer says.
fn reason(text: &str) -> String {
    let mut lines = text.lines();
    let panic = lines.find(|line| line.contains("panicked at"));
    let message = lines.next().unwrap_or_default();
    let said = ["ERROR: libFuzzer:", "memory allocation of"];
    let error = || text.lines().find(|line| said.iter().any(|said| line.contains(said)));
    panic
        .map(|panic| format!("{panic} {message}"))
        .or_else(|| error().map(String::from))
        .unwrap_or("no reason given".into())
}
