//! As much of a processor as it takes to know what a function did to the stack and to the registers it must preserve.

use std::collections::BTreeMap;

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};
use iced_x86::{
    Code, FlowControl, Instruction, InstructionInfoFactory, MemorySize, Mnemonic, OpAccess, OpKind, Register,
};

/// The stack pointer when a function is entered: where its return address lies.
pub(crate) const ENTRY: u64 = 0x50_0000_7ff8;

/// What a register holds when a function is entered.
pub(crate) const fn entry_value(number: u8) -> u64 {
    0xe000_0000_0000 + number as u64 * 0x1111
}

/// What nobody knows; no two are the same.
fn garbage(seed: u64) -> u64 {
    0xbad0_0000_0000_0000 | seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

#[derive(Clone)]
pub(crate) struct State {
    /// `None` is not known.
    registers: [Option<u64>; 16],
    /// Words that were written to the stack, by address.
    stack: BTreeMap<u64, Option<u64>>,
    /// The table of 32-bit words that was read last: that of a `switch`, when a jump through a register follows.
    pub(crate) table: Option<u64>,
    /// How many cases the last comparison allows.
    pub(crate) cases: u32,
}

pub(crate) enum Flow {
    Next,
    Call(Option<u64>),
    Branch(u64),
    Jump(u64),
    Table,
    End,
}

/// Why a path is given up.
pub(crate) struct Stopped(pub(crate) &'static str);

fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

fn is_stack(address: u64) -> bool {
    address.abs_diff(ENTRY) < 0x400_0000
}

impl State {
    pub(crate) fn at_entry(return_address: u64) -> Self {
        let mut registers = std::array::from_fn(|number| Some(entry_value(number as u8)));
        registers[4] = Some(ENTRY);
        Self { registers, stack: BTreeMap::from([(ENTRY, Some(return_address))]), table: None, cases: 0 }
    }

    pub(crate) fn rsp(&self) -> u64 {
        self.registers[4].unwrap()
    }

    pub(crate) fn value(&self, number: u8) -> u64 {
        self.registers[usize::from(number)].unwrap_or(garbage(number.into()))
    }

    pub(crate) fn memory(&self) -> Words<'_> {
        Words(self)
    }

    fn get(&self, register: Register) -> Option<u64> {
        number(register).filter(|_| register.is_gpr64()).and_then(|number| self.registers[number])
    }

    /// Sets a whole register; a write to part of one leaves it unknown, but for 32 bits, which clear the rest.
    fn set(&mut self, register: Register, value: Option<u64>) {
        let Some(number) = number(register) else { return };
        self.registers[number] = match register.size() {
            8 => value,
            4 => value.map(|value| value & 0xffff_ffff),
            _ => None,
        };
    }

    fn address(&self, instruction: &Instruction) -> Option<u64> {
        let base = match instruction.memory_base() {
            Register::None => 0,
            Register::RIP => return Some(instruction.memory_displacement64()),
            base => self.get(base)?,
        };
        let index = match instruction.memory_index() {
            Register::None => 0,
            index => self.get(index)?.wrapping_mul(instruction.memory_index_scale().into()),
        };
        Some(base.wrapping_add(index).wrapping_add(instruction.memory_displacement64()))
    }

    fn load(&self, address: u64) -> Option<u64> {
        self.stack.get(&address).copied().flatten()
    }

    fn store(&mut self, address: Option<u64>, size: usize, value: Option<u64>) {
        let Some(address) = address.filter(|address| is_stack(*address)) else { return };
        // Whatever the write overlaps is lost.
        let touched: Vec<u64> =
            self.stack.range(address.saturating_sub(7)..address + size as u64).map(|(at, _)| *at).collect();
        for at in touched {
            self.stack.insert(at, None);
        }
        if size == 8 {
            self.stack.insert(address, value);
        }
    }

    fn push(&mut self, value: Option<u64>) {
        let rsp = self.rsp() - 8;
        self.registers[4] = Some(rsp);
        self.store(Some(rsp), 8, value);
    }

    fn operand(&self, instruction: &Instruction, index: u32) -> Option<u64> {
        match instruction.op_kind(index) {
            OpKind::Register => self.get(instruction.op_register(index)),
            OpKind::Memory if instruction.memory_size().size() == 8 => {
                self.address(instruction).and_then(|address| self.load(address))
            }
            OpKind::Memory => None,
            OpKind::NearBranch64 => None,
            _ => Some(instruction.immediate(index)),
        }
    }

    /// Carries out one instruction.
    pub(crate) fn run(&mut self, instruction: &Instruction) -> Result<Flow, Stopped> {
        let is_rsp =
            |index| instruction.op_kind(index) == OpKind::Register && instruction.op_register(index) == Register::RSP;
        let register_target = instruction.op_count() > 0 && instruction.op_kind(0) == OpKind::Register;
        match instruction.mnemonic() {
            Mnemonic::Push => {
                let value = self.operand(instruction, 0);
                self.push(value);
            }
            Mnemonic::Pop if register_target => {
                let value = self.load(self.rsp());
                self.registers[4] = Some(self.rsp() + 8);
                self.set(instruction.op0_register(), value);
            }
            Mnemonic::Mov | Mnemonic::Movsxd if register_target => {
                if instruction.op1_kind() == OpKind::Memory && instruction.memory_index_scale() == 4 {
                    let base = self.get(instruction.memory_base()).unwrap_or_default();
                    self.table = Some(base.wrapping_add(instruction.memory_displacement64()));
                }
                let value = self.operand(instruction, 1);
                self.set(instruction.op0_register(), value);
            }
            Mnemonic::Mov => {
                let value = self.operand(instruction, 1);
                self.store(self.address(instruction), instruction.memory_size().size(), value);
            }
            Mnemonic::Lea => {
                let value = self.address(instruction);
                self.set(instruction.op0_register(), value);
            }
            Mnemonic::Sub if is_rsp(0) => {
                // How much an allocation of variable size takes does not matter.
                let size = self.operand(instruction, 1).unwrap_or(0x240);
                self.registers[4] = Some(self.rsp().wrapping_sub(size));
            }
            Mnemonic::Add | Mnemonic::Sub | Mnemonic::And if register_target => {
                let (left, right) = (self.operand(instruction, 0), self.operand(instruction, 1));
                let value = left.zip(right).map(|(left, right)| match instruction.mnemonic() {
                    Mnemonic::Add => left.wrapping_add(right),
                    Mnemonic::Sub => left.wrapping_sub(right),
                    _ => left & right,
                });
                self.set(instruction.op0_register(), value);
            }
            Mnemonic::Xor if register_target && instruction.op0_register() == instruction.op1_register() => {
                self.set(instruction.op0_register(), Some(0));
            }
            Mnemonic::Cmp if instruction.op1_kind() != OpKind::Register && instruction.op1_kind() != OpKind::Memory => {
                self.cases = (instruction.immediate(1) as u32).saturating_add(1);
            }
            Mnemonic::Leave => {
                let rbp = self.registers[5].ok_or(Stopped("leave with an unknown rbp"))?;
                self.registers[5] = self.load(rbp);
                self.registers[4] = Some(rbp + 8);
            }
            Mnemonic::Int if instruction.immediate8() == 0x29 => return Ok(Flow::End),
            Mnemonic::Int3 | Mnemonic::Ud2 => return Ok(Flow::End),
            _ => match instruction.flow_control() {
                FlowControl::Next | FlowControl::Interrupt => self.other(instruction),
                FlowControl::Call | FlowControl::IndirectCall => {
                    // The routine that probes large frames preserves the size that is in rax.
                    for volatile in [1, 2, 8, 9, 10, 11] {
                        self.registers[volatile] = None;
                    }
                    self.registers[0] = self.registers[0].filter(|size| *size < 0x100_0000);
                    let target = instruction.near_branch_target();
                    return Ok(Flow::Call((instruction.code() == Code::Call_rel32_64).then_some(target)));
                }
                FlowControl::ConditionalBranch => return Ok(Flow::Branch(instruction.near_branch_target())),
                FlowControl::UnconditionalBranch => return Ok(Flow::Jump(instruction.near_branch_target())),
                FlowControl::Return if self.rsp() != ENTRY => {
                    return Err(Stopped("returns with another stack pointer"));
                }
                FlowControl::IndirectBranch if instruction.op0_kind() == OpKind::Register => return Ok(Flow::Table),
                FlowControl::Return | FlowControl::IndirectBranch | FlowControl::Exception => return Ok(Flow::End),
                _ => return Err(Stopped("an instruction that is not simulated")),
            },
        }
        match self.registers[4] {
            Some(rsp) if is_stack(rsp) => Ok(Flow::Next),
            _ => Err(Stopped("an unknown stack pointer")),
        }
    }

    /// Whatever else an instruction writes is unknown from then on.
    fn other(&mut self, instruction: &Instruction) {
        let writes =
            |access| !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess);
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(instruction);
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            if let Some(number) = number(used.register()) {
                self.registers[number] = None;
            }
        }
        for used in info.used_memory().iter().filter(|used| writes(used.access())) {
            if instruction.memory_size() != MemorySize::Unknown && used.base() == instruction.memory_base() {
                self.store(self.address(instruction), used.memory_size().size(), None);
            }
        }
    }
}

/// The stack as the unwinder sees it. Words that were never written are no fault: on a real stack something is there.
pub(crate) struct Words<'a>(&'a State);

impl Memory for Words<'_> {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        assert!(buf.len().is_multiple_of(8), "the unwinder reads words");
        for (index, slot) in buf.chunks_exact_mut(8).enumerate() {
            let at = va.0 + index as u64 * 8;
            if !is_stack(at) {
                let fault = Fault::NotInDump { va: Va(at), searched: Searched::MinidumpRanges };
                return ReadOutcome { filled: index * 8, fault: Some(fault) };
            }
            let word = self.0.stack.get(&at).copied().flatten().unwrap_or(garbage(at));
            slot.copy_from_slice(&word.to_le_bytes());
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}
