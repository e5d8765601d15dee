//! PDBs of gigabytes: what is asked decides what is read, and nothing is as large as the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{fs::File, path::PathBuf, rc::Rc};

use common::{Counting, pdbutil};
use dumplens_base::types::Types as _;
use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use dumplens_symbols::{PdbFile, types::TypeTable};
use dumplens_testkit::pdb::LargePdb;

const GUID: [u8; 16] = [0x2b; 16];

/// A file that is removed in the end.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, pdb: &LargePdb) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        pdb.write_to(&mut File::create(&path).unwrap()).unwrap();
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file, read where it is asked for.
struct Source(File);

impl ByteSource for Source {
    fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        use std::os::unix::fs::FileExt as _;
        let len = buf.len() as u64;
        self.0.read_exact_at(buf, offset).map_err(|_| SourceError { offset, len, kind: SourceErrorKind::Io })
    }
}

/// Names at the first and the last function, with all that was read, in bytes.
fn names(file: &Written, pdb: &LargePdb) -> u64 {
    let source = Counting::new(Source(File::open(&file.0).unwrap()));
    let read = Rc::clone(&source.bytes);
    let open = PdbFile::open(Rc::new(source), PdbFile::DEFAULT_BUDGET).unwrap();
    assert!(open.identity().matches(&GUID, 3));
    let last = pdb.modules * pdb.functions - 1;
    for function in [0, last / 2, last] {
        let found = open.lookup(pdb.rva(function) + 0x24).unwrap().unwrap();
        assert_eq!((&*found.function, found.function_offset), (pdb.name(function).as_str(), 0x24));
        assert_eq!((found.file.as_deref(), found.line), (Some("large.cpp"), Some(function * 10 % 50_000 + 5)));
    }
    let read = read.get();
    assert_eq!(types(&open, pdb), 3, "the structures are found");
    assert_eq!(open.by_name(&pdb.name(last)).unwrap(), Some(pdb.rva(last)));
    assert_eq!(open.by_name("?function1@part0@large@@YAXXZ").unwrap(), Some(pdb.rva(last - pdb.functions + 2)));
    read
}

/// How many of three structures are found, each with its members.
fn types(open: &PdbFile, pdb: &LargePdb) -> usize {
    let table = TypeTable::open(open, 0).unwrap().unwrap();
    let names = [0, pdb.structures / 2, pdb.structures - 1].map(|structure| pdb.structure(structure));
    let layouts = names.map(|name| table.layout(&table.find(&name).unwrap().unwrap().named).unwrap().unwrap());
    layouts.iter().filter(|layout| layout.size == 32 && layout.fields.len() == 8).count()
}

#[test]
fn of_a_gigabyte_a_few_megabytes_are_read() {
    let pdb = LargePdb::gigabyte(GUID, 3);
    let file = Written::new("gigabyte.pdb", &pdb);
    assert!(file.0.metadata().unwrap().len() > 1 << 30);
    let read = names(&file, &pdb);
    // The directory has 1.3 MB, the list of modules 0.3 MB.
    assert!(read < 4_000_000, "{read} bytes");
    // Somebody else's reader finds the file in order.
    let Some(text) = pdbutil(&file.0, &["--summary", "--symbols", "--modi=7"]) else { return };
    assert!(text.contains("Age: 3") && text.contains("large::part7::function63"), "{text}");
    let Some(text) = pdbutil(&file.0, &["--types", "--type-index=0xac3f"]) else { return };
    assert!(text.contains("LF_STRUCTURE") && text.contains("_LARGE_STRUCTURE19999"), "{text}");
    let Some(text) = pdbutil(&file.0, &["-l", "--modi=2499"]) else { return };
    assert!(text.contains("large.cpp"), "{text}");
}

#[test]
fn files_beyond_4_gib_are_read_as_others_are() {
    let pdb = LargePdb::four_gigabytes(GUID, 3);
    let file = Written::new("four-gigabytes.pdb", &pdb);
    assert!(file.0.metadata().unwrap().len() > 4 << 30);
    let read = names(&file, &pdb);
    assert!(read < 5_000_000, "{read} bytes");
}
