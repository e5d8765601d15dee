//! Our own reading of a file, held against what the testkit put there.

use std::{collections::BTreeMap, rc::Rc};

use dumplens_base::{Pa, PhysMemory};
use dumplens_dump::{Dump, open};
use dumplens_testkit::machine::Store;

use crate::{
    Form, Header, PAGE, Subject, header,
    spaces::{SpaceReading, spaces},
};

/// A file as our crates read it; it was found equal to what the testkit wrote.
#[derive(Debug)]
pub struct Reading {
    /// Header fields; those that the machine's description knows where there is no header.
    pub header: Header,
    /// Pages with their content.
    pub pages: BTreeMap<u64, Vec<u8>>,
    /// The kernel's space, then every process's.
    pub spaces: Vec<SpaceReading>,
}

/// Reads the file with our crates.
///
/// # Panics
/// If a header field, a page, a known address or a mapped byte differs from what the testkit wrote.
#[must_use]
pub fn read(subject: &Subject, form: Form, file: &[u8]) -> Reading {
    let who = format!("{} as {}", subject.name, form.name);
    let mut notes = Vec::new();
    let expected_header = header::of_machine(subject, form);
    let (store, base, header) = match open(Rc::new(file.to_vec())).unwrap_or_else(|error| panic!("{who}: {error}")) {
        Dump::Kernel(dump) => {
            let header = header::of_dump(&dump);
            let store = dump.physical(&mut notes).expect("the dump holds memory");
            (store, dump.header().directory_table_base, header)
        }
        Dump::Physical(image, _) => {
            // A raw image does not say where its tables are; QEMU's notes do.
            let base = image.roots.first().copied().unwrap_or(subject.machine.kernel.root);
            (image.physical(&mut notes), base, expected_header.clone())
        }
        Dump::Minidump(_) => panic!("{who}: taken for a user minidump"),
    };
    assert!(notes.is_empty(), "{who}: {notes:?}");
    for (name, value) in &expected_header {
        assert_eq!(header.get(name), Some(value), "{who}: {name}");
    }
    let expected: BTreeMap<u64, Vec<u8>> = subject.pages(form, file.len()).into_iter().collect();
    assert_eq!(store.page_count(), expected.len() as u64, "{who}: pages");
    let pages = pages(&store);
    assert!(pages == expected, "{who}: pages differ");
    let phys: Rc<dyn PhysMemory> = Rc::new(store);
    let spaces = spaces(subject, &phys, base);
    for space in &spaces {
        check_space(&who, form, space, &pages);
    }
    Reading { header, pages, spaces }
}

/// All pages of a store.
fn pages(store: &dyn PhysMemory) -> BTreeMap<u64, Vec<u8>> {
    let (mut pages, mut at) = (BTreeMap::new(), Pa(0));
    while let Some(run) = store.next_run(at) {
        let mut bytes = vec![0; run.len as usize];
        store.read_exact(run.start, &mut bytes).expect("a run can be read");
        for (index, page) in bytes.chunks(PAGE).enumerate() {
            pages.insert(run.start.frame() + index as u64, page.to_vec());
        }
        at = run.start.checked_add(run.len).expect("memory ends");
    }
    pages
}

fn check_space(who: &str, form: Form, space: &SpaceReading, pages: &BTreeMap<u64, Vec<u8>>) {
    for mark in &space.marks {
        let found = space.read(mark.va, 8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        assert_eq!(found, mark.value, "{who}, {}: {}", space.name, mark.name);
        // A raw image gives zeros for the table that the others lack, but no page behind it either.
        assert_eq!(space.holds(mark.va), mark.value.is_some() && in_half(space, mark.va), "{who}: {}", mark.name);
    }
    assert!(!space.pieces.is_empty() && (form.store == Store::Raw || !space.borders().is_empty()), "{who}");
    for piece in &space.pieces {
        let bytes = space.read(piece.va, piece.len as usize).expect("a piece can be read");
        for (index, page) in bytes.chunks(PAGE).enumerate() {
            let pfn = piece.pa / PAGE as u64 + index as u64;
            assert!(pages.get(&pfn).is_some_and(|stored| stored == page), "{who}, {}: {piece:x?}", space.name);
        }
    }
}

/// Processes list their user half only; kernel addresses are the kernel's.
fn in_half(space: &SpaceReading, va: u64) -> bool {
    (space.name == "kernel") == (va >= space.space.mode().kernel_start().0)
}
