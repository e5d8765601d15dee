//! Writes the seeds of every target: `make-seeds DIR` makes `DIR/TARGET/NUMBER`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../seeds/mod.rs"]
mod seeds;

use std::{fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(std::env::args_os().nth(1).expect("a folder to write to"));
    for (name, _) in dumplens_fuzz::TARGETS {
        let folder = out.join(name);
        // Seeds of before may be of a form that no target has any more.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for seeds");
        for (number, bytes) in seeds::of(name).into_iter().enumerate() {
            fs::write(folder.join(format!("{number:04}")), bytes).expect("a seed");
        }
    }
}
