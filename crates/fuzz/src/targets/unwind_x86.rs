use std::cell::Cell;

use dumplens_base::{
    Fault, Memory, ReadOutcome, Region, Searched, Va,
    frame::{CountedFrame, FrameAt, FrameData, FrameRule},
};
use dumplens_unwind::{
    Bounds, FramePointers, MAX_FRAMES, Modules, Options, Target, Trust, walk_x86,
    x86::{Register, Registers, epilogue, prologue},
};

use super::leads_on;
use crate::budget;

/// Where the image is, and how much of it can be named: its code begins a page in.
const IMAGE: u32 = 0x0040_0000;
const SIZE: u32 = 0x1_0000;
/// Where the stack is.
const STACK: u32 = 0x0012_0000;
/// Most bytes that may be read: more is work without end.
const MOST_READ: usize = 64 << 20;
/// Bytes in front of a record's program.
const RECORD: usize = 12;

/// All that is in memory, and the frame data of the image.
struct World {
    stack: Vec<u8>,
    code: Vec<u8>,
    frames: Vec<FrameData>,
    read: Cell<usize>,
}

impl Memory for World {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        self.read.set(self.read.get() + buf.len());
        assert!(self.read.get() < MOST_READ, "the reading does not end");
        for (index, byte) in buf.iter_mut().enumerate() {
            let at = va.0.wrapping_add(index as u64);
            let within =
                |bytes: &[u8], start: u32| bytes.get(usize::try_from(at.checked_sub(start.into())?).ok()?).copied();
            let Some(found) = within(&self.stack, STACK).or_else(|| within(&self.code, IMAGE + 0x1000)) else {
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
        let code = u64::from(IMAGE) + 0x1000..u64::from(IMAGE + SIZE);
        if code.contains(&address.0) { Target::Code } else { Target::Nothing }
    }

    fn frame(&self, address: Va) -> Option<FrameAt> {
        let rva = u32::try_from(address.0).ok()?.checked_sub(IMAGE)?;
        let data = self.frames.iter().find(|data| rva.wrapping_sub(data.start) < data.size)?.clone();
        Some(FrameAt { offset: rva - data.start, contiguous: data.saved & 0x80 == 0, data })
    }
}

/// Records of frames: start and length of 16 bits, locals in words, arguments, saved registers, prologue, kind, how many
/// bytes the program has, two bytes of large sizes; then the program.
fn frames(mut data: &[u8]) -> Vec<FrameData> {
    let mut frames = Vec::new();
    while let Some(([a, b, c, d, locals, arguments, saved, prologue, kind, len, high, low], rest)) =
        data.split_first_chunk::<RECORD>()
    {
        let (text, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        data = rest;
        let rule = match kind & 7 {
            0..4 => FrameRule::Program {
                text: String::from_utf8_lossy(text).into(),
                seh: false,
                eh: false,
                function_start: kind & 1 != 0,
            },
            kind => {
                let kinds = [CountedFrame::NoPointer, CountedFrame::Trap, CountedFrame::Task, CountedFrame::Pointer];
                FrameRule::Counts { kind: kinds[usize::from(kind & 3)], uses_ebp: kind & 0x10 != 0, seh: false }
            }
        };
        frames.push(FrameData {
            start: u16::from_le_bytes([*a, *b]).into(),
            size: u16::from_le_bytes([*c, *d]).into(),
            locals: u32::from(*locals) * 4 + (u32::from(*high) << 24),
            arguments: u32::from(*arguments) + (u32::from(*low) << 24),
            saved: (*saved).into(),
            prologue: (*prologue).into(),
            rule,
        });
    }
    frames
}

/// An x86 stack, walked by frame data.
///
/// The first byte has flags; two bytes tell how many words the stack has and how many bytes of code follow it (times 16);
/// three numbers of 16 bits, how far `eip` is into the image, and `esp` and `ebp` into the stack. Then the words, the
/// code, and the records of frames.
pub fn unwind_x86(data: &[u8]) {
    let Some(([flags, words, code, places @ ..], rest)) = data.split_first_chunk::<9>() else { return };
    let Some((stack, rest)) = rest.split_at_checked(usize::from(*words) * 4) else { return };
    let Some((code, rest)) = rest.split_at_checked(usize::from(*code) * 16) else { return };
    let [eip, esp, ebp] = [0, 2, 4].map(|at| u32::from(u16::from_le_bytes([places[at], places[at + 1]])));
    let flag = |bit: u8| flags >> bit & 1 != 0;
    budget::within(64, || {
        let stack = stack.repeat(if flag(0) { 8 } else { 1 });
        let world = World { stack, code: code.to_vec(), frames: frames(rest), read: Cell::new(0) };
        let mut registers = Registers::new(IMAGE + eip, STACK + esp);
        if flag(1) {
            registers.set(Register::EBP, STACK + ebp);
            registers.set(Register::EBX, ebp);
        }
        let bounds = Bounds { limit: Va(STACK.into()), base: Va(u64::from(STACK) + world.stack.len() as u64) };
        let options = Options {
            bounds: flag(2).then_some(bounds),
            others: [
                flag(5).then_some(Bounds { limit: Va(STACK.into()), base: Va(u64::from(STACK) + 64) }),
                None,
                None,
            ],
            frame_pointers: if flag(3) { FramePointers::Never } else { FramePointers::Kept },
            most_frames: if flag(4) { 100 } else { 4 * MAX_FRAMES },
        };
        let walked = walk_x86(&world, &world, &registers, &options);
        assert_eq!(walk_x86(&world, &world, &registers, &options), walked, "another answer to the same question");
        let frames = &walked.frames;
        assert!(frames[0].trust == Trust::Context && frames[0].ip == registers.ip() && frames[0].sp == registers.sp());
        assert!(frames.len() <= options.most_frames && walked.gaps.len() <= MAX_FRAMES);
        assert!(leads_on(frames, &options), "the stack goes round in circles");
        assert!(walked.gaps.iter().all(|gap| frames.iter().any(|frame| frame.ip == gap.ip)));
        if let Some(entered) = prologue(code) {
            assert!(entered.saved.iter().all(|(register, _)| !register.is_volatile()));
        }
        if let Some(left) = epilogue(code) {
            assert!(left.saved.iter().all(|(_, place)| *place < left.depth));
        }
    });
}
