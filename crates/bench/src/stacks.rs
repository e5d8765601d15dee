//! Stacks: our x64 unwinder beside framehop on the same stack, and a dump with thousands of threads.

use std::{cell::Cell, hint::black_box, ops::Range, rc::Rc, time::Instant};

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_bench::answer;
use dumplens_report::protocol::{Reply, Request};
use dumplens_testkit::calls::{BASE, Calls};
use dumplens_unwind::{
    Bounds, FramePointers, MAX_UNWOUND_FRAMES, Modules, OTHER_STACKS, Options, Returns, Target, walk_x64,
    x64::{Absent, CodeImage, Registers, Waypoints},
};
use framehop::{
    Module, ModuleSectionInfo, Unwinder,
    x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64},
};

use crate::native::{best, measured, session};

/// Functions of the program, and frames of the deep stack.
const FUNCTIONS: u32 = 4_000;
const FRAMES: u32 = 10_000;
/// Where the deep stack is.
const STACK: u64 = 0x20_0000;

/// The image and the stack as both unwinders are given them: as bytes.
struct World {
    program: Calls,
    ip: u64,
    stack: Vec<u8>,
    reads: Cell<u64>,
}

impl World {
    fn new() -> Self {
        let mut program = Calls::new(FUNCTIONS);
        let (ip, stack) = program.stack(FRAMES);
        Self { program, ip, stack, reads: Cell::new(0) }
    }

    fn bytes(&self, va: u64, len: usize) -> Option<&[u8]> {
        self.reads.set(self.reads.get() + 1);
        let at = |base: u64| va.checked_sub(base).map(|at| at as usize);
        let within = |bytes: &'_ [u8], base| at(base).filter(|at| *at < bytes.len());
        if let Some(at) = within(&self.stack, STACK) {
            return self.stack.get(at..at + len);
        }
        within(&self.program.image, BASE).and_then(|at| self.program.image.get(at..at + len))
    }
}

impl Memory for World {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        match self.bytes(va.0, buf.len()) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                ReadOutcome::complete(buf.len())
            }
            None => ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }) },
        }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// The one image, for our unwinder.
#[derive(Clone)]
struct One<'a> {
    world: &'a World,
    learnt: Rc<(Waypoints, Returns)>,
}

impl CodeImage for One<'_> {
    fn base(&self) -> Va {
        Va(BASE)
    }

    fn size(&self) -> u32 {
        self.world.program.image.len() as u32
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        Some((self.world.program.pdata, FUNCTIONS * 12))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        let bytes = self.world.bytes(BASE + u64::from(rva), buf.len()).ok_or(Absent { rva })?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn is_executable(&self, rva: u32) -> bool {
        rva < self.world.program.pdata
    }

    fn waypoints(&self) -> Option<&Waypoints> {
        Some(&self.learnt.0)
    }
}

impl Modules for One<'_> {
    fn target(&self, address: Va) -> Target {
        if address.offset_from(Va(BASE)).is_some_and(|rva| rva < u64::from(self.size())) {
            Target::Code
        } else {
            Target::Nothing
        }
    }

    fn image(&self, _: Va) -> Option<Rc<dyn CodeImage + '_>> {
        Some(Rc::new(self.clone()))
    }

    fn returns(&self) -> Option<&Returns> {
        Some(&self.learnt.1)
    }
}

/// Prints the rates of a first walk and of later ones, and the reads for each frame of both: a walker is made anew for the
/// first, and remembers what it likes for the others.
fn report<W: FnMut() -> usize>(world: &World, walker: impl Fn() -> W) {
    let counted = |walk: &mut W| {
        world.reads.set(0);
        assert_eq!(walk(), FRAMES as usize, "all frames are found");
        world.reads.get() as f64 / f64::from(FRAMES)
    };
    let per_second = |ms: f64| f64::from(FRAMES) / ms * 1e3;
    let mut walk = walker();
    println!("first_reads={}\nreads={}", counted(&mut walk), counted(&mut walk));
    println!("first_per_second={}", per_second(best(|| walker()())));
    println!("per_second={}", per_second(best(walk)));
}

/// Our unwinder.
pub(crate) fn ours() {
    let world = World::new();
    let bounds = Bounds { limit: Va(STACK), base: Va(STACK + world.stack.len() as u64) };
    let options = Options {
        bounds: Some(bounds),
        others: [None; OTHER_STACKS],
        frame_pointers: FramePointers::Doubtful,
        most_frames: MAX_UNWOUND_FRAMES,
    };
    let registers = Registers::new(Va(world.ip), Va(STACK));
    report(&world, || {
        let image = One { world: &world, learnt: Rc::default() };
        move || walk_x64(image.world, &image, &registers, &options).frames.len()
    });
}

/// The peer's view of the image's sections.
struct Sections<'a>(&'a Calls);

impl Sections<'_> {
    fn range(&self, name: &[u8]) -> Option<Range<u32>> {
        match name {
            b".text" => Some(0x1000..self.0.pdata),
            b".pdata" => Some(self.0.pdata..self.0.pdata + FUNCTIONS * 12),
            b".xdata" => Some(self.0.xdata..self.0.image.len() as u32),
            _ => None,
        }
    }
}

impl ModuleSectionInfo<Vec<u8>> for Sections<'_> {
    fn base_svma(&self) -> u64 {
        BASE
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        let range = self.range(name)?;
        Some(BASE + u64::from(range.start)..BASE + u64::from(range.end))
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let range = self.range(name)?;
        Some(self.0.image[range.start as usize..range.end as usize].to_vec())
    }
}

/// The peer.
pub(crate) fn peer() {
    let world = World::new();
    let mut unwinder: UnwinderX86_64<Vec<u8>> = UnwinderX86_64::new();
    let end = BASE + world.program.image.len() as u64;
    unwinder.add_module(Module::new("calls.exe".into(), BASE..end, BASE, Sections(&world.program)));
    report(&world, || {
        let (unwinder, world) = (&unwinder, &world);
        let mut cache: CacheX86_64 = CacheX86_64::new();
        move || {
            let mut read = |at: u64| {
                let bytes = world.bytes(at, 8).ok_or(())?;
                Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| ())?))
            };
            let registers = UnwindRegsX86_64::new(world.ip, STACK, 0);
            let mut frames = unwinder.iter_frames(world.ip, registers, &mut cache, &mut read);
            let mut count = 0;
            while let Ok(Some(frame)) = frames.next() {
                black_box(frame.address());
                count += 1;
            }
            count
        }
    });
}

/// Threads of that dump, and frames of each.
const THREADS: u32 = 10_000;
const DEPTH: u32 = 20;

/// A dump with very many threads.
pub(crate) fn many_threads() -> Vec<u8> {
    Calls::new(FUNCTIONS).minidump(THREADS, DEPTH)
}

/// All stacks of that dump, walked and grouped as the command line shows them.
pub(crate) fn threads(file: &str) {
    measured(|| {
        let started = Instant::now();
        let (mut session, counters) = session(file);
        println!("open_ms={}", started.elapsed().as_secs_f64() * 1e3);
        let Reply::Stacks(groups) = answer(&mut session, Request::Stacks) else { panic!("no stacks") };
        println!("groups={}", groups.len());
        let frames: usize = groups.iter().map(|group| group.threads.len() * group.stack.frames.len()).sum();
        assert_eq!(frames, (THREADS * DEPTH) as usize, "every frame of every thread is found");
        println!("frames={frames}\nread={}\nreads={}", counters.0.get(), counters.1.get());
    });
}
