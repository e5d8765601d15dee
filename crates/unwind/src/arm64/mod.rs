//! Unwinding ARM64 frames with the unwind data of their images.
//!
//! As on x64, [`step`] goes from one frame to its caller and restores what the caller had a right to find again. Unwind
//! data of ARM64 has one code for each instruction of a prologue or an epilogue, so that both are told by position and
//! no code is looked at. Source: "ARM64 exception handling" in Microsoft's C++ documentation.
//!
//! Unwind data comes from a file that may lie. Every record is read on demand and checked; what is wrong is a [`Stop`]
//! that names the place.

mod custom;
mod function;
mod op;
mod packed;
mod record;
mod registers;
mod step;

pub use crate::x64::{Absent, At, CodeImage, Rule, Stop};
pub use function::{Data, Function, entry, function};
pub use op::{Bank, Op};
pub use packed::Packed;
pub use record::{Record, Scope};
pub use registers::{PAC_MASK, Register, Registers, strip};
pub use step::{Stepped, step};
