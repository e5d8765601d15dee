//! What a walk finds on x86 stacks that are laid out by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, rc::Rc};

use dumplens_base::{
    Fault, Memory, ReadOutcome, Region, Searched, Va,
    frame::{CountedFrame, FrameAt, FrameData, FrameRule},
};
use dumplens_unwind::{
    Bounds, FramePointers, MAX_FRAMES, Modules, OTHER_STACKS, Options, Reason, Stack, Stop, Target, Trust, walk_x86,
    x86::{self, Register, Registers},
};
use proptest::prelude::*;

const STACK: u32 = 0x0012_0000;
const CODE: u32 = 0x0040_0000;

/// A stack of words, an image of 64 KiB without readable code, and frame data of some of its functions.
struct World {
    stack: Vec<u32>,
    other: BTreeMap<u32, u32>,
    frames: Vec<FrameData>,
}

impl Memory for World {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        for (index, byte) in buf.iter_mut().enumerate() {
            let at = va.0.wrapping_add(index as u64);
            let word = at.checked_sub(STACK.into()).and_then(|offset| self.stack.get(offset as usize / 4));
            let word = word.or_else(|| self.other.get(&u32::try_from(at & !3).ok()?));
            let Some(word) = word else {
                let fault = Fault::NotInDump { va: Va(at), searched: Searched::MinidumpRanges };
                return ReadOutcome { filled: index, fault: Some(fault) };
            };
            *byte = word.to_le_bytes()[at as usize % 4];
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

impl Modules for World {
    fn target(&self, address: Va) -> Target {
        let code = u64::from(CODE) + 0x1000..u64::from(CODE) + 0x1_0000;
        if code.contains(&address.0) { Target::Code } else { Target::Nothing }
    }

    fn frame(&self, address: Va) -> Option<FrameAt> {
        let rva = u32::try_from(address.0).ok()?.checked_sub(CODE)?;
        let holds = |data: &&FrameData| data.start <= rva && rva - data.start < data.size;
        let data = self.frames.iter().filter(holds).min_by_key(|data| data.size)?.clone();
        Some(FrameAt { offset: rva - data.start, data, contiguous: true })
    }
}

impl World {
    fn of(stack: &[u32]) -> Self {
        Self { stack: stack.to_vec(), other: BTreeMap::new(), frames: Vec::new() }
    }

    fn with(mut self, start: u32, sizes: [u32; 3], text: &str) -> Self {
        let [locals, arguments, saved] = sizes;
        let rule = FrameRule::Program { text: Rc::from(text), seh: false, eh: false, function_start: true };
        self.frames.push(FrameData { start, size: 0x100, locals, arguments, saved, prologue: 0, rule });
        self
    }

    /// Walks from `eip` with the stack pointer at the first word.
    fn walk(&self, eip: u32, ebp: u32) -> Stack {
        let mut registers = Registers::new(CODE + eip, STACK);
        registers.set(Register::EBP, ebp);
        walk_x86(self, self, &registers, &self.options())
    }

    fn options(&self) -> Options {
        let bounds = Bounds { limit: Va(STACK.into()), base: Va(u64::from(STACK) + 4 * self.stack.len() as u64) };
        Options {
            bounds: Some(bounds),
            others: [None; OTHER_STACKS],
            frame_pointers: FramePointers::Kept,
            most_frames: MAX_FRAMES,
        }
    }
}

const fn slot(word: u32) -> u32 {
    STACK + 4 * word
}

fn found(stack: &Stack) -> Vec<(u64, Trust)> {
    stack.frames.iter().map(|frame| (frame.ip.0.wrapping_sub(CODE.into()), frame.trust)).collect()
}

const SEARCH: &str = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = ";
const BASE: &str = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + = ";

#[test]
fn frame_data_finds_callers_where_frame_pointers_do_not() {
    // The function at 0x2000 has 8 bytes of locals and uses ebp for something else; its caller at 0x3000 has pushed 8 bytes
    // of arguments for it and has 4 bytes of locals; then comes a function with a frame pointer, which is the first.
    let stack = [
        CODE + 0x9000,
        2,
        CODE + 0x3050, // locals, return address
        1,
        CODE + 0x9100,
        CODE + 0x4,
        CODE + 0x4050, // arguments, local, return address
        7,
        8, // locals
        0,
        0,
    ];
    let world =
        World::of(&stack).with(0x2000, [8, 8, 0], SEARCH).with(0x3000, [4, 0, 0], SEARCH).with(0x4000, [8, 0, 0], BASE);
    let walked = world.walk(0x2050, slot(9));
    assert_eq!(found(&walked), [(0x2050, Trust::Context), (0x3050, Trust::Unwind), (0x4050, Trust::Unwind)]);
    assert_eq!((walked.stop, walked.gaps), (Stop::EndOfStack, vec![]));
    assert_eq!(walked.frames[1].sp, Va(slot(3).into()), "arguments are still there");
}

#[test]
fn without_frame_data_links_are_followed_to_the_last_one() {
    let stack = [CODE + 0x9000, slot(4), CODE + 0x2050, 9, 0, 0, CODE + 0x5000, 7];
    let walked = World::of(&stack).walk(0x1050, slot(1));
    assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::FramePointer)]);
    assert_eq!(walked.stop, Stop::EndOfStack);
    assert!(walked.gaps.iter().all(|gap| gap.reason == Reason::Frame(x86::Stop::NoFrameData)));
}

#[test]
fn exception_records_are_neither_links_nor_return_addresses() {
    // Two records, each {next, handler}: the second is the last.
    let stack = [slot(4), CODE + 0x9000, 1, 2, u32::MAX, CODE + 0x9100, 3, CODE + 0x2050, 0];
    let walked = World::of(&stack).walk(0x1050, slot(0));
    assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::Scan)]);
}

#[test]
fn the_address_of_a_function_is_no_return_address() {
    let stack = [1, CODE + 0x3000, 2, CODE + 0x3050, 3];
    let world = World::of(&stack).with(0x3000, [0, 0, 0], "");
    assert_eq!(found(&world.walk(0x1050, 0)), [(0x1050, Trust::Context), (0x3050, Trust::Scan)]);
}

#[test]
fn a_scanned_frame_has_its_frame_pointer_below_its_return_address() {
    // The frame pointer saved with the return address 0x2050 leads, link by link, to the end of the stack.
    let stack = [1, 2, slot(6), CODE + 0x2050, CODE + 0x9000, 3, slot(9), CODE + 0x3050, 4, 0, 0];
    let walked = World::of(&stack).walk(0x1050, 5);
    assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::Scan), (0x3050, Trust::FramePointer)]);
    assert_eq!(walked.stop, Stop::EndOfStack);
}

#[test]
fn damaged_frame_data_is_a_gap_and_other_means_go_on() {
    let stack = [1, slot(3), CODE + 0x2050, 0, 0];
    for (program, says) in [
        ("$eip", "gives no return address"),
        ("$eip ?? =", "byte 5"),
        ("$eip $edi = $esp 4 =", "edi"),
        ("$eip 4 ^ = $esp 4 =", "not readable"),
    ] {
        let walked = World::of(&stack).with(0x1000, [0; 3], program).walk(0x1050, slot(1));
        assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::FramePointer)], "{program}");
        let Reason::Frame(stop) = walked.gaps[0].reason else { panic!("{walked:?}") };
        assert!(stop.to_string().contains(says) && !stop.is_absence(), "{program}: {stop}");
    }
    // A frame that goes back, and one whose caller is nowhere.
    for program in ["$eip 4198480 = $esp $esp 4 - =", "$eip 5 = $esp $esp 4 + ="] {
        let walked = World::of(&stack).with(0x1000, [0; 3], program).walk(0x1050, slot(1));
        assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::FramePointer)], "{program}");
        assert!(matches!(walked.gaps[0].reason, Reason::NoCaller(_)), "{program}: {:?}", walked.gaps);
    }
}

#[test]
fn a_trap_leads_to_what_was_interrupted_on_another_stack() {
    let frame = 0x8050_0000;
    let mut world = World::of(&[CODE + 0x9000, slot(3), CODE + 0x3050, 0, 0]);
    let rule = FrameRule::Counts { kind: CountedFrame::Trap, uses_ebp: true, seh: false };
    world.frames.push(FrameData { start: 0x7000, size: 0x100, locals: 0, arguments: 0, saved: 0, prologue: 0, rule });
    let fields = [(0x54, 1), (0x58, 2), (0x5c, 3), (0x60, slot(1)), (0x68, CODE + 0x2050), (0x6c, 0x1b), (0x70, 2)];
    world.other.extend(fields.map(|(offset, value)| (frame + offset, value)));
    world.other.insert(frame + 0x74, slot(0));
    let mut registers = Registers::new(CODE + 0x7010, frame - 0x20);
    registers.set(Register::EBP, frame);
    let options = Options { bounds: None, ..world.options() };
    let walked = walk_x86(&world, &world, &registers, &options);
    let expected = [(0x7010, Trust::Context), (0x2050, Trust::Unwind), (0x3050, Trust::FramePointer)];
    assert_eq!(found(&walked), expected);
    assert!(walked.frames[1].interrupted && walked.frames[1].sp == Va(slot(0).into()));
}

proptest! {
    #[test]
    fn any_stack_ends_and_moves_upwards(
        words in proptest::collection::vec(prop_oneof![
            any::<u32>(), Just(0), Just(u32::MAX), (0_u32..0x1_1000).prop_map(|o| CODE + o), (0_u32..0x200).prop_map(|o| STACK + o)
        ], 0..120),
        (esp, ebp) in (0_u32..0x200, any::<u32>()),
        near in any::<bool>(),
        programs in proptest::collection::vec((0x1000_u32..0x1_0000, any::<[u8; 3]>(), 0..5_usize), 0..12),
        bounded in any::<bool>(),
    ) {
        let texts = [SEARCH, BASE, "$T1 .raSearch = $T0  $T1 4 - 8 @ = $ebp $T1 4 - ^ = $eip $T1 ^ = $esp $T1 4 + =",
            "$T0 $ebp = $T2 $esp = $T1 .raSearchStart = $eip $T1 ^ = $ebp $T0 = $esp $T1 4 + =", "$eip $eip = $esp $esp ="];
        let mut world = World::of(&words);
        for (start, [locals, arguments, saved], text) in programs {
            world = world.with(start, [locals.into(), arguments.into(), saved.into()], texts[text]);
        }
        let mut registers = Registers::new(CODE + 0x1500, STACK + esp);
        registers.set(Register::EBP, if near { STACK + ebp % 0x200 } else { ebp });
        let mut options = world.options();
        options.bounds = options.bounds.filter(|_| bounded);
        let walked = walk_x86(&world, &world, &registers, &options);
        prop_assert!(walked.frames.len() <= MAX_FRAMES);
        for pair in walked.frames.windows(2) {
            prop_assert!(pair[1].sp > pair[0].sp);
        }
        prop_assert_eq!(walk_x86(&world, &world, &registers, &options), walked);
    }
}
