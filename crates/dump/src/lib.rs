//! Windows crash dump containers.
//!
//! [`open`] tells by content what a file is and parses its header and directory; every further part is parsed when it
//! is asked for, so that one damaged part never takes the others with it.
//! What a part could not give is said in [`dumplens_base::Note`]s, not in errors.
//!
//! This crate knows neither paging, nor symbols, nor kernel objects: it hands out bytes, addresses and records.
//!
//! Sources of the layouts: Microsoft's public SDK headers and documentation (`minidumpapiset.h`, `winnt.h`, the
//! driver documentation), the published structure definitions of Breakpad and Crashpad, and real dumps.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod captured;
mod context;
mod exception;
mod identity;
pub mod kernel;
pub mod limits;
pub mod minidump;
mod module;
mod open;
mod physical;
mod sniff;
mod store;
mod time;

pub use captured::{CapturedMemory, Extent};
pub use context::{Context, Register, RegisterGroup};
pub use exception::ExceptionRecord;
pub use identity::{DebugId, Guid};
pub use module::{Module, UnloadedModule, Version};
pub use open::{Dump, OpenError, open};
pub use physical::{PhysicalImage, PhysicalKind};
pub use sniff::{FileKind, sniff};
pub use store::PageStore;
pub use time::FileTime;
