use alloc::{vec, vec::Vec};

use dumplens_base::{Memory, MemoryExt, Va};

use super::{
    CodeImage, Registers, RuntimeFunction, Stop, UnwindInfo,
    epilogue::{self, Exit, Free, Jump},
    info::{self, Code, MAX_CHAIN, Op, Tail},
};

/// Bytes of code that are looked at where more cannot be read.
const SHORT: usize = 4;

/// What an instruction pointer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The instruction that would have run next: a context, or a frame that was interrupted.
    Instruction,
    /// A return address. The call before it is what the frame is at, and the function that holds the call is the one
    /// to unwind; it is in no epilogue.
    Return,
}

/// By which rule a frame was unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The whole prologue had run.
    Body,
    /// Part of the prologue had run.
    Prologue,
    /// What was left of the epilogue was carried out.
    Epilogue,
    /// No function holds the address: it changes neither the stack nor what it must preserve.
    Leaf,
    /// The frame stands on what the processor pushed at an interrupt or a fault.
    MachineFrame,
}

/// The registers of the caller, or of what was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// The registers; volatile ones are not known.
    pub registers: Registers,
    /// What the new instruction pointer stands for.
    pub at: At,
    /// How it was done.
    pub rule: Rule,
    /// Whether unwind data and code leave no doubt. `false` for leaf functions, which are told by the absence of
    /// data, for jumps that only may be the end of an epilogue, and where the code at an interrupted instruction
    /// could not be read, so that it might be in an epilogue.
    pub certain: bool,
}

/// Unwinds one frame: `registers` are in `image`, which holds `registers.rip`, and stand on a stack in `memory`.
///
/// At most 32 records with 255 codes each are read. The new stack pointer need not be above the old one where unwind
/// data lies or a machine frame leads to another stack: that is for the caller to watch.
///
/// # Errors
/// [`Stop`] with what is absent or wrong, and where.
pub fn step(memory: &dyn Memory, image: &dyn CodeImage, registers: &Registers, at: At) -> Result<Stepped, Stop> {
    let outside = Stop::OutsideImage(registers.rip);
    let rva = registers.rip.offset_from(image.base()).and_then(|rva| u32::try_from(rva).ok()).ok_or(outside)?;
    // A return address may lie just behind the function that does not expect the call to return.
    let inside = match at {
        At::Instruction => rva,
        At::Return => rva.checked_sub(1).ok_or(outside)?,
    };
    if inside >= image.size() {
        return Err(outside);
    }
    let mut frame = Frame { memory, registers: *registers };
    let found = image.function(inside)?;
    let code = if at == At::Instruction { code_at(image, found, rva) } else { None };
    let exit = code.as_deref().and_then(epilogue::decode);
    if let Some(exit) = exit.as_ref().filter(|exit| exit.jump.is_none()) {
        frame.carry_out(exit)?;
        return Ok(frame.done(At::Return, Rule::Epilogue, true));
    }
    let Some(function) = found else {
        if at == At::Return || !image.is_executable(rva) {
            return Err(Stop::NoFunction { rva });
        }
        frame.leave(0)?;
        return Ok(frame.done(At::Return, Rule::Leaf, false));
    };
    let function = info::direct(image, function)?;
    let infos = chain(image, function)?;
    let Some(first) = infos.first() else { return Err(Stop::NoFunction { rva }) };
    let into = rva.checked_sub(function.begin).filter(|_| function.contains(inside));
    let in_prologue = into.filter(|into| *into < u32::from(first.prolog_size));
    if at == At::Instruction
        && let Some(exit) = described(first, function, rva)
    {
        let start = exit.1;
        frame.undo(first, &exit.0.codes, |offset| rva.saturating_sub(start) <= offset)?;
        if exit.0.to_parent {
            for info in infos.iter().skip(1) {
                frame.undo(info, &info.codes, |_| true)?;
            }
        }
        frame.leave(0)?;
        return Ok(frame.done(At::Return, Rule::Epilogue, true));
    }
    if let Some(exit) = exit.filter(|_| in_prologue.is_none())
        && jumps_out(image, function, rva, &exit, &infos)
    {
        // After pops there is no doubt; a lone jump might still be within the body.
        let certain = first.version >= 2 || exit.free.is_some() || !exit.pops.is_empty();
        frame.carry_out(&exit)?;
        return Ok(frame.done(At::Return, Rule::Epilogue, certain));
    }
    // Unread code of an interrupted instruction might be that of an epilogue, which only version 1 does not tell.
    let mut certain = at == At::Return || in_prologue.is_some() || code.is_some();
    if !certain && first.version == 2 {
        match first.epilogues(function).find(|(start, size)| rva.checked_sub(*start).is_some_and(|into| into < *size)) {
            None => certain = true,
            Some((start, size)) => {
                if let Some(exit) = epilogue::of_codes(&infos, rva.saturating_sub(start), size) {
                    frame.carry_out(&exit)?;
                    return Ok(frame.done(At::Return, Rule::Epilogue, true));
                }
            }
        }
    }
    for (index, info) in infos.iter().enumerate() {
        let progress = in_prologue.filter(|_| index == 0);
        if frame.undo(info, &info.codes, |offset| progress.is_none_or(|progress| offset <= progress))? {
            return Ok(frame.done(At::Instruction, Rule::MachineFrame, certain));
        }
    }
    frame.leave(0)?;
    let rule = if in_prologue.is_some() { Rule::Prologue } else { Rule::Body };
    Ok(frame.done(At::Return, rule, certain))
}

/// The record of a function and those it continues.
fn chain(image: &dyn CodeImage, function: RuntimeFunction) -> Result<Vec<UnwindInfo>, Stop> {
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

/// The epilogue of version 3 that holds `rva`, and the RVA of its start.
fn described(info: &UnwindInfo, function: RuntimeFunction, rva: u32) -> Option<(&info::Exit, u32)> {
    let starts = info.exits.iter().filter_map(|exit| {
        let from = if exit.start < 0 { function.end } else { function.begin };
        Some((exit, from.checked_add_signed(exit.start)?))
    });
    let holds = |(exit, start): &(&info::Exit, u32)| rva.checked_sub(*start).is_some_and(|into| into <= exit.last);
    starts.into_iter().find(holds)
}

/// The code at an interrupted instruction, up to the end of its function.
fn code_at(image: &dyn CodeImage, function: Option<RuntimeFunction>, rva: u32) -> Option<Vec<u8>> {
    let end = function.map_or(image.size(), |function| function.end);
    let mut code = vec![0; end.saturating_sub(rva).min(epilogue::LONGEST) as usize];
    if image.read(rva, &mut code).is_err() {
        // Close to the end of what the dump holds. A return that is there is enough.
        code.truncate(SHORT);
        image.read(rva, &mut code).ok()?;
    }
    Some(code)
}

/// Whether what ends in a jump is an epilogue.
fn jumps_out(image: &dyn CodeImage, function: RuntimeFunction, rva: u32, exit: &Exit, infos: &[UnwindInfo]) -> bool {
    let Some(info) = infos.first() else { return false };
    if info.version == 3 {
        return false;
    }
    if info.version == 2 {
        // Version 2 says where epilogues are; whatever looks like one elsewhere is none.
        let holds = |(start, size): (u32, u32)| rva.checked_sub(start).is_some_and(|into| into < size);
        return info.epilogues(function).any(holds);
    }
    exit.fits(infos)
        && match exit.jump {
            Some(Jump::Relative(distance)) => {
                epilogue::leaves(image, function, info, i64::from(rva).saturating_add(distance))
            }
            _ => true,
        }
}

struct Frame<'a> {
    memory: &'a dyn Memory,
    registers: Registers,
}

impl Frame<'_> {
    fn read(&self, at: Va) -> Result<u64, Stop> {
        self.memory.read_u64(at).map_err(Stop::Stack)
    }

    fn free(&mut self, size: u64) -> Result<(), Stop> {
        let rsp = self.registers.rsp;
        self.registers.rsp = rsp.checked_add(size).ok_or(Stop::Overflow(rsp))?;
        Ok(())
    }

    fn pop(&mut self) -> Result<u64, Stop> {
        let value = self.read(self.registers.rsp)?;
        self.free(8)?;
        Ok(value)
    }

    /// Returns to the caller.
    fn leave(&mut self, extra: u16) -> Result<(), Stop> {
        self.registers.rip = Va(self.pop()?);
        self.free(extra.into())
    }

    fn carry_out(&mut self, exit: &Exit) -> Result<(), Stop> {
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

    /// Takes back what the prologue did: those of `codes` that `applies` says yes to, by their offset. Returns whether
    /// a machine frame ended it.
    fn undo(&mut self, info: &UnwindInfo, codes: &[Code], applies: impl Fn(u32) -> bool) -> Result<bool, Stop> {
        // In a part that continues another, the primary function has set the frame pointer.
        let sets = |code: &&Code| code.op == Op::SetFrame;
        let framed = codes.iter().find(sets).is_none_or(|code| applies(code.offset));
        let frame_base = |registers: &Registers| match info.frame {
            Some((register, offset)) if framed => {
                let value = registers.get(register).ok_or(Stop::UnknownRegister(register))?;
                value.checked_sub(offset.into()).map(Va).ok_or(Stop::Overflow(Va(value)))
            }
            _ => Ok(registers.rsp),
        };
        // Where saved registers lie; taken before anything is undone, for the frame pointer may be restored itself.
        let base = frame_base(&self.registers);
        let not_rsp = |register| match register {
            super::Register::RSP => Err(Stop::Invalid { rva: info.rva, what: "it restores rsp" }),
            _ => Ok(register),
        };
        for code in codes.iter().filter(|code| applies(code.offset)) {
            match code.op {
                Op::Push(register) => {
                    let value = self.pop()?;
                    self.registers.set(not_rsp(register)?, value);
                }
                Op::Alloc(size) => self.free(size.into())?,
                Op::SetFrame if info.frame.is_none() => {
                    return Err(Stop::Invalid { rva: info.rva, what: "it sets a frame pointer that it does not name" });
                }
                Op::SetFrame => self.registers.rsp = frame_base(&self.registers)?,
                Op::Save(register, offset) => {
                    let base = base?;
                    let at = base.checked_add(offset.into()).ok_or(Stop::Overflow(base))?;
                    let value = self.read(at)?;
                    self.registers.set(not_rsp(register)?, value);
                }
                Op::SaveXmm(..) | Op::Epilogue(_) | Op::Spare => {}
                Op::MachineFrame(error_code) => {
                    if error_code {
                        self.free(8)?;
                    }
                    let rsp = self.registers.rsp;
                    let rip = self.read(rsp)?;
                    // rip, cs, flags, rsp, ss
                    let interrupted = self.read(rsp.checked_add(0x18).ok_or(Stop::Overflow(rsp))?)?;
                    self.registers.rip = Va(rip);
                    self.registers.rsp = Va(interrupted);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn done(mut self, at: At, rule: Rule, certain: bool) -> Stepped {
        self.registers.forget_volatile();
        Stepped { registers: self.registers, at, rule, certain }
    }
}
