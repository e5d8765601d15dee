//! Dumplens on the command line: the same engine as the page, for batch work and CI.
//!
//! Exit codes: 0 everything was read, 1 parts are missing or damaged, 2 a file is not readable as a dump (or the
//! command line is wrong). Messages go to standard error, one line each; answers go to standard output.
#![forbid(unsafe_code)]

mod archive;
mod args;
mod commands;
mod lookup;
mod memory;
mod source;
mod stack;
mod symbols;
mod types;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match commands::run(args::Args::parse()) {
        Ok(outcome) => ExitCode::from(outcome as u8),
        // A reader that closed the pipe has seen what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dumplens: cannot write the answer: {error}");
            ExitCode::from(commands::Outcome::Unreadable as u8)
        }
    }
}
