use alloc::{rc::Rc, vec::Vec};

use dumplens_base::{Fault, Machine, Memory, Va, frame::FrameAt};

use crate::{
    CallSite, Returns, arm64,
    known::Known,
    walker::Walker,
    x64::{self, CodeImage},
    x86,
};

/// Most frames of one stack. Deeper ones are runaway recursion or damage, and the stop reason says so.
pub const MAX_FRAMES: usize = 1_024;

/// Most frames of a stack that is unwound: what a default stack of 1 MiB holds of the smallest frames that call.
pub const MAX_UNWOUND_FRAMES: usize = 65_536;

/// Stacks besides the first that one walk can be told of: the thread's own, that for deferred procedure calls, that for
/// interrupts.
pub const OTHER_STACKS: usize = 3;

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

impl Bounds {
    /// Whether an address is on the stack.
    #[must_use]
    pub fn contains(self, va: Va) -> bool {
        va >= self.limit && va < self.base
    }
}

/// Lowest address, and address just above the highest.
impl From<(Va, Va)> for Bounds {
    fn from((limit, base): (Va, Va)) -> Self {
        Self { limit, base }
    }
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

    /// The image that holds `address`, for its code and unwind data. `None` if no image is there or nothing of it can
    /// be read.
    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        let _ = address;
        None
    }

    /// Whether a function is known to begin at `address`, by its name.
    fn begins(&self, address: Va) -> bool {
        let _ = address;
        false
    }

    /// What walks remember of return addresses in these images, where somebody keeps it for them.
    fn returns(&self) -> Option<&Returns> {
        None
    }

    /// How the x86 code at `address` lays out its frame, as its PDB tells. `None` if nothing is known.
    fn frame(&self, address: Va) -> Option<FrameAt> {
        let _ = address;
        None
    }
}

/// How a frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The instruction pointer of the context.
    Context,
    /// The image's unwind data, or the PDB's frame data.
    Unwind,
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
    /// Whether the code before the return address is a call; [`CallSite::Unknown`] for frames that were interrupted.
    pub call: CallSite,
    /// Whether `ip` is the next instruction of code that was interrupted, and not a return address.
    pub interrupted: bool,
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
    /// As many frames were found as the walk may find.
    FrameLimit,
    /// The caller ran in user mode, in no known image.
    UserMode,
    /// Machine frames led from stack to stack too often.
    TooManyStacks,
}

/// Why a frame's caller was not found with unwind data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing can be read of the image that the frame is in.
    NoImage,
    /// The unwind data is absent, damaged, or builds on what is not known.
    Data(x64::Stop),
    /// The frame data of x86 code is absent, damaged, or builds on what is not known.
    Frame(x86::Stop),
    /// Unwinding leads to something that cannot be a caller.
    NoCaller(Va),
}

/// A frame in an image whose caller was not found with unwind data. What follows is less sure than what comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Instruction pointer of the frame.
    pub ip: Va,
    /// What was in the way.
    pub reason: Reason,
}

/// A walked stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Frames, innermost first; the first is that of the context.
    pub frames: Vec<Frame>,
    /// Why it ends.
    pub stop: Stop,
    /// Where unwinding was not possible, innermost first; empty for architectures that are not unwound.
    pub gaps: Vec<Gap>,
    /// With [`Stop::UserMode`], the registers with which the kernel was entered. The last frame is theirs.
    pub entered: Option<Entered>,
}

/// Registers with which user mode entered the kernel, as far as unwinding restored them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// On x64.
    X64(x64::Registers),
    /// On x86.
    X86(x86::Registers),
    /// On ARM64.
    Arm64(arm64::Registers),
}

/// How a stack is to be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The stack's bounds, if they are known.
    pub bounds: Option<Bounds>,
    /// Other stacks that the same processor may have come from: code that switches stacks may lead there, once each.
    pub others: [Option<Bounds>; OTHER_STACKS],
    /// Whether frame pointers are kept, for frames without unwind data.
    pub frame_pointers: FramePointers,
    /// Most frames, at most [`MAX_UNWOUND_FRAMES`]. Frames that are found by scanning are [`MAX_FRAMES`] at most.
    pub most_frames: usize,
}

/// Walks the stack that `registers` stand on, by frame pointers and by scanning.
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
    let options = Options { bounds, others: [None; OTHER_STACKS], frame_pointers, most_frames: MAX_FRAMES };
    Walker::new(memory, modules, registers.machine, &options).walk(registers, Known::Nothing)
}

/// Walks the stack of an x64 context with the unwind data of its images, and by other means where that is absent.
///
/// Always ends: every step moves the stack pointer up but those over a machine frame, of which there are few.
#[must_use]
pub fn walk_x64(memory: &dyn Memory, modules: &dyn Modules, registers: &x64::Registers, options: &Options) -> Stack {
    let fp = Va(registers.get(x64::Register::RBP).unwrap_or_default());
    let start = Registers { machine: Machine::X64, ip: registers.rip, sp: registers.rsp, fp, lr: None };
    Walker::new(memory, modules, Machine::X64, options).walk(start, Known::X64(*registers))
}

/// Walks the stack of an x86 context with the frame data of its modules, and by other means where that is absent: frame
/// pointers, then a scan.
///
/// Always ends: every step moves the stack pointer up but those over a trap, of which there are few.
#[must_use]
pub fn walk_x86(memory: &dyn Memory, modules: &dyn Modules, registers: &x86::Registers, options: &Options) -> Stack {
    let fp = Va(registers.get(x86::Register::EBP).unwrap_or_default().into());
    let start = Registers { machine: Machine::X86, ip: registers.ip(), sp: registers.sp(), fp, lr: None };
    Walker::new(memory, modules, Machine::X86, options).walk(start, Known::X86(*registers))
}

/// Walks the stack of an ARM64 context with the unwind data of its images, and by other means where that is absent.
/// `mask` has the bits of addresses that pointer authentication uses; [`arm64::PAC_MASK`] if that is not known.
///
/// Always ends: every step moves the stack pointer up but those from a leaf function that was interrupted, and those
/// over a machine frame, of which there are few.
#[must_use]
pub fn walk_arm64(
    memory: &dyn Memory,
    modules: &dyn Modules,
    registers: &arm64::Registers,
    mask: u64,
    options: &Options,
) -> Stack {
    let fp = Va(registers.get(arm64::Register::FP).unwrap_or_default());
    let lr = registers.get(arm64::Register::LR).map(|lr| Va(arm64::strip(lr, mask)));
    let start = Registers { machine: Machine::Arm64, ip: registers.pc, sp: registers.sp, fp, lr };
    Walker::new(memory, modules, Machine::Arm64, options).walk(start, Known::Arm64(*registers, mask))
}
