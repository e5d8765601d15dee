//! Commands of the benchmark program.

use std::{
    cell::Cell,
    fs::{self, File},
    hint::black_box,
    os::unix::fs::FileExt as _,
    path::Path,
    rc::Rc,
    time::Instant,
};

use dumplens_base::{BlockCache, ByteSource, Memory, PhysMemory, SourceError, SourceErrorKind, Va};
use dumplens_bench::{WORKLOADS, answer, run};
use dumplens_dump::{Dump, open};
use dumplens_engine::Session;
use dumplens_report::protocol::{Reply, Request};
use dumplens_testkit::{
    machine::{DATA, MachineSpec, PAGE, Store, WIN10_X64},
    pdb::LargePdb,
};
use dumplens_windows::{Hints, Kernel};
use kdmp_parser::{gxa::Gva, parse::KernelDumpParser, virt};

use crate::heap::peak;

/// First address of a range that is mapped page by page onto pages that stand one after another in the file.
const FLAT: u64 = 0xffff_9000_0000_0000;

/// Pages of that range, for a machine with so many GiB.
const fn flat_pages(gib: u64) -> u64 {
    if gib >= 16 { 512 << 8 } else { 128 << 8 }
}

pub(crate) fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["prepare", folder] => prepare(Path::new(folder)),
        ["open", file] => measured(|| {
            let (mut session, counters) = session(file);
            let Reply::Modules(modules) = answer(&mut session, Request::Modules) else { panic!("no modules") };
            println!("modules={}\nread={}\nreads={}", modules.len(), counters.0.get(), counters.1.get());
        }),
        ["kdmp-open", file] => measured(|| {
            let parser = KernelDumpParser::new(file).expect("kdmp-parser opens it");
            println!("modules={}", parser.kernel_modules().len());
        }),
        ["random", file, gib] => random(file, gib.parse().expect("a number")),
        ["kdmp-random", file, gib] => kdmp_random(file, gib.parse().expect("a number")),
        ["sequential", file, gib] => sequential(file, gib.parse().expect("a number")),
        ["file", file, gib] => whole_file(file, gib.parse().expect("a number")),
        ["names", file, end] => measured(|| crate::names::ours(file, end.parse().expect("a number"))),
        ["peer-names", file, end] => measured(|| crate::names::peer(file, end.parse().expect("a number"))),
        ["first-name", file, end] => measured(|| crate::names::first(file, end.parse().expect("a number"))),
        ["first-type", file, name] => measured(|| crate::names::first_type(file, name)),
        ["llvm-names", file, end] => crate::names::symbolizer(file, end.parse().expect("a number")),
        ["stack"] => crate::stacks::ours(),
        ["peer-stack"] => crate::stacks::peer(),
        ["threads", file] => crate::stacks::threads(file),
        ["workload", name, file] => {
            let dump = Rc::new(fs::read(file).expect("the dump is there"));
            println!("ms={}", best(|| run(name, &dump)));
        }
        ["workloads"] => WORKLOADS.iter().for_each(|name| println!("{name}")),
        other => panic!("there is no command {other:?}"),
    }
}

/// Writes the dumps that do not exist yet: sparse files with bitmaps of 1 to 256 GiB, and a small one with many processes.
fn prepare(folder: &Path) {
    fs::create_dir_all(folder).expect("the folder can be made");
    for gib in [1, 16, 64, 256] {
        let path = folder.join(format!("bitmap-{gib}.dmp"));
        if path.exists() {
            continue;
        }
        let mut machine = MachineSpec::small(WIN10_X64).build();
        // The flat range starts a quarter into memory: far from everything the machine itself uses.
        let first = gib * (1 << 30) / PAGE / 4;
        for page in 0..flat_pages(gib) {
            machine.kernel.map(&mut machine.phys, FLAT + page * PAGE, first + page, DATA);
        }
        let mut file = File::create(&path).expect("the dump can be made");
        machine.write_to(Store::BitmapFull, &mut file, gib * (1 << 30) / PAGE).expect("the disk takes it");
    }
    // The PDB of the kernel in a small machine.
    let path = folder.join("ntkrnlmp.pdb");
    if !path.exists() {
        let mut file = File::create(&path).expect("the PDB can be made");
        LargePdb::gigabyte([1; 16], 1).write_to(&mut file).expect("the disk takes it");
        fs::write(folder.join("kernel.dmp"), MachineSpec::small(WIN10_X64).build().write(Store::BitmapKernel))
            .expect("the disk takes it");
    }
    let path = folder.join("threads.dmp");
    if !path.exists() {
        fs::write(path, crate::stacks::many_threads()).expect("the disk takes it");
    }
    let path = folder.join("crowded.dmp");
    if !path.exists() {
        let machine = MachineSpec::crowded(WIN10_X64, 300, 8).build();
        fs::write(path, machine.write(Store::BitmapKernel)).expect("the disk takes it");
    }
}

pub(crate) type Counters = Rc<(Cell<u64>, Cell<u64>)>;

/// A file that counts what is read, as bytes and calls.
struct Counted {
    file: File,
    len: u64,
    counters: Counters,
}

impl ByteSource for Counted {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.counters.0.set(self.counters.0.get() + buf.len() as u64);
        self.counters.1.set(self.counters.1.get() + 1);
        let len = buf.len() as u64;
        let fail = |_| SourceError { offset, len, kind: SourceErrorKind::Io };
        self.file.read_exact_at(buf, offset).map_err(fail)
    }
}

/// The file as the command line reads it.
pub(crate) fn source(path: &str) -> (Rc<dyn ByteSource>, Counters) {
    let file = File::open(path).expect("the dump is there");
    let counters = Counters::default();
    let len = file.metadata().expect("it has a length").len();
    let counted = Counted { file, len, counters: counters.clone() };
    (Rc::new(BlockCache::for_files(counted)), counters)
}

pub(crate) fn session(path: &str) -> (Session, Counters) {
    let (source, counters) = source(path);
    (Session::open(source, None).expect("the dump opens"), counters)
}

/// Times work in this process, and says how much memory it needed at most: on the heap, and all in all.
pub(crate) fn measured(work: impl FnOnce()) {
    // What a process has that does nothing yet.
    println!("base_kib={}", peak_kib("self"));
    let started = Instant::now();
    let mut ms = 0.0;
    let heap = peak(|| ms = timed(work));
    println!("ms={ms}\nheap_kib={}", heap >> 10);
    println!("wall_ms={}", started.elapsed().as_secs_f64() * 1e3);
    println!("peak_kib={}", peak_kib("self"));
}

/// Most memory that a process had so far, in KiB: its number, or `self`.
pub(crate) fn peak_kib(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    peak.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Milliseconds that this process has been on a processor: what other programs do at the same time does not count.
fn processor_ms() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// Processor time of some work, in milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let started = processor_ms();
    black_box(work());
    processor_ms() - started
}

/// The best of many rounds in milliseconds: what is left when nothing else runs. The JavaScript side does the same.
pub(crate) fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    let mut rounds = 0;
    while rounds < 10 || started.elapsed().as_millis() < 1_500 {
        let start = Instant::now();
        black_box(work());
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        rounds += 1;
    }
    best
}

const RANDOM_READS: u64 = 100_000;

/// The same pseudo-random pages of the flat range for every reader.
fn addresses(gib: u64) -> impl Iterator<Item = u64> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    (0..RANDOM_READS).map(move |_| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        FLAT + seed % flat_pages(gib) * PAGE
    })
}

fn kernel(path: &str) -> Kernel {
    let mut notes = Vec::new();
    let Ok(Dump::Kernel(dump)) = open(source(path).0) else { panic!("not a kernel dump") };
    let header = dump.header();
    let hints = Hints {
        machine: header.machine,
        build: header.build,
        directory_table_base: header.directory_table_base,
        module_list: Some(header.ps_loaded_module_list),
        process_list: Some(header.ps_active_process_head),
        debugger_data: header.kd_debugger_data_block,
        kernel_base: None,
        pae: None,
        processors: header.processors,
    };
    let phys: Rc<dyn PhysMemory> = Rc::new(dump.physical(&mut notes).expect("it has pages"));
    Kernel::find(phys, &hints, &mut notes).expect("the kernel is found")
}

fn random(path: &str, gib: u64) {
    let kernel = kernel(path);
    let mut page = vec![0; PAGE as usize];
    let ms = timed(|| {
        for address in addresses(gib) {
            assert!(kernel.space.read(Va(address), &mut page).fault.is_none());
        }
    });
    println!("ms={ms}\nper_read_us={}", ms * 1e3 / RANDOM_READS as f64);
}

fn kdmp_random(path: &str, gib: u64) {
    let parser = KernelDumpParser::new(path).expect("kdmp-parser opens it");
    let reader = virt::Reader::new(&parser);
    let mut page = vec![0; PAGE as usize];
    let ms = timed(|| {
        for address in addresses(gib) {
            reader.read_exact(Gva::new(address), &mut page).expect("it reads");
        }
    });
    println!("ms={ms}\nper_read_us={}", ms * 1e3 / RANDOM_READS as f64);
}

const STEP: usize = 1 << 20;

fn sequential(path: &str, gib: u64) {
    let kernel = kernel(path);
    let mut buffer = vec![0; STEP];
    let length = flat_pages(gib) * PAGE;
    let ms = timed(|| {
        for at in (0..length).step_by(STEP) {
            assert!(kernel.space.read(Va(FLAT + at), &mut buffer).fault.is_none());
        }
    });
    println!("ms={ms}\nmib_per_s={}", (length >> 20) as f64 / ms * 1e3);
}

fn whole_file(path: &str, gib: u64) {
    let file = File::open(path).expect("the dump is there");
    let mut buffer = vec![0; STEP];
    let length = flat_pages(gib) * PAGE;
    let start = gib * (1 << 30) / 4;
    let ms = timed(|| {
        for at in (0..length).step_by(STEP) {
            file.read_exact_at(&mut buffer, start + at).expect("it reads");
        }
    });
    println!("ms={ms}\nmib_per_s={}", (length >> 20) as f64 / ms * 1e3);
}
