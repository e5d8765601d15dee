//! x86 functions written by hand, run instruction by instruction. At each one their frame data, as compilers write it,
//! must give back the registers that the caller had.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use dumplens_base::{
    Fault, Searched, Va,
    frame::{CountedFrame, FrameAt, FrameData, FrameRule},
};
use dumplens_unwind::{
    x64::At,
    x86::{Register, Registers, Stepped, World, step},
};

const EBX: u8 = 3;
const EBP: u8 = 5;
const ESI: u8 = 6;
const EDI: u8 = 7;

/// Where the function is, where it returns to, and where the return address is on the stack.
const CODE: u32 = 0x0040_1000;
const RETURN: u32 = 0x0050_2030;
const ENTRY: u32 = 0x0012_f000;
/// A return address that an earlier call has left on the stack.
const STALE: u32 = 0x0050_3040;

/// An instruction.
#[derive(Clone, Copy)]
enum Op {
    Push(u8),
    Pop(u8),
    /// `push 7`: an argument.
    Argument,
    MovEbpEsp,
    MovEspEbp,
    Sub(u8),
    Add(u8),
    /// `and esp, -8`.
    Align,
    /// `xor register, register`: the function uses it.
    Use(u8),
    /// `lea ebp, [esp + n]`: the frame pointer in the middle of the frame.
    LeaEbp(u8),
    /// A call of a function that takes so many bytes of arguments off the stack itself.
    Call(u8),
    Leave,
    /// With so many bytes of arguments.
    Ret(u8),
}

use Op::*;

impl Op {
    fn bytes(self) -> Vec<u8> {
        match self {
            Push(register) => vec![0x50 + register],
            Pop(register) => vec![0x58 + register],
            Argument => vec![0x6a, 7],
            MovEbpEsp => vec![0x8b, 0xec],
            MovEspEbp => vec![0x8b, 0xe5],
            Sub(size) => vec![0x83, 0xec, size],
            Add(size) => vec![0x83, 0xc4, size],
            Align => vec![0x83, 0xe4, 0xf8],
            Use(register) => vec![0x33, 0xc0 | register << 3 | register],
            LeaEbp(offset) => vec![0x8d, 0x6c, 0x24, offset],
            Call(_) => vec![0xe8, 0, 1, 0, 0],
            Leave => vec![0xc9],
            Ret(0) => vec![0xc3],
            Ret(size) => vec![0xc2, size, 0],
        }
    }
}

/// What the caller has in a register.
fn before(register: u8) -> u32 {
    match register {
        EBP => ENTRY + 0x40,
        _ => 0xca11_0000 + u32::from(register),
    }
}

/// A function on its way.
struct Machine {
    general: [u32; 8],
    stack: BTreeMap<u32, u32>,
    code: Vec<u8>,
    frames: Vec<FrameData>,
    /// Whether the code is in the dump.
    visible: bool,
    asked: RefCell<usize>,
}

impl Machine {
    fn new(ops: &[Op], frames: &[FrameData], entry: u32) -> Self {
        let mut general = std::array::from_fn(|number| before(number as u8));
        general[4] = entry;
        let code = ops.iter().flat_map(|op| op.bytes()).collect();
        // While an argument is on its way a search begins one word too low, among the locals. What they hold there must not
        // look like a return address: no frame data could tell.
        let mut stack: BTreeMap<u32, u32> =
            (0..64).map(|word| (entry - 4 * word, if word < 3 { 0x10ca1 } else { STALE })).collect();
        stack.extend((1..64).map(|word| (entry + 4 * word, 0xa0 + word)));
        stack.insert(entry, RETURN);
        Self { general, stack, code, frames: frames.to_vec(), visible: true, asked: RefCell::new(0) }
    }

    fn push(&mut self, value: u32) {
        self.general[4] -= 4;
        self.stack.insert(self.general[4], value);
    }

    fn pop(&mut self) -> u32 {
        self.general[4] += 4;
        self.stack[&(self.general[4] - 4)]
    }

    fn run(&mut self, op: Op) {
        match op {
            Push(register) => self.push(self.general[usize::from(register)]),
            Pop(register) => self.general[usize::from(register)] = self.pop(),
            Argument => self.push(7),
            MovEbpEsp => self.general[5] = self.general[4],
            MovEspEbp => self.general[4] = self.general[5],
            // What lies in a frame that was just made is left over.
            Sub(size) => self.general[4] -= u32::from(size),
            Add(size) => self.general[4] += u32::from(size),
            Align => self.general[4] &= !7,
            Use(register) => self.general[usize::from(register)] = 0,
            LeaEbp(offset) => self.general[5] = self.general[4] + u32::from(offset),
            Call(taken) => self.general[4] += u32::from(taken),
            Leave => {
                self.general[4] = self.general[5];
                self.general[5] = self.pop();
            }
            Ret(_) => unreachable!("a function ends there"),
        }
    }

    fn registers(&self, offset: u32) -> Registers {
        let mut registers = Registers::new(CODE + offset, self.general[4]);
        for register in Register::all() {
            registers.set(register, self.general[usize::from(register.number())]);
        }
        registers
    }
}

impl World for Machine {
    fn word(&self, address: u32) -> Result<u32, Fault> {
        *self.asked.borrow_mut() += 1;
        let va = Va(address.into());
        self.stack.get(&address).copied().ok_or(Fault::NotInDump { va, searched: Searched::MinidumpRanges })
    }

    fn code(&self, address: u32, buf: &mut [u8]) -> usize {
        let code = self.code.get((address - CODE) as usize..).filter(|_| self.visible).unwrap_or_default();
        let len = buf.len().min(code.len());
        buf[..len].copy_from_slice(&code[..len]);
        len
    }

    fn is_return_address(&self, address: u32) -> bool {
        [RETURN, STALE].contains(&address)
    }

    fn frame(&self, address: u32) -> Option<FrameAt> {
        let rva = address - CODE;
        let holds = |data: &&FrameData| (data.start..data.start + data.size).contains(&rva);
        let data = self.frames.iter().filter(holds).min_by_key(|data| data.size)?.clone();
        Some(FrameAt { offset: rva - data.start, data, contiguous: true })
    }
}

/// A range of code with a program: where it starts and ends, in instructions.
struct Range {
    ops: (usize, usize),
    /// Locals, arguments, saved registers, in bytes.
    sizes: [u32; 3],
    prologue: usize,
    program: &'static str,
}

/// Offset of each instruction, and of the end.
fn offsets(ops: &[Op]) -> Vec<u32> {
    let mut at = 0;
    let mut offsets = vec![0];
    offsets.extend(ops.iter().map(|op| {
        at += op.bytes().len() as u32;
        at
    }));
    offsets
}

fn programs(ops: &[Op], ranges: &[Range]) -> Vec<FrameData> {
    let at = offsets(ops);
    let data = ranges.iter().map(|range| {
        let [locals, arguments, saved] = range.sizes;
        let start = at[range.ops.0];
        let rule = FrameRule::Program {
            text: Rc::from(range.program),
            seh: false,
            eh: false,
            function_start: range.ops.0 == 0,
        };
        let prologue = at[range.prologue].saturating_sub(start);
        FrameData { start, size: at[range.ops.1] - start, locals, arguments, saved, prologue, rule }
    });
    data.collect()
}

fn check(machine: &Machine, registers: &Registers, at: At, entry: u32, arguments: u32, point: &str) {
    let stepped = step(machine, registers, at).unwrap_or_else(|stop| panic!("{point}: {stop}"));
    let Stepped { registers: caller, at } = stepped;
    assert_eq!((caller.eip, caller.esp, at), (RETURN, entry + 4, At::Return), "{point}: {caller:?}");
    for register in Register::NON_VOLATILE {
        assert_eq!(caller.get(register), Some(before(register.number())), "{point}: {}", register.name());
    }
    assert!(Register::all().filter(|register| register.is_volatile()).all(|register| caller.get(register).is_none()));
    assert!(caller.arguments == arguments || caller.arguments == 0, "{point}: {caller:?}");
    assert!(*machine.asked.borrow() < 100, "{point}: reads without end");
}

/// Runs a function and checks every point; how many there were.
fn simulate(name: &str, ops: &[Op], frames: &[FrameData], body: std::ops::Range<usize>) -> usize {
    let arguments = frames[0].arguments;
    let mut points = 0;
    // Where the stack was when it was called makes a difference to functions that align it.
    for entry in [ENTRY, ENTRY + 4] {
        let mut machine = Machine::new(ops, frames, entry);
        let at = offsets(ops);
        let mut pushed = 0;
        for (index, op) in ops.iter().enumerate() {
            let point = format!("{name}: instruction {index}");
            for visible in [true, false] {
                machine.visible = visible;
                *machine.asked.borrow_mut() = 0;
                // Without the code, only the body is told right.
                if visible || body.contains(&index) {
                    let mut registers = machine.registers(at[index]);
                    check(&machine, &registers, At::Instruction, entry, arguments, &point);
                    points += 1;
                    if matches!(op, Call(_)) {
                        // The callee hands on how many bytes of arguments it was given.
                        registers.eip = CODE + at[index + 1];
                        registers.arguments = pushed;
                        check(&machine, &registers, At::Return, entry, arguments, &point);
                        points += 1;
                    }
                }
            }
            pushed = if matches!(op, Argument) { pushed + 4 } else { 0 };
            if !matches!(op, Ret(_)) {
                machine.run(*op);
            }
        }
    }
    points
}

#[test]
fn functions_with_a_frame_pointer() {
    let ops = [
        Push(EBP),
        MovEbpEsp,
        Sub(20),
        Push(EBX),
        Push(ESI),
        Use(EBX),
        Use(ESI),
        Argument,
        Argument,
        Call(0),
        Add(8),
        Push(EDI),
        Use(EDI),
        Argument,
        Call(4),
        Pop(EDI),
        Pop(ESI),
        Pop(EBX),
        Leave,
        Ret(0),
    ];
    let base = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + = ";
    let with_ebx = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =  $20 $T0 24 - ^ = ";
    let with_esi = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =  $20 $T0 24 - ^ =  $23 $T0 28 - ^ = ";
    let with_all = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =  $20 $T0 24 - ^ =  $23 $T0 28 - ^ =  \
                    $24 $T0 32 - ^ = ";
    let frames = programs(
        &ops,
        &[
            Range { ops: (0, 20), sizes: [20, 8, 0], prologue: 5, program: base },
            Range { ops: (4, 18), sizes: [20, 8, 4], prologue: 5, program: with_ebx },
            Range { ops: (5, 17), sizes: [20, 8, 8], prologue: 5, program: with_esi },
            Range { ops: (12, 16), sizes: [20, 8, 12], prologue: 5, program: with_all },
        ],
    );
    assert_eq!(simulate("with a frame pointer", &ops, &frames, 5..15), 2 * (20 + 10 + 4));
}

#[test]
fn functions_without_a_frame_pointer() {
    let ops = [
        Sub(8),
        Push(EBX),
        Push(EBP),
        Push(ESI),
        Use(EBX),
        Use(EBP),
        Use(ESI),
        Argument,
        Argument,
        Argument,
        Call(12),
        Push(EDI),
        Use(EDI),
        Argument,
        Call(0),
        Add(4),
        Pop(EDI),
        Pop(ESI),
        Pop(EBP),
        Pop(EBX),
        Add(8),
        Ret(12),
    ];
    let search = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + = ";
    let frames = programs(
        &ops,
        &[
            Range { ops: (0, 22), sizes: [0, 12, 0], prologue: 4, program: search },
            Range { ops: (1, 21), sizes: [8, 12, 0], prologue: 4, program: search },
            Range {
                ops: (2, 20),
                sizes: [8, 12, 4],
                prologue: 4,
                program: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =  $20 $T0 12 - ^ = ",
            },
            Range {
                ops: (3, 19),
                sizes: [8, 12, 8],
                prologue: 4,
                program: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =  $20 $T0 12 - ^ =  $22 $T0 16 - ^ = ",
            },
            Range {
                ops: (4, 18),
                sizes: [8, 12, 12],
                prologue: 4,
                program: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =  $20 $T0 12 - ^ =  $22 $T0 16 - ^ =  $23 $T0 20 - ^ = ",
            },
            Range {
                ops: (12, 17),
                sizes: [8, 12, 16],
                prologue: 4,
                program: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =  $20 $T0 12 - ^ =  $22 $T0 16 - ^ =  $23 $T0 20 - ^ =  \
                      $24 $T0 24 - ^ = ",
            },
        ],
    );
    // Every instruction has its record here, so that all points are right without the code as well.
    assert_eq!(simulate("without a frame pointer", &ops, &frames, 0..22), 2 * (22 + 22 + 4));
}

#[test]
fn functions_that_align_their_stack() {
    let ops = [
        Push(EBP),
        MovEbpEsp,
        Align,
        Sub(24),
        Push(ESI),
        Use(ESI),
        Argument,
        Call(0),
        Add(4),
        Pop(ESI),
        MovEspEbp,
        Pop(EBP),
        Ret(8),
    ];
    // 24 bytes of locals below an aligned place; esi stands below them.
    let program = "$T1 .raSearch = $T0  $T1 4 - 8 @ = $ebp $T1 4 - ^ = $eip $T1 ^ = $esp $T1 4 + = $23 $T0 28 - ^ = ";
    let frames = programs(&ops, &[Range { ops: (0, 13), sizes: [24, 8, 4], prologue: 5, program }]);
    assert_eq!(simulate("aligned", &ops, &frames, 5..9), 2 * (13 + 4 + 2));
}

#[test]
fn a_frame_pointer_in_the_middle_of_the_frame() {
    // A blank is missing before two registers: Visual C++ 2017 writes them so.
    let ops = [
        Push(EBP),
        LeaEbp(0),
        Sub(64),
        LeaEbp(20),
        Push(EBX),
        Use(EBX),
        Argument,
        Call(0),
        Add(4),
        Pop(EBX),
        Add(64),
        Pop(EBP),
        Ret(0),
    ];
    let program = "$T0 $ebp 44 + =$eip $T0 4 + ^ =$ebp $T0 ^ = $esp $T0 8 + = $20 $T0 68 - ^ = ";
    let frames = programs(&ops, &[Range { ops: (0, 13), sizes: [64, 0, 4], prologue: 5, program }]);
    let at = offsets(&ops);
    let mut machine = Machine::new(&ops, &frames, ENTRY);
    for (index, op) in ops[..9].iter().enumerate() {
        if index >= 5 {
            check(&machine, &machine.registers(at[index]), At::Instruction, ENTRY, 0, &index.to_string());
        }
        machine.run(*op);
    }
}

#[test]
fn finally_blocks_find_the_return_address_next_to_the_stack_pointer() {
    // Called by the function around it, whose ebp it keeps and whose sizes its record repeats.
    let ops = [Push(ESI), Use(ESI), Argument, Call(4), Pop(ESI), Ret(0)];
    let program = "$T0 $ebp = $T2 $esp = $T1 .raSearchStart = $eip $T1 ^ = $ebp $T0 = $esp $T1 4 + = ";
    let mut frames = programs(&ops, &[Range { ops: (0, 6), sizes: [36, 0, 16], prologue: 0, program }]);
    let FrameRule::Program { function_start, .. } = &mut frames[0].rule else { panic!() };
    *function_start = false;
    let machine = Machine::new(&ops, &frames, ENTRY);
    let caller = step(&machine, &machine.registers(0), At::Instruction).unwrap().registers;
    assert_eq!((caller.eip, caller.esp, caller.get(Register::EBP)), (RETURN, ENTRY + 4, Some(before(EBP))));
}

/// `FPO_DATA` of a function.
fn counts(size: u32, locals: u32, saved: u32, kind: CountedFrame, uses_ebp: bool) -> FrameData {
    let rule = FrameRule::Counts { kind, uses_ebp, seh: false };
    FrameData { start: 0, size, locals, arguments: 8, saved, prologue: 0, rule }
}

#[test]
fn counted_frames_give_back_what_they_tell_of() {
    let ops = [Sub(8), Push(EBX), Push(EBP), Push(ESI), Use(EBP), Use(ESI), Argument, Call(4)];
    let end = *offsets(&ops).last().unwrap();
    let mut machine = Machine::new(&ops, &[counts(end, 8, 12, CountedFrame::NoPointer, true)], ENTRY);
    ops[..6].iter().for_each(|op| machine.run(*op));
    let caller = step(&machine, &machine.registers(offsets(&ops)[6]), At::Instruction).unwrap().registers;
    assert_eq!((caller.eip, caller.esp, caller.arguments), (RETURN, ENTRY + 4, 8));
    assert_eq!(caller.get(Register::EBP), Some(before(EBP)));
    assert_eq!(caller.get(Register::ESI), None, "which registers were saved is not told");

    let ops = [Push(EBP), MovEbpEsp, Sub(8), Use(EBX)];
    let end = *offsets(&ops).last().unwrap();
    let mut machine = Machine::new(&ops, &[counts(end, 8, 0, CountedFrame::Pointer, true)], ENTRY);
    ops[..3].iter().for_each(|op| machine.run(*op));
    let caller = step(&machine, &machine.registers(offsets(&ops)[3]), At::Instruction).unwrap().registers;
    assert_eq!((caller.eip, caller.esp, caller.get(Register::EBP)), (RETURN, ENTRY + 4, Some(before(EBP))));
}

#[test]
fn a_trap_gives_back_all_that_was_interrupted() {
    let ops = [Use(0), Use(1)];
    for (cs, esp) in [(0x1b, 0x0022_0000), (8, ENTRY + 0x74)] {
        let mut machine = Machine::new(&ops, &[counts(4, 0, 0, CountedFrame::Trap, true)], ENTRY);
        let fields =
            [(0x54, 0xd1), (0x58, 0x51), (0x5c, 0xb1), (0x60, 0xb9), (0x68, 0x0050_1234), (0x6c, cs), (0x70, 0x246)];
        machine.stack.extend(fields.map(|(offset, value)| (ENTRY + offset, value)));
        machine.stack.insert(ENTRY + 0x74, 0x0022_0000);
        machine.general[5] = ENTRY;
        let Stepped { registers, at } = step(&machine, &machine.registers(0), At::Instruction).unwrap();
        assert_eq!((registers.eip, registers.esp, at), (0x0050_1234, esp, At::Instruction));
        let found = Register::NON_VOLATILE.map(|register| registers.get(register).unwrap());
        assert_eq!(found, [0xb1, 0xb9, 0x51, 0xd1]);
    }
}
