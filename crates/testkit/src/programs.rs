//! Dumps of real processes: programs of `tests/programs`, compiled by Clang to a PDB and run under Wine, where each writes
//! a minidump of itself with full memory when it crashes.
//!
//! Their stacks are known from their source, and neither the compiler, nor the linker, nor what wrote the dump is ours.
//! Needs Clang and LLD with a mingw-w64 of x86-64 and 64-bit Wine (Debian: `clang-19 lld-19 gcc-mingw-w64-x86-64 wine64`,
//! for C++ `g++-mingw-w64-x86-64`), no network, and about 700 MiB in the folder that it is given: Wine keeps its system
//! there for the next run.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long Wine may take to make its system, and all stories of a program to be told.
const BOOT: Duration = Duration::from_secs(240);
const RUN: Duration = Duration::from_secs(400);

/// Compiler and Wine, ready to be used.
#[derive(Debug)]
pub struct Workshop {
    clang: PathBuf,
    wine: PathBuf,
    prefix: PathBuf,
    folder: PathBuf,
}

/// A program that was built.
#[derive(Debug)]
pub struct Program {
    folder: PathBuf,
    name: String,
}

impl Program {
    /// Its PDB.
    #[must_use]
    pub fn pdb(&self) -> PathBuf {
        self.folder.join(format!("{}.pdb", self.name))
    }

    /// Its image.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.folder.join(format!("{}.exe", self.name))
    }
}

/// The source of a program in `tests/programs`.
#[must_use]
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs").join(name)
}

/// A program on the path.
#[must_use]
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

impl Workshop {
    /// Finds the tools and makes Wine ready. Programs are built in `folder`, of which every user has one of their own;
    /// Wine's system lies beside it, for all.
    ///
    /// # Errors
    /// What is absent, as a sentence.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let tool = |names: &[&str], what: &str| find(names).ok_or_else(|| format!("{what} is not installed"));
        let clang = tool(&["clang-19", "clang"], "Clang")?;
        tool(&["ld.lld-19", "ld.lld"], "LLD")?;
        tool(&["x86_64-w64-mingw32-gcc"], "mingw-w64 for x86-64")?;
        let wine = tool(&["wine64", "wine", "wine-stable"], "Wine")?;
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        let prefix = folder.parent().unwrap_or(&folder).join("wine");
        let workshop = Self { clang, wine, prefix, folder };
        workshop.boot()?;
        Ok(workshop)
    }

    /// Builds a program of `tests/programs`, each level of optimisation in a folder of its own.
    ///
    /// # Panics
    /// If it cannot be built.
    #[must_use]
    pub fn build(&self, file: &str, optimisation: &str) -> Program {
        let name = file.split('.').next().unwrap().to_owned();
        let folder = self.folder.join(format!("{name}{optimisation}"));
        fs::create_dir_all(&folder).unwrap();
        let program = Program { folder, name };
        let mut command = Command::new(&self.clang);
        if file.ends_with(".cpp") {
            command.args(["--driver-mode=g++", "-static"]);
        }
        command.args(["--target=x86_64-w64-mingw32", optimisation, "-g", "-gcodeview", "-fms-extensions", "-Wall"]);
        command.args(["-Werror", "-fuse-ld=lld"]).arg(format!("-Wl,--pdb={}", program.pdb().display()));
        command.arg(source(file)).arg("-o").arg(program.image()).arg("-ldbghelp");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        program
    }

    /// Runs a program once for each story: it takes the story's name and that of the dump that it is to write. The
    /// dumps, of some 60 MiB each, are for the caller to remove.
    ///
    /// # Panics
    /// If one is not written.
    #[must_use]
    pub fn dumps(&self, program: &Program, stories: &[&str]) -> Vec<PathBuf> {
        let dumps: Vec<PathBuf> = stories.iter().map(|story| program.folder.join(format!("{story}.dmp"))).collect();
        for dump in &dumps {
            let _ = fs::remove_file(dump);
        }
        // One start of Wine for them all.
        let image = format!("{}.exe", program.name);
        let each = format!("for %s in ({}) do {image} %s %s.dmp", stories.join(" "));
        let mut command = self.wine();
        let result = within(RUN, command.current_dir(&program.folder).args(["cmd", "/c", &each]));
        for dump in &dumps {
            assert!(dump.is_file(), "{} is not written: {result:?}", dump.display());
        }
        dumps
    }

    fn wine(&self) -> Command {
        let mut command = Command::new(&self.wine);
        command.env("WINEPREFIX", &self.prefix).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        // No desktop, and nothing that Wine would offer to download.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d").env_remove("DISPLAY");
        command
    }

    /// Makes Wine's system, unless it is there already.
    fn boot(&self) -> Result<(), String> {
        let io = |error: std::io::Error| format!("{}: {error}", self.prefix.display());
        fs::create_dir_all(&self.prefix).map_err(io)?;
        let lock = File::create(self.prefix.join("dumplens.lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        let done = self.prefix.join("dumplens.done");
        if !done.exists() {
            let booted = within(BOOT, self.wine().args(["wineboot", "--init"]));
            booted.map_err(|error| format!("Wine does not start: {error}"))?;
            fs::write(done, "").map_err(io)?;
        }
        Ok(())
    }
}

/// Runs a command to its end, or ends it.
fn within(time: Duration, command: &mut Command) -> Result<(), String> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().map_err(|error| error.to_string())?;
    let started = Instant::now();
    while started.elapsed() < time {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.to_string()),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("it did not end within {} s", time.as_secs()))
}
