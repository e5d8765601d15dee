use alloc::vec::Vec;

use dumplens_base::{Memory, MemoryExt, Va};

use super::{
    At, CodeImage, Register, Registers, Rule, RuntimeFunction, Stepped, Stop, UnwindInfo,
    epilogue::{Exit, Free},
    info::{self, Code, MAX_CHAIN, Op, Tail},
};

/// What leads from a frame at a return address to its caller. It depends on the image alone: the same address on another
/// stack needs no second look at the unwind data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    actions: Vec<Action>,
    rule: Rule,
    /// Words that are popped, the return address among them.
    words: usize,
}

/// One step of a [`Plan`]. Sizes and offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Pop(Register),
    Free(u32),
    /// What saved registers are counted from: the stack pointer.
    BaseHere,
    /// What saved registers are counted from: so much below a register.
    BaseFrom(Register, u32),
    /// The stack pointer becomes so much less than a register.
    Frame(Register, u32),
    /// Restores a register from so far above the base.
    Load(Register, u32),
    /// What the processor pushed, with an error code or without. Nothing follows.
    MachineFrame(bool),
    /// The record at this RVA restores the stack pointer, which cannot be.
    RestoresRsp(u32),
    /// The record at this RVA sets a frame pointer that it does not name.
    UnnamedFrame(u32),
}

/// Most words that are read ahead: all registers that are preserved, and the return address.
const AHEAD: usize = 9;

impl Plan {
    /// For the frame at a return address.
    ///
    /// # Errors
    /// [`Stop`] if there is no unwind data for it, or it makes no sense.
    pub(crate) fn new(image: &dyn CodeImage, address: Va) -> Result<Self, Stop> {
        let rva = super::step::rva_in(image, address, At::Return)?;
        // A return address may lie just behind the function that does not expect the call to return.
        let inside = rva.saturating_sub(1);
        let function = image.function(inside)?.ok_or(Stop::NoFunction { rva })?;
        let function = info::direct(image, function)?;
        let infos = chain(image, function)?;
        let progress = infos.first().and_then(|first| progress(function, first, rva, inside));
        Ok(Self::of_prologue(&infos, progress))
    }

    /// Takes back what the prologues of `infos` did, of the first one only what has been done `progress` bytes into it.
    pub(super) fn of_prologue(infos: &[UnwindInfo], progress: Option<u32>) -> Self {
        let codes = infos.iter().map(|info| info.codes.len()).sum::<usize>();
        let mut actions = Vec::with_capacity(codes.saturating_add(infos.len()));
        for (index, info) in infos.iter().enumerate() {
            let progress = progress.filter(|_| index == 0);
            add(&mut actions, info, &info.codes, |offset| progress.is_none_or(|progress| offset <= progress));
        }
        Self::ending(actions, if progress.is_some() { Rule::Prologue } else { Rule::Body })
    }

    /// What is left of an epilogue that version 3 describes, `into` bytes into it.
    pub(super) fn of_described(infos: &[UnwindInfo], exit: &info::Exit, into: u32) -> Self {
        let mut actions = Vec::new();
        if let Some((first, parents)) = infos.split_first() {
            add(&mut actions, first, &exit.codes, |offset| into <= offset);
            for info in parents.iter().filter(|_| exit.to_parent) {
                add(&mut actions, info, &info.codes, |_| true);
            }
        }
        Self::ending(actions, Rule::Epilogue)
    }

    fn ending(mut actions: Vec<Action>, rule: Rule) -> Self {
        // What follows a machine frame is what was interrupted.
        let machine = actions.iter().position(|action| matches!(action, Action::MachineFrame(_)));
        if let Some(machine) = machine {
            actions.truncate(machine.saturating_add(1));
        }
        let pops = actions.iter().filter(|action| matches!(action, Action::Pop(_))).count();
        let words = pops.saturating_add(usize::from(machine.is_none()));
        Self { actions, rule: machine.map_or(rule, |_| Rule::MachineFrame), words }
    }

    pub(crate) fn follow(&self, memory: &dyn Memory, registers: &Registers, certain: bool) -> Result<Stepped, Stop> {
        let mut frame = Frame { left: self.words, ..Frame::new(memory, *registers) };
        let mut base = registers.rsp;
        for action in &self.actions {
            match *action {
                Action::Pop(register) => {
                    let value = frame.pop()?;
                    frame.registers.set(register, value);
                }
                Action::Free(size) => frame.free(size.into())?,
                Action::BaseHere => base = frame.registers.rsp,
                Action::BaseFrom(register, offset) => base = frame.below(register, offset)?,
                Action::Frame(register, offset) => frame.registers.rsp = frame.below(register, offset)?,
                Action::Load(register, offset) => {
                    let at = base.checked_add(offset.into()).ok_or(Stop::Overflow(base))?;
                    let value = frame.read(at)?;
                    frame.registers.set(register, value);
                }
                Action::MachineFrame(error_code) => {
                    frame.interrupted(error_code)?;
                    return Ok(frame.done(At::Instruction, self.rule, certain));
                }
                Action::RestoresRsp(rva) => return Err(Stop::Invalid { rva, what: "it restores rsp" }),
                Action::UnnamedFrame(rva) => {
                    return Err(Stop::Invalid { rva, what: "it sets a frame pointer that it does not name" });
                }
            }
        }
        frame.leave(0)?;
        Ok(frame.done(At::Return, self.rule, certain))
    }
}

/// How far into the prologue of `function` an address is, if it is in it.
pub(super) fn progress(function: RuntimeFunction, info: &UnwindInfo, rva: u32, inside: u32) -> Option<u32> {
    let into = rva.checked_sub(function.begin).filter(|_| function.contains(inside));
    into.filter(|into| *into < u32::from(info.prolog_size))
}

/// The record of a function and those it continues.
pub(super) fn chain(image: &dyn CodeImage, function: RuntimeFunction) -> Result<Vec<UnwindInfo>, Stop> {
    let mut infos = Vec::with_capacity(1);
    let mut rva = function.unwind;
    while infos.len() < MAX_CHAIN {
        let info = UnwindInfo::read(image, rva)?;
        let tail = info.tail;
        infos.push(info);
        match tail {
            Tail::Chained(parent) => rva = info::direct(image, parent)?.unwind,
            _ => return Ok(infos),
        }
    }
    Err(Stop::Loop { rva })
}

/// Adds what takes back those of `codes` that `applies` says yes to, by their offset.
fn add(actions: &mut Vec<Action>, info: &UnwindInfo, codes: &[Code], applies: impl Fn(u32) -> bool) {
    // In a part that continues another, the primary function has set the frame pointer.
    let sets = |code: &&Code| code.op == Op::SetFrame;
    let framed = codes.iter().find(sets).is_none_or(|code| applies(code.offset));
    let frame = info.frame.filter(|_| framed);
    // Where saved registers lie; taken before anything is undone, for the frame pointer may be restored itself.
    if codes.iter().any(|code| applies(code.offset) && matches!(code.op, Op::Save(..))) {
        actions.push(frame.map_or(Action::BaseHere, |(register, offset)| Action::BaseFrom(register, offset)));
    }
    let not_rsp = |register, action| if register == Register::RSP { Action::RestoresRsp(info.rva) } else { action };
    for code in codes.iter().filter(|code| applies(code.offset)) {
        actions.push(match code.op {
            Op::Push(register) => not_rsp(register, Action::Pop(register)),
            Op::Alloc(size) => Action::Free(size),
            Op::SetFrame => match (info.frame, frame) {
                (None, _) => Action::UnnamedFrame(info.rva),
                (Some(_), None) => continue,
                (Some(_), Some((register, offset))) => Action::Frame(register, offset),
            },
            Op::Save(register, offset) => not_rsp(register, Action::Load(register, offset)),
            Op::SaveXmm(..) | Op::Epilogue(_) | Op::Spare => continue,
            Op::MachineFrame(error_code) => Action::MachineFrame(error_code),
        });
    }
}

/// A frame that is being left.
pub(super) struct Frame<'a> {
    memory: &'a dyn Memory,
    registers: Registers,
    /// Words of the stack that were read ahead, and where they stand.
    words: [u8; 8 * AHEAD],
    at: Va,
    filled: usize,
    /// Words that will be popped: they stand side by side as a rule.
    left: usize,
}

impl<'a> Frame<'a> {
    pub(super) const fn new(memory: &'a dyn Memory, registers: Registers) -> Self {
        Self { memory, registers, words: [0; 8 * AHEAD], at: Va(0), filled: 0, left: 1 }
    }

    /// The word at `at`, if it was read ahead.
    fn known(&self, at: Va) -> Option<u64> {
        let into = usize::try_from(at.offset_from(self.at)?).ok()?;
        self.words.get(..self.filled)?.get(into..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    fn read(&self, at: Va) -> Result<u64, Stop> {
        self.known(at).map_or_else(|| self.memory.read_u64(at).map_err(Stop::Stack), Ok)
    }

    /// The address so much below what a register holds.
    fn below(&self, register: Register, offset: u32) -> Result<Va, Stop> {
        let value = self.registers.get(register).ok_or(Stop::UnknownRegister(register))?;
        value.checked_sub(offset.into()).map(Va).ok_or(Stop::Overflow(Va(value)))
    }

    fn free(&mut self, size: u64) -> Result<(), Stop> {
        let rsp = self.registers.rsp;
        self.registers.rsp = rsp.checked_add(size).ok_or(Stop::Overflow(rsp))?;
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Stop> {
        let rsp = self.registers.rsp;
        if self.left > 1 && self.known(rsp).is_none() {
            // One read in place of many. What is absent is found to be so when it is its turn.
            let bytes = self.words.get_mut(..self.left.min(AHEAD).saturating_mul(8)).unwrap_or_default();
            (self.at, self.filled) = (rsp, self.memory.read(rsp, bytes).filled);
        }
        self.left = self.left.saturating_sub(1);
        let value = self.read(rsp)?;
        self.free(8)?;
        Ok(value)
    }

    /// Returns to the caller.
    pub(super) fn leave(&mut self, extra: u16) -> Result<(), Stop> {
        self.registers.rip = Va(self.pop()?);
        self.free(extra.into())
    }

    /// Does the rest of an epilogue.
    pub(super) fn carry_out(&mut self, exit: &Exit) -> Result<(), Stop> {
        match exit.free {
            Some(Free::Add(size)) => self.free(size.into())?,
            Some(Free::From(register, displacement)) => {
                let value = self.registers.get(register).ok_or(Stop::UnknownRegister(register))?;
                let rsp = value.checked_add_signed(displacement.into()).ok_or(Stop::Overflow(Va(value)))?;
                self.registers.rsp = Va(rsp);
            }
            None => {}
        }
        for register in &exit.pops {
            let value = self.pop()?;
            self.registers.set(*register, value);
        }
        self.leave(exit.extra)
    }

    /// Goes back to what was interrupted.
    fn interrupted(&mut self, error_code: bool) -> Result<(), Stop> {
        /// Where the stack pointer stands: behind rip, cs and flags.
        const STACK_POINTER: u64 = 0x18;
        if error_code {
            self.free(8)?;
        }
        let rsp = self.registers.rsp;
        let rip = self.read(rsp)?;
        let interrupted = self.read(rsp.checked_add(STACK_POINTER).ok_or(Stop::Overflow(rsp))?)?;
        self.registers.rip = Va(rip);
        self.registers.rsp = Va(interrupted);
        Ok(())
    }

    pub(super) fn done(mut self, at: At, rule: Rule, certain: bool) -> Stepped {
        self.registers.forget_volatile();
        Stepped { registers: self.registers, at, rule, certain }
    }
}
