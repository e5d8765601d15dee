//! How x86 functions lay out their stack frames: plain data that a PDB hands out and the unwinder goes by.
//!
//! x86 images have no unwind data. What a debugger needs to find a caller stands in the PDB, in two forms: programs
//! (`FrameData`, since Visual C++ 7), and counts (`FPO_DATA`, older, and still what assembler code has).

use alloc::rc::Rc;

/// What is known of a range of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameData {
    /// Where it begins, in bytes from the start of the image as it was linked.
    pub start: u32,
    /// Its length in bytes.
    pub size: u32,
    /// Bytes of local variables.
    pub locals: u32,
    /// Bytes of arguments that callers push.
    pub arguments: u32,
    /// Bytes of registers that the function has saved.
    pub saved: u32,
    /// Bytes from `start` that still set the frame up.
    pub prologue: u32,
    /// How the caller is found.
    pub rule: FrameRule,
}

/// How the caller of an x86 function is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameRule {
    /// By a program.
    Program {
        /// In postfix notation: `$T0 $ebp = $eip $T0 4 + ^ = …`.
        text: Rc<str>,
        /// Whether the function handles structured exceptions.
        seh: bool,
        /// Whether the function handles C++ exceptions.
        eh: bool,
        /// Whether the range begins where the function does.
        function_start: bool,
    },
    /// By the sizes alone.
    Counts {
        /// What kind of frame they count.
        kind: CountedFrame,
        /// Whether `ebp` is a register like others, which the function has saved.
        uses_ebp: bool,
        /// Whether the function handles structured exceptions.
        seh: bool,
    },
}

/// `cbFrame` of `FPO_DATA`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedFrame {
    /// Without a frame pointer.
    NoPointer,
    /// Of a trap: `ebp` points to the registers of what was interrupted.
    Trap,
    /// Of a task gate: another task was interrupted.
    Task,
    /// With a frame pointer.
    Pointer,
}

/// What holds for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// The range that the address is in: the narrowest, where several are.
    pub data: FrameData,
    /// How far in the address is, in bytes as they were linked.
    pub offset: u32,
    /// Whether the bytes before it, down to the start of the range, are still where they were linked, relative to it.
    pub contiguous: bool,
}
