//! Processes, their threads and the processors they run on.

use alloc::{boxed::Box, format, rc::Rc, vec::Vec};

use dumplens_base::{Memory, MemoryExt, Note, Va};
use dumplens_paging::AddressSpace;

use crate::{
    DebuggerData, Kernel, Prcb, Process, Thread, list::follow, read_prcb, read_process, read_thread, vad::Descriptors,
};

/// Most processes that are followed.
const MOST_PROCESSES: usize = 65_536;
/// Most threads of one process.
const MOST_THREADS: usize = 65_536;
/// Most processors: Windows' own limit is 2048.
const MOST_PROCESSORS: u32 = 2_048;

/// A processor and what it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its number.
    pub number: u32,
    /// Address of its control block.
    pub block: Va,
    /// What the block says.
    pub prcb: Prcb,
    /// Its idle thread.
    pub idle_thread: Option<Va>,
    /// Where its register context was saved.
    pub context: Option<Va>,
    /// Where the registers stand that were saved when it was stopped: within its control block.
    pub saved_context: Option<Va>,
    /// Top of its stack for deferred procedure calls.
    pub dpc_stack: Option<Va>,
    /// Top of its stack for interrupts.
    pub interrupt_stack: Option<Va>,
}

impl Kernel {
    /// All processes, in list order: System first.
    pub fn processes(&self, notes: &mut Vec<Note>) -> Vec<Process> {
        let (Some(head), Some(id)) = (self.process_list, self.layout.process_id) else {
            notes.push(Note::missing(
                "the processes cannot be listed: where their links stand is not known for this build",
            ));
            return Vec::new();
        };
        let links = u64::from(id) + u64::from(self.pointer());
        let list = follow(&*self.space, head, self.pointer(), MOST_PROCESSES);
        if let Some(broken) = list.broken {
            notes.push(Note::damaged(format!("the list of processes is not whole: {broken}")));
        }
        let objects = list.nodes.iter().filter_map(|node| Some(Va(node.0.checked_sub(links)?)));
        let processes: Vec<Process> = objects.map(|object| read_process(&*self.space, object, &self.layout)).collect();
        let strange = processes.iter().filter(|process| !process.is_process).count();
        if strange > 0 {
            notes.push(Note::damaged(format!("{strange} entries of the list of processes are no process objects")));
        }
        processes.into_iter().filter(|process| process.is_process).collect()
    }

    /// The session of a process, from its session object or its environment block; `None` for System and its kin.
    #[must_use]
    pub fn session_id(&self, process: &Process) -> Option<u32> {
        // Windows 11 24H2 has another session object, whose layout is not known.
        if self.build < 26_100 {
            let offset = if self.build < 6_000 { if self.pointer() == 4 { 0xc } else { 0x10 } } else { 8 };
            let session = process.session.and_then(|session| session.checked_add(offset));
            if let Some(id) = session.and_then(|at| self.space.read_u32(at).ok()).filter(|id| *id < 0x1_0000) {
                return Some(id);
            }
        }
        let at = process.peb?.checked_add(if self.pointer() == 4 { 0x1d4 } else { 0x2c0 })?;
        let space = self.process_space(process)?;
        space.read_u32(at).ok().filter(|id| *id < 0x1_0000)
    }

    /// Threads of a process, in list order.
    pub fn threads(&self, process: &Process, notes: &mut Vec<Note>) -> Vec<Thread> {
        let (Some(list), Some(entry)) = (self.layout.thread_list, self.layout.thread_list_entry) else {
            return Vec::new();
        };
        let Some(head) = process.address.checked_add(u64::from(list)) else { return Vec::new() };
        let list = follow(&*self.space, head, self.pointer(), MOST_THREADS);
        if let Some(broken) = list.broken {
            let id = process.id.unwrap_or(0);
            notes.push(Note::damaged(format!("the list of threads of process {id} is not whole: {broken}")));
        }
        let objects = list.nodes.iter().filter_map(|node| Some(Va(node.0.checked_sub(u64::from(entry))?)));
        objects.map(|object| self.thread(object)).collect()
    }

    /// The thread object at an address.
    #[must_use]
    pub fn thread(&self, object: Va) -> Thread {
        read_thread(&*self.space, object, &self.layout)
    }

    /// The process object at an address.
    #[must_use]
    pub fn process(&self, object: Va) -> Process {
        read_process(&*self.space, object, &self.layout)
    }

    /// The address space of a process; `None` if its directory table base is not known.
    #[must_use]
    pub fn process_space(&self, process: &Process) -> Option<AddressSpace> {
        let base = process.directory_table_base?;
        let root = self.layout.vad_root.and_then(|offset| process.address.checked_add(u64::from(offset)));
        let descriptors =
            root.and_then(|root| Descriptors::new(Rc::clone(&self.space), root, self.build, self.pointer()));
        Some(self.space.process(base, descriptors.map(|list| Box::new(list) as Box<_>)))
    }

    /// The processors, as far as their control blocks can be read.
    pub fn processor_list(&self, notes: &mut Vec<Note>) -> Vec<Processor> {
        let (Some(data), Some(array)) = (&self.data, self.stated(DebuggerData::ki_processor_block)) else {
            return Vec::new();
        };
        let p = self.pointer();
        let set = |offset: Option<u16>| offset.filter(|offset| *offset != 0).map(u64::from);
        let counted = self.processors == 0;
        let count = if counted { MOST_PROCESSORS } else { self.processors.min(MOST_PROCESSORS) };
        let mut found = Vec::new();
        for number in 0..count {
            let slot = array.checked_add(u64::from(number) * u64::from(p));
            let Some(block) = slot.and_then(|slot| self.pointer_at(slot)) else {
                if counted {
                    break;
                }
                continue;
            };
            let prcb = read_prcb(&*self.space, block, data, p);
            // The block states its own number: a wrong one is no control block.
            if prcb.number.is_some_and(|own| own != number) {
                continue;
            }
            let pointer =
                |offset: Option<u64>| offset.and_then(|at| block.checked_add(at)).and_then(|at| self.pointer_at(at));
            let idle = set(data.offset_prcb_idle_thread()).unwrap_or(if p == 4 { 0xc } else { 0x18 });
            found.push(Processor {
                number,
                block,
                idle_thread: pointer(Some(idle)),
                context: pointer(set(data.offset_prcb_context())),
                saved_context: set(data.offset_prcb_saved_context()).and_then(|at| block.checked_add(at)),
                dpc_stack: pointer(set(data.offset_prcb_dpc_stack())),
                interrupt_stack: pointer(set(data.offset_prcb_interrupt_stack())),
                prcb,
            });
        }
        if !counted && found.len() as u64 != u64::from(count) {
            notes.push(Note::missing(format!(
                "the control blocks of {} of {count} processors cannot be read",
                u64::from(count) - found.len() as u64
            )));
        }
        found
    }

    /// Bytes of memory as text, for the page shared with user mode and the like.
    #[must_use]
    pub fn read_prefix(&self, at: Va, len: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; len];
        let filled = self.space.read(at, &mut bytes).filled;
        bytes.truncate(filled);
        bytes
    }
}
