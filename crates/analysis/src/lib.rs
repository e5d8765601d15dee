//! What stop codes and exceptions mean, and what a crash's facts add up to.
//!
//! Facts come in as plain data ([`Facts`]), the [`Verdict`] goes out with its evidence; how facts were read is not this
//! crate's business. A verdict never claims more than its facts carry: a module found only by scanning is a
//! possibility, and says so.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

mod bucket;
mod context;
mod exceptions;
mod meanings;
mod owners;
mod status;
mod stop_codes;
mod verdict;

pub use bucket::{Mode, bucket_hash};
pub use context::{Access, AccessKind, ContextSource, bug_check_access, context_source};
pub use exceptions::{ExceptionInfo, System, exception_info};
pub use meanings::{BugCheckInfo, bug_check_info, explained_count};
pub use status::{fast_fail, status_meaning, status_name};
pub use stop_codes::{COUNT as STOP_CODE_COUNT, Kind as StopKind, StopCode, base_code, stop_code};
pub use verdict::{Blame, Confidence, Evidence, ExceptionFacts, Facts, FrameFact, Trust, Verdict, verdict};
