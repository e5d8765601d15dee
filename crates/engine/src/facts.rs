//! What a dump holds, gathered once when it is opened, in a form that does not depend on its kind.

use alloc::{boxed::Box, rc::Rc, string::String, vec::Vec};

use dumplens_analysis::{Access, Mode};
use dumplens_base::{Machine, Memory, Note, Va};
use dumplens_dump::Context;
use dumplens_report::{Hex, model, protocol};
use dumplens_unwind::Bounds;

use crate::{images::Images, kernel::Full, modules::ModuleMap, parts::Parts, symbols::Symbols};

/// An open dump in neutral form.
pub(crate) struct World {
    pub(crate) mode: Mode,
    pub(crate) machine: Machine,
    pub(crate) windows: bool,
    pub(crate) dump: model::DumpInfo,
    pub(crate) modules: ModuleMap,
    /// What was current at the crash.
    pub(crate) memory: Rc<dyn Memory>,
    pub(crate) lists: Lists,
    /// The kernel in physical memory, of dumps that hold it.
    pub(crate) full: Option<Box<Full>>,
    pub(crate) crash: Crash,
    pub(crate) symbols: Symbols,
    /// Addresses of kernel variables that the dump states by name: they prove a kernel's symbols.
    pub(crate) landmarks: Vec<(&'static str, u64)>,
    pub(crate) parts: Box<dyn Parts>,
    pub(crate) images: Images,
    pub(crate) notes: Vec<Note>,
}

/// Lists that may be long: in dumps that hold physical memory they are read when they are asked for.
#[derive(Default)]
pub(crate) struct Lists {
    pub(crate) threads: Vec<ThreadEntry>,
    pub(crate) threads_complete: bool,
    pub(crate) processes: Vec<model::Process>,
    pub(crate) processes_complete: bool,
    /// Whether the images in memory have been asked for what the module list does not say.
    pub(crate) modules_complete: bool,
}

impl Lists {
    /// Lists that are all there.
    pub(crate) const fn complete(threads: Vec<ThreadEntry>, processes: Vec<model::Process>) -> Self {
        Self { threads, threads_complete: true, processes, processes_complete: true, modules_complete: true }
    }
}

/// A thread and where its stack walk starts.
pub(crate) struct ThreadEntry {
    /// What lists show; its frames stay empty.
    pub(crate) row: model::Thread,
    pub(crate) bounds: Option<Bounds>,
    pub(crate) context: ThreadContext,
}

/// Where a thread's registers are.
#[derive(Clone, Copy)]
pub(crate) enum ThreadContext {
    /// In the file: number of the thread in the container's own list.
    Stored(usize),
    /// The crash's own context belongs to this thread.
    Crash,
    /// In the control block of the processor with this number.
    Processor(u32),
    /// Where the scheduler saved them: the thread did not run.
    Switched,
}

impl ThreadEntry {
    /// Says where the thread stands.
    pub(crate) fn locate(&mut self, ip: Option<Va>, modules: &ModuleMap) {
        self.row.instruction_pointer = ip.map(|ip| Hex(ip.0));
        self.row.location = ip.and_then(|ip| modules.location(ip));
    }
}

/// What is known about the crash itself.
#[derive(Default)]
pub(crate) struct Crash {
    pub(crate) thread: Option<u64>,
    pub(crate) context: Option<(Context, String)>,
    /// The registers in the header of a kernel dump, where others are those of the crash.
    pub(crate) header: Option<Context>,
    pub(crate) exception: Option<model::Exception>,
    pub(crate) bugcheck: Option<(u32, [u64; 4])>,
    pub(crate) access: Option<Access>,
    /// Address of the instruction that failed, where something other than the context tells it.
    pub(crate) instruction: Option<u64>,
    pub(crate) named_driver: Option<String>,
}

impl World {
    /// A thread by its id.
    pub(crate) fn thread(&self, id: u64) -> Option<&ThreadEntry> {
        self.lists.threads.iter().find(|thread| thread.row.id == id)
    }

    /// Reads a little more of the process list. `None` when it is complete.
    pub(crate) fn load_processes(&mut self) -> Option<protocol::Progress> {
        match &mut self.full {
            Some(full) if !self.lists.processes_complete => full.load_processes(&mut self.lists, &mut self.notes),
            _ => None,
        }
    }

    /// Reads a little more of the thread list. `None` when it is complete.
    pub(crate) fn load_threads(&mut self) -> Option<protocol::Progress> {
        let processes = self.load_processes();
        if processes.is_some() {
            return processes;
        }
        let full = self.full.as_mut().filter(|_| !self.lists.threads_complete)?;
        let progress = full.load_threads(&mut self.lists, &mut self.notes);
        let crash = self.crash.context.as_ref().map(|(context, _)| context.instruction_pointer());
        for entry in &mut self.lists.threads {
            let ip = match entry.context {
                ThreadContext::Crash => crash,
                ThreadContext::Processor(number) if entry.row.instruction_pointer.is_none() => {
                    let on = full.processor(number);
                    on.and_then(|processor| full.context_of(processor))
                        .map(|(context, _)| context.instruction_pointer())
                }
                _ => continue,
            };
            if ip.is_some() {
                entry.locate(ip, &self.modules);
            }
        }
        progress
    }

    /// Asks a few more images in memory for what the module list does not say. `None` when all were asked.
    pub(crate) fn load_modules(&mut self) -> Option<protocol::Progress> {
        match &mut self.full {
            Some(full) if !self.lists.modules_complete => full.load_images(&mut self.modules, &mut self.lists),
            _ => None,
        }
    }

    /// Lengths of the lists.
    pub(crate) fn counts(&self) -> protocol::Counts {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        protocol::Counts {
            modules: count(self.modules.all().len()),
            unloaded_modules: count(self.modules.unloaded().len()),
            threads: self.lists.threads_complete.then(|| count(self.lists.threads.len())),
            processes: self.lists.processes_complete.then(|| count(self.lists.processes.len())),
            streams: count(self.parts.list().len()),
        }
    }
}
