use std::{cell::Cell, rc::Rc, sync::OnceLock};

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_unwind::{
    Bounds, Entry, FramePointers, MAX_FRAMES, Modules, Options, Returns, Target, Trust, fold, walk_x64,
    x64::{
        Absent, At, CodeImage, DynamicTable, Register, Registers, Rule, RuntimeFunction, Stepped, Stop, UnwindInfo,
        entry, step,
    },
};

use super::leads_on;
use crate::{Op, Patch, budget};

// The writer of images is that of the unwinder's own tests.
#[path = "../../../unwind/tests/common/built.rs"]
#[allow(clippy::cast_possible_truncation)]
mod built;

pub use built::{BASE as IMAGE, STACK};
use built::{Built, SIZE};

/// Where the function table and the unwind data begin.
const TABLE: u32 = 0x8000;
const DATA: u32 = 0x9000;
/// Most bytes that may be read of an image: more is work without end.
const MOST_READ: u64 = 512 << 20;

/// The functions of the image, each 0x100 bytes long and with a return address 0x50 bytes in: where each begins, and how
/// many words of its frame stand below what it returns to.
pub const FUNCTIONS: [(u32, usize); 11] = [
    (0x1000, 5),
    (0x1200, 5),
    (0x2000, 1),
    (0x3000, 5),
    (0x3200, 17),
    (0x4000, 1),
    (0x4200, 2),
    (0x5000, 5),
    (0x6000, 5),
    (0x6200, 19),
    (0x7000, 5),
];

/// An image with a function of every kind, as the unwinder's tests have them.
fn program() -> Built {
    let mut image = Built::new();
    // sub rsp, 20h; push rbx
    let frame = [[6, 2 | 3 << 4], [2, 3 << 4]];
    let f = image.info(1, 6, 0, &frame, &[]);
    let part = image.info(1 | 4 << 3, 5, 0, &[[5, 4 | 6 << 4], [1, 0]], &[0x1000, 0x1100, f]);
    let g = image.info(1 | 1 << 3, 4, 0, &[[4, 2]], &[0x2000]);
    let framed = image.info(1, 10, 5 | 1 << 4, &[[10, 3], [5, 2 | 3 << 4], [1, 5 << 4]], &[]);
    let slots = [9, 0x64, 2, 0, 9, 0x68, 1, 0, 9, 0x75, 0x18, 0, 0, 0, 9, 0x79, 0x20, 0, 0, 0, 9, 1, 0x10, 0];
    let far = [5, 0x11, 8, 0, 0, 0];
    let large = image.info(1, 9, 0, [&slots[..], &far].concat().as_chunks().0, &[]);
    let trap = image.info(1, 1, 0, &[[1, 5 << 4], [0, 10]], &[]);
    let fault = image.info(1, 1, 0, &[[1, 5 << 4], [0, 10 | 1 << 4]], &[]);
    let second = image.info(2, 6, 0, &[[2, 6 | 1 << 4], [0x20, 6], frame[0], frame[1]], &[]);
    let third =
        image.raw(&[3, 5, 8, 2 | 2 << 5, 1, 0, 2 << 3, 0xfa, 0xff, 0, 0, 5, 0, 4, 0, 0xe0, 0xff, 0x38, 0x1c, 0]);
    let pool = [0x35, 0x10, 0, 0, 0, 0, 5 | 1 << 4, 1, 0x80, 0, 0, 0, 16 << 3 | 4, 12 << 3 | 7];
    let extended = image.raw(&[&[3, 9, 10, 5, 8, 6, 4, 2, 0][..], &pool, &[0]].concat());
    let indirect = image.raw(&[0x1000, 0x1100, f].map(u32::to_le_bytes).concat()) | 1;
    let infos = [f, part, g, framed, large, trap, fault, second, third, extended, indirect];
    for ((begin, _), info) in FUNCTIONS.into_iter().zip(infos) {
        Built::function(&mut image, begin, begin + 0x100, info);
        image.call(begin + 0x50);
    }
    // add rsp, 20h; pop r12; pop rbx; ret; and two that jump out, of which the other version lists one.
    image.put(0x1040, &[0x48, 0x83, 0xc4, 0x20, 0x41, 0x5c, 0x5b, 0xc3]);
    image.put(0x1060, &[0x41, 0x5c, 0x5b, 0xe9, 0x98, 0x0f, 0, 0]);
    image.put(0x50e0, &[0x5b, 0xeb]);
    image
}

/// An image and a stack: all that is in memory.
struct World {
    image: Rc<Code>,
    words: Vec<u64>,
    /// Whether memory holds the image as well.
    loaded: bool,
}

/// An image, patched; what lies behind its bytes is absent.
struct Code {
    bytes: Vec<u8>,
    table: u32,
    read: Cell<u64>,
}

impl Code {
    fn patched(patches: impl Iterator<Item = Patch>) -> Self {
        static BASE: OnceLock<Built> = OnceLock::new();
        let base = BASE.get_or_init(|| budget::unbounded(program));
        let table = base.function_table().map_or(0, |(_, size)| size);
        let mut bytes = base.bytes.clone();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default() + 1 - DATA as usize;
        for patch in patches {
            let place = |number: usize| match (patch.listed, number.checked_sub(table as usize)) {
                (false, _) => number % SIZE as usize,
                (true, None) => TABLE as usize + number,
                (true, Some(number)) => DATA as usize + number % used,
            };
            let at = place(patch.place as usize);
            if patch.op == Op::Remove {
                bytes.truncate(at);
                continue;
            }
            let width = usize::from(patch.width);
            let number = |at: usize| {
                let mut number = [0; 8];
                number[..width].copy_from_slice(bytes.get(at..at + width)?);
                Some(u64::from_le_bytes(number))
            };
            let Some(old) = number(at) else { continue };
            let new = patch.apply(old, number(place(patch.value as u16 as usize)).unwrap_or_default());
            bytes[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
        }
        Self { bytes, table, read: Cell::new(0) }
    }
}

impl CodeImage for Code {
    fn base(&self) -> Va {
        Va(IMAGE)
    }

    fn size(&self) -> u32 {
        SIZE
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        Some((TABLE, self.table))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        self.read.set(self.read.get() + buf.len() as u64);
        assert!(self.read.get() < MOST_READ, "the reading does not end");
        let found = self.bytes.get(rva as usize..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(found.ok_or(Absent { rva: rva.max(self.bytes.len() as u32) })?);
        Ok(())
    }

    fn is_executable(&self, rva: u32) -> bool {
        (0x1000..TABLE).contains(&rva)
    }
}

impl Memory for World {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        for (index, byte) in buf.iter_mut().enumerate() {
            let at = va.0.wrapping_add(index as u64);
            let word = at.checked_sub(STACK).and_then(|offset| self.words.get((offset / 8) as usize));
            let code = at.checked_sub(IMAGE).filter(|_| self.loaded).and_then(|rva| self.image.bytes.get(rva as usize));
            let Some(found) = word.map(|word| word.to_le_bytes()[(at % 8) as usize]).or(code.copied()) else {
                let fault = Fault::NotInDump { va: Va(at), searched: Searched::MinidumpRanges };
                return ReadOutcome { filled: index, fault: Some(fault) };
            };
            *byte = found;
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

impl Modules for World {
    fn target(&self, address: Va) -> Target {
        if (IMAGE..IMAGE + u64::from(SIZE)).contains(&address.0) { Target::Code } else { Target::Nothing }
    }

    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        (self.target(address) == Target::Code).then(|| Rc::clone(&self.image) as Rc<dyn CodeImage>)
    }
}

/// The same, where walks remember what they learn.
struct Remembering<'a>(&'a World, Returns);

impl Modules for Remembering<'_> {
    fn target(&self, address: Va) -> Target {
        self.0.target(address)
    }

    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        self.0.image(address)
    }

    fn returns(&self) -> Option<&Returns> {
        Some(&self.1)
    }
}

/// An x64 stack, walked through an image that is patched.
///
/// The first byte has flags, the second is the number of words on the stack; three numbers of 16 bits follow: how far
/// `rip` is into the image, and `rsp` and `rbp` into the stack. Then the words, and the patches.
pub fn unwind(data: &[u8]) {
    let Some(([flags, count, places @ ..], rest)) = data.split_first_chunk::<8>() else { return };
    let Some((words, patches)) = rest.split_at_checked(usize::from(*count) * 8) else { return };
    let [rip, rsp, rbp] = [0, 2, 4].map(|at| u64::from(u16::from_le_bytes([places[at], places[at + 1]])));
    let flag = |bit: u8| flags >> bit & 1 != 0;
    budget::within(64, || {
        let words: Vec<u64> = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let words = words.repeat(if flag(0) { 8 } else { 1 });
        let world = World { image: Rc::new(Code::patched(Patch::all(patches))), words, loaded: flag(1) };
        let mut registers = Registers::new(Va(IMAGE + rip), Va(STACK + rsp));
        if flag(2) {
            registers.set(Register::RBP, STACK + rbp);
        }
        let bounds = Bounds { limit: Va(STACK), base: Va(STACK + 8 * world.words.len() as u64) };
        let options = Options {
            bounds: flag(3).then_some(bounds),
            // A second stack within the first one: code may switch between them.
            others: [flag(7).then_some(Bounds { limit: Va(STACK), base: Va(STACK + 64) }), None, None],
            frame_pointers: match flags >> 4 & 3 {
                0 => FramePointers::Kept,
                1 => FramePointers::Doubtful,
                _ => FramePointers::Never,
            },
            most_frames: if flag(6) { 100 } else { 4 * MAX_FRAMES },
        };
        walked(&world, &registers, &options);
        for at in [At::Instruction, At::Return] {
            let dynamic = dynamic(&world);
            for image in [&*world.image as &dyn CodeImage, &dynamic.image(&world)] {
                let stepped = step(&world, image, &registers, at);
                assert_eq!(step(&world, image, &registers, at), stepped, "another answer to the same question");
                one(stepped);
            }
        }
        records(&world.image);
    });
}

fn walked(world: &World, registers: &Registers, options: &Options) {
    let stack = walk_x64(world, world, registers, options);
    assert_eq!(walk_x64(world, world, registers, options), stack, "another answer to the same question");
    let remembering = Remembering(world, Returns::default());
    for _ in 0..2 {
        let again = walk_x64(world, &remembering, registers, options);
        assert_eq!(again, stack, "what is remembered changes the answer");
    }
    let frames = &stack.frames;
    assert!(frames[0].trust == Trust::Context && frames[0].ip == registers.rip && frames[0].sp == registers.rsp);
    assert!(frames.len() <= options.most_frames && stack.gaps.len() <= MAX_FRAMES);
    assert!(leads_on(frames, options), "the stack goes round in circles");
    assert!(stack.gaps.iter().all(|gap| frames.iter().any(|frame| frame.ip == gap.ip)));
    let keys: Vec<_> = frames.iter().map(|frame| frame.ip).collect();
    let shown = |entry: Entry| match entry {
        Entry::Repeated { period, rounds, .. } => period * rounds,
        Entry::Frame(_) => 1,
    };
    assert_eq!(fold(&keys).into_iter().map(shown).sum::<usize>(), frames.len(), "folding loses no frame");
}

fn one(stepped: Result<Stepped, Stop>) {
    match stepped {
        Ok(Stepped { registers, at, rule, .. }) => {
            assert_eq!(rule == Rule::MachineFrame, at == At::Instruction);
            let volatile = (0..16).map(Register::new).filter(|register| register.is_volatile());
            assert!(
                volatile.into_iter().all(|register| registers.get(register).is_none()),
                "a volatile register is known"
            );
        }
        Err(stop) => assert!(!stop.to_string().is_empty()),
    }
}

/// The functions of the image's table as a program's own, in memory.
fn dynamic(world: &World) -> DynamicTable {
    let count = world.image.table / RuntimeFunction::SIZE;
    let functions = (0..count).map_while(|index| entry(&*world.image, index).ok()).collect();
    DynamicTable::new(Va(IMAGE), Va(IMAGE + 0x1000), Va(IMAGE + u64::from(TABLE)), functions)
}

/// The records of all functions, each for itself.
fn records(image: &Code) {
    for index in 0..image.table / RuntimeFunction::SIZE {
        let Ok(function) = entry(image, index) else { break };
        match UnwindInfo::read(image, function.unwind) {
            Ok(info) => {
                assert!(info.codes.len() <= 255 && info.epilogues(function).count() <= 256);
                assert!(info.epilogues(function).all(|(start, _)| start <= function.end));
            }
            Err(stop) => assert!(!stop.to_string().is_empty()),
        }
    }
}
