//! What unwinding x86 asks of a walk.

use dumplens_base::{Fault, MemoryExt as _, Va, frame::FrameAt};

use super::Walker;
use crate::{
    Reason, Target, Trust,
    known::{Caller, Known},
    x64::{At, Rule},
    x86::{self, Register, Registers, Stepped},
};

impl Walker<'_> {
    /// The caller of an x86 frame.
    pub(super) fn step_x86(&self, registers: &Registers) -> Result<Caller, Reason> {
        let Stepped { registers: caller, at } = x86::step(self, registers, self.at).map_err(Reason::Frame)?;
        let interrupted = at == At::Instruction;
        // Registers of a trap are read where `ebp` points: nothing but their sense tells whether they are some.
        if interrupted && self.is_system(caller.ip()) && self.modules.target(caller.ip()) == Target::Nothing {
            return Err(Reason::NoCaller(caller.ip()));
        }
        let fp = Va(caller.get(Register::EBP).unwrap_or_default().into());
        let rule = if interrupted { Rule::MachineFrame } else { Rule::Body };
        let known = Known::X86(caller);
        Ok(Caller { known, ip: caller.ip(), sp: caller.sp(), fp, at, rule, certain: false })
    }

    /// Whether the frame pointer leads to the link of a thread's first frame: nothing is saved there, and nothing
    /// returned to.
    pub(super) fn is_last_link(&self) -> bool {
        let found = self.frames.last().is_some_and(|frame| matches!(frame.trust, Trust::Unwind | Trust::FramePointer));
        let zero = |va: Option<Va>| va.is_some_and(|va| self.memory.read_u32(va) == Ok(0));
        matches!(self.known, Known::X86(_))
            && found
            && self.fp >= self.sp
            && self.in_bounds(self.fp)
            && self.is_near_base(self.fp)
            && zero(Some(self.fp))
            && zero(self.fp.checked_add(4))
    }

    /// Whether a function begins at an address and none ends there: its address, pushed or stored, is no return address.
    pub(super) fn is_function_start(&self, address: Va) -> bool {
        let begins = || self.modules.frame(address).is_some_and(|found| found.offset == 0);
        let before = || address.0.checked_sub(1).and_then(|before| self.modules.frame(Va(before)));
        matches!(self.known, Known::X86(_)) && begins() && before().is_none()
    }
}

impl x86::World for Walker<'_> {
    fn word(&self, address: u32) -> Result<u32, Fault> {
        self.memory.read_u32(Va(address.into()))
    }

    fn code(&self, address: u32, buf: &mut [u8]) -> usize {
        let read = self.memory.read(Va(address.into()), buf).filled;
        if read < buf.len()
            && let Some((image, rva)) = self.image(Va(address.into()))
        {
            // At the end of an image there is less than was asked for.
            let left = usize::try_from(image.size().saturating_sub(rva)).unwrap_or(usize::MAX).min(buf.len());
            if left > read && buf.get_mut(..left).is_some_and(|buf| image.read(rva, buf).is_ok()) {
                return left;
            }
        }
        read
    }

    fn is_return_address(&self, address: u32) -> bool {
        Self::is_return_address(self, Va(address.into()))
    }

    fn frame(&self, address: u32) -> Option<FrameAt> {
        self.modules.frame(Va(address.into()))
    }
}
