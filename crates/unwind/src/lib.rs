//! Stack walking.
//!
//! [`walk`] starts from a register context and finds callers, each labelled with how it was found ([`Trust`]).
//! This version follows frame pointers where the platform keeps them and scans the stack elsewhere; a frame found by
//! scanning is a candidate, never a certainty, and says so.
//!
//! It needs memory, the loaded images' ranges and the stack's bounds, and knows neither dump formats nor symbols.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod call_site;
mod walk;
pub mod x64;

pub use call_site::{CallSite, call_site};
pub use walk::{Bounds, Frame, FramePointers, MAX_FRAMES, Modules, Registers, Stack, Stop, Target, Trust, walk};
