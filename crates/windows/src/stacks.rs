//! Where the stacks of a thread are: what the scheduler saved when it took the processor away, and what the thread's
//! environment block says of the user part.

use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Fault, Machine, Memory, MemoryExt, Va};
use dumplens_paging::Mode;

use crate::{Kernel, Thread};

/// Registers of a thread that does not run, from its switch frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// Where the saved stack pointer points.
    pub at: Va,
    /// Where it goes on: in the scheduler, or in the function that called it.
    pub ip: Va,
    /// Stack pointer there.
    pub sp: Va,
    /// Other registers, by the debugger's names.
    pub registers: Vec<(&'static str, u64)>,
}

/// Why the registers of a thread that does not run are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSaved {
    /// The thread has ended: its stack is gone.
    Ended,
    /// The thread has not run yet.
    NotStarted,
    /// Where the saved stack pointer stands is not known, or it lies outside the thread's stack.
    NoStackPointer(Option<Va>),
    /// The stack is not in the dump.
    Absent(Fault),
    /// What stands where the registers should be leads to no code.
    NoCode(Va),
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the thread has ended and has no stack any more"),
            Self::NotStarted => f.write_str("the thread has not run yet"),
            Self::NoStackPointer(None) => f.write_str("where its stack pointer was saved is not known"),
            Self::NoStackPointer(Some(sp)) => write!(f, "its saved stack pointer, {sp}, lies outside its stack"),
            Self::Absent(fault) => write!(f, "its kernel stack is not resident: {fault}"),
            Self::NoCode(at) => write!(f, "what the scheduler saved at {at} leads to no code"),
        }
    }
}

/// Bytes above the saved stack pointer in which a frame link is looked for where the switch frame is not known.
const LINK_BYTES: usize = 0x100;

/// Bytes of the stacks for deferred procedure calls and interrupts, as far as they are taken to reach.
const PROCESSOR_STACK: u64 = 0x6000;

impl Kernel {
    /// The architecture of its registers.
    #[must_use]
    pub fn machine(&self) -> Machine {
        match self.space.mode() {
            Mode::X86 | Mode::X86Pae => Machine::X86,
            Mode::X64 | Mode::La57 => Machine::X64,
            Mode::Arm64 => Machine::Arm64,
        }
    }

    /// The registers that the scheduler saved of a thread. `is_code` says whether an address can be returned to.
    ///
    /// On x64 a `KSWITCH_FRAME` stands at the saved stack pointer: `rbp` at 0x30 and the return address at 0x38, and the
    /// unwind data of what it returns to restores the rest. On x86 two words and a return address are followed by what
    /// `KiSwapContext` pushed: `ebp`, `edi`, `esi`, `ebx` and its own return address. On ARM64 the frame's layout is not
    /// public: the first pair of a frame pointer and an address that can be returned to is taken.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn switched(&self, thread: &Thread, is_code: &dyn Fn(Va) -> bool) -> Result<Switched, NotSaved> {
        match thread.state {
            Some("Terminated") => return Err(NotSaved::Ended),
            Some("Initialized") => return Err(NotSaved::NotStarted),
            _ => {}
        }
        let at = thread.kernel_stack.ok_or(NotSaved::NoStackPointer(None))?;
        let (limit, base) = (thread.stack_limit.unwrap_or_default(), thread.stack_base.unwrap_or(Va(u64::MAX)));
        if at < limit || at >= base {
            return Err(NotSaved::NoStackPointer(Some(at)));
        }
        let code = |ip: Va| if is_code(ip) { Ok(ip) } else { Err(NotSaved::NoCode(at)) };
        let past = |offset: u64| at.checked_add(offset).ok_or(NotSaved::NoStackPointer(Some(at)));
        match self.machine() {
            Machine::X64 => {
                let [rbp, ip] = self.words(past(0x30)?).map_err(NotSaved::Absent)?;
                Ok(Switched { at, ip: code(Va(ip))?, sp: past(0x40)?, registers: Vec::from([("rbp", rbp)]) })
            }
            Machine::X86 => {
                let [inner, ebp, edi, esi, ebx, ip] = self.words(past(8)?).map_err(NotSaved::Absent)?;
                code(Va(inner))?;
                let registers = Vec::from([("ebp", ebp), ("edi", edi), ("esi", esi), ("ebx", ebx)]);
                Ok(Switched { at, ip: code(Va(ip))?, sp: past(0x20)?, registers })
            }
            _ => {
                let words: [u64; LINK_BYTES / 8] = self.words(at).map_err(NotSaved::Absent)?;
                let links = words.iter().zip(words.iter().skip(1)).zip((0_u64..).step_by(8));
                let found = links.map(|((fp, ip), offset)| (Va(*fp), Va(*ip), offset)).find(|(fp, ip, offset)| {
                    let above = at.0.saturating_add(*offset);
                    fp.0 > above && *fp < base && fp.0.is_multiple_of(8) && is_code(*ip)
                });
                let (fp, ip, offset) = found.ok_or(NotSaved::NoCode(at))?;
                Ok(Switched { at, ip, sp: past(offset + 16)?, registers: Vec::from([("fp", fp.0)]) })
            }
        }
    }

    /// Words of the machine from an address on.
    fn words<const N: usize>(&self, at: Va) -> Result<[u64; N], Fault> {
        let mut words = [0; N];
        let width = u64::from(self.pointer());
        for (index, word) in (0_u64..).zip(&mut words) {
            *word = self.space.read_pointer(Va(at.0.saturating_add(index * width)), self.pointer())?;
        }
        Ok(words)
    }
}

/// Lowest address and the address above a processor's own stack, given its top.
#[must_use]
pub const fn processor_stack(top: Va) -> (Va, Va) {
    (Va(top.0.saturating_sub(PROCESSOR_STACK)), top)
}

/// The user stack's bounds from a thread environment block: lowest address, and address above the highest. `None` if it
/// cannot be read or makes no sense.
#[must_use]
pub fn user_stack(memory: &dyn Memory, teb: Va, pointer: u8) -> Option<(Va, Va)> {
    let word = |index: u64| {
        let at = teb.checked_add(index * u64::from(pointer))?;
        memory.read_pointer(at, pointer).ok().map(Va)
    };
    let (base, limit) = (word(1)?, word(2)?);
    (limit.0 != 0 && limit < base).then_some((limit, base))
}

/// What a 64-bit system keeps of a thread's 32-bit half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wow64 {
    /// The 32-bit thread environment block.
    pub teb: Va,
    /// The 32-bit process environment block.
    pub peb: Va,
    /// Where the 32-bit registers are kept while 64-bit code runs: an x86 `CONTEXT`.
    pub context: Va,
}

impl Wow64 {
    /// The 32-bit stack's bounds.
    #[must_use]
    pub fn stack(&self, memory: &dyn Memory) -> Option<(Va, Va)> {
        user_stack(memory, self.teb, 4)
    }
}

/// Finds the 32-bit half of a thread from its 64-bit environment block. `None` if the thread has none: the block that
/// would follow does not name itself.
///
/// The 32-bit block stands 0x2000 bytes above the 64-bit one; the registers' place is in the second slot of its storage
/// for threads (at 0x1488), behind four bytes of flags.
#[must_use]
pub fn wow64(memory: &dyn Memory, teb: Va) -> Option<Wow64> {
    let lower = teb.checked_add(0x2000).filter(|lower| u32::try_from(lower.0).is_ok())?;
    let own = memory.read_u32(lower.checked_add(0x18)?).ok()?;
    if u64::from(own) != lower.0 {
        return None;
    }
    let peb = memory.read_u32(lower.checked_add(0x30)?).ok().filter(|peb| *peb != 0)?;
    let area = memory.read_u64(teb.checked_add(0x1488)?).ok().filter(|area| *area != 0)?;
    Some(Wow64 { teb: lower, peb: Va(u64::from(peb)), context: Va(area).checked_add(4)? })
}
