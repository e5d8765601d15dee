//! Frames of ARM64 laid out by hand, and unwind data that lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/built.rs"]
mod built;

use std::rc::Rc;

use built::{BASE, SIZE, STACK, Words};
use dumplens_base::Va;
use dumplens_unwind::{
    Bounds, FramePointers, MAX_UNWOUND_FRAMES, Modules, OTHER_STACKS, Options, Stop, Target, Trust,
    arm64::{self, Absent, At, CodeImage, PAC_MASK, Register, Registers, Rule, step},
    walk_arm64,
};
use proptest::prelude::*;

const PDATA: u32 = 0x8000;
const XDATA: u32 = 0x9000;

/// An image of 64 KiB: code from 0x1000 to 0x8000, then the function table and unwind data.
#[derive(Clone)]
struct Built {
    bytes: Vec<u8>,
    functions: Vec<[u32; 2]>,
    next: u32,
}

impl Built {
    fn new() -> Self {
        Self { bytes: vec![0; SIZE as usize], functions: Vec::new(), next: XDATA }
    }

    fn put(&mut self, rva: u32, bytes: &[u8]) {
        self.bytes[rva as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn add(&mut self, begin: u32, word: u32) {
        self.functions.push([begin, word]);
        self.functions.sort();
        let table: Vec<u8> = self.functions.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        self.put(PDATA, &table);
    }

    /// A function of `length` bytes with a record: epilogues by start and index, and codes.
    fn record(&mut self, begin: u32, length: u32, scopes: &[(u32, u32)], codes: &[u8]) {
        let mut codes = codes.to_vec();
        codes.resize(codes.len().next_multiple_of(4), 0xe3);
        let head = length / 4 + ((scopes.len() as u32) << 22) + ((codes.len() as u32 / 4) << 27);
        let mut bytes = head.to_le_bytes().to_vec();
        bytes.extend(scopes.iter().flat_map(|(start, index)| (start / 4 + (index << 22)).to_le_bytes()));
        bytes.extend(codes);
        let rva = self.next;
        self.put(rva, &bytes);
        self.next += bytes.len() as u32;
        self.add(begin, rva);
    }

    /// A call that returns to `rva`.
    fn call(&mut self, rva: u32) -> u64 {
        self.put(rva - 4, &0x9400_0000_u32.to_le_bytes());
        BASE + u64::from(rva)
    }
}

impl CodeImage for Built {
    fn base(&self) -> Va {
        Va(BASE)
    }

    fn size(&self) -> u32 {
        SIZE
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        (!self.functions.is_empty()).then(|| (PDATA, 8 * self.functions.len() as u32))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        match self.bytes.get(rva as usize..).and_then(|rest| rest.get(..buf.len())) {
            Some(bytes) => buf.copy_from_slice(bytes),
            None => return Err(Absent { rva: rva.max(SIZE) }),
        }
        Ok(())
    }

    fn is_executable(&self, rva: u32) -> bool {
        (0x1000..0x8000).contains(&rva)
    }
}

struct One(Rc<Built>);

impl Modules for One {
    fn target(&self, address: Va) -> Target {
        if (BASE..BASE + u64::from(SIZE)).contains(&address.0) { Target::Code } else { Target::Nothing }
    }

    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        (self.target(address) == Target::Code).then(|| -> Rc<dyn CodeImage> { self.0.clone() })
    }
}

fn register(number: u8) -> Register {
    Register::new(number).unwrap()
}

fn at(rva: u32, word: u64) -> Registers {
    let mut registers = Registers::new(Va(BASE + u64::from(rva)), Va(STACK + 8 * word));
    registers.set(register(19), 0x19);
    registers.set(Register::FP, STACK);
    registers.set(Register::LR, 0x77);
    registers
}

fn unwound(image: &Built, stack: &[u64], registers: Registers, at: At) -> Result<arm64::Stepped, arm64::Stop> {
    step(&Words(stack.to_vec()), image, &registers, at, PAC_MASK)
}

/// Packed data: length in bytes, saved general registers, what becomes of the link register, bytes of the frame.
const fn packed(length: u32, generals: u32, link: u32, frame: u32) -> u32 {
    1 + length + (generals << 16) + (link << 21) + ((frame / 16) << 23)
}

#[test]
fn a_leaf_returns_through_the_link_register() {
    let mut image = Built::new();
    image.add(0x1000, packed(0x100, 0, 3, 16));
    let stepped = unwound(&image, &[], at(0x2000, 0), At::Instruction).unwrap();
    assert_eq!((stepped.rule, stepped.certain), (Rule::Leaf, false));
    assert_eq!((stepped.registers.pc, stepped.registers.sp), (Va(0x77), Va(STACK)));
    assert_eq!((stepped.registers.get(register(19)), stepped.registers.get(Register::LR)), (Some(0x19), None));
    // A leaf calls nothing, and data is no code.
    for (rva, at_) in [(0x2000, At::Return), (0xa000, At::Instruction)] {
        assert_eq!(unwound(&image, &[], at(rva, 0), at_), Err(arm64::Stop::NoFunction { rva }));
    }
    let mut registers = Registers::new(Va(BASE + 0x2000), Va(STACK));
    let unknown = arm64::Stop::UnknownArm64Register(Register::LR);
    assert_eq!(unwound(&image, &[], registers, At::Instruction), Err(unknown));
    // Signatures go: of an address in user mode and of one in the kernel.
    for (signed, address) in [(0x1234_7ff6_1111_2222, 0x7ff6_1111_2222), (0x12b4_f806_1111_2222, 0xffff_f806_1111_2222)]
    {
        registers.set(Register::LR, signed);
        assert_eq!(unwound(&image, &[], registers, At::Instruction).unwrap().registers.pc, Va(address));
    }
}

#[test]
fn packed_prologues_and_epilogues_are_told_by_position() {
    // pacibsp; stp x19, x20, [sp, #-16]!; stp x29, lr, [sp, #-32]!; mov x29, sp; ...; ldp; ldp; autibsp; ret
    let mut image = Built::new();
    image.add(0x1000, packed(0x100, 2, 2, 48));
    let signed = 0xab34_0000_0000_0077;
    let stack = [0xf0, signed, 0, 0, 0x1919, 0x2020];
    for (rva, word, rule, x19, fp) in [
        (0x1000, 6, Rule::Prologue, 0x19, STACK),
        (0x1004, 6, Rule::Prologue, 0x19, STACK),
        (0x1008, 4, Rule::Prologue, 0x1919, STACK),
        (0x100c, 0, Rule::Prologue, 0x1919, 0xf0),
        (0x1010, 0, Rule::Body, 0x1919, 0xf0),
        (0x10ec, 0, Rule::Body, 0x1919, 0xf0),
        (0x10f0, 0, Rule::Epilogue, 0x1919, 0xf0),
        (0x10f4, 4, Rule::Epilogue, 0x1919, STACK),
        (0x10f8, 6, Rule::Epilogue, 0x19, STACK),
        (0x10fc, 6, Rule::Epilogue, 0x19, STACK),
    ] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.certain, stepped.at), (rule, true, At::Return), "{rva:#x}");
        assert_eq!((stepped.registers.pc, stepped.registers.sp), (Va(0x77), Va(STACK + 48)), "{rva:#x}");
        let preserved = [register(19), Register::FP].map(|register| stepped.registers.get(register));
        assert_eq!(preserved, [Some(x19), Some(fp)], "{rva:#x}");
    }
    // In the body the frame pointer holds while the stack pointer moves.
    let stack = [&[9, 9], &stack[..]].concat();
    let mut registers = at(0x1050, 0);
    registers.set(Register::FP, STACK + 16);
    let stepped = unwound(&image, &stack, registers, At::Return).unwrap();
    assert_eq!((stepped.registers.pc, stepped.registers.sp), (Va(0x77), Va(STACK + 64)));
    // A call that does not return may be the last instruction; it is in no epilogue then, nor in the next function.
    image.add(0x1100, packed(0x100, 0, 0, 0) + 1);
    image.record(0x1200, 0x100, &[], &[0xe1, 0x83, 0xe4]);
    let stepped = unwound(&image, &[0xf0, 0x77, 0, 0], at(0x1300, 0), At::Return).unwrap();
    assert_eq!((stepped.rule, stepped.registers.pc, stepped.registers.sp), (Rule::Body, Va(0x77), Va(STACK + 32)));
}

#[test]
fn records_tell_each_epilogue_and_pairs_that_follow() {
    // stp x19, x20, [sp, #-64]!; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]; str lr, [sp, #48]; sub sp, #16.
    // The epilogue at 0x80 takes them all back; that at 0xc0 only frees and returns.
    let codes = [0x01, 0xd2, 0xc6, 0xe6, 0xe6, 0x28, 0xe4, 0x01, 0xe4];
    let mut image = Built::new();
    image.record(0x1000, 0x100, &[(0x80, 0), (0xc0, 7)], &codes);
    let stack = [0, 0, 19, 20, 21, 22, 23, 24, 0x77, 0];
    for (rva, word, rule, x23) in [
        (0x1050, 0, Rule::Body, Some(23)),
        (0x1080, 0, Rule::Epilogue, Some(23)),
        (0x1084, 2, Rule::Epilogue, Some(23)),
        (0x108c, 2, Rule::Epilogue, None),
        (0x10c8, 0, Rule::Body, Some(23)),
    ] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.registers.sp), (rule, Va(STACK + 80)), "{rva:#x}");
        let restored: Vec<_> = (19..=24).map(|number| stepped.registers.get(register(number))).collect();
        assert_eq!(restored[..4], [Some(19), Some(20), Some(21), Some(22)], "{rva:#x}");
        assert_eq!(restored[4], x23, "{rva:#x}");
    }
    for (rva, word) in [(0x10c0, 0), (0x10c4, 2)] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.registers.sp), (Rule::Epilogue, Va(STACK + 16)), "{rva:#x}");
        assert_eq!((stepped.registers.pc, stepped.registers.get(register(19))), (Va(0x77), Some(0x19)), "{rva:#x}");
    }
}

#[test]
fn frames_of_the_system_lead_to_what_was_interrupted() {
    let mut image = Built::new();
    image.record(0x1000, 0x100, &[], &[0xe9, 0xe4]);
    image.record(0x1100, 0x100, &[], &[0x01, 0xea, 0xe4]);
    image.record(0x1200, 0x100, &[], &[0xe8, 0xe4]);
    let stepped = unwound(&image, &[STACK + 0x800, 0x1230], at(0x1050, 0), At::Return).unwrap();
    assert_eq!((stepped.rule, stepped.at), (Rule::MachineFrame, At::Instruction));
    assert_eq!((stepped.registers.pc, stepped.registers.sp), (Va(0x1230), Va(STACK + 0x800)));
    let mut stack = vec![0; 2 + 0x390 / 8];
    (stack[2 + 1 + 19], stack[2 + 31], stack[2 + 32], stack[2 + 33]) = (0x1919, 0x30, STACK + 0x900, 0x1240);
    let registers = unwound(&image, &stack, at(0x1150, 0), At::Return).unwrap().registers;
    assert_eq!((registers.pc, registers.sp), (Va(0x1240), Va(STACK + 0x900)));
    assert_eq!((registers.get(register(19)), registers.get(Register::LR)), (Some(0x1919), Some(0x30)));
    let mut stack = vec![0; 0x150 / 8];
    (stack[18], stack[19], stack[39], stack[41]) = (0x6000_0000, STACK + 0xa00, 0x31, 0x1250);
    let stepped = unwound(&image, &stack, at(0x1250, 0), At::Return).unwrap();
    assert_eq!((stepped.registers.pc, stepped.registers.sp), (Va(0x1250), Va(STACK + 0xa00)));
    assert_eq!((stepped.registers.get(Register::LR), stepped.certain), (Some(0x31), false));
    stack[18] = 1;
    let refused = unwound(&image, &stack, at(0x1250, 0), At::Return);
    assert!(matches!(refused, Err(arm64::Stop::Invalid { .. })));
}

fn options(words: usize) -> Options {
    let bounds = Some(Bounds { limit: Va(STACK), base: Va(STACK + 8 * words as u64) });
    Options {
        bounds,
        others: [None; OTHER_STACKS],
        frame_pointers: FramePointers::Kept,
        most_frames: MAX_UNWOUND_FRAMES,
    }
}

#[test]
fn a_walk_goes_from_a_leaf_to_the_thread_s_first_frame() {
    let mut image = Built::new();
    image.add(0x1000, packed(0x100, 1, 1, 32));
    image.record(0x1200, 0x100, &[], &[0xe1, 0x83, 0xfc, 0xe4]);
    let (in_f, in_g) = (image.call(0x1080), image.call(0x1280));
    // f keeps no frame pointer, and an old return address lies in its frame; g signs its own return address.
    let stack = vec![in_f, in_f, 0x1919, in_g, 0, 0, 0, 0];
    let mut registers = at(0x3000, 0);
    registers.set(Register::LR, in_f);
    registers.set(Register::FP, STACK + 32);
    let len = stack.len();
    let walked = walk_arm64(&Words(stack), &One(Rc::new(image)), &registers, PAC_MASK, &options(len));
    let found: Vec<_> = walked.frames.iter().map(|frame| (frame.ip.0 - BASE, frame.trust)).collect();
    assert_eq!(found, [(0x3000, Trust::Context), (0x1080, Trust::Unwind), (0x1280, Trust::Unwind)]);
    assert_eq!((walked.stop, &walked.gaps[..]), (Stop::EndOfStack, &[][..]));
}

#[test]
fn after_a_call_to_nowhere_unwinding_goes_on_from_the_link_register() {
    let mut image = Built::new();
    image.record(0x1200, 0x100, &[], &[0xe1, 0x83, 0xe4]);
    let in_g = image.call(0x1280);
    let mut registers = at(0, 0);
    registers.pc = Va(0);
    registers.set(Register::LR, in_g);
    let stack = vec![STACK + 32, in_g, 0, 0, 0, 0, 0, 0];
    let walked = walk_arm64(&Words(stack), &One(Rc::new(image)), &registers, PAC_MASK, &options(8));
    let found: Vec<_> = walked.frames.iter().map(|frame| (frame.ip.0.wrapping_sub(BASE), frame.trust)).collect();
    assert_eq!(found[1..], [(0x1280, Trust::Scan), (0x1280, Trust::Unwind)]);
}

fn any_word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u64..0x2000).prop_map(|offset| BASE + 0x1000 + 4 * offset),
        (0_u64..0x200).prop_map(|word| STACK + 8 * word),
        Just(0)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_unwind_data_and_any_stack_come_to_an_end(
        functions in proptest::collection::vec((0x1000_u32..0x8000, any::<u32>(), 0..3), 0..12),
        data in proptest::collection::vec(any::<u8>(), 0x300),
        stack in proptest::collection::vec(any_word(), 0..200),
        pc in any_word(),
        sp in any_word(),
        fp in any_word(),
        lr in any_word(),
        bounded in any::<bool>(),
        scan in any::<bool>(),
    ) {
        let mut image = Built::new();
        image.put(XDATA, &data);
        for record in 0..16 {
            // Versions and lengths that are often good.
            let at = (XDATA + 0x30 * record) as usize;
            image.bytes[at + 1] &= 3;
            image.bytes[at + 2] &= 0xf0;
        }
        for (begin, word, kind) in &functions {
            let word = if *kind == 0 { XDATA + 0x30 * (word % 16) } else { *word };
            image.add(begin & !3, word);
        }
        let mut registers = Registers::new(Va(pc), Va(sp));
        registers.set(Register::FP, fp);
        registers.set(Register::LR, lr);
        let mut options = options(stack.len());
        if !bounded {
            options.bounds = None;
        }
        if scan {
            options.frame_pointers = FramePointers::Never;
        }
        let words = Words(stack);
        let walked = walk_arm64(&words, &One(Rc::new(image.clone())), &registers, PAC_MASK, &options);
        prop_assert!(walked.frames.len() <= 1000, "{}", walked.frames.len());
        for pair in walked.frames.windows(2) {
            prop_assert!(pair[1].sp > pair[0].sp || pair[1].interrupted || pair[0].interrupted);
        }
        for at in [At::Instruction, At::Return] {
            let _ = step(&words, &image, &registers, at, PAC_MASK);
        }
    }
}
