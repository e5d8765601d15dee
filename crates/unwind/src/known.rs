use dumplens_base::{Memory, Va};

use crate::{
    arm64,
    x64::{self, At, CodeImage, Rule, Stop},
    x86,
};

/// What is known of the last frame's registers, where frames are unwound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// Frames are not unwound.
    Nothing,
    X64(x64::Registers),
    X86(x86::Registers),
    /// With the bits that pointer authentication uses.
    Arm64(arm64::Registers, u64),
}

/// A frame's caller.
pub(crate) struct Caller {
    pub(crate) known: Known,
    pub(crate) ip: Va,
    pub(crate) sp: Va,
    pub(crate) fp: Va,
    pub(crate) at: At,
    pub(crate) rule: Rule,
    pub(crate) certain: bool,
}

impl From<x64::Stepped> for Caller {
    fn from(stepped: x64::Stepped) -> Self {
        let x64::Stepped { registers, at, rule, certain } = stepped;
        let fp = Va(registers.get(x64::Register::RBP).unwrap_or_default());
        Self { known: Known::X64(registers), ip: registers.rip, sp: registers.rsp, fp, at, rule, certain }
    }
}

impl Known {
    /// Whether frames are unwound.
    pub(crate) const fn is_unwound(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// The same architecture with a frame of which no more is known than this.
    pub(crate) fn guess(self, ip: Va, sp: Va, fp: Option<Va>) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::X64(_) => {
                let mut registers = x64::Registers::new(ip, sp);
                if let Some(fp) = fp {
                    registers.set(x64::Register::RBP, fp.0);
                }
                Self::X64(registers)
            }
            Self::X86(before) => {
                let mut registers = x86::Registers::new(ip.0 as u32, sp.0 as u32);
                // Between the frames that were not seen nobody may have changed the frame pointer: a value that still
                // points up the stack is tried.
                let before = before.get(x86::Register::EBP).filter(|ebp| u64::from(*ebp) >= sp.0);
                if let Some(ebp) = fp.map(|fp| fp.0 as u32).or(before) {
                    registers.set(x86::Register::EBP, ebp);
                }
                Self::X86(registers)
            }
            Self::Arm64(_, mask) => {
                let mut registers = arm64::Registers::new(ip, sp);
                if let Some(fp) = fp {
                    registers.set(arm64::Register::FP, fp.0);
                }
                Self::Arm64(registers, mask)
            }
        }
    }

    /// The frame at `ip` that made a call which did nothing but put its return address onto the stack.
    pub(crate) fn returned_to(self, ip: Va, sp: Va) -> Self {
        match self {
            Self::X64(mut registers) => {
                (registers.rip, registers.rsp) = (ip, sp);
                registers.forget_volatile();
                Self::X64(registers)
            }
            other => other.guess(ip, sp, None),
        }
    }

    /// The frame that made a call which went astray before anything changed.
    pub(crate) fn called_from(self, lr: Va) -> Self {
        match self {
            Self::Arm64(mut registers, mask) => {
                registers.pc = lr;
                registers.forget_volatile();
                Self::Arm64(registers, mask)
            }
            other => other,
        }
    }

    /// An address as code was called or returned to, without its signature.
    pub(crate) const fn code_address(self, address: Va) -> Va {
        match self {
            Self::Arm64(_, mask) => Va(arm64::strip(address.0, mask)),
            _ => address,
        }
    }

    /// Unwinds one frame with the unwind data of its image. `None` where frames are not unwound so.
    pub(crate) fn step(self, memory: &dyn Memory, image: &dyn CodeImage, at: At) -> Option<Result<Caller, Stop>> {
        match self {
            Self::Nothing | Self::X86(_) => None,
            Self::X64(registers) => Some(x64::step(memory, image, &registers, at).map(Caller::from)),
            Self::Arm64(registers, mask) => Some(arm64::step(memory, image, &registers, at, mask).map(|stepped| {
                let arm64::Stepped { registers, at, rule, certain } = stepped;
                let fp = Va(registers.get(arm64::Register::FP).unwrap_or_default());
                let known = Self::Arm64(registers, mask);
                Caller { known, ip: registers.pc, sp: registers.sp, fp, at, rule, certain }
            })),
        }
    }

    /// Whether a function that holds code at `rva` is in the image's function table. Says yes where that cannot be
    /// read, or there is none.
    pub(crate) fn has_function(self, image: &dyn CodeImage, rva: u32) -> bool {
        match self {
            Self::X86(_) => true,
            Self::Arm64(..) => !matches!(arm64::function(image, rva), Ok(None)),
            _ => !matches!(image.function(rva), Ok(None)),
        }
    }
}
