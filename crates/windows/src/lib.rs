//! Windows kernel objects, read from memory.
//!
//! Offsets come from the debugger data block where it has them, and otherwise from built-in layouts by build; what a
//! layout rests on is said ([`KernelLayout::source`]). A value that fails its plausibility check is left out rather than shown.
//!
//! Sources: Microsoft's public `wdbgexts.h`; structure offsets from public symbol files; real dumps.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod kdbg;
mod kernel;
mod layout;
mod list;
mod modules;
mod objects;
mod processes;
mod raw;
mod reason;
mod release;
mod stacks;
mod user;
mod vad;

pub use kdbg::{DebuggerData, KnownAddresses};
pub use kernel::{Hints, Kernel};
pub use layout::{KernelLayout, layout};
pub use list::{Broken, List, follow};
pub use modules::{KernelModule, UnloadedDriver};
pub use objects::{Prcb, Process, Thread, read_prcb, read_process, read_thread};
pub use processes::Processor;
pub use raw::find_in_memory;
pub use release::release_name;
pub use stacks::{NotSaved, Switched, Wow64, processor_stack, user_stack, wow64};
pub use user::{UserModule, UserModules, user_modules};
