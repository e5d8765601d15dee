//! Frames of x64 laid out by hand, and unwind data that lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/built.rs"]
mod built;

use std::rc::Rc;

use built::{BASE, Built, One, SIZE, STACK, Words};
use dumplens_base::{Fault, Memory, ReadOutcome, Region, Va};
use dumplens_unwind::{
    Bounds, CallSite, FramePointers, MAX_UNWOUND_FRAMES, Modules, OTHER_STACKS, Options, Reason, Stop, Target, Trust,
    walk_x64,
    x64::{self, At, Register, Registers, Rule, step},
};
use proptest::prelude::*;

const RBX: u8 = 3;
const RBP: u8 = 5;
const RSI: u8 = 6;
const RDI: u8 = 7;
const R12: u8 = 12;

const fn push(offset: u8, register: u8) -> [u8; 2] {
    [offset, register << 4]
}

const fn alloc(offset: u8, bytes: u8) -> [u8; 2] {
    [offset, 2 | (bytes / 8 - 1) << 4]
}

fn at(rva: u32, word: u64) -> Registers {
    let mut registers = Registers::new(Va(BASE + u64::from(rva)), Va(STACK + 8 * word));
    registers.set(Register::RBX, 0xb);
    registers.set(Register::RBP, 0x5);
    registers
}

fn unwound(image: &Built, stack: &[u64], registers: Registers, at: At) -> Result<x64::Stepped, x64::Stop> {
    step(&Words(stack.to_vec()), image, &registers, at)
}

#[test]
fn a_leaf_returns_through_the_top_of_its_stack() {
    let mut image = Built::new();
    let info = image.info(1, 0, 0, &[], &[]);
    image.function(0x1000, 0x1100, info);
    let stepped = unwound(&image, &[0x77, 1], at(0x2000, 0), At::Instruction).unwrap();
    assert_eq!((stepped.rule, stepped.certain), (Rule::Leaf, false));
    assert_eq!((stepped.registers.rip, stepped.registers.rsp), (Va(0x77), Va(STACK + 8)));
    assert_eq!(stepped.registers.get(Register::RBX), Some(0xb));
    assert_eq!(stepped.registers.get(Register::RAX), None);
    // A leaf calls nothing, and data is no code.
    for (rva, at_) in [(0x2000, At::Return), (0xa000, At::Instruction)] {
        assert_eq!(unwound(&image, &[0x77], at(rva, 0), at_), Err(x64::Stop::NoFunction { rva }));
    }
    let none = Built::new();
    assert_eq!(unwound(&none, &[0x77], at(0x2000, 0), At::Instruction), Err(x64::Stop::NoFunctionTable));
}

#[test]
fn a_prologue_is_taken_back_as_far_as_it_ran() {
    // push rbx (2); sub rsp, 20h (6); the rest is the body.
    let mut image = Built::new();
    let info = image.info(1, 6, 0, &[alloc(6, 0x20), push(2, RBX)], &[]);
    image.function(0x1000, 0x1100, info);
    let stack = [1, 2, 3, 4, 0xbb, 0x77];
    for (rva, word, rule, rbx) in [
        (0x1000, 5, Rule::Prologue, 0xb),
        (0x1002, 4, Rule::Prologue, 0xbb),
        (0x1006, 0, Rule::Body, 0xbb),
        (0x1080, 0, Rule::Body, 0xbb),
    ] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.certain, stepped.at), (rule, true, At::Return), "{rva:#x}");
        assert_eq!((stepped.registers.rip, stepped.registers.rsp), (Va(0x77), Va(STACK + 48)), "{rva:#x}");
        assert_eq!(stepped.registers.get(Register::RBX), Some(rbx), "{rva:#x}");
    }
    // A call that does not return may be the last instruction.
    let stepped = unwound(&image, &stack, at(0x1100, 0), At::Return).unwrap();
    assert_eq!(stepped.registers.rip, Va(0x77));
}

#[test]
fn large_frames_and_saved_registers() {
    let mut image = Built::new();
    // Two slots: eighths; three slots: bytes. XMM registers are passed over.
    let slots = [
        [9, 4 | RSI << 4],
        [2, 0],
        [9, 8 | 6 << 4],
        [1, 0],
        [9, 5 | RDI << 4],
        [0x18, 0],
        [0, 0],
        [9, 9 | 7 << 4],
        [0x20, 0],
        [0, 0],
        [9, 1],
        [0x10, 0],
        [5, 1 | 1 << 4],
        [0x08, 0],
        [0, 0],
    ];
    let info = image.info(1, 9, 0, &slots, &[]);
    image.function(0x1000, 0x1100, info);
    let mut stack = vec![0; 18];
    (stack[2], stack[3], stack[17]) = (0x51, 0xd1, 0x77);
    let registers = unwound(&image, &stack, at(0x1050, 0), At::Instruction).unwrap().registers;
    assert_eq!((registers.rip, registers.rsp), (Va(0x77), Va(STACK + 18 * 8)));
    assert_eq!((registers.get(Register::RSI), registers.get(Register::RDI)), (Some(0x51), Some(0xd1)));
}

#[test]
fn a_frame_pointer_holds_while_the_stack_pointer_moves() {
    // push rbp; sub rsp, 20h; lea rbp, [rsp+10h]; then an allocation of unknown size.
    let mut image = Built::new();
    let info = image.info(1, 10, RBP | 1 << 4, &[[10, 3], alloc(5, 0x20), push(1, RBP)], &[]);
    image.function(0x1000, 0x1100, info);
    let stack = [9, 9, 9, 9, 0, 0, 0, 0, 0x5b, 0x77];
    let mut registers = at(0x1050, 1);
    registers.set(Register::RBP, STACK + 4 * 8 + 0x10);
    let stepped = unwound(&image, &stack, registers, At::Instruction).unwrap();
    assert_eq!((stepped.registers.rip, stepped.registers.get(Register::RBP)), (Va(0x77), Some(0x5b)));
    // Without the frame pointer there is no telling.
    let unknown = unwound(&image, &stack, Registers::new(registers.rip, registers.rsp), At::Return);
    assert_eq!(unknown, Err(x64::Stop::UnknownRegister(Register::RBP)));
}

#[test]
fn chained_and_indirect_entries_lead_to_the_primary_function() {
    let mut image = Built::new();
    let primary = image.info(1, 6, 0, &[alloc(6, 0x20), push(2, RBX)], &[]);
    image.function(0x1000, 0x1100, primary);
    // Saves rsi in the frame of its parent, five bytes into the part.
    let part = image.info(1 | 4 << 3, 5, 0, &[[5, 4 | RSI << 4], [1, 0]], &[0x1000, 0x1100, primary]);
    image.function(0x1200, 0x1300, part);
    let stack = [1, 0x51, 3, 4, 0xbb, 0x77];
    for (rva, rsi) in [(0x1202, None), (0x1205, Some(0x51))] {
        let registers = unwound(&image, &stack, at(rva, 0), At::Instruction).unwrap().registers;
        assert_eq!((registers.rip, registers.get(Register::RBX)), (Va(0x77), Some(0xbb)));
        assert_eq!(registers.get(Register::RSI), rsi);
    }
    let entry = image.raw(&[0x1000_u32, 0x1100, primary].map(u32::to_le_bytes).concat());
    image.function(0x1400, 0x1500, entry | 1);
    let registers = unwound(&image, &stack, at(0x1450, 0), At::Instruction).unwrap().registers;
    assert_eq!((registers.rip, registers.get(Register::RBX)), (Va(0x77), Some(0xbb)));
}

#[test]
fn generated_code_is_unwound_with_its_dynamic_table() {
    use x64::{DynamicTable, RuntimeFunction};
    // Word 0: unwind data: sub rsp, 8 (4); words from 4 up: code; words from 0x10 up: the stack.
    let mut words = vec![u64::from_le_bytes([1, 4, 1, 0, 4, 2, 0, 0]), 0, 0, 0];
    words.resize(0x10, 0x9090_9090_9090_9090);
    words.extend([8, 0x77]);
    let functions = vec![
        RuntimeFunction { begin: 0x60, end: 0x70, unwind: 0x5000 },
        RuntimeFunction { begin: 0x20, end: 0x40, unwind: 0 },
    ];
    let table = DynamicTable::new(Va(STACK), Va(STACK + 0x20), Va(STACK + 0x80), functions);
    assert!(table.covers(Va(STACK + 0x20)) && !table.covers(Va(STACK)) && !table.covers(Va(STACK + 0x80)));
    let memory = Words(words);
    let from = |offset| Registers::new(Va(STACK + offset), Va(STACK + 0x80));
    let stepped = step(&memory, &table.image(&memory), &from(0x30), At::Instruction).unwrap();
    assert_eq!((stepped.rule, stepped.registers.rip), (Rule::Body, Va(0x77)));
    let absent = step(&memory, &table.image(&memory), &from(0x60), At::Instruction);
    assert_eq!(absent, Err(x64::Stop::InfoUnreadable { rva: 0x5000 }));
    let between = step(&memory, &table.image(&memory), &from(0x50), At::Return);
    assert_eq!(between, Err(x64::Stop::NoFunction { rva: 0x50 }));
}

#[test]
fn machine_frames_lead_to_what_was_interrupted() {
    for (error_code, words) in [(0, 0), (1, 1)] {
        let mut image = Built::new();
        // push rbp; the processor had pushed its frame before.
        let info = image.info(1, 1, 0, &[push(1, RBP), [0, 10 | error_code << 4]], &[]);
        image.function(0x1000, 0x1100, info);
        let mut stack = vec![0x5b];
        stack.resize(1 + words, 0xeeee);
        stack.extend([BASE + 0x3000, 0x10, 0x246, STACK + 0x300, 0x18]);
        let stepped = unwound(&image, &stack, at(0x1050, 0), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.at), (Rule::MachineFrame, At::Instruction));
        assert_eq!((stepped.registers.rip, stepped.registers.rsp), (Va(BASE + 0x3000), Va(STACK + 0x300)));
        assert_eq!(stepped.registers.get(Register::RBP), Some(0x5b));
    }
}

#[test]
fn epilogues_are_finished() {
    let mut image = Built::new();
    let slots = [alloc(8, 0x20), push(4, R12), push(2, RBX)];
    let info = image.info(1, 8, 0, &slots, &[]);
    image.function(0x1000, 0x1100, info);
    // add rsp, 20h; pop r12; pop rbx; ret
    image.put(0x1040, &[0x48, 0x83, 0xc4, 0x20, 0x41, 0x5c, 0x5b, 0xc3]);
    // pop r12; pop rbx; jmp to a leaf outside
    image.put(0x1060, &[0x41, 0x5c, 0x5b, 0xe9, 0x98, 0x0f, 0, 0]);
    // A jump within the function, and one to the function's own second part.
    image.put(0x1080, &[0xeb, 0x10]);
    image.put(0x10a0, &[0xe9, 0x5b, 1, 0, 0]);
    let part = image.info(1 | 4 << 3, 0, 0, &[], &[0x1000, 0x1100, info]);
    image.function(0x1200, 0x1300, part);
    let stack = [1, 2, 3, 4, 0xcc, 0xbb, 0x77];
    for (rva, word, rule) in [
        (0x1040, 0, Rule::Epilogue),
        (0x1044, 4, Rule::Epilogue),
        (0x1046, 5, Rule::Epilogue),
        (0x1047, 6, Rule::Epilogue),
        (0x1060, 4, Rule::Epilogue),
        (0x1063, 6, Rule::Epilogue),
        (0x1080, 0, Rule::Body),
        (0x10a0, 0, Rule::Body),
    ] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!(stepped.rule, rule, "{rva:#x}");
        assert_eq!((stepped.registers.rip, stepped.registers.rsp), (Va(0x77), Va(STACK + 56)), "{rva:#x}");
        assert_eq!(stepped.registers.get(Register::RBX), Some(if word > 5 { 0xb } else { 0xbb }), "{rva:#x}");
        assert_eq!(stepped.certain, rva != 0x1063, "a lone jump is not certain: {rva:#x}");
    }
    // Return addresses are in no epilogue, whatever stands there.
    let stepped = unwound(&image, &stack, at(0x1040, 0), At::Return).unwrap();
    assert_eq!((stepped.rule, stepped.registers.rip), (Rule::Body, Va(0x77)));
}

#[test]
fn version_2_lists_its_epilogues() {
    let mut image = Built::new();
    // Two epilogues of two bytes: at the end, and 0x20 bytes before it.
    let slots = [[2, 6 | 1 << 4], [0x20, 6], alloc(6, 0x20), push(2, RBX)];
    let info = image.info(2, 6, 0, &slots, &[]);
    image.function(0x1000, 0x1100, info);
    for start in [0x10fe, 0x10e0] {
        // pop rbx; jmp rel8: a jump counts where an epilogue is listed, wherever it goes.
        image.put(start, &[0x5b, 0xeb]);
    }
    image.put(0x10e2, &[0x90]);
    image.put(0x1050, &[0x5b, 0xeb, 0x10]);
    let stack = [1, 2, 3, 4, 0xbb, 0x77];
    let stepped = unwound(&image, &stack, at(0x10e0, 4), At::Instruction).unwrap();
    assert_eq!((stepped.rule, stepped.registers.rip), (Rule::Epilogue, Va(0x77)));
    let stepped = unwound(&image, &stack, at(0x1050, 0), At::Instruction).unwrap();
    assert_eq!((stepped.rule, stepped.registers.rip), (Rule::Body, Va(0x77)));
}

#[test]
fn version_3_describes_prologues_and_epilogues() {
    let mut image = Built::new();
    // push rbx at 0; sub rsp, 20h at 1. Six bytes before the end: add rsp, 20h; pop rbx; ret. Another such place, 20h
    // bytes before, inherits. The code itself is not there: what is unwound is what the record says.
    let payload = [1, 0, 2 << 3, 0xfa, 0xff, 0, 0, 5, 0, 4, 0, 0xe0, 0xff, 0x38, 0x1c, 0];
    let mut record = vec![3, 5, 8, 2 | 2 << 5];
    record.extend(payload);
    let info = image.raw(&record);
    image.function(0x1000, 0x1100, info);
    let stack = [1, 2, 3, 4, 0xbb, 0x77];
    for (rva, word, rule) in [
        (0x1000, 5, Rule::Prologue),
        (0x1001, 4, Rule::Prologue),
        (0x1005, 0, Rule::Body),
        (0x1080, 0, Rule::Body),
        (0x10fa, 0, Rule::Epilogue),
        (0x10fe, 4, Rule::Epilogue),
        (0x10ff, 5, Rule::Epilogue),
        (0x10da, 0, Rule::Epilogue),
        (0x10de, 4, Rule::Epilogue),
        (0x10e0, 0, Rule::Body),
    ] {
        let stepped = unwound(&image, &stack, at(rva, word), At::Instruction).unwrap();
        assert_eq!((stepped.rule, stepped.registers.rip), (rule, Va(0x77)), "{rva:#x}");
        let rbx = if word == 5 { 0xb } else { 0xbb };
        assert_eq!(stepped.registers.get(Register::RBX), Some(rbx), "{rva:#x}");
    }
    // A frame pointer, r12 and r13 by one code, rsi saved far, 80h bytes; registers of APX only take room.
    let mut image = Built::new();
    let pool = [0x35, 0x10, 0, 0, 0, 0, RBP | 1 << 4, 1, 0x80, 0, 0, 0, 16 << 3 | 4, R12 << 3 | 7];
    let mut record = vec![3, 9, 10, 5];
    record.extend([8, 6, 4, 2, 0].into_iter().chain(pool).chain([0]));
    let info = image.raw(&record);
    image.function(0x1000, 0x1100, info);
    let mut stack = vec![0; 20];
    (stack[2], stack[16], stack[17], stack[18], stack[19]) = (0x51, 0x16, 0x13, 0x12, 0x77);
    let mut registers = at(0x1050, 0);
    registers.set(Register::RBP, STACK + 0x10);
    let registers = unwound(&image, &stack, registers, At::Instruction).unwrap().registers;
    assert_eq!((registers.rip, registers.get(Register::RSI)), (Va(0x77), Some(0x51)));
    let preserved = [12, 13].map(|number| registers.get(Register::new(number)));
    assert_eq!(preserved, [Some(0x12), Some(0x13)]);
}

#[test]
fn unwind_data_that_lies_is_refused_by_name() {
    use x64::Stop::{InfoUnreadable, Invalid, Loop, Version};
    let own = 0x9000;
    let with = |first: u8, slots: &[[u8; 2]], tail: &[u32]| {
        let mut image = Built::new();
        let info = image.info(first, 4, 0, slots, tail);
        assert_eq!(info, own);
        image.function(0x1000, 0x1100, info);
        unwound(&image, &[1; 64], at(0x1050, 0), At::Return).unwrap_err()
    };
    assert_eq!(with(5, &[], &[]), Version { rva: own, version: 5 });
    assert!(matches!(with(1, &[[0, 11]], &[]), Invalid { rva: 0x9000, .. }), "no such code");
    assert!(matches!(with(1, &[[0, 1]], &[]), Invalid { .. }), "its size is missing");
    assert!(matches!(with(1, &[push(0, 4)], &[]), Invalid { .. }), "rsp is not saved");
    assert!(matches!(with(1, &[[0, 3]], &[]), Invalid { .. }), "no frame pointer is named");
    assert_eq!(with(1 | 4 << 3, &[], &[0x1000, 0x1100, own]), Loop { rva: own });
    assert_eq!(with(1 | 4 << 3, &[], &[0x1000, 0x1100, SIZE]), InfoUnreadable { rva: SIZE });
    // An indirect entry that leads to itself.
    let mut image = Built::new();
    let entry = image.raw(&[0x1000_u32, 0x1100, own | 1].map(u32::to_le_bytes).concat());
    image.function(0x1000, 0x1100, entry | 1);
    assert_eq!(unwound(&image, &[1], at(0x1050, 0), At::Return), Err(Loop { rva: own | 1 }));
    // An allocation that runs over the end of memory.
    let mut image = Built::new();
    let info = image.info(1, 4, 0, &[[4, 1 | 1 << 4], [0xff, 0xff], [0xff, 0xff]], &[]);
    image.function(0x1000, 0x1100, info);
    let registers = Registers::new(Va(BASE + 0x1050), Va(u64::MAX - 7));
    assert_eq!(unwound(&image, &[1], registers, At::Return), Err(x64::Stop::Overflow(Va(u64::MAX - 7))));
}

/// `f` at 0x1000 has a frame of 0x20 bytes and rbx; the function at 0x2000 has a frame of 8 bytes.
fn program() -> Built {
    let mut image = Built::new();
    let f = image.info(1, 6, 0, &[alloc(6, 0x20), push(2, RBX)], &[]);
    let g = image.info(1, 4, 0, &[alloc(4, 8)], &[]);
    image.function(0x1000, 0x1100, f);
    image.function(0x2000, 0x2100, g);
    image
}

fn options(words: usize) -> Options {
    let bounds = Some(Bounds { limit: Va(STACK), base: Va(STACK + 8 * words as u64) });
    Options {
        bounds,
        others: [None; OTHER_STACKS],
        frame_pointers: FramePointers::Never,
        most_frames: MAX_UNWOUND_FRAMES,
    }
}

fn walked(image: Option<Built>, stack: Vec<u64>, registers: Registers) -> dumplens_unwind::Stack {
    let options = options(stack.len());
    walk_x64(&Words(stack), &One(image.map(Rc::new)), &registers, &options)
}

fn found(stack: &dumplens_unwind::Stack) -> Vec<(u64, Trust)> {
    stack.frames.iter().map(|frame| (frame.ip.0.wrapping_sub(BASE), frame.trust)).collect()
}

#[test]
fn a_walk_unwinds_to_the_thread_s_first_frame() {
    let mut image = program();
    let (in_g, in_f) = (image.call(0x2050), image.call(0x1080));
    // f's frame holds an old return address, which a scan would have taken.
    let stack = vec![in_f, in_f, 3, 4, 0xbb, in_g, 6, in_f, 8, 9, 10, 11, 12, 0];
    let walked = walked(Some(image), stack, at(0x1050, 0));
    let expected = [(0x1050, Trust::Context), (0x2050, Trust::Unwind), (0x1080, Trust::Unwind)];
    assert_eq!(found(&walked), expected);
    assert_eq!((walked.stop, &walked.gaps[..]), (Stop::EndOfStack, &[][..]));
    assert!(walked.frames[1..].iter().all(|frame| frame.call == CallSite::Call && !frame.interrupted));
}

#[test]
fn without_unwind_data_the_stack_is_scanned_and_the_gap_is_told() {
    let mut image = program();
    let in_g = image.call(0x2050);
    let stack = vec![1, in_g, 3];
    let none = walked(None, stack.clone(), at(0x1050, 0));
    assert_eq!(found(&none), [(0x1050, Trust::Context), (0x2050, Trust::Scan)]);
    assert_eq!((none.gaps[0].ip, none.gaps[0].reason), (Va(BASE + 0x1050), Reason::NoImage));
    assert_eq!(none.stop, Stop::NoReturnAddress);
}

/// Names without an image: functions begin where they say.
struct Named<'a>(&'a [u64]);

impl Modules for Named<'_> {
    fn target(&self, address: Va) -> Target {
        One(None).target(address)
    }

    fn begins(&self, address: Va) -> bool {
        self.0.contains(&(address.0 - BASE))
    }
}

#[test]
fn a_function_s_own_address_is_no_return_address() {
    let stack: Vec<u64> = [0x2000, 0x2050, 0x2068, 0x3000].map(|rva| BASE + rva).to_vec();
    let memory = Words(stack.clone());
    // A label may stand behind a call, but rarely where functions begin.
    let walked = walk_x64(&memory, &Named(&[0x2000, 0x2068, 0x3000]), &at(0x1050, 0), &options(stack.len()));
    let expected = [(0x1050, Trust::Context), (0x2050, Trust::Scan), (0x2068, Trust::Scan)];
    assert_eq!(found(&walked), expected);
    // Code decides better: there is a call before it.
    let mut image = program();
    image.call(0x3000);
    let walked = walk_x64(&Loaded(memory, &image), &Named(&[0x2000, 0x3000]), &at(0x1050, 0), &options(stack.len()));
    assert_eq!(found(&walked)[1..], [(0x3000, Trust::Scan)]);
}

#[test]
fn unwinding_goes_on_after_a_scan_and_drops_what_cannot_be_a_frame() {
    let mut image = program();
    let (in_g, in_f) = (image.call(0x2050), image.call(0x1080));
    let unlisted = image.call(0x4000);
    let data = BASE + 0x9100;
    // The context is nowhere. On the stack: code of no function, data, an address after no call, a g whose frame leads
    // to no caller; then a g that was called by f, which was the first.
    let stack = vec![unlisted, data, BASE + 0x1090, in_g, 5, 6, in_g, 8, in_f, 10, 11, 12, 13, 0xbb, 0];
    let registers = Registers::new(Va(0xdead_0000), Va(STACK));
    let walked = walked(Some(image), stack, registers);
    assert_eq!(found(&walked)[1..], [(0x2050, Trust::Scan), (0x1080, Trust::Unwind)]);
    assert_eq!(walked.frames[1].sp, Va(STACK + 7 * 8));
    assert_eq!(walked.stop, Stop::EndOfStack);
}

#[test]
fn a_call_to_nowhere_leaves_the_caller_s_registers() {
    let mut image = program();
    let framed = image.info(1, 4, RBP, &[[4, 3], push(1, RBP)], &[]);
    image.function(0x3000, 0x3100, framed);
    let (in_framed, in_g) = (image.call(0x3050), image.call(0x2050));
    let mut registers = Registers::new(Va(0), Va(STACK));
    registers.set(Register::RBP, STACK + 3 * 8);
    let walked = walked(Some(image), vec![in_framed, 1, in_g, 0x5, in_g, 6, 0], registers);
    assert_eq!(found(&walked)[1..], [(0x3050, Trust::Scan), (0x2050, Trust::Unwind)]);
    assert_eq!((walked.stop, &walked.gaps[..]), (Stop::EndOfStack, &[][..]));
}

/// A stack, and the image in memory as well.
struct Loaded<'a>(Words, &'a Built);

impl Memory for Loaded<'_> {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        match va.offset_from(Va(BASE)).and_then(|rva| u32::try_from(rva).ok()) {
            Some(rva) if x64::CodeImage::read(self.1, rva, buf).is_ok() => ReadOutcome::complete(buf.len()),
            _ => self.0.read(va, buf),
        }
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        self.0.next_region(va)
    }
}

#[test]
fn code_that_called_nothing_was_interrupted() {
    let mut image = program();
    let dispatcher = image.info(1, 4, 0, &[alloc(4, 8)], &[]);
    image.function(0x3000, 0x3100, dispatcher);
    let (in_dispatcher, in_f) = (image.call(0x3050), image.call(0x1080));
    // A leaf, which the call before its return address proves; then g at its first instruction.
    let stack = vec![in_dispatcher, 1, BASE + 0x2000, in_f, 3, 4, 5, 6, 0xbb, 0];
    let walked_from = |image: &Built, rip| {
        let (memory, images) = (Loaded(Words(stack.clone()), image), One(Some(Rc::new(image.clone()))));
        walk_x64(&memory, &images, &at(rip, 0), &options(stack.len()))
    };
    let in_file = walked(Some(image.clone()), stack.clone(), at(0x5000, 0));
    assert!(!in_file.frames[2].interrupted, "a file does not prove it: the system may have written a call there");
    let walked = walked_from(&image, 0x5000);
    assert_eq!(found(&walked)[1..], [(0x3050, Trust::Unwind), (0x2000, Trust::Unwind), (0x1080, Trust::Unwind)]);
    assert_eq!(walked.frames.iter().map(|frame| frame.interrupted).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!((walked.stop, &walked.gaps[..]), (Stop::EndOfStack, &[][..]));
    // Where nothing proves the leaf, an address that follows no call is no caller.
    image.put(0x3050 - 5, &[0x90; 5]);
    assert_ne!(found(&walked_from(&image, 0x5000))[1..], found(&walked)[1..]);
}

#[test]
fn a_machine_frame_may_lead_to_another_stack_but_not_for_ever() {
    let mut image = program();
    let in_f = image.call(0x1080);
    let trap = image.info(1, 0, 0, &[[0, 10]], &[]);
    image.function(0x3000, 0x3100, trap);
    // The handler stands above the frame of the function that it interrupted: rsp goes down.
    let mut stack = vec![1, in_f, 3, 4, 5, 6, 0xbb, 0];
    stack.extend([BASE + 0x2050, 0x10, 0x246, STACK, 0x18]);
    let ended = walked(Some(image.clone()), stack.clone(), at(0x3050, 8));
    assert_eq!(found(&ended)[1..], [(0x2050, Trust::Unwind), (0x1080, Trust::Unwind)]);
    assert!(ended.frames[1].interrupted);
    // A machine frame that leads back to itself.
    stack[8] = BASE + 0x3050;
    stack[11] = STACK + 8 * 8;
    assert_eq!(walked(Some(image.clone()), stack.clone(), at(0x3050, 8)).stop, Stop::TooManyStacks);
    // From the kernel into a process whose images are not known.
    stack[8] = 0x7ff7_1111_1111;
    let ended = walked(Some(image), stack, at(0x3050, 8));
    assert_eq!((ended.frames[1].ip, ended.stop), (Va(0x7ff7_1111_1111), Stop::UserMode));
}

#[test]
fn a_function_without_unwind_data_is_no_proof_that_the_stack_ends() {
    let mut image = program();
    let in_g = image.call(0x2050);
    let in_f = image.call(0x1080);
    // The function is in no table, so it is taken for a leaf; but what is on top of the stack is a local of it.
    let stack = vec![0, 0, in_g, 8, in_f, 10, 11, 12, 13, 0xbb, 0];
    let walked = walked(Some(image), stack, at(0x6000, 0));
    assert_eq!(found(&walked)[1..], [(0x2050, Trust::Scan), (0x1080, Trust::Unwind)]);
    assert!(matches!(walked.gaps[0].reason, Reason::NoCaller(Va(0))), "{:?}", walked.gaps);
    assert_eq!(walked.stop, Stop::EndOfStack);
}

#[test]
fn a_call_may_lead_to_another_stack_that_is_known_and_to_no_other() {
    let mut image = program();
    let in_f = image.call(0x1080);
    let in_h = image.call(0x3050);
    // h saves rbp, keeps the caller's stack pointer in it, and goes on upon another stack, as deferred procedure calls do.
    let switching = image.info(1, 4, RBP, &[[4, 3], push(1, RBP)], &[]);
    image.function(0x3000, 0x3100, switching);
    // From the bottom: the stack of the thread, of which h's frame and f are; above it the other one, which h called on.
    let thread = [0xaa, in_f, 3, 4, 5, 6, 0xbb, 0];
    let other = [1, 2, in_h, 4];
    let stack = [&thread[..], &other].concat();
    let leaf = Registers::new(Va(BASE + 0x6000), Va(STACK + 10 * 8));
    let mut registers = leaf;
    registers.set(Register::RBP, STACK);
    let bounds = |from: u64, to: u64| Some(Bounds { limit: Va(STACK + from * 8), base: Va(STACK + to * 8) });
    let walk = |others| {
        let options = Options { bounds: bounds(8, 12), others, ..options(12) };
        walk_x64(&Words(stack.clone()), &One(Some(Rc::new(image.clone()))), &registers, &options)
    };
    let known = walk([bounds(0, 8), None, None]);
    assert_eq!(found(&known)[1..], [(0x3050, Trust::Unwind), (0x1080, Trust::Unwind)]);
    assert_eq!(known.stop, Stop::EndOfStack);
    let unknown = walk([None; OTHER_STACKS]);
    assert_eq!(found(&unknown)[1..], [(0x3050, Trust::Unwind)]);
    assert!(matches!(unknown.gaps[0].reason, Reason::NoCaller(_)), "{:?}", unknown.gaps);
}

#[test]
fn a_stack_that_ends_too_early_says_where() {
    let mut image = program();
    let in_g = image.call(0x2050);
    let walked = walked(Some(image), vec![1, 2, 3, 4, 0xbb, in_g], at(0x1050, 0));
    assert_eq!(found(&walked), [(0x1050, Trust::Context), (0x2050, Trust::Unwind)]);
    assert!(matches!(walked.stop, Stop::Unreadable(Fault::NotInDump { va: Va(va), .. }) if va == STACK + 56));
}

#[test]
fn runaway_recursion_is_walked_to_its_root_and_folds() {
    let mut image = program();
    let (in_g, in_f) = (image.call(0x2050), image.call(0x1080));
    let mut stack = Vec::new();
    for _ in 0..5_000 {
        stack.extend([8, in_f, 1, 2, 3, 4, 0xbb, in_g]);
    }
    stack.extend([8, 0]);
    let walked = walked(Some(image), stack, at(0x2050, 0));
    assert_eq!((walked.frames.len(), walked.stop), (10_001, Stop::EndOfStack));
    let keys: Vec<_> = walked.frames.iter().map(|frame| frame.ip).collect();
    let folded = dumplens_unwind::fold(&keys);
    assert_eq!(folded[0], dumplens_unwind::Entry::Repeated { first: 0, period: 2, rounds: 5_000 });
    assert_eq!(folded.len(), 2);
}

fn any_word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u64..0x1_1000).prop_map(|offset| BASE + offset),
        (0_u64..0x200).prop_map(|word| STACK + 8 * word),
        Just(0)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_unwind_data_and_any_stack_come_to_an_end(
        functions in proptest::collection::vec((0x1000_u32..0x8000, 0_u32..0x800, 0_u32..0x7000), 0..12),
        data in proptest::collection::vec(any::<u8>(), 0x300),
        versions in proptest::collection::vec(0_u8..64, 16),
        code in proptest::collection::vec((0x1000_u32..0x7ff0, proptest::collection::vec(any::<u8>(), 1..12)), 0..20),
        stack in proptest::collection::vec(any_word(), 0..200),
        rip in any_word(),
        rsp in any_word(),
        rbp in any_word(),
        bounded in any::<bool>(),
        kept in any::<bool>(),
    ) {
        let mut image = Built::new();
        for (rva, bytes) in &code {
            image.put(*rva, bytes);
        }
        let start = image.raw(&data);
        // Records that begin with a version and flags that are often good.
        for (index, first) in versions.iter().enumerate() {
            image.put(start + 32 * index as u32, &[*first]);
        }
        for (begin, len, unwind) in &functions {
            let unwind = if unwind % 4 == 0 { *unwind } else { start + 32 * (unwind % 16) + u32::from(unwind % 7 == 0) };
            image.function(*begin, begin + len, unwind);
        }
        let mut registers = Registers::new(Va(rip), Va(rsp));
        registers.set(Register::RBP, rbp);
        let mut options = options(stack.len());
        if !bounded {
            options.bounds = None;
        }
        if kept {
            options.frame_pointers = FramePointers::Doubtful;
        }
        let words = Words(stack);
        let walked = walk_x64(&words, &One(Some(Rc::new(image.clone()))), &registers, &options);
        prop_assert!(walked.frames.len() <= MAX_UNWOUND_FRAMES);
        for pair in walked.frames.windows(2) {
            prop_assert!(pair[1].sp > pair[0].sp || pair[1].interrupted);
        }
        for at in [At::Instruction, At::Return] {
            let _ = step(&words, &image, &registers, at);
        }
    }
}
