//! Threads and processes of a kernel in the report's terms.

use alloc::{string::String, vec::Vec};

use dumplens_dump::FileTime;
use dumplens_report::{Hex, model};
use dumplens_windows::{Process, Thread};

use super::threads::bounds;
use crate::{
    facts::{ThreadContext, ThreadEntry},
    text::system_time,
};

/// A thread; `crashed` and where its registers are come from elsewhere.
pub(super) fn thread_entry(thread: &Thread, crashed: bool, context: ThreadContext) -> ThreadEntry {
    let row = model::Thread {
        id: thread.id.unwrap_or(0),
        name: None,
        process_id: thread.process_id,
        crashed,
        state: thread.state.map(String::from),
        // The field keeps its last value while a thread runs.
        wait_reason: thread.wait_reason.filter(|_| thread.state == Some("Waiting")).map(String::from),
        priority: thread.priority.map(i32::from),
        suspend_count: None,
        object: Some(thread.address).filter(|address| address.0 != 0).map(|address| Hex(address.0)),
        teb: thread.teb.map(|teb| Hex(teb.0)),
        start_address: thread.start_address.map(|start| Hex(start.0)),
        stack_limit: thread.stack_limit.map(|limit| Hex(limit.0)),
        stack_base: thread.stack_base.map(|base| Hex(base.0)),
        instruction_pointer: None,
        location: None,
        create_time: thread.create_time.map(FileTime).and_then(system_time),
        frames: Vec::new(),
    };
    ThreadEntry { row, bounds: bounds(thread), context }
}

/// A process.
pub(super) fn process_row(process: &Process, current: bool, session: Option<u32>) -> model::Process {
    model::Process {
        id: process.id,
        parent_id: process.parent_id,
        name: process.name.clone(),
        current,
        session,
        object: Some(process.address).filter(|address| address.0 != 0).map(|address| Hex(address.0)),
        peb: process.peb.map(|peb| Hex(peb.0)),
        directory_table_base: process.directory_table_base.map(Hex),
        threads: process.active_threads,
        create_time: process.create_time.map(FileTime).and_then(system_time),
    }
}
