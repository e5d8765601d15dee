//! Running other programs, with errors that name them.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{Result, root};

/// Runs cargo in the repository.
pub(crate) fn cargo(args: &[&str]) -> Result {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    check(Command::new(cargo).args(args).current_dir(root()))
}

/// Runs a command and shows its output; a failure names the command.
pub(crate) fn check(command: &mut Command) -> Result {
    let text = format!("{command:?}").replace('"', "");
    let status = command.status().map_err(|error| format!("cannot start `{text}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{text}` failed ({status})")) }
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = format!("{command:?}").replace('"', "");
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot start `{text}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{text}` failed ({})", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is on the search path.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Adds a rustup target if it is missing, and says so.
pub(crate) fn ensure_target(target: &str) -> Result {
    ensure("target", target, "the Rust standard library for")
}

/// Adds a rustup component if it is missing, and says so.
pub(crate) fn ensure_component(component: &str) -> Result {
    ensure("component", component, "the Rust component")
}

fn ensure(kind: &str, name: &str, what: &str) -> Result {
    let Some(rustup) = find("rustup") else {
        println!("rustup is not installed; hoping that {what} {name} is there");
        return Ok(());
    };
    let installed = output(Command::new(&rustup).args([kind, "list", "--installed"]).current_dir(root()))?;
    // Components are listed with the host's name behind theirs.
    if installed.lines().any(|line| line == name || line.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))) {
        return Ok(());
    }
    println!("installing {what} {name} (rustup {kind} add, a few seconds)…");
    check(Command::new(rustup).args([kind, "add", name]).current_dir(root()))
}

/// Copies a folder with all it holds.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result {
    let fail = |what: &str, path: &Path, error: std::io::Error| format!("cannot {what} {}: {error}", path.display());
    std::fs::create_dir_all(to).map_err(|error| fail("create", to, error))?;
    for entry in std::fs::read_dir(from).map_err(|error| fail("read", from, error))? {
        let entry = entry.map_err(|error| fail("read", from, error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            std::fs::copy(&source, &target).map_err(|error| fail("copy", &source, error))?;
        }
    }
    Ok(())
}
