//! Unwinding x86 frames with what PDBs know of them.
//!
//! 32-bit images have no unwind data. [`step`] goes from one frame to its caller by the frame data of the function
//! ([`FrameData`](dumplens_base::frame::FrameData)): a [program](run) in postfix notation, or counts of what is on the
//! stack. It reads the code as well, where a function was interrupted before its frame stands or while it is taken
//! down: frame data speaks of the time between.
//!
//! Arguments stay on the stack while a function runs, whoever takes them off; how many bytes they have is handed on from
//! callee to caller ([`Registers::arguments`]), because the caller's own frame begins above them.
//!
//! Frame data comes from a file that may lie, and the search for a return address is a search: whoever walks must hold
//! every result against what else is known.

mod code;
mod counts;
mod program;
mod registers;
mod step;

pub use code::{Epilogue, Prologue, epilogue, prologue};
pub use program::{MAX_STACK, MAX_TEMPORARIES, ProgramError, Results, Variables, run};
pub use registers::{Register, Registers};
pub use step::{MAX_SEARCH, Stepped, Stop, World, step};
