//! Names of addresses: our PDB reader beside pdb-addr2line.

use std::{fs, hint::black_box, io::Cursor, time::Instant};

use dumplens_symbols::PdbFile;
use pdb_addr2line::{ContextPdbData, pdb::PDB};

use crate::native::source;

/// Addresses that are asked for.
const LOOKUPS: u32 = 100_000;

/// The same pseudo-random addresses below `end` for both.
fn addresses(end: u32) -> impl Iterator<Item = u32> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    (0..LOOKUPS).map(move |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        0x1000 + (seed as u32) % (end - 0x1000)
    })
}

/// Time from the file's name to the first name, then names per second.
fn report(started: Instant, mut lookup: impl FnMut(u32) -> bool, end: u32) {
    let first = addresses(end).find(|rva| lookup(*rva));
    println!("first_ms={}", started.elapsed().as_secs_f64() * 1e3);
    assert!(first.is_some(), "no address has a name");
    let started = Instant::now();
    let found = addresses(end).filter(|rva| black_box(lookup(*rva))).count();
    println!("per_second={}\nfound={found}", f64::from(LOOKUPS) / started.elapsed().as_secs_f64());
}

/// Our reader, on the file as the command line reads it.
pub(crate) fn ours(file: &str, end: u32) {
    let started = Instant::now();
    let pdb = PdbFile::open(source(file).0, PdbFile::DEFAULT_BUDGET).expect("the PDB opens");
    report(started, |rva| pdb.lookup(rva).expect("the lookup works").is_some(), end);
}

/// The peer.
pub(crate) fn peer(file: &str, end: u32) {
    let started = Instant::now();
    let bytes = fs::read(file).expect("the PDB is there");
    let data = ContextPdbData::try_from_pdb(PDB::open(Cursor::new(bytes)).expect("the PDB opens")).expect("it is read");
    let context = data.make_context().expect("it is read");
    report(started, |rva| context.find_frames(rva).expect("the lookup works").is_some(), end);
}
