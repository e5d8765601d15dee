//! Every check and test, in the order in which they fail fastest.

use std::time::Instant;

use crate::{Result, browser, dist, fuzz, peers, root, run, tidy};

/// Crates that must build where there is no standard library, and a target that has none.
// The engine itself needs no standard library either, but the reader of symbol tables does.
const NO_STD: [&str; 8] = ["base", "dump", "paging", "image", "windows", "unwind", "analysis", "report"];
const BARE_TARGET: &str = "thumbv7em-none-eabi";
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Runs everything.
pub(crate) fn test(with_browser: bool) -> Result {
    let started = Instant::now();
    let total = if with_browser { 10 } else { 9 };
    let mut step = 0;
    let mut say = |what: &str| {
        step += 1;
        println!("\n[{step}/{total}] {what} ({} s so far)", started.elapsed().as_secs());
    };
    say("the house rules (cargo xtask tidy)");
    tidy::tidy()?;
    say("formatting");
    run::ensure_component("rustfmt")?;
    run::cargo(&["fmt", "--all", "--check"])?;
    say("Clippy, a few minutes the first time");
    run::ensure_component("clippy")?;
    let wasm_only = ["--exclude", "dumplens-ui", "--exclude", "dumplens-worker"];
    run::cargo(
        &[
            &["clippy", "--locked", "--quiet", "--workspace", "--all-targets"],
            &wasm_only[..],
            &["--", "-D", "warnings"],
        ]
        .concat(),
    )?;
    run::ensure_target(WASM_TARGET)?;
    let wasm = ["clippy", "--locked", "--quiet", "--target", WASM_TARGET, "-p", "dumplens-ui", "-p", "dumplens-worker"];
    run::cargo(&[&wasm[..], &["--", "-D", "warnings"]].concat())?;
    say("the core without a standard library");
    run::ensure_target(BARE_TARGET)?;
    let packages: Vec<String> = NO_STD.iter().flat_map(|name| ["-p".into(), format!("dumplens-{name}")]).collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    run::cargo(&[&["build", "--locked", "--quiet", "--target", BARE_TARGET], &packages[..]].concat())?;
    say("unit, property and real-file tests");
    if std::env::var_os("DUMPLENS_DATA").is_none() {
        println!("DUMPLENS_DATA is not set: tests on real dumps say that they are skipped");
    }
    run::cargo(&["test", "--locked", "--workspace"])?;
    say("independent readers");
    peers::test()?;
    say("fuzzing, five seconds a target");
    match fuzz::missing() {
        Some(missing) => println!("skipped: {missing}"),
        None => fuzz::fuzz(5, &[], fuzz::Start::Afresh)?,
    }
    say("the site");
    let site = root().join("dist");
    print!("{}", dist::dist(&site, None)?);
    if with_browser {
        say("the browser tests");
        browser::test(&site)?;
    }
    say("done");
    println!("everything passed in {} s", started.elapsed().as_secs());
    Ok(())
}
