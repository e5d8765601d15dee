//! Unwinding x64 frames with the unwind data of their images.
//!
//! [`step`] goes from one frame to its caller and restores every register that the caller had a right to find again.
//! It needs the image by RVA ([`CodeImage`]) and the stack in memory, and says by which [`Rule`] it went.
//!
//! Unwind data comes from a file that may lie. Every record is read on demand and checked; what is wrong is a
//! [`Stop`] that names the place.

mod dynamic;
mod epilogue;
mod image;
mod info;
mod plan;
mod registers;
mod step;
mod stop;
mod v3;

pub use dynamic::{DynamicCode, DynamicTable};
pub use image::{Absent, CodeImage, RuntimeFunction, Waypoints, entry};
pub use info::{Code, Exit, Op, Tail, UnwindInfo};
pub(crate) use plan::Plan;
pub use registers::{Register, Registers};
pub use step::{At, Rule, Stepped, step};
pub use stop::Stop;
