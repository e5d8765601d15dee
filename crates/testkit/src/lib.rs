//! Writers of dumps for tests and samples.
//!
//! Layouts are restated here on purpose: if readers and writers shared them, a wrong offset would be wrong on both sides
//! and no test would notice. Nothing here is meant for production; it panics when it is misused.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod asm;
pub mod calls;
pub mod context;
pub mod damage;
pub mod kernel;
pub mod machine;
pub mod minidump;
pub mod pdb;
pub mod programs;
pub mod story;
