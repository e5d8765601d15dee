//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
};

use dumplens_base::{ByteSource, SourceError};
use dumplens_symbols::PdbFile;

/// The PDBs of the data set.
pub const PDBS: [&str; 17] = [
    "kernel/symbols/amdppm.pdb/1C19FDDB27BB3399D9B45973EFEAFCF31/amdppm.pdb",
    "pe-pdb/breakpad/dump_syms_regtest.pdb",
    "pe-pdb/breakpad/dump_syms_regtest64.pdb",
    "pe-pdb/breakpad/omap_reorder_bbs.pdb",
    "pe-pdb/driver_x64/systeminformer.pdb",
    "pe-pdb/ntdll/ntdll_x64.pdb",
    "pe-pdb/ntdll/wntdll_x86.pdb",
    "pe-pdb/seh/ARM64/nested_collided.pdb",
    "pe-pdb/seh/ARM64/xcpt4.pdb",
    "pe-pdb/seh/x64/nested_collided.pdb",
    "pe-pdb/seh/x64/xcpt4.pdb",
    "pe-pdb/seh/x86/nested_collided.pdb",
    "pe-pdb/seh/x86/xcpt4.pdb",
    "pe-pdb/win64-ci/WriteArgument.pdb",
    "pe-pdb/win64-ci/softokn3.pdb",
    "user/symbols/crash.pdb/3249D99D0C4049318610F4E4FB0B69361/crash.pdb",
    "user/symbols/sigsegv/sigsegv.pdb",
];

/// The folder of the data set. `None`, with a message, if there is none.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("DUMPLENS_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: DUMPLENS_DATA not set");
    }
    folder
}

pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn open(path: &Path) -> PdbFile {
    PdbFile::open(Rc::new(bytes(path)), PdbFile::DEFAULT_BUDGET)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `llvm-pdbutil dump` says. `None`, with a message, if it is not installed.
pub fn pdbutil(path: &Path, args: &[&str]) -> Option<String> {
    for program in ["llvm-pdbutil-19", "llvm-pdbutil"] {
        if let Ok(output) = Command::new(program).arg("dump").args(args).arg(path).output() {
            return Some(String::from_utf8_lossy(&output.stdout).into_owned());
        }
    }
    println!("skipped: llvm-pdbutil is not installed");
    None
}

/// Counts what is read.
pub struct Counting<S> {
    pub source: S,
    pub bytes: Rc<Cell<u64>>,
    pub reads: Rc<Cell<u64>>,
}

impl<S: ByteSource> Counting<S> {
    pub fn new(source: S) -> Self {
        Self { source, bytes: Rc::default(), reads: Rc::default() }
    }
}

impl<S: ByteSource> ByteSource for Counting<S> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.bytes.set(self.bytes.get() + buf.len() as u64);
        self.reads.set(self.reads.get() + 1);
        self.source.read_at(offset, buf)
    }
}
