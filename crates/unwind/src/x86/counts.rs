//! Frames that are counted (`FPO_DATA`), not programmed.

use dumplens_base::frame::{CountedFrame, FrameData};

use super::{
    Register, Registers,
    program::{ProgramError, Variables},
    step::Stop,
};

/// Offsets in `KTRAP_FRAME`, the same in every release.
mod trap {
    pub(super) const EDI: u32 = 0x54;
    pub(super) const ESI: u32 = 0x58;
    pub(super) const EBX: u32 = 0x5c;
    pub(super) const EBP: u32 = 0x60;
    pub(super) const EIP: u32 = 0x68;
    pub(super) const CS: u32 = 0x6c;
    pub(super) const FLAGS: u32 = 0x70;
    pub(super) const ESP: u32 = 0x74;
}

/// Virtual 8086 mode, in the flags.
const V86: u32 = 1 << 17;

/// The caller's registers, and whether they are of code that was interrupted.
pub(super) fn unwind(
    data: &FrameData,
    kind: CountedFrame,
    uses_ebp: bool,
    of: &Registers,
    variables: &(impl Variables + ?Sized),
) -> Result<(Registers, bool), Stop> {
    let read = |address: u32| variables.read(address).map_err(Stop::Stack);
    let ebp = || of.get(Register::EBP).ok_or(Stop::UnknownRegister(Register::EBP));
    let mut caller = *of;
    match kind {
        CountedFrame::NoPointer => {
            let slot = variables.search().map_err(|error| match error {
                ProgramError::Memory(fault) => Stop::Stack(fault),
                _ => Stop::NoReturnAddress,
            })?;
            caller.eip = read(slot)?;
            caller.esp = slot.wrapping_add(4);
            // Which registers are saved is not told, but that ebp is, and in which order compilers push: ebx, ebp, esi,
            // edi. With one register it is ebp itself; with more, ebx stands above it. Others are lost.
            for register in Register::NON_VOLATILE {
                if data.saved > 0 && register != Register::EBP {
                    caller.forget(register);
                }
            }
            if uses_ebp {
                let below = if data.saved > 4 { 8 } else { 4 };
                let place = slot.wrapping_sub(data.locals).wrapping_sub(below);
                match variables.read(place) {
                    Ok(value) => caller.set(Register::EBP, value),
                    Err(_) => caller.forget(Register::EBP),
                }
            }
            Ok((caller, false))
        }
        CountedFrame::Pointer => {
            let frame = ebp()?;
            caller.eip = read(frame.wrapping_add(4))?;
            caller.set(Register::EBP, read(frame)?);
            caller.esp = frame.wrapping_add(8);
            for register in [Register::EBX, Register::ESI, Register::EDI] {
                if data.saved > 0 {
                    caller.forget(register);
                }
            }
            Ok((caller, false))
        }
        CountedFrame::Trap => {
            let frame = ebp()?;
            let field = |offset: u32| read(frame.wrapping_add(offset));
            caller.eip = field(trap::EIP)?;
            let places = [trap::EBX, trap::EBP, trap::ESI, trap::EDI];
            for (register, offset) in Register::NON_VOLATILE.into_iter().zip(places) {
                caller.set(register, field(offset)?);
            }
            // The processor pushes a stack pointer only where it changes stacks.
            let user = field(trap::CS)? & 1 != 0 || field(trap::FLAGS)? & V86 != 0;
            caller.esp = if user { field(trap::ESP)? } else { frame.wrapping_add(trap::ESP) };
            Ok((caller, true))
        }
        CountedFrame::Task => Err(Stop::Task),
    }
}
