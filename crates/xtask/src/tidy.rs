//! House rules that a compiler does not check: the arrows between crates, file sizes, words that must not appear.

use std::{fs, path::Path, process::Command};

use crate::{Result, dist::STATIC_FILES, root, run};

/// Which crates of ours each crate may depend on. A crate that is not listed fails.
const ARROWS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("dump", &["base"]),
    ("paging", &["base"]),
    ("image", &["base"]),
    ("archive", &["base"]),
    ("isf", &["base"]),
    ("symbols", &["base", "image"]),
    ("windows", &["base", "paging", "image"]),
    ("unwind", &["base"]),
    ("analysis", &[]),
    ("report", &[]),
    ("engine", &["base", "dump", "paging", "image", "isf", "symbols", "windows", "unwind", "analysis", "report"]),
    ("cli", &["base", "archive", "image", "symbols", "engine", "report"]),
    ("worker", &["base", "archive", "engine", "report"]),
    ("ui", &["report"]),
    ("bench", &["base", "dump", "windows", "symbols", "unwind", "engine", "report", "testkit"]),
    ("testkit", &[]),
    // Holds tests only: it builds on the writers and on what reads their files.
    ("peers", &["base", "dump", "paging", "engine", "report", "testkit"]),
    ("fuzz", &["base", "dump", "paging", "image", "archive", "isf", "symbols", "windows", "unwind", "testkit"]),
    ("xtask", &[]),
];

/// Crates of the core: no standard library, no unsafe code.
const CORE: &[&str] = &["base", "dump", "paging", "image", "windows", "unwind", "analysis", "report", "engine"];

/// Most lines of a source file; generated tables (`table.rs`) are exempt.
const MOST_LINES: usize = 800;

/// Checks all rules and reports all that is wrong.
pub(crate) fn tidy() -> Result {
    let mut wrong = Vec::new();
    arrows(&mut wrong)?;
    for name in CORE {
        let path = root().join("crates").join(name).join("src/lib.rs");
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !text.contains(attribute) {
                wrong.push(format!("crates/{name}/src/lib.rs lacks {attribute}"));
            }
        }
    }
    let files = run::output(
        Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()),
    )?;
    for name in files.lines() {
        // Binary files are none of this check's business.
        if let Ok(text) = fs::read_to_string(root().join(name)) {
            file(name, &text, &mut wrong);
        }
    }
    page(&mut wrong)?;
    if wrong.is_empty() {
        println!("the house rules hold");
        Ok(())
    } else {
        Err(format!("house rules are broken:\n  {}", wrong.join("\n  ")))
    }
}

fn arrows(wrong: &mut Vec<String>) -> Result {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let text =
        run::output(Command::new(cargo).args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(name) = package["name"].as_str().and_then(|name| name.strip_prefix("dumplens-")) else { continue };
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("crate {name} has no line in xtask's table of arrows"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(target) = dependency["name"].as_str().and_then(|name| name.strip_prefix("dumplens-")) else {
                continue;
            };
            // Tests may build on the writers, and on crates they compare with.
            let in_tests = dependency["kind"].as_str() == Some("dev");
            if !in_tests && !allowed.contains(&target) {
                wrong.push(format!("crate {name} may not depend on {target}"));
            }
        }
    }
    Ok(())
}

fn file(name: &str, text: &str, wrong: &mut Vec<String>) {
    let lines = text.lines().count();
    if name.ends_with(".rs") && !name.ends_with("table.rs") && lines > MOST_LINES {
        wrong.push(format!("{name} has {lines} lines; look for the seam (at most {MOST_LINES})"));
    }
    // Spelled in two halves, so that this file does not name what it forbids.
    let paths = [concat!("/", "work/"), concat!("/", "root/"), concat!("../", "shared")];
    for path in paths {
        if text.contains(path) && name != ".ci/run" {
            wrong.push(format!("{name} names {path}, which exists on one machine only"));
        }
    }
}

/// Trunk's page and ours must be made of the same files.
fn page(wrong: &mut Vec<String>) -> Result {
    let read =
        |name: &str| fs::read_to_string(root().join(name)).map_err(|error| format!("cannot read {name}: {error}"));
    let (page, trunk, boot) = (read("www/index.html")?, read("Trunk.toml")?, read("www/boot.js")?);
    for name in STATIC_FILES {
        if !page.contains(&format!("href=\"{name}\"")) {
            wrong.push(format!("www/index.html does not give {name} to Trunk, but dist ships it"));
        }
    }
    for name in ["../crates/ui/Cargo.toml", "../crates/worker/Cargo.toml", "../public/samples"] {
        if !page.contains(name) || !root().join("www").join(name).exists() {
            wrong.push(format!("www/index.html does not give {name} to Trunk"));
        }
    }
    if !trunk.contains("data-js") || !boot.contains("data-js") {
        wrong.push("Trunk.toml and www/boot.js must agree on the script tag's data-js".into());
    }
    let shipped = |path: &Path| path.exists();
    if !shipped(&root().join("public/samples/index.json")) {
        wrong.push("public/samples/index.json is missing; run cargo xtask samples".into());
    }
    Ok(())
}
