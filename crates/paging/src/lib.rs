//! Address translation of the machine that crashed.
//!
//! [`Mode`] knows how each processor lays out its tables; [`SoftwareFormat`] knows what Windows writes into entries the
//! processor ignores: pages in transition, in paging files, shared through prototype entries. [`AddressSpace`] puts both over
//! a [`dumplens_base::PhysMemory`] and is a [`dumplens_base::Memory`]: a failed read says at which level it ended and why.
//!
//! Entries are read when they are needed. A small translation cache is all that is kept, whatever the size of the dump.
//! Tables that point at themselves are harmless: a walk reads at most one entry a level.
//!
//! Sources: the Intel and Arm architecture manuals; structure definitions of public symbol files (`_MMPTE_*`).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod entry;
mod mode;
mod regions;
mod software;
mod space;
mod walk;

pub use entry::{Flags, Hardware};
pub use mode::{Level, Mode};
pub use regions::Search;
pub use software::{Software, SoftwareFormat};
pub use space::{AddressSpace, Prototypes};
pub use walk::{Mapping, Step, Via};
