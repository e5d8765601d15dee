//! Three parties read the test machines: the testkit that wrote them, our own readers, and readers that others wrote.
//!
//! A reader and a writer by the same hands can share a mistake and agree on it. So every form of dump that the testkit
//! writes is also read by `kdmp-parser` (the crate in this package's tests; the C++ one behind its Python package in
//! `tests/peers/compare.py`) and by Volatility's layers, as far as they know the form. Every page is compared, not a
//! sample, and every address that can be read.
//!
//! This package holds what those tests share. It is for tests only and panics when something does not fit.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod forms;
mod header;
mod ours;
mod spaces;

pub use forms::{FORMS, Form, Subject, subjects};
pub use header::{Header, of_dump, of_machine};
pub use ours::{Reading, read};
pub use spaces::{Mark, Piece, SpaceReading, mode};

/// Bytes of a page, as a length.
pub const PAGE: usize = 0x1000;
