//! Writes every test machine in every form into a folder, with what readers should find: for `tests/peers/compare.py`.
//!
//! `index.json` names the files. Known addresses and header fields are the testkit's, the list of readable addresses is
//! our reading of the very file; a file on which the two differ ends the program. `NAME.pages` holds a machine's pages in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, path::PathBuf};

use dumplens_paging::Via;
use dumplens_peers::{FORMS, Form, SpaceReading, Subject, read, subjects};
use serde_json::{Value, json};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("usage: make-machines FOLDER"));
    fs::create_dir_all(&folder).expect("the folder can be created");
    let mut machines = Vec::new();
    for subject in subjects() {
        let pages_file = format!("{}.pages", subject.name);
        let pages: Vec<u8> = subject.machine.phys.pages().flat_map(|(_, page)| page.to_vec()).collect();
        fs::write(folder.join(&pages_file), pages).expect("the pages can be written");
        let dumps: Vec<Value> = FORMS.iter().map(|form| dump(&folder, &subject, *form)).collect();
        let modules: Vec<Value> =
            subject.machine.modules.iter().map(|(base, size, name)| json!([base, size, name])).collect();
        machines.push(json!({
            "name": subject.name,
            "paging": format!("{:?}", subject.paging()).to_lowercase(),
            "wide": subject.is_wide(),
            "pages": pages_file,
            "runs": subject.machine.phys.runs(),
            "modules": modules,
            "dumps": dumps,
        }));
    }
    let index = serde_json::to_string(&json!({ "machines": machines })).unwrap();
    fs::write(folder.join("index.json"), index).expect("the index can be written");
}

fn dump(folder: &std::path::Path, subject: &Subject, form: Form) -> Value {
    let name = format!("{}.{}", subject.name, form.name);
    let file = subject.write(form);
    let ours = read(subject, form, &file);
    fs::write(folder.join(&name), &file).expect("the dump can be written");
    json!({
        "form": form.name,
        "type": form.dump_type,
        "file": name,
        "header": ours.header,
        "page_count": ours.pages.len(),
        "spaces": ours.spaces.iter().map(space).collect::<Vec<_>>(),
    })
}

fn space(space: &SpaceReading) -> Value {
    let marks: Vec<Value> =
        space.marks.iter().map(|mark| json!([mark.name, mark.va, mark.value, via(mark.via)])).collect();
    let pieces: Vec<Value> =
        space.pieces.iter().map(|piece| json!([piece.va, piece.pa, piece.len, via(piece.via)])).collect();
    json!({
        "name": space.name,
        "root": space.root,
        "marks": marks,
        "pieces": pieces,
        "borders": space.borders(),
    })
}

const fn via(via: Via) -> &'static str {
    match via {
        Via::Hardware => "hardware",
        Via::Transition => "transition",
        Via::Prototype => "prototype",
    }
}
