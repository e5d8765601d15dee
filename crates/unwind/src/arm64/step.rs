use alloc::vec::Vec;

use dumplens_base::{Memory, MemoryExt, Va};

use super::{
    At, Bank, CodeImage, Data, Op, Record, Register, Registers, Rule, Stop, custom,
    function::{function, rva_of},
    record::instructions,
    strip,
};

/// The registers of the caller, or of what was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// The registers; volatile ones are not known but where something was interrupted.
    pub registers: Registers,
    /// What the new instruction pointer stands for.
    pub at: At,
    /// How it was done.
    pub rule: Rule,
    /// Whether unwind data leaves no doubt. `false` for leaf functions, which are told by the absence of data, and for
    /// trap frames, whose layout is not documented.
    pub certain: bool,
}

/// Unwinds one frame: `registers` are in `image`, which holds `registers.pc`, and stand on a stack in `memory`.
/// `mask` has the bits of addresses that pointer authentication uses; [`super::PAC_MASK`] if that is not known.
///
/// At most 1,020 codes are read. The new stack pointer need not be above the old one: leaf functions do not move it,
/// unwind data may lie, and other stacks may be anywhere. That is for the caller to watch.
///
/// # Errors
/// [`Stop`] with what is absent or wrong, and where.
pub fn step(
    memory: &dyn Memory,
    image: &dyn CodeImage,
    registers: &Registers,
    at: At,
    mask: u64,
) -> Result<Stepped, Stop> {
    let outside = Stop::OutsideImage(registers.pc);
    let rva = rva_of(image, registers.pc)?;
    // A return address may lie just behind the function that does not expect the call to return.
    let inside = match at {
        At::Instruction => rva,
        At::Return => rva.checked_sub(4).ok_or(outside)?,
    };
    if inside >= image.size() {
        return Err(outside);
    }
    let mut frame = Frame { memory, registers: *registers, mask, at: At::Return };
    let Some(function) = function(image, inside)? else {
        if at == At::Return || !image.is_executable(rva) {
            return Err(Stop::NoFunction { rva });
        }
        frame.leave()?;
        return Ok(frame.done(Rule::Leaf, false));
    };
    let function = function.direct(image)?;
    let (inside, into) = (inside.saturating_sub(function.begin), rva.saturating_sub(function.begin));
    let plan = plan(image, function.data(), function.begin, inside, into)?;
    let certain = !plan.ops.contains(&Op::TrapFrame);
    if frame.undo(plan.ops.as_slice(), plan.skip, plan.rva)? {
        return Ok(frame.done(Rule::MachineFrame, certain));
    }
    frame.leave()?;
    Ok(frame.done(plan.rule, certain))
}

/// What is to be undone.
struct Plan {
    ops: Vec<Op>,
    /// How many instructions of those are not to be undone: not yet run in a prologue, already undone in an epilogue.
    skip: u32,
    rule: Rule,
    /// RVA of what says so.
    rva: u32,
}

/// Decides by position. `inside` is the instruction that the frame is at and `into` the next one, in bytes from the
/// function's begin.
fn plan(image: &dyn CodeImage, data: Data, begin: u32, inside: u32, into: u32) -> Result<Plan, Stop> {
    let (rva, prologue, epilogue, fragment) = match data {
        Data::Record(rva) => {
            let record = Record::read(image, rva)?;
            (rva, record.ops(0), record.epilogue(inside), false)
        }
        Data::Packed(packed) => {
            let broken = Stop::Invalid { rva: begin, what: "the saved registers do not fit into the frame" };
            let prologue = packed.ops(false).ok_or(broken)?;
            let ops = packed.ops(true).ok_or(broken)?;
            let size = instructions(&ops).saturating_add(1).saturating_mul(4);
            let start = packed.length().checked_sub(size).filter(|start| inside >= *start && !packed.is_fragment());
            (begin, prologue, start.map(|start| (start, ops)), packed.is_fragment())
        }
        Data::Forward(rva) => return Err(Stop::Loop { rva }),
    };
    let missing = instructions(&prologue).saturating_sub(into / 4);
    if missing != 0 && !fragment {
        return Ok(Plan { ops: prologue, skip: missing, rule: Rule::Prologue, rva });
    }
    if let Some((start, ops)) = epilogue {
        return Ok(Plan { ops, skip: into.saturating_sub(start) / 4, rule: Rule::Epilogue, rva });
    }
    Ok(Plan { ops: prologue, skip: 0, rule: Rule::Body, rva })
}

struct Frame<'a> {
    memory: &'a dyn Memory,
    registers: Registers,
    mask: u64,
    at: At,
}

impl Frame<'_> {
    fn free(&mut self, size: u64) -> Result<(), Stop> {
        let sp = self.registers.sp;
        self.registers.sp = sp.checked_add(size).ok_or(Stop::Overflow(sp))?;
        Ok(())
    }

    fn known(&self, register: Register) -> Result<u64, Stop> {
        self.registers.get(register).ok_or(Stop::UnknownArm64Register(register))
    }

    /// Returns to the caller.
    fn leave(&mut self) -> Result<(), Stop> {
        self.registers.pc = Va(strip(self.known(Register::LR)?, self.mask));
        Ok(())
    }

    fn restore(&mut self, bank: Bank, number: u8, offset: u64) -> Result<(), Stop> {
        let Some(register) = Register::new(number).filter(|_| bank == Bank::X) else { return Ok(()) };
        let sp = self.registers.sp;
        let at = sp.checked_add(offset).ok_or(Stop::Overflow(sp))?;
        self.registers.set(register, self.memory.read_u64(at).map_err(Stop::Stack)?);
        Ok(())
    }

    /// Takes back what `ops` did but for the first `skip` instructions. Returns whether what lies above was
    /// interrupted.
    fn undo(&mut self, ops: &[Op], mut skip: u32, rva: u32) -> Result<bool, Stop> {
        // Pairs that follow the one of the next code.
        let mut more = 0_u8;
        let mut interrupted = false;
        for op in ops {
            if skip > 0 && op.is_instruction() {
                skip -= 1;
                continue;
            }
            match *op {
                Op::Alloc(size) => self.free(size.into())?,
                Op::AllocVectors(0) | Op::Nop | Op::SignLink | Op::SaveScalable | Op::EndChained => {}
                Op::AllocVectors(_) => {
                    return Err(Stop::Invalid { rva, what: "it needs the length of scalable vectors" });
                }
                Op::SaveNext => more = more.saturating_add(1),
                Op::Save { bank, first, second, offset, moves } => {
                    let at = if moves { 0 } else { u64::from(offset) };
                    let width = if bank == Bank::Q { 16 } else { 8 };
                    self.restore(bank, first, at)?;
                    if let Some(second) = second {
                        self.restore(bank, second, at.saturating_add(width))?;
                    }
                    for index in 1..=more.saturating_mul(2) {
                        let at = at.saturating_add(width.saturating_mul(u64::from(index).saturating_add(1)));
                        self.restore(bank, first.saturating_add(1).saturating_add(index), at)?;
                    }
                    more = 0;
                    if moves {
                        self.free(offset.into())?;
                    }
                }
                Op::SetFrame(offset) => {
                    let fp = self.known(Register::FP)?;
                    self.registers.sp = Va(fp.checked_sub(offset.into()).ok_or(Stop::Overflow(Va(fp)))?);
                }
                Op::TrapFrame => {
                    custom::trap_frame(self.memory, &mut self.registers, rva)?;
                    interrupted = true;
                }
                Op::MachineFrame => {
                    custom::machine_frame(self.memory, &mut self.registers)?;
                    interrupted = true;
                }
                Op::Context => {
                    custom::context(self.memory, &mut self.registers)?;
                    interrupted = true;
                }
                Op::EcContext => {
                    custom::ec_context(self.memory, &mut self.registers)?;
                    interrupted = true;
                }
                Op::NotACall => self.at = At::Instruction,
                Op::End => break,
                Op::Reserved(_) => return Err(Stop::Invalid { rva, what: "it has a code that is not known" }),
            }
        }
        Ok(interrupted)
    }

    fn done(mut self, rule: Rule, certain: bool) -> Stepped {
        let interrupted = rule == Rule::MachineFrame;
        if interrupted {
            self.registers.pc = Va(strip(self.registers.pc.0, self.mask));
        } else {
            self.registers.forget_volatile();
        }
        let at = if interrupted { At::Instruction } else { self.at };
        Stepped { registers: self.registers, at, rule, certain }
    }
}
