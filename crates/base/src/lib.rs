//! The seams every other Dumplens crate meets at: addresses, bounded readers, byte sources and memory.
//!
//! This crate knows no file format and no operating system.
//! It answers three questions for everybody above it:
//!
//! * *Where do bytes come from?* [`ByteSource`]: random access to a file, a blob or a slice, and [`BlockCache`],
//!   which puts a bounded block cache in front of a slow one.
//! * *How are untrusted bytes read?* [`Bytes`]: a cursor that never reads past its end, whose errors carry the
//!   absolute file offset and the name of what was being read.
//! * *What is memory?* [`Memory`]: a read answers with a prefix and, if the prefix is short, with the reason
//!   ([`Fault`]). Absent memory is never zeros. [`PhysMemory`] is the same for the pages below page tables.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod address;
mod bytes;
mod cache;
mod error;
mod fault;
pub mod frame;
mod machine;
mod memory;
mod note;
mod phys;
mod source;
mod text;
pub mod types;

pub use address::Va;
pub use bytes::Bytes;
pub use cache::{BlockCache, CacheStats};
pub use error::{ReadError, ReadErrorKind};
pub use fault::{Fault, PageFault, PageReason, Searched};
pub use machine::Machine;
pub use memory::{Memory, MemoryExt, ReadOutcome, Region};
pub use note::{Note, NoteKind};
pub use phys::{PAGE_SIZE, Pa, PhysFault, PhysMemory, PhysOutcome, PhysRun};
pub use source::{ByteSource, Source, SourceError, SourceErrorKind, read_record};
pub use text::{ascii_until_nul, utf8_until_nul, utf16_until_nul, utf16le};
