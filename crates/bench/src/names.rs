//! Names of addresses: our PDB reader beside pdb-addr2line and llvm-symbolizer.

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use dumplens_base::types::Types as _;
use dumplens_symbols::{PdbFile, types::TypeTable};
use pdb_addr2line::{ContextPdbData, pdb::PDB};

use dumplens_testkit::machine::pe::TestImage;

use crate::native::{peak_kib, source};

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
    let (source, counters) = source(file);
    let pdb = PdbFile::open(source, PdbFile::DEFAULT_BUDGET).expect("the PDB opens");
    report(started, |rva| pdb.lookup(rva).expect("the lookup works").is_some(), end);
    println!("read={}\nreads={}", counters.0.get(), counters.1.get());
}

/// Our reader, for one name only: what it costs to begin.
pub(crate) fn first(file: &str, end: u32) {
    let started = Instant::now();
    let (source, counters) = source(file);
    let pdb = PdbFile::open(source, PdbFile::DEFAULT_BUDGET).expect("the PDB opens");
    let first = addresses(end).find(|rva| pdb.lookup(*rva).expect("the lookup works").is_some());
    println!("first_ms={}", started.elapsed().as_secs_f64() * 1e3);
    assert!(first.is_some(), "no address has a name");
    println!("read={}\nreads={}", counters.0.get(), counters.1.get());
}

/// The layout of one structure, from the file's name on.
pub(crate) fn first_type(file: &str, name: &str) {
    let started = Instant::now();
    let (source, counters) = source(file);
    let pdb = PdbFile::open(source, PdbFile::DEFAULT_BUDGET).expect("the PDB opens");
    let table = TypeTable::open(&pdb, TypeTable::DEFAULT_BUDGET).expect("its types open").expect("it has types");
    let found = table.find(name).expect("the look-up works").expect("there is such a type");
    let layout = table.layout(&found.named).expect("it is read").expect("it is a structure");
    println!("first_ms={}\nfields={}", started.elapsed().as_secs_f64() * 1e3, layout.fields.len());
    println!("read={}\nreads={}", counters.0.get(), counters.1.get());
}

/// The peer. It is given the file, not its bytes: then it takes less memory, and no more time.
pub(crate) fn peer(file: &str, end: u32) {
    let started = Instant::now();
    let file = File::open(file).expect("the PDB is there");
    let data = ContextPdbData::try_from_pdb(PDB::open(file).expect("the PDB opens")).expect("it is read");
    let context = data.make_context().expect("it is read");
    report(started, |rva| context.find_frames(rva).expect("the lookup works").is_some(), end);
}

/// Names of llvm-symbolizer, the one this was compared with first.
const SYMBOLIZERS: [&str; 2] = ["llvm-symbolizer-19", "llvm-symbolizer"];

/// The other peer, a program of its own: it is asked line by line, and measured from its start. It takes images, not PDBs, so
/// that one is written beside that names the PDB. Says nothing where the program is not installed.
pub(crate) fn symbolizer(file: &str, end: u32) {
    let installed = |program: &&&str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    let Some(program) = SYMBOLIZERS.iter().find(installed) else { return };
    let file = fs::canonicalize(file).expect("the PDB is there");
    let image = std::env::temp_dir().join(format!("dumplens-bench-{}.exe", std::process::id()));
    fs::write(&image, image_of(&file, end)).expect("the disk takes it");
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(["--relative-address", "--obj"])
        .arg(&image)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut ask = child.stdin.take().expect("it listens");
    let mut answers = BufReader::new(child.stdout.take().expect("it answers"));
    // An answer ends in an empty line; a name that is not known is two question marks.
    let mut answer = move || {
        let (mut line, mut named) = (String::new(), false);
        for number in 0.. {
            line.clear();
            match answers.read_line(&mut line) {
                // It has ended: it crashes on some PDBs.
                Ok(0) | Err(_) => return None,
                Ok(_) if line.trim().is_empty() => break,
                Ok(_) => named |= number == 0 && !line.starts_with("??"),
            }
        }
        Some(named)
    };
    let first = addresses(end).find(|rva| {
        let _ = writeln!(ask, "{rva:#x}");
        answer().unwrap_or(true)
    });
    println!("first_ms={}", started.elapsed().as_secs_f64() * 1e3);
    assert!(first.is_some(), "no address has a name");
    let started = Instant::now();
    let asking = thread::spawn(move || {
        let mut buffered = BufWriter::new(ask);
        let asked = addresses(end).try_for_each(|rva| writeln!(buffered, "{rva:#x}"));
        asked.ok().and_then(|()| buffered.into_inner().ok())
    });
    let answers: Vec<bool> = (0..LOOKUPS).map_while(|_| answer()).collect();
    let (seconds, found) = (started.elapsed().as_secs_f64(), answers.iter().filter(|named| **named).count());
    // It lives as long as somebody may ask.
    let peak = peak_kib(&child.id().to_string());
    if answers.len() == LOOKUPS as usize {
        println!("per_second={}\nfound={found}\npeak_kib={peak}", f64::from(LOOKUPS) / seconds);
    } else {
        println!("crashed={}", answers.len());
    }
    drop(asking.join().expect("the questions were put"));
    child.wait().expect("it ends");
    fs::remove_file(image).expect("the image can be removed");
}

/// An image that names a PDB.
fn image_of(pdb: &Path, end: u32) -> Vec<u8> {
    let path = pdb.to_string_lossy().into_owned();
    let identity = *PdbFile::open(source(&path).0, PdbFile::DEFAULT_BUDGET).expect("the PDB opens").identity();
    let image = TestImage {
        has_functions: false,
        machine: 0x8664,
        timestamp: 1,
        size: end.next_multiple_of(0x1000).max(0x4000),
        guid: identity.guid,
        age: identity.age,
        pdb: path,
        export_name: "bench.exe".into(),
        exports: Vec::new(),
    };
    image.build()
}
