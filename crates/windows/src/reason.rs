//! Offsets found by reasoning, for builds that no table knows.
//!
//! The System process is known by its place (first in the process list), its id (4) and its name; threads by their dispatcher
//! type, their stack's bounds and the process they point back to. An offset counts only if every object that was looked at
//! agrees.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use dumplens_base::{Memory, MemoryExt, Note, Va};

use crate::{
    Kernel,
    list::{follow, is_list_head},
    objects::{Object, PROCESS_OBJECT, THREAD_OBJECT},
    read_process,
};

/// Objects that are looked at before an offset is believed.
const WITNESSES: usize = 8;
/// Bytes of an object, where the debugger data block does not state them.
const MOST_OBJECT: u16 = 0x1000;

/// Checks the built-in offsets against the System process and fills in what is missing.
pub(crate) fn complete(kernel: &mut Kernel, notes: &mut Vec<Note>) {
    if !system_fits(kernel) {
        let before = kernel.layout.process_id;
        match processes(kernel) {
            Some(found) => {
                found.apply(kernel);
                notes.push(Note::info(format!(
                    "build {}: where fields stand in process objects was worked out from the System process",
                    kernel.build
                )));
            }
            None if before.is_some() => notes.push(Note::missing(format!(
                "the built-in layout of process objects does not fit this kernel (build {}), and none could be worked out",
                kernel.build
            ))),
            None => {}
        }
    }
    let incomplete = kernel.layout.thread_list_entry.is_none()
        || kernel.layout.thread_cid.is_none()
        || kernel.layout.thread_list.is_none();
    if incomplete || !threads_fit(kernel) {
        threads(kernel);
    }
}

/// Process objects at the head of the list, if links stand at `links`.
fn witnesses(kernel: &Kernel, links: u64) -> Vec<Va> {
    let Some(head) = kernel.process_list else { return Vec::new() };
    let list = follow(&*kernel.space, head, kernel.pointer(), WITNESSES);
    list.nodes.iter().filter_map(|node| node.0.checked_sub(links)).map(Va).collect()
}

fn byte(memory: &dyn Memory, at: Va) -> Option<u8> {
    let mut byte = [0];
    memory.read_exact(at, &mut byte).ok()?;
    let [byte] = byte;
    Some(byte)
}

fn is_process(kernel: &Kernel, object: Va) -> bool {
    byte(&*kernel.space, object).is_some_and(|kind| kind & 0x7f == PROCESS_OBJECT)
}

/// Whether the first process is System by the layout at hand.
fn system_fits(kernel: &Kernel) -> bool {
    let Some(id) = kernel.layout.process_id else { return false };
    let first = witnesses(kernel, u64::from(id) + u64::from(kernel.pointer())).first().copied();
    first.is_some_and(|first| {
        let process = read_process(&*kernel.space, first, &kernel.layout);
        process.is_process && process.id == Some(4) && process.name.is_none_or(|name| name == "System")
    })
}

/// What was worked out of process objects.
struct ProcessOffsets {
    id: u16,
    name: Option<u16>,
}

impl ProcessOffsets {
    fn apply(&self, kernel: &mut Kernel) {
        let layout = &mut kernel.layout;
        layout.reasoned = true;
        layout.process_id = Some(self.id);
        layout.image_name = self.name;
        // Fields of which only the wrong table spoke are not known any more; what the data block states stays.
        layout.parent_id = kernel.data.as_ref().and_then(|data| data.offset_process_parent()).filter(|at| *at != 0);
        layout.peb = kernel.data.as_ref().and_then(|data| data.offset_process_peb()).filter(|at| *at != 0);
        (layout.create_time, layout.session, layout.vad_root) = (None, None, None);
        (layout.thread_list, layout.active_threads, layout.thread_list_entry) = (None, None, None);
        (layout.thread_cid, layout.thread_create_time, layout.thread_start) = (None, None, None);
    }
}

fn processes(kernel: &Kernel) -> Option<ProcessOffsets> {
    let p = u16::from(kernel.pointer());
    let size = kernel.layout.size_process.unwrap_or(MOST_OBJECT);
    // The id always stands right before the links.
    let id = (p..size).step_by(usize::from(p)).find(|id| {
        let objects = witnesses(kernel, u64::from(*id) + u64::from(p));
        let system = objects.first().is_some_and(|first| number(kernel, *first, *id) == Some(4));
        system
            && objects.iter().all(|object| {
                is_process(kernel, *object)
                    && number(kernel, *object, *id).is_some_and(|id| id % 4 == 0 && id < 1 << 26)
                    && number(kernel, *object, kernel.layout.directory_table_base).is_some_and(|base| base >= 0x1000)
            })
    })?;
    let objects = witnesses(kernel, u64::from(id) + u64::from(p));
    let name = (0..size.saturating_sub(16)).find(|offset| {
        let text = |object: &Va| name_at(kernel, *object, *offset);
        objects.first().and_then(text).as_deref() == Some("System")
            && objects.iter().all(|object| text(object).is_some())
    });
    Some(ProcessOffsets { id, name })
}

fn number(kernel: &Kernel, object: Va, offset: u16) -> Option<u64> {
    Object { memory: &*kernel.space, address: object, pointer: kernel.pointer() }.word(Some(offset))
}

/// Fifteen bytes of printable text that end in zeros.
fn name_at(kernel: &Kernel, object: Va, offset: u16) -> Option<String> {
    let bytes = kernel.space.read_vec(object.checked_add(u64::from(offset))?, 15).ok()?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at_checked(end)?;
    let printable = !text.is_empty() && text.iter().all(|byte| (0x20..0x7f).contains(byte));
    (printable && rest.iter().all(|byte| *byte == 0)).then(|| text.iter().map(|byte| char::from(*byte)).collect())
}

/// Whether the object is a thread of `process`.
fn is_thread_of(kernel: &Kernel, object: Va, process: Va) -> bool {
    let layout = &kernel.layout;
    let read = Object { memory: &*kernel.space, address: object, pointer: kernel.pointer() };
    let typed = read.u8(Some(0)).is_some_and(|kind| kind & 0x7f == THREAD_OBJECT);
    let stack = match (read.address(layout.thread_stack_limit), read.address(layout.thread_stack_base)) {
        (Some(limit), Some(base)) => limit < base && base.0 - limit.0 <= 1 << 24,
        _ => false,
    };
    // A thread may be attached to another process, but then it still points at a process.
    let owner = read.address(layout.thread_process).is_some_and(|owner| owner == process || is_process(kernel, owner));
    typed && stack && owner
}

/// Whether System's first threads are threads by the layout at hand.
fn threads_fit(kernel: &Kernel) -> bool {
    let (Some(id), Some(list), Some(entry)) =
        (kernel.layout.process_id, kernel.layout.thread_list, kernel.layout.thread_list_entry)
    else {
        return false;
    };
    let Some(system) = witnesses(kernel, u64::from(id) + u64::from(kernel.pointer())).first().copied() else {
        return false;
    };
    let Some(head) = system.checked_add(u64::from(list)) else { return false };
    let nodes = follow(&*kernel.space, head, kernel.pointer(), WITNESSES).nodes;
    let threads: Vec<Va> = nodes.iter().filter_map(|node| node.0.checked_sub(u64::from(entry))).map(Va).collect();
    let cid = kernel.layout.thread_cid;
    !threads.is_empty()
        && threads.iter().all(|thread| is_thread_of(kernel, *thread, system))
        && cid.is_none_or(|cid| threads.iter().all(|thread| number(kernel, *thread, cid) == Some(4)))
}

/// Finds the list of threads in System, the link in the threads and their client ids.
fn threads(kernel: &mut Kernel) {
    let Some(id) = kernel.layout.process_id else { return };
    let p = u16::from(kernel.pointer());
    let Some(system) = witnesses(kernel, u64::from(id) + u64::from(p)).first().copied() else { return };
    let size = kernel.layout.size_process.unwrap_or(MOST_OBJECT);
    let thread_size = kernel.layout.size_thread.unwrap_or(MOST_OBJECT);
    // Both the inner and the outer part of a process list its threads; the outer, later one is kept.
    let mut found = None;
    for offset in (0..size).step_by(usize::from(p)) {
        let Some(head) = system.checked_add(u64::from(offset)) else { break };
        if !is_list_head(&*kernel.space, head, kernel.pointer()) {
            continue;
        }
        let nodes = follow(&*kernel.space, head, kernel.pointer(), WITNESSES).nodes;
        if nodes.is_empty() {
            continue;
        }
        let entry = (p..thread_size).step_by(usize::from(p)).find(|entry| {
            nodes.iter().all(|node| {
                node.0.checked_sub(u64::from(*entry)).is_some_and(|thread| is_thread_of(kernel, Va(thread), system))
            })
        });
        if let Some(entry) = entry {
            found = Some((offset, entry, nodes));
        }
    }
    let Some((list, entry, nodes)) = found else { return };
    let objects: Vec<Va> = nodes.iter().filter_map(|node| node.0.checked_sub(u64::from(entry))).map(Va).collect();
    // A client id is the process's id and the thread's own, which differs from thread to thread.
    let cid = (0..thread_size.saturating_sub(2 * p)).step_by(usize::from(p)).find(|cid| {
        let ids: BTreeSet<u64> = objects
            .iter()
            .filter_map(|object| number(kernel, *object, cid + p))
            .filter(|id| id % 4 == 0 && *id > 4)
            .collect();
        ids.len() == objects.len() && objects.iter().all(|object| number(kernel, *object, *cid) == Some(4))
    });
    let layout = &mut kernel.layout;
    layout.reasoned = true;
    layout.thread_list = Some(list);
    layout.thread_list_entry = Some(entry);
    layout.active_threads = Some(list + if kernel.build >= 9_200 { 2 * p } else { 4 * p });
    layout.thread_cid = cid;
}
