use core::fmt;

use dumplens_base::{
    Fault,
    frame::{FrameAt, FrameData, FrameRule},
};

use super::{
    Register, Registers, code, counts,
    program::{self, ProgramError, Variables},
};
use crate::x64::At;

/// Most bytes of stack that are searched for a return address. Frame data tells where it should be; what comes between
/// are arguments on their way and alignment.
pub const MAX_SEARCH: u32 = 1024;

/// What a step asks of memory and images.
pub trait World {
    /// The word at an address of the stack.
    ///
    /// # Errors
    /// The reason why it cannot be read.
    fn word(&self, address: u32) -> Result<u32, Fault>;

    /// Fills `buf` with code from `address` on, and says how many bytes of it are known.
    fn code(&self, address: u32, buf: &mut [u8]) -> usize;

    /// Whether an address can be one that a call returns to.
    fn is_return_address(&self, address: u32) -> bool;

    /// How the code at an address lays out its frame.
    fn frame(&self, address: u32) -> Option<FrameAt>;
}

/// A frame's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// Its registers.
    pub registers: Registers,
    /// Whether it was interrupted, or called.
    pub at: At,
}

/// Why a frame could not be unwound with frame data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Nothing is known of the function.
    NoFrameData,
    /// Its program is damaged, or builds on what is not known.
    Program(ProgramError),
    /// The frame is addressed by a register whose value is not known.
    UnknownRegister(Register),
    /// No return address stands where it should.
    NoReturnAddress,
    /// The stack cannot be read.
    Stack(Fault),
    /// Another task was interrupted, whose registers stand in a task segment that memory alone does not lead to.
    Task,
}

impl Stop {
    /// Whether frame data is absent, rather than wrong or not enough.
    #[must_use]
    pub const fn is_absence(self) -> bool {
        matches!(self, Self::NoFrameData)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFrameData => f.write_str("nothing tells how the function lays out its frame"),
            Self::Program(error) => write!(f, "frame data: {error}"),
            Self::UnknownRegister(register) => {
                write!(f, "the frame is addressed by {}, whose value is not known", register.name())
            }
            Self::NoReturnAddress => f.write_str("no return address stands where its frame data says"),
            Self::Stack(fault) => write!(f, "the stack is not readable: {fault}"),
            Self::Task => f.write_str("another task was interrupted here, whose registers are in its task segment"),
        }
    }
}

/// The caller of a frame.
///
/// # Errors
/// [`Stop`] with what is in the way.
pub fn step(world: &(impl World + ?Sized), of: &Registers, at: At) -> Result<Stepped, Stop> {
    // A return address may stand behind the last instruction of its function.
    let back = u32::from(at == At::Return);
    let found = world.frame(of.eip.wrapping_sub(back));
    if at == At::Instruction
        && let Some(caller) = edge(world, of, found.as_ref())
    {
        return Ok(Stepped { registers: finished(caller, 0), at: At::Return });
    }
    let FrameAt { data, .. } = found.ok_or(Stop::NoFrameData)?;
    let frame = Frame { world, of, data: &data };
    let (caller, interrupted) = match &data.rule {
        FrameRule::Program { text, .. } => (frame.run(text)?, false),
        FrameRule::Counts { kind, uses_ebp, .. } => counts::unwind(&data, *kind, *uses_ebp, of, &frame)?,
    };
    if interrupted {
        return Ok(Stepped { registers: caller, at: At::Instruction });
    }
    Ok(Stepped { registers: finished(caller, data.arguments), at: At::Return })
}

/// A caller, with what a call does not preserve forgotten.
fn finished(mut caller: Registers, arguments: u32) -> Registers {
    caller.arguments = arguments;
    caller.forget_volatile();
    caller
}

/// The caller of a function that has not set up its frame yet, or has begun to take it down. `None` where it stands
/// between, or the code is not known.
fn edge(world: &(impl World + ?Sized), of: &Registers, found: Option<&FrameAt>) -> Option<Registers> {
    let (base, slot, saved) = leaving(world, of).or_else(|| entering(world, of, found?))?;
    let mut caller = *of;
    caller.eip = world.word(slot).ok().filter(|eip| world.is_return_address(*eip))?;
    caller.esp = slot.wrapping_add(4);
    for (register, offset) in saved {
        match world.word(base.wrapping_add(offset)) {
            Ok(value) => caller.set(register, value),
            Err(_) => caller.forget(register),
        }
    }
    Some(caller)
}

/// An address, the slot of the return address, and registers saved so many bytes above the address.
type Place = (u32, u32, alloc::vec::Vec<(Register, u32)>);

fn leaving(world: &(impl World + ?Sized), of: &Registers) -> Option<Place> {
    let mut code = [0; code::LONGEST];
    let len = world.code(of.eip, &mut code);
    let exit = code::epilogue(code.get(..len)?)?;
    let base = if exit.from_frame { of.get(Register::EBP)? } else { of.esp };
    Some((base, base.wrapping_add(exit.depth), exit.saved))
}

fn entering(world: &(impl World + ?Sized), of: &Registers, found: &FrameAt) -> Option<Place> {
    // Behind the prologue the function may have pushed more.
    let FrameRule::Program { function_start: true, .. } = found.data.rule else { return None };
    if !found.contiguous || found.offset > found.data.prologue {
        return None;
    }
    let mut code = [0; code::LONGEST];
    let code = code.get_mut(..usize::try_from(found.offset).ok()?)?;
    if world.code(of.eip.wrapping_sub(found.offset), code) < code.len() {
        return None;
    }
    let done = code::prologue(code)?;
    let slot = match (done.depth, done.frame) {
        (Some(depth), _) => of.esp.wrapping_add(depth),
        (None, frame) => of.get(Register::EBP)?.wrapping_add(frame?),
    };
    // They stand below the return address.
    let saved = done.saved.into_iter().map(|(register, below)| (register, 0_u32.wrapping_sub(below))).collect();
    Some((slot, slot, saved))
}

/// A frame and what is known of it.
struct Frame<'a, W: ?Sized> {
    world: &'a W,
    of: &'a Registers,
    data: &'a FrameData,
}

impl<W: World + ?Sized> Frame<'_, W> {
    fn run(&self, text: &str) -> Result<Registers, Stop> {
        let results = program::run(text, self).map_err(|error| match error {
            ProgramError::Memory(fault) => Stop::Stack(fault),
            ProgramError::Unknown { register: Some(register), .. } => Stop::UnknownRegister(register),
            other => Stop::Program(other),
        })?;
        let mut caller = *self.of;
        caller.eip = results.eip.ok_or(Stop::NoReturnAddress)?;
        for (register, value) in Register::all().zip(results.registers) {
            match value {
                Some(value) => caller.set(register, value),
                // What the program did not come to may have been saved or not.
                None if results.cut.is_some() => caller.forget(register),
                None => {}
            }
        }
        Ok(caller)
    }

    /// The slot of a return address, from an address of the stack up.
    fn search_from(&self, start: u32) -> Result<u32, ProgramError> {
        let last = start.saturating_add(MAX_SEARCH);
        let mut slot = start;
        while slot < last {
            if self.world.is_return_address(self.world.word(slot).map_err(ProgramError::Memory)?) {
                return Ok(slot);
            }
            slot = slot.checked_add(4).ok_or(ProgramError::NoCaller)?;
        }
        Err(ProgramError::NoCaller)
    }

    /// Where the arguments end that the function has pushed for its callee.
    const fn top(&self) -> u32 {
        self.of.esp.saturating_add(self.of.arguments)
    }
}

impl<W: World + ?Sized> Variables for Frame<'_, W> {
    fn register(&self, register: Register) -> Option<u32> {
        self.of.get(register)
    }

    fn eip(&self) -> u32 {
        self.of.eip
    }

    fn sizes(&self) -> [u32; 3] {
        [self.data.locals, self.data.arguments, self.data.saved]
    }

    fn search(&self) -> Result<u32, ProgramError> {
        // A frame that is aligned has a frame pointer as well, right below its return address: what lies between its
        // locals and there is of no known size.
        if let FrameRule::Program { text, .. } = &self.data.rule
            && text.contains('@')
            && let Some(slot) = self.of.get(Register::EBP).and_then(|frame| frame.checked_add(4))
            && slot >= self.top().saturating_add(self.data.locals)
            && self.world.word(slot).is_ok_and(|word| self.world.is_return_address(word))
        {
            return Ok(slot);
        }
        self.search_from(self.top().saturating_add(self.data.locals).saturating_add(self.data.saved))
    }

    fn search_from_top(&self) -> Result<u32, ProgramError> {
        // Programs that ask for it are those of handlers and of `__finally` blocks. These are called like functions and
        // have no locals of their own: their records repeat the sizes of the function around them.
        self.search_from(self.top())
    }

    fn read(&self, address: u32) -> Result<u32, Fault> {
        self.world.word(address)
    }
}
