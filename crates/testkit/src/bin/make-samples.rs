//! Writes the sample dumps of the page into a folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: make-samples FOLDER"));
    fs::create_dir_all(&folder).expect("the folder can be created");
    for (name, _, _, bytes) in dumplens_testkit::story::samples() {
        println!("{name}: {} bytes", bytes.len());
        fs::write(folder.join(name), bytes).expect("the sample can be written");
    }
    fs::write(folder.join("index.json"), dumplens_testkit::story::index()).expect("the index can be written");
}
