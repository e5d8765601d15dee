//! Symbols: what stands at an address.
//!
//! A [`PdbFile`] names functions and data, source lines and inlined functions of one image. It is read lazily: opening
//! reads a header and a directory, a lookup the few pieces that decide it. What is kept stays within a budget, however
//! large the file is.
//!
//! Everything in a file is hostile until checked: sizes are held against the file before they are followed, loops end,
//! and what is damaged is an error with its offset. Names are text and nothing more.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod cache;
mod demangle;
mod error;
mod lookup;
pub mod pdb;
pub mod types;

pub use demangle::{Style, demangle};
pub use error::{SymbolError, SymbolErrorKind};
pub use lookup::{InlineFrame, Location, SymbolKind};
pub use pdb::PdbFile;
