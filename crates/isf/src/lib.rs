//! Volatility 3 symbol tables (ISF): the names and types of one Windows image, as JSON, plain or packed with xz or gzip.
//!
//! Such a table is made from a PDB and says which one: name, GUID and age. Ready-made collections of them exist for
//! hundreds of kernels, and a site without a way out may have nothing else. [`Isf::open`] streams a table into compact
//! rows; the JSON is never held as a whole, neither packed nor unpacked, and no tree is built of it.
//!
//! * names: [`Isf::symbol`], [`Isf::nearest`], [`Isf::symbols`]
//! * types: [`Isf::type_layout`], [`Isf::enumeration`], [`Isf::field_offset`]; what a field is, is a [`TypeRef`]
//! * is it the right one: [`Isf::identity`], and [`Isf::prove`] where a dump has no GUID but known addresses
//!
//! A table is hostile until read: nesting, text lengths, counts and the unpacked size are held against [`Limits`], a
//! name that comes twice is refused, and every [`IsfError`] says at which unpacked byte it was noticed.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod error;
mod input;
mod isf;
mod limits;
mod load;
mod names;
mod proof;
mod rows;
mod sniff;
mod text;
mod unpack;

pub use dumplens_base::types::{BaseKind, Constant, Enumeration, Field, FieldRole, Layout, LayoutKind, Named, TypeRef};
pub use error::{IsfError, IsfErrorKind};
pub use isf::{Identity, Isf, Symbol};
pub use limits::{Limits, MOST_DEPTH, MOST_TEXT};
pub use proof::{Difference, Proof};
pub use sniff::{Packing, sniff};
