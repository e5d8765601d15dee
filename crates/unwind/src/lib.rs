//! Stack walking.
//!
//! A walk starts from a register context and finds callers, each labelled with how it was found ([`Trust`]).
//! [`walk_x64`] and [`walk_arm64`] unwind with the images' own unwind data, [`walk_x86`] with what PDBs know of frames. Where
//! that is absent, and in [`walk`] for the other architectures, frame pointers are followed where the platform keeps them and the stack is scanned elsewhere; a frame
//! found by scanning is a candidate, never a certainty, and says so. [`fold`] makes runaway recursion readable.
//!
//! It needs memory, the loaded images' ranges and the stack's bounds, and knows neither dump formats nor symbols.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod arm64;
mod call_site;
mod fold;
mod known;
mod returns;
mod walk;
mod walker;
pub mod x64;
pub mod x86;

pub use call_site::{CallSite, call_site};
pub use fold::{Entry, fold};
pub use returns::Returns;
pub use walk::{
    Bounds, Entered, Frame, FramePointers, Gap, MAX_FRAMES, MAX_UNWOUND_FRAMES, Modules, OTHER_STACKS, Options, Reason,
    Registers, Stack, Stop, Target, Trust, walk, walk_arm64, walk_x64, walk_x86,
};
