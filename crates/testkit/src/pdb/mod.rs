//! PDBs: a small one with everything in it, and ones of many gigabytes.

mod large;
#[allow(clippy::cast_possible_truncation, missing_docs)]
pub mod writer;

pub use large::LargePdb;
