//! The browser tests: a headless Chromium clicks what a user clicks.

use std::{path::PathBuf, process::Command};

use crate::{Result, dist, root, run, server::SymbolServer};

/// Runs the browser tests against a built site.
pub(crate) fn test(site: &std::path::Path) -> Result {
    let (node, folder, chromium) = set_up()?;
    let machines = dist::target_folder()?.join("browser-dumps");
    let out = machines.to_string_lossy();
    run::cargo(&[
        "run",
        "--locked",
        "--quiet",
        "--package",
        "dumplens-testkit",
        "--bin",
        "make-browser-dumps",
        "--",
        &out,
    ])?;
    // The page that a site with a symbol server has; the tests put in the address at which theirs listens.
    let server = SymbolServer::new("http://127.0.0.1:8099/symbols")?;
    let page = dist::page(Some(&server))?;
    std::fs::write(machines.join("with-server.html"), page).map_err(|error| format!("cannot write a page: {error}"))?;
    println!("running the browser tests with {}…", chromium.display());
    run::check(
        Command::new(node)
            .args(["--test", "--test-concurrency=1", "--test-reporter=spec", "."])
            .current_dir(&folder)
            .env("DUMPLENS_DIST", site)
            .env("DUMPLENS_MACHINES", &machines)
            .env("CHROMIUM", chromium),
    )
}

/// Node, the folder of the scripts with the browser driver in it, and the browser.
pub(crate) fn set_up() -> Result<(PathBuf, PathBuf, PathBuf)> {
    let node =
        run::find("node").ok_or("Node.js is not installed; the browser tests need version 20 or later (nodejs.org)")?;
    let npm = run::find("npm").ok_or("npm is not installed; it comes with Node.js")?;
    let folder = root().join("tests/browser");
    if !folder.join("node_modules/playwright-core").is_dir() {
        println!("installing the browser driver (npm ci in tests/browser, a few seconds)…");
        run::check(Command::new(npm).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))?;
    }
    Ok((node, folder, chromium()?))
}

/// An installed Chromium or Chrome; Debian's is installed where that is possible.
fn chromium() -> Result<PathBuf> {
    const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let installed = || NAMES.iter().find_map(|name| run::find(name));
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Ok(PathBuf::from(named));
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    let root_user = run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if let Some(apt) = run::find("apt-get").filter(|_| root_user) {
        println!("installing Chromium (apt-get install chromium, about half a minute)…");
        run::check(Command::new(&apt).args(["update", "-qq"]))?;
        run::check(
            Command::new(&apt)
                .args(["install", "-y", "-qq", "--no-install-recommends", "chromium"])
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdout(std::process::Stdio::null()),
        )?;
    }
    installed().ok_or_else(|| {
        "no Chromium or Chrome was found; install one (Debian: apt install chromium), or name it in the environment \
         variable CHROMIUM"
            .into()
    })
}
