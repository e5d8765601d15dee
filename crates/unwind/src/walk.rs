use alloc::vec::Vec;

use dumplens_base::{Fault, Machine, Memory, MemoryExt, Va};

use crate::{CallSite, call_site};

/// Most frames of one stack. Deeper ones are runaway recursion or damage, and the stop reason says so.
pub const MAX_FRAMES: usize = 1_024;

/// Most bytes of stack that are scanned for the next frame of a known call chain.
///
/// A wider gap than this between two frames is rare outside a thread's first frames.
const SCAN_WINDOW: u64 = 64 * 1024;

/// The registers a walk starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Architecture.
    pub machine: Machine,
    /// Instruction pointer.
    pub ip: Va,
    /// Stack pointer.
    pub sp: Va,
    /// Frame pointer.
    pub fp: Va,
    /// Link register, on architectures that have one.
    pub lr: Option<Va>,
}

/// The stack's bounds, as the thread's bookkeeping or the captured bytes give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lowest address.
    pub limit: Va,
    /// Address just above the highest.
    pub base: Va,
}

/// Whether code of this platform keeps a chain of frame pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramePointers {
    /// It does, as a rule: x86 and ARM64 code, and x64 code of systems other than Windows.
    Kept,
    /// Compilers use the register freely, as Microsoft's do on x64. A link is believed only when the next link
    /// confirms it; otherwise the stack is scanned.
    Doubtful,
    /// They are never kept: the x64 Windows kernel and its drivers.
    Never,
}

/// What an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A loaded image, where code can be.
    Code,
    /// Nothing that could have been called.
    Nothing,
}

/// What the walk asks about addresses.
pub trait Modules {
    /// What `address` belongs to. Image headers and data known as such are [`Target::Nothing`].
    fn target(&self, address: Va) -> Target;
}

/// How a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The instruction pointer of the context.
    Context,
    /// The chain of frame pointers.
    FramePointer,
    /// A scan of the stack.
    Scan,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Instruction pointer in the first frame, return address in the others.
    pub ip: Va,
    /// Stack pointer in this frame: for callers, just above the slot their return address was read from.
    pub sp: Va,
    /// How it was found.
    pub trust: Trust,
    /// Whether the code before the return address is a call; [`CallSite::Unknown`] for the first frame.
    pub call: CallSite,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The end of the stack was reached.
    EndOfStack,
    /// The rest of the stack holds nothing that could be a return address.
    NoReturnAddress,
    /// The stack could not be read further.
    Unreadable(Fault),
    /// [`MAX_FRAMES`] were found.
    FrameLimit,
}

/// A walked stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Frames, innermost first; the first is that of the context.
    pub frames: Vec<Frame>,
    /// Why it ends.
    pub stop: Stop,
}

struct Walker<'a> {
    memory: &'a dyn Memory,
    modules: &'a dyn Modules,
    machine: Machine,
    bounds: Option<Bounds>,
    frame_pointers: FramePointers,
    word: u64,
}

/// Walks the stack that `registers` stand on.
///
/// Always ends: every step moves the stack pointer up, by at least one word, within the bounds or the scan window.
#[must_use]
pub fn walk(
    memory: &dyn Memory,
    modules: &dyn Modules,
    registers: Registers,
    bounds: Option<Bounds>,
    frame_pointers: FramePointers,
) -> Stack {
    let machine = registers.machine;
    let word = u64::from(machine.pointer_size());
    let walker = Walker { memory, modules, machine, bounds, frame_pointers, word };
    let Registers { ip, sp, mut fp, lr, .. } = registers;
    let mut frames = Vec::new();
    frames.push(Frame { ip, sp, trust: Trust::Context, call: CallSite::Unknown });
    let mut sp = sp;
    if let Some(lr) = lr
        && walker.modules.target(ip) == Target::Nothing
        && walker.is_return_address(lr)
    {
        // The call went astray: only the link register still knows the caller.
        frames.push(Frame { ip: lr, sp, trust: Trust::Scan, call: walker.call_site(lr) });
    }
    let stop = loop {
        if frames.len() >= MAX_FRAMES {
            break Stop::FrameLimit;
        }
        // A call to nowhere leaves its return address on top of the stack and the frame pointer at the caller's frame:
        // the top of the stack goes first then, or the caller would be skipped.
        let astray = frames.len() == 1 && lr.is_none() && walker.modules.target(ip) == Target::Nothing;
        if astray && let Ok(Some(frame)) = walker.candidate(sp) {
            sp = frame.sp;
            frames.push(frame);
            continue;
        }
        if let Some((frame, next_fp)) = walker.frame_pointer_step(fp, sp) {
            sp = frame.sp;
            fp = next_fp;
            frames.push(frame);
            continue;
        }
        match walker.scan(sp) {
            Ok(frame) => {
                sp = frame.sp;
                frames.push(frame);
            }
            Err(stop) => break stop,
        }
    };
    Stack { frames, stop }
}

impl Walker<'_> {
    fn call_site(&self, address: Va) -> CallSite {
        call_site(self.memory, self.machine, address)
    }

    fn is_return_address(&self, address: Va) -> bool {
        self.modules.target(address) == Target::Code && self.call_site(address) != CallSite::NotCall
    }

    fn in_bounds(&self, va: Va) -> bool {
        self.bounds.is_none_or(|bounds| va >= bounds.limit && va < bounds.base)
    }

    fn pointer(&self, slot: Va) -> Result<Va, Fault> {
        self.memory.read_pointer(slot, self.machine.pointer_size()).map(Va)
    }

    /// The frame whose return address is the word at `slot`, if it could be one.
    fn candidate(&self, slot: Va) -> Result<Option<Frame>, Fault> {
        let ip = self.pointer(slot)?;
        let sp = slot.checked_add(self.word).filter(|_| self.is_return_address(ip));
        Ok(sp.map(|sp| Frame { ip, sp, trust: Trust::Scan, call: self.call_site(ip) }))
    }

    /// The frame that `fp` links to, and the frame pointer saved there.
    fn frame_pointer_step(&self, fp: Va, sp: Va) -> Option<(Frame, Va)> {
        if self.frame_pointers == FramePointers::Never || self.machine == Machine::Arm {
            return None;
        }
        let (ip, next_fp, above) = self.link(fp, sp)?;
        let confirmed = match self.frame_pointers {
            FramePointers::Kept => true,
            _ => self.call_site(ip) == CallSite::Call || next_fp.0 == 0 || self.link(next_fp, above).is_some(),
        };
        confirmed.then(|| (Frame { ip, sp: above, trust: Trust::FramePointer, call: self.call_site(ip) }, next_fp))
    }

    /// Reads the pair {saved frame pointer, return address} at `fp`: both must make sense.
    fn link(&self, fp: Va, sp: Va) -> Option<(Va, Va, Va)> {
        if fp < sp || !fp.0.is_multiple_of(self.word) || !self.in_bounds(fp) {
            return None;
        }
        let next_fp = self.pointer(fp).ok()?;
        let slot = fp.checked_add(self.word)?;
        let ip = self.pointer(slot).ok()?;
        let above = slot.checked_add(self.word)?;
        let next_is_sane = next_fp.0 == 0 || (next_fp >= above && self.in_bounds(next_fp));
        (self.is_return_address(ip) && next_is_sane).then_some((ip, next_fp, above))
    }

    /// The next word from `sp` up that could be a return address.
    fn scan(&self, sp: Va) -> Result<Frame, Stop> {
        let start = sp.0.checked_next_multiple_of(self.word).ok_or(Stop::EndOfStack)?;
        let mut slot = Va(start);
        if let Some(bounds) = self.bounds
            && slot >= bounds.base
        {
            return Err(Stop::EndOfStack);
        }
        let window = Va(start.saturating_add(SCAN_WINDOW));
        let end = self.bounds.map_or(window, |bounds| bounds.base.min(window));
        while slot < end {
            match self.candidate(slot) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(Fault::NotInDump { .. }) if self.bounds.is_none() && slot.0 != start => {
                    return Err(Stop::EndOfStack);
                }
                Err(fault) => return Err(Stop::Unreadable(fault)),
            }
            slot = slot.checked_add(self.word).ok_or(Stop::EndOfStack)?;
        }
        Err(Stop::NoReturnAddress)
    }
}
