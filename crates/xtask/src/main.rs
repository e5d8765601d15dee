//! Build, serve, test and check Dumplens: `cargo xtask help` says how.
//!
//! Needs nothing but rustup and, for the browser tests, Node and a Chromium. What is missing and can be installed is
//! installed, and said.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bench;
mod browser;
mod dist;
mod fuzz;
mod peers;
mod run;
mod serve;
mod server;
mod tests;
mod tidy;

use std::{path::PathBuf, process::ExitCode};

use server::SymbolServer;

/// What a command comes to: an error is a sentence that says what to do next.
type Result<T = ()> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask serve [--port N]         set up, build and serve the app on 127.0.0.1
cargo xtask test [--no-browser]      set up and run every check and test, the browser tests included
cargo xtask peers                    compare the test machines with what other people's readers find in them
cargo xtask fuzz [--seconds N] [--afresh] [TARGET…]
                                     feed damaged input to every reader (default: 60 seconds a target);
                                     --afresh forgets what earlier runs found, as cargo xtask test does
cargo xtask dist [--out DIR] [--symbol-server URL]
                                     build the static site into a folder (default: dist); with a symbol server, the page
                                     offers to fetch files from there, and its policy allows that server and no other
cargo xtask bench [--no-browser]     measure beside peers, and write docs/benchmarks.md
cargo xtask tidy                     check the arrows between crates and the house rules
cargo xtask samples                  write the sample dumps in public/samples anew
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    let result = match args.first().map(String::as_str) {
        Some("serve") => {
            let port =
                option("--port").map_or(Ok(8080), |port| port.parse().map_err(|_| format!("{port} is not a port")));
            port.and_then(serve::serve)
        }
        Some("test") => tests::test(!args.iter().any(|arg| arg == "--no-browser")),
        Some("bench") => bench::bench(!args.iter().any(|arg| arg == "--no-browser")),
        Some("fuzz") => {
            let seconds = option("--seconds")
                .map_or(Ok(60), |text| text.parse().map_err(|_| format!("{text} is not a number of seconds")));
            let value = args.iter().position(|arg| arg == "--seconds").map(|at| at + 1);
            let named = args.iter().enumerate().skip(1);
            let named = named.filter(|(at, arg)| Some(*at) != value && !arg.starts_with("--"));
            let named: Vec<String> = named.map(|(_, arg)| arg.clone()).collect();
            let afresh = args.iter().any(|arg| arg == "--afresh");
            let start = if afresh { fuzz::Start::Afresh } else { fuzz::Start::Onwards };
            seconds.and_then(|seconds| fuzz::fuzz(seconds, &named, start))
        }
        Some("dist") => {
            let out = option("--out").map_or_else(|| root().join("dist"), PathBuf::from);
            // An option without its address is a mistake, not a site without a server.
            let wished = args.iter().any(|arg| arg == "--symbol-server");
            let address = wished.then(|| option("--symbol-server").unwrap_or_default());
            let server = address.map(|address| SymbolServer::new(&address)).transpose();
            server.and_then(|server| dist::dist(&out, server.as_ref())).map(|sizes| print!("{sizes}"))
        }
        Some("peers") => peers::test(),
        Some("tidy") => tidy::tidy(),
        Some("samples") => samples(),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command {other}\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Top of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes the sample dumps that the page offers.
fn samples() -> Result {
    let out = root().join("public/samples");
    let out = out.to_string_lossy();
    run::cargo(&["run", "--quiet", "--package", "dumplens-testkit", "--bin", "make-samples", "--", &out])
}
