//! Readers by other hands: their Python packages read the test machines and must find what the testkit wrote.
//!
//! The first run installs them into the target folder, from the package index that pip is set up for; later runs need no
//! network. Where they cannot be installed, the step says why and the tests go on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, dist, root, run};

/// A Python that has the readers.
struct Python {
    program: PathBuf,
    /// Where the packages are, if not in the Python's own folder.
    packages: Option<PathBuf>,
}

/// Compares, or says why not.
pub(crate) fn test() -> Result {
    let folder = dist::target_folder()?.join("peers");
    let python = match set_up(&folder) {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: {reason}");
            return Ok(());
        }
    };
    let machines = folder.join("machines");
    // Left from a comparison that failed.
    let _ = fs::remove_dir_all(&machines);
    let out = machines.to_string_lossy();
    run::cargo(&["run", "--locked", "--quiet", "-p", "dumplens-peers", "--bin", "make-machines", "--", &out])?;
    let mut command = Command::new(&python.program);
    // The repository and the home folder stay as they are.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("XDG_CACHE_HOME", folder.join("cache"));
    if let Some(packages) = &python.packages {
        command.env("PYTHONPATH", packages);
    }
    run::check(command.arg(root().join("tests/peers/compare.py")).arg(&machines))?;
    // Some hundred megabytes, made anew in seconds; a failure leaves them to be looked at.
    fs::remove_dir_all(&machines).map_err(|error| format!("cannot remove {}: {error}", machines.display()))
}

/// The readers' Python, installed if it is not there; or a sentence that says why not.
fn set_up(folder: &Path) -> std::result::Result<Python, String> {
    let list = root().join("tests/peers/requirements.txt");
    let wanted = fs::read(&list).map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let python = ["python3", "python", "python3.exe", "python.exe"]
        .iter()
        .find_map(|name| run::find(name))
        .ok_or("Python 3 is not installed; the readers that this step compares with are Python packages")?;
    let (environment, packages) = (folder.join("python"), folder.join("packages"));
    let own = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let in_environment = || Python { program: own.clone(), packages: None };
    let beside = || Python { program: python.clone(), packages: Some(packages.clone()) };
    // Written when everything is installed: a list that changed, or a run that was stopped, installs again.
    let done = folder.join("installed.txt");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        let ready = if own.is_file() { in_environment() } else { beside() };
        if quiet(Command::new(&ready.program).arg("--version")).is_ok() {
            return Ok(ready);
        }
    }
    if std::env::var_os("CARGO_NET_OFFLINE").is_some_and(|value| value == "true") {
        return Err("the readers are not installed yet, and CARGO_NET_OFFLINE forbids the network".into());
    }
    println!("installing kdmp-parser and volatility3 into {} (pip, a few seconds)…", folder.display());
    for old in [&environment, &packages] {
        let _ = fs::remove_dir_all(old);
    }
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let ready = if quiet(Command::new(&python).args(["-m", "venv"]).arg(&environment)).is_ok() {
        in_environment()
    } else {
        // Debian has venv in a package of its own; pip alone will do.
        let _ = fs::remove_dir_all(&environment);
        quiet(Command::new(&python).args(["-m", "pip", "--version"]))
            .map_err(|_| "Python has neither venv nor pip (Debian: apt install python3-venv)")?;
        beside()
    };
    let mut pip = Command::new(&ready.program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip.args(["--retries", "1", "--timeout", "15", "--only-binary", ":all:", "--require-hashes", "-r"]).arg(&list);
    if let Some(packages) = &ready.packages {
        pip.arg("--target").arg(packages);
    }
    quiet(&mut pip).map_err(|error| format!("pip cannot install the readers (is there a network?): {error}"))?;
    fs::write(&done, wanted).map_err(|error| format!("cannot write {}: {error}", done.display()))?;
    Ok(ready)
}

/// Runs a command without its output; a failure is the last line of what it said.
fn quiet(command: &mut Command) -> std::result::Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| output.status.to_string(), str::to_owned))
}
