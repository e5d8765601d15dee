//! One open dump and the typed requests it answers.
//!
//! The engine wires the crates below it together: containers, objects, stacks and analysis go in, the plain data of
//! `dumplens-report` comes out. It knows neither browser, nor files, nor clocks. Long requests are [`Job`]s that go in
//! steps, so that a front end can show progress and cancel.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod facts;
mod images;
mod job;
mod kernel;
mod memory_view;
mod minidump;
mod modules;
mod parts;
mod session;
mod spaces;
mod stacks;
mod start;
mod summary;
mod symbols;
mod text;
mod translate;
mod walks;

pub use job::{Job, ReportJob, Step};
pub use session::Session;
pub use start::{START_BYTES, worth_unpacking};
pub use symbols::AddError;

/// Version of the engine.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
