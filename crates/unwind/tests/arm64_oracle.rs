//! The ARM64 unwinder against a simulation of the code it unwinds.
//!
//! Each function is run in address order from its first instruction. Only what moves the stack pointer or stores a
//! preserved register counts. A return ends a stretch; the code behind it stands on the frame of the body, which is
//! what the frame was before the first instruction of that epilogue. At each instruction unwinding must give back what
//! the caller had. The simulation is of instructions alone and shares nothing with the unwinder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::needless_range_loop, clippy::collapsible_match)]

mod common;

use std::collections::BTreeMap;

use common::{FileCode, images_for};
use dumplens_base::{Fault, Machine, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_unwind::arm64::{At, CodeImage, Function, PAC_MASK, Register, Registers, entry, step};

const ENTRY: u64 = 0x10_0000;
const RETURN: u64 = 0x7ff6_1234_5678;
/// What a signature adds.
const SIGNED: u64 = 0x0023_0000_0000_0000;

#[derive(Clone)]
struct State {
    sp: u64,
    x: [Option<u64>; 31],
    memory: BTreeMap<u64, u64>,
}

impl Memory for State {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        match self.memory.get(&va.0) {
            Some(word) if buf.len() == 8 => {
                buf.copy_from_slice(&word.to_le_bytes());
                ReadOutcome::complete(8)
            }
            _ => ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }) },
        }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

enum Flow {
    Next,
    Call,
    Leaves,
    GivenUp,
}

fn signed(value: u32, bits: u32) -> i64 {
    i64::from((value << (32 - bits)) as i32 >> (32 - bits))
}

impl State {
    fn at_entry() -> Self {
        let mut x = [None; 31];
        for number in 19..30 {
            x[number] = Some(0x1111_0000 + number as u64);
        }
        x[30] = Some(RETURN);
        Self { sp: ENTRY, x, memory: BTreeMap::new() }
    }

    fn base(&self, number: usize) -> Option<u64> {
        if number == 31 { Some(self.sp) } else { self.x[number] }
    }

    fn set_base(&mut self, number: usize, value: Option<u64>) {
        match (number, value) {
            (31, Some(value)) => self.sp = value,
            (31, None) => {}
            _ => self.x[number] = value,
        }
    }

    fn access(&mut self, load: bool, register: usize, at: u64) {
        if register == 31 {
            return;
        }
        if load {
            self.x[register] = self.memory.get(&at).copied();
        } else if let Some(value) = self.x[register] {
            self.memory.insert(at, value);
        } else {
            self.memory.remove(&at);
        }
    }

    fn run(&mut self, word: u32) -> Flow {
        let (rd, rn, rt2) = ((word & 31) as usize, (word >> 5 & 31) as usize, (word >> 10 & 31) as usize);
        // ldp, stp: of x, d and q registers.
        let size = match word & 0xfe00_0000 {
            0xa800_0000 | 0x6c00_0000 => 8,
            0xac00_0000 => 16,
            _ => 0,
        };
        if size != 0 {
            let Some(base) = self.base(rn) else { return Flow::GivenUp };
            let moved = base.wrapping_add_signed(signed(word >> 15 & 0x7f, 7) * size);
            let mode = word >> 23 & 3;
            let at = if mode == 1 { base } else { moved };
            if word & 0xfe00_0000 == 0xa800_0000 {
                self.access(word >> 22 & 1 == 1, rd, at);
                self.access(word >> 22 & 1 == 1, rt2, at + 8);
            }
            if mode == 1 || mode == 3 {
                self.set_base(rn, Some(moved));
            }
            return Flow::Next;
        }
        // ldr, str of x and d registers, with an offset or moving the base.
        if word & 0xff80_0000 == 0xf900_0000 {
            if let Some(base) = self.base(rn).filter(|_| rn == 31 || word >> 22 & 1 == 1) {
                self.access(word >> 22 & 1 == 1, rd, base + u64::from(word >> 10 & 0xfff) * 8);
            } else if word >> 22 & 1 == 1 && rd != 31 {
                self.x[rd] = None;
            }
            return Flow::Next;
        }
        if word & 0xfb80_0400 == 0xf800_0400 && word & 0x0020_0000 == 0 && rn == 31 {
            let moved = self.sp.wrapping_add_signed(signed(word >> 12 & 0x1ff, 9));
            let at = if word & 0x800 != 0 { moved } else { self.sp };
            if word & 0x0400_0000 == 0 {
                self.access(word >> 22 & 1 == 1, rd, at);
            }
            self.sp = moved;
            return Flow::Next;
        }
        // add, sub with a constant, on 64 bits.
        if word & 0xbf80_0000 == 0x9100_0000 || word & 0xff80_0000 == 0xd100_0000 {
            let amount = u64::from(word >> 10 & 0xfff) << (12 * (word >> 22 & 1));
            let value = self
                .base(rn)
                .map(|value| if word >> 30 & 1 == 1 { value.wrapping_sub(amount) } else { value.wrapping_add(amount) });
            if rd == 31 && value.is_none() {
                return Flow::GivenUp;
            }
            self.set_base(rd, value);
            return Flow::Next;
        }
        // The stack pointer as the result of something else.
        if rd == 31 && word & 0xffe0_0000 == 0xcb20_0000 {
            return Flow::GivenUp;
        }
        match word {
            0xd503_237f => self.x[30] = self.x[30].map(|value| value | SIGNED),
            0xd503_23ff => self.x[30] = self.x[30].map(|value| value & !SIGNED),
            0xd65f_03c0 => return Flow::Leaves,
            _ if word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000 => {
                for register in (0..19).chain([30]) {
                    self.x[register] = None;
                }
                return Flow::Call;
            }
            // b, br: out of the function or not, what follows is reached by another way.
            _ if word & 0xfc00_0000 == 0x1400_0000 || word & 0xffff_fc1f == 0xd61f_0000 => return Flow::Leaves,
            // Data processing that writes a register: its value is not known any more.
            _ if word >> 26 & 7 == 4 || word >> 25 & 7 == 5 || word >> 24 & 0x1f == 0x10 => {
                if rd != 31 && word & 0x7f00_0000 != 0x7100_0000 {
                    self.x[rd] = None;
                }
            }
            // Other loads into general registers.
            _ if word & 0x3b20_0000 == 0x3820_0000 || word & 0x3b00_0000 == 0x3900_0000 => {
                if word >> 22 & 3 != 0 && word & 0x0400_0000 == 0 && rd != 31 {
                    self.x[rd] = None;
                }
            }
            _ => {}
        }
        Flow::Next
    }
}

fn check(code: &FileCode, rva: u32, state: &State, at: At) -> Result<(), String> {
    let mut registers = Registers::new(Va(code.base + u64::from(rva)), Va(state.sp));
    for register in Register::all() {
        if let Some(value) = state.x[usize::from(register.number())] {
            registers.set(register, value);
        }
    }
    let stepped = step(state, code, &registers, at, PAC_MASK).map_err(|stop| stop.to_string())?;
    let callers = stepped.registers;
    let mut wrong = String::new();
    if callers.pc.0 != RETURN {
        wrong += &format!(" pc {}", callers.pc);
    }
    if callers.sp.0 != ENTRY {
        wrong += &format!(" sp off by {:#x}", callers.sp.0.wrapping_sub(ENTRY) as i64);
    }
    for number in 19..30 {
        let value = callers.get(Register::new(number).unwrap());
        if value != Some(0x1111_0000 + u64::from(number)) {
            wrong += &format!(" x{number} {value:x?}");
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{:?}:{wrong}", stepped.rule)) }
}

/// Where direct branches within a function lead, by the instruction that branches.
fn target(word: u32, rva: u32) -> Option<u32> {
    let distance = match word {
        _ if word & 0xfc00_0000 == 0x1400_0000 => signed(word & 0x3ff_ffff, 26),
        _ if word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 => signed(word >> 5 & 0x7_ffff, 19),
        _ if word & 0x7e00_0000 == 0x3600_0000 => signed(word >> 5 & 0x3fff, 14),
        _ => return None,
    };
    rva.checked_add_signed(distance as i32 * 4)
}

/// Functions that return with the stack pointer moved, and how far: the security cookie's helpers.
type Movers = BTreeMap<u32, i64>;

fn simulate(
    code: &FileCode,
    function: Function,
    movers: &mut Movers,
    tally: &mut (usize, usize),
    wrong: &mut Vec<String>,
) {
    let end = function.begin + function.length(code).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut work = vec![(function.begin, State::at_entry(), At::Instruction)];
    while let Some((rva, mut state, came)) = work.pop() {
        if rva < function.begin || rva >= end || !seen.insert(rva) {
            continue;
        }
        for at in if came == At::Return { &[At::Return, At::Instruction][..] } else { &[At::Instruction] } {
            match check(code, rva, &state, *at) {
                Ok(()) => tally.0 += 1,
                Err(error) => wrong.push(format!("{rva:#x} ({:#x}) {at:?}: {error}", function.begin)),
            }
        }
        let mut bytes = [0; 4];
        code.read(rva, &mut bytes).unwrap();
        let word = u32::from_le_bytes(bytes);
        work.extend(target(word, rva).map(|target| (target, state.clone(), At::Instruction)));
        if word == 0xd65f_03c0 && state.sp != ENTRY {
            movers.insert(function.begin, state.sp.wrapping_sub(ENTRY) as i64);
        }
        let called = (word & 0xfc00_0000 == 0x9400_0000).then(|| signed(word & 0x3ff_ffff, 26) as i32 * 4);
        let moved = called.and_then(|distance| movers.get(&rva.checked_add_signed(distance)?));
        state.sp = state.sp.wrapping_add_signed(moved.copied().unwrap_or(0));
        match state.run(word) {
            Flow::Next => work.push((rva + 4, state, At::Instruction)),
            Flow::Call => work.push((rva + 4, state, At::Return)),
            Flow::Leaves => {}
            Flow::GivenUp => tally.1 += 1,
        }
    }
}

#[test]
fn unwinding_gives_back_what_simulated_functions_were_called_with() {
    let Some(images) = images_for(Machine::Arm64) else { return };
    let (mut total, mut wrong) = (0, Vec::new());
    for (path, code) in images {
        let (mut tally, before) = ((0, 0), wrong.len());
        let functions: Vec<_> = (0..code.entries()).map(|index| entry(&code, index).unwrap()).collect();
        let mut movers = Movers::new();
        for function in &functions {
            simulate(&code, *function, &mut movers, &mut (0, 0), &mut Vec::new());
        }
        assert!(movers.len() <= 2, "{movers:x?}");
        let helpers = movers.clone();
        for function in functions.iter().filter(|function| !helpers.contains_key(&function.begin)) {
            simulate(&code, *function, &mut movers, &mut tally, &mut wrong);
        }
        let name = path.file_name().unwrap().to_string_lossy();
        println!("{name}: {} points right, {} wrong, {} paths given up", tally.0, wrong.len() - before, tally.1);
        total += tally.0;
    }
    assert!(wrong.is_empty(), "{} points are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    assert!(total > 5_000, "{total}");
}
