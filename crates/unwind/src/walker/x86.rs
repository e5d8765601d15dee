//! What unwinding x86 asks of a walk.

use dumplens_base::{Fault, MemoryExt as _, Va, frame::FrameAt};

use super::Walker;
use crate::{
    Frame, Reason, Target, Trust,
    known::{Caller, Known},
    x64::{At, Rule},
    x86::{self, Register, Registers, Stepped},
};

/// Most links of a list on the stack that are followed to learn what it is.
const MOST_LINKS: usize = 256;

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

    /// Whether the frame pointer leads to the link of a thread's first frame.
    pub(super) fn is_last_link(&self) -> bool {
        let found = self.frames.last().is_some_and(|frame| matches!(frame.trust, Trust::Unwind | Trust::FramePointer));
        matches!(self.known, Known::X86(_)) && found && self.fp >= self.sp && self.ends_at(self.fp)
    }

    /// Whether the link at `fp` is that of a thread's first frame: nothing is saved there, and nothing returned to.
    fn ends_at(&self, fp: Va) -> bool {
        let zero = |va: Option<Va>| va.is_some_and(|va| self.memory.read_u32(va) == Ok(0));
        self.in_bounds(fp) && self.is_near_base(fp) && zero(Some(fp)) && zero(fp.checked_add(4))
    }

    /// The frame pointer that stands right below the return address of a frame that was found by scanning, where most
    /// functions save it. It counts if its links, more than one, lead to the end of the stack.
    pub(super) fn saved_below(&self, frame: &Frame) -> Option<Va> {
        let Known::X86(_) = self.known else { return None };
        let saved = self.pointer(Va(frame.sp.0.checked_sub(8)?)).ok()?;
        let (mut fp, mut sp) = (saved, frame.sp);
        for _ in 0..MOST_LINKS {
            if fp >= sp && self.ends_at(fp) {
                return Some(saved).filter(|saved| *saved != fp);
            }
            (_, fp, sp) = self.link(fp, sp)?;
        }
        None
    }

    /// Whether the word in `slot`, which could be a return address, is known to be something else: the handler of an
    /// exception record, or a function's address where no function ends.
    pub(super) fn is_other_pointer(&self, slot: Va, address: Va) -> bool {
        let Known::X86(_) = self.known else { return false };
        let begins = || self.modules.frame(address).is_some_and(|found| found.offset == 0);
        let before = || address.0.checked_sub(1).and_then(|before| self.modules.frame(Va(before)));
        slot.0.checked_sub(4).is_some_and(|record| self.is_exception_record(Va(record)))
            || (begins() && before().is_none())
    }

    /// Whether an exception record (`EXCEPTION_REGISTRATION_RECORD`) stands at an address: the next record and a handler,
    /// which look like a saved frame pointer and a return address. The last record of the list has -1 for a next one; the
    /// list of frame pointers ends in 0.
    pub(super) fn is_exception_record(&self, record: Va) -> bool {
        let Known::X86(_) = self.known else { return false };
        let mut record = record;
        for _ in 0..MOST_LINKS {
            let Ok(next) = self.memory.read_u32(record) else { return false };
            if next == u32::MAX {
                return true;
            }
            let next = Va(next.into());
            if next <= record || !next.0.is_multiple_of(4) || !self.in_bounds(next) {
                return false;
            }
            record = next;
        }
        false
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
