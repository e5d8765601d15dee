//! What a dump holds, gathered once when it is opened, in a form that does not depend on its kind.

use alloc::{boxed::Box, string::String, vec::Vec};

use dumplens_analysis::{Access, Mode};
use dumplens_base::{Machine, Memory, Note};
use dumplens_dump::Context;
use dumplens_report::{model, protocol};
use dumplens_unwind::Bounds;

use crate::{modules::ModuleMap, parts::Parts};

/// An open dump in neutral form.
pub(crate) struct World {
    pub(crate) mode: Mode,
    pub(crate) machine: Machine,
    pub(crate) windows: bool,
    pub(crate) dump: model::DumpInfo,
    pub(crate) modules: ModuleMap,
    pub(crate) memory: Box<dyn Memory>,
    pub(crate) threads: Vec<ThreadEntry>,
    pub(crate) processes: Vec<model::Process>,
    pub(crate) crash: Crash,
    pub(crate) parts: Box<dyn Parts>,
    pub(crate) notes: Vec<Note>,
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
}

/// What is known about the crash itself.
#[derive(Default)]
pub(crate) struct Crash {
    pub(crate) thread: Option<u64>,
    pub(crate) context: Option<(Context, String)>,
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
        self.threads.iter().find(|thread| thread.row.id == id)
    }

    /// Lengths of the lists.
    pub(crate) fn counts(&self) -> protocol::Counts {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        protocol::Counts {
            modules: count(self.modules.all().len()),
            unloaded_modules: count(self.modules.unloaded().len()),
            threads: count(self.threads.len()),
            processes: count(self.processes.len()),
            streams: count(self.parts.list().len()),
        }
    }
}
