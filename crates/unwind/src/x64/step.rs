use alloc::{vec, vec::Vec};

use dumplens_base::{Memory, Va};

use super::{
    CodeImage, Registers, RuntimeFunction, Stop, UnwindInfo,
    epilogue::{self, Exit, Jump},
    info,
    plan::{self, Frame, Plan},
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
    match at {
        At::Return => Plan::new(image, registers.rip)?.follow(memory, registers, true),
        At::Instruction => interrupted(memory, image, registers),
    }
}

/// Where an address is in the image that holds it.
pub(super) fn rva_in(image: &dyn CodeImage, address: Va, at: At) -> Result<u32, Stop> {
    let outside = Stop::OutsideImage(address);
    let rva = address.offset_from(image.base()).and_then(|rva| u32::try_from(rva).ok()).ok_or(outside)?;
    let inside = match at {
        At::Instruction => rva,
        At::Return => rva.checked_sub(1).ok_or(outside)?,
    };
    if inside < image.size() { Ok(rva) } else { Err(outside) }
}

/// Unwinds a frame that may be anywhere in its function.
fn interrupted(memory: &dyn Memory, image: &dyn CodeImage, registers: &Registers) -> Result<Stepped, Stop> {
    let rva = rva_in(image, registers.rip, At::Instruction)?;
    let mut frame = Frame::new(memory, *registers);
    let found = image.function(rva)?;
    let code = code_at(image, found, rva);
    let exit = code.as_deref().and_then(epilogue::decode);
    if let Some(exit) = exit.as_ref().filter(|exit| exit.jump.is_none()) {
        frame.carry_out(exit)?;
        return Ok(frame.done(At::Return, Rule::Epilogue, true));
    }
    let Some(function) = found else {
        if !image.is_executable(rva) {
            return Err(Stop::NoFunction { rva });
        }
        frame.leave(0)?;
        return Ok(frame.done(At::Return, Rule::Leaf, false));
    };
    let function = info::direct(image, function)?;
    let infos = plan::chain(image, function)?;
    let Some(first) = infos.first() else { return Err(Stop::NoFunction { rva }) };
    let in_prologue = plan::progress(function, first, rva, rva);
    if let Some((exit, start)) = described(first, function, rva) {
        return Plan::of_described(&infos, exit, rva.saturating_sub(start)).follow(memory, registers, true);
    }
    if let Some(exit) = exit.filter(|_| in_prologue.is_none())
        && jumps_out(image, function, rva, &exit, &infos)
    {
        // After pops there is no doubt; a lone jump might still be within the body.
        let certain = first.version >= 2 || exit.free.is_some() || !exit.pops.is_empty();
        frame.carry_out(&exit)?;
        return Ok(frame.done(At::Return, Rule::Epilogue, certain));
    }
    // Unread code might be that of an epilogue, which only version 1 does not tell.
    let mut certain = in_prologue.is_some() || code.is_some();
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
    Plan::of_prologue(&infos, in_prologue).follow(memory, registers, certain)
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
