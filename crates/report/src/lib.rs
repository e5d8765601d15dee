//! What Dumplens has to say about a dump, as plain data.
//!
//! The page, the command line and the JSON document are three skins of the types in [`model`]; [`protocol`] holds the
//! requests a front end makes of the engine and the replies it gets. Nothing here knows how an answer was computed.
//!
//! The JSON form is described in `docs/report.md` and by the schema beside it.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod frame_note;
mod groups;
mod hex;
pub mod model;
mod packed;
pub mod protocol;
pub mod symbols;
pub mod text;
mod tree;

pub use groups::{StackGroup, StackGroups};
pub use hex::{ByteString, Hex};
pub use tree::{Branch, process_tree};

/// The report as one line of JSON.
///
/// # Errors
/// Never in practice: the model holds nothing that JSON cannot.
pub fn to_json(report: &model::Report) -> Result<alloc::string::String, serde_json::Error> {
    serde_json::to_string(report)
}
