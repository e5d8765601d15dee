//! The exception that ended the process.

use alloc::vec::Vec;

use dumplens_base::Note;

use super::{Location, Minidump, StreamType};
use crate::{Context, ExceptionRecord};

/// `MINIDUMP_EXCEPTION_STREAM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Thread it happened in.
    pub thread_id: u32,
    /// The record.
    pub record: ExceptionRecord,
    /// The registers at the exception: not those of the thread list, which are inside the dump writer.
    pub context: Option<Context>,
}

impl Minidump {
    /// The exception, if one was recorded.
    pub fn exception(&self, notes: &mut Vec<Note>) -> Option<Exception> {
        self.with_stream(StreamType::Exception, notes, |bytes, notes| {
            let thread_id = bytes.u32("exception thread id")?;
            bytes.skip(4, "exception padding")?;
            let record = ExceptionRecord::parse_64(bytes)?;
            // A cut-off stream still tells what happened.
            let context = Location::parse(bytes, "exception context").unwrap_or_default();
            Ok(Exception { thread_id, record, context: self.context_at(context, notes) })
        })
    }
}
