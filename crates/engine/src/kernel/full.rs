//! Dumps that hold physical memory: the kernel is found in it, and its lists are read when they are asked for.

use alloc::{boxed::Box, format, rc::Rc, string::String, vec::Vec};
use core::cell::RefCell;

use dumplens_analysis::Mode;
use dumplens_base::{Memory, Note, PhysMemory, Va};
use dumplens_dump::{Context, DebugId, Guid, Module, PageStore, UnloadedModule, Version, kernel::KernelDump};
use dumplens_image::{CodeView, Image};
use dumplens_paging::AddressSpace;
use dumplens_report::protocol::Progress;
use dumplens_windows::{Hints, Kernel, KernelModule, Process, Processor, Thread};

use super::{crash, header_size, info, rows, threads::bounds, user::Halves};
use crate::{
    facts::{Crash, Lists, ThreadContext, ThreadEntry, World},
    images::Images,
    modules::ModuleMap,
    parts::kernel::KernelParts,
};

/// A kernel in physical memory, and how far its lists have been read.
pub(crate) struct Full {
    pub(crate) kernel: Kernel,
    pub(crate) store: Rc<PageStore>,
    /// What was current at the crash: the process that ran, with the kernel above it.
    pub(crate) space: Rc<AddressSpace>,
    /// The process that ran.
    pub(crate) current: Option<Process>,
    pub(crate) processors: Vec<Processor>,
    /// The processor that crashed: index in `processors`, and its thread.
    pub(crate) crashed: Option<(usize, Thread)>,
    spaces: RefCell<Vec<(Va, Rc<AddressSpace>)>>,
    pub(super) halves: RefCell<Halves>,
    /// Processes in list order, once they were walked.
    processes: Option<Vec<Process>>,
    /// Processes whose session, and whose threads, were read.
    sessions: usize,
    threads: usize,
    /// Modules whose image headers were read.
    images: usize,
}

/// Address spaces that are kept: each has a translation cache of some 24 KiB.
const SPACES: usize = 8;
/// Objects, or processes, or images that one step reads.
const STEP: usize = 16;

/// Finds the kernel in a dump's pages; `None` with a note if there are none or they do not lead to it.
pub(super) fn open(dump: &KernelDump, notes: &mut Vec<Note>) -> Option<Full> {
    let store = Rc::new(dump.physical(notes)?);
    let header = dump.header();
    let hints = Hints {
        machine: header.machine,
        build: header.build,
        directory_table_base: header.directory_table_base,
        module_list: Some(header.ps_loaded_module_list).filter(|va| va.0 != 0),
        process_list: Some(header.ps_active_process_head).filter(|va| va.0 != 0),
        debugger_data: header.kd_debugger_data_block,
        kernel_base: None,
        pae: header.pae_enabled,
        processors: header.processors,
    };
    let phys: Rc<dyn PhysMemory> = store.clone();
    match Kernel::find(phys, &hints, notes) {
        Ok(kernel) => Some(Full::new(kernel, store, notes)),
        Err(reason) => {
            notes.push(Note::damaged(format!("memory cannot be read by virtual address: {reason}")));
            None
        }
    }
}

impl Full {
    pub(super) fn new(kernel: Kernel, store: Rc<PageStore>, notes: &mut Vec<Note>) -> Self {
        let processors = kernel.processor_list(notes);
        if kernel.decoded {
            notes.push(Note::info(
                "the debugger data block was still encoded: this is memory of a running system, not of a crash",
            ));
        }
        Self {
            space: Rc::clone(&kernel.space),
            kernel,
            store,
            current: None,
            processors,
            crashed: None,
            spaces: RefCell::default(),
            halves: RefCell::default(),
            processes: None,
            sessions: 0,
            threads: 0,
            images: 0,
        }
    }

    /// Tells which processor crashed: the one whose thread's stack, or whose saved context, is the crash's.
    pub(super) fn place_crash(&mut self, context: Option<&Context>) {
        let sp = context.map(Context::stack_pointer);
        let threads: Vec<(usize, Thread)> = self
            .processors
            .iter()
            .enumerate()
            .filter_map(|(index, processor)| Some((index, self.kernel.thread(processor.prcb.current_thread?))))
            .collect();
        let on_stack = |thread: &Thread| sp.zip(bounds(thread)).is_some_and(|(sp, stack)| stack.contains(sp));
        let same_context = |index: usize| {
            let saved = self.processors.get(index).and_then(|processor| self.context_of(processor));
            saved.is_some_and(|(saved, _)| Some(saved.stack_pointer()) == sp)
        };
        let found = threads
            .iter()
            .find(|(_, thread)| on_stack(thread))
            .or_else(|| threads.iter().find(|(index, _)| same_context(*index)))
            // With one processor there is no choice.
            .or_else(|| threads.first().filter(|_| threads.len() == 1));
        self.crashed = found.cloned();
        let process = self.crashed.as_ref().and_then(|(_, thread)| thread.process);
        self.current = process.map(|process| self.kernel.process(process)).filter(|process| process.is_process);
        if let Some(process) = &self.current
            && let Some(space) = self.kernel.process_space(process)
        {
            self.space = Rc::new(space);
        }
    }

    /// The address space of a process object.
    pub(crate) fn space_of(&self, object: Va) -> Option<Rc<AddressSpace>> {
        if self.current.as_ref().is_some_and(|current| current.address == object) {
            return Some(Rc::clone(&self.space));
        }
        let mut spaces = self.spaces.borrow_mut();
        if let Some((_, space)) = spaces.iter().find(|(of, _)| *of == object) {
            return Some(Rc::clone(space));
        }
        let process = self.kernel.process(object);
        let space = Rc::new(self.kernel.process_space(&process).filter(|_| process.is_process)?);
        if spaces.len() >= SPACES {
            spaces.remove(0);
        }
        spaces.push((object, Rc::clone(&space)));
        Some(space)
    }

    /// The process object at an address, if there is one.
    pub(crate) fn process_at(&self, object: Va) -> Option<Process> {
        Some(self.kernel.process(object)).filter(|process| process.is_process)
    }

    /// A thread and where its registers are.
    pub(crate) fn entry(&self, thread: &Thread) -> ThreadEntry {
        let crashed = self.crashed.as_ref().is_some_and(|(_, crashed)| crashed.address == thread.address);
        let context = if crashed {
            ThreadContext::Crash
        } else {
            let on = self.processors.iter().find(|processor| processor.prcb.current_thread == Some(thread.address));
            on.map_or(ThreadContext::Switched, |processor| ThreadContext::Processor(processor.number))
        };
        rows::thread_entry(thread, crashed, context)
    }

    /// Threads of one process, as rows.
    pub(crate) fn threads_of(&self, process: &Process, notes: &mut Vec<Note>) -> Vec<ThreadEntry> {
        self.kernel.threads(process, notes).iter().map(|thread| self.entry(thread)).collect()
    }

    /// The thread that a processor ran, for dumps whose lists were not read yet.
    fn running(&self) -> Vec<ThreadEntry> {
        let threads = self.processors.iter().filter_map(|processor| processor.prcb.current_thread);
        threads.map(|thread| self.entry(&self.kernel.thread(thread))).collect()
    }

    /// Reads a little more of the process list. `None` when it is complete.
    pub(crate) fn load_processes(&mut self, lists: &mut Lists, notes: &mut Vec<Note>) -> Option<Progress> {
        let processes = match self.processes.take() {
            Some(processes) => processes,
            None => {
                let found = self.kernel.processes(notes);
                // The idle process and, in broken lists, others are not linked; the one that ran is shown anyway.
                let missing = self.current.clone().filter(|current| found.iter().all(|p| p.address != current.address));
                found.into_iter().chain(missing).collect()
            }
        };
        let current = self.current.as_ref().map(|current| current.address);
        for process in processes.iter().skip(self.sessions).take(STEP) {
            let session = self.kernel.session_id(process);
            lists.processes.push(rows::process_row(process, current == Some(process.address), session));
        }
        self.sessions = self.sessions.saturating_add(STEP).min(processes.len());
        let (done, total) = (self.sessions as u64, processes.len() as u64);
        self.processes = Some(processes);
        if done < total {
            return Some(Progress { phase: "listing processes".into(), done, total });
        }
        lists.processes_complete = true;
        None
    }

    /// Reads the threads of a few more processes; the process list must be complete. `None` when all are read.
    pub(crate) fn load_threads(&mut self, lists: &mut Lists, notes: &mut Vec<Note>) -> Option<Progress> {
        if self.threads == 0 {
            // The running threads that stood there first come again in their places.
            lists.threads.clear();
        }
        let processes = self.processes.take().unwrap_or_default();
        for process in processes.iter().skip(self.threads).take(STEP) {
            lists.threads.extend(self.threads_of(process, notes));
        }
        self.threads = self.threads.saturating_add(STEP).min(processes.len());
        let (done, total) = (self.threads as u64, processes.len() as u64);
        self.processes = Some(processes);
        if done < total {
            return Some(Progress { phase: "listing threads".into(), done, total });
        }
        // Idle threads belong to a process that is in no list.
        for entry in self.running() {
            if lists.threads.iter().all(|thread| thread.row.object != entry.row.object) {
                lists.threads.push(entry);
            }
        }
        lists.threads_complete = true;
        None
    }

    /// Reads the headers of a few more module images. `None` when all are read.
    pub(crate) fn load_images(&mut self, modules: &mut ModuleMap, lists: &mut Lists) -> Option<Progress> {
        let total = modules.all().len();
        for index in self.images..total.min(self.images + STEP) {
            modules.update(index, |module| describe(&*self.space, module));
        }
        self.images = (self.images + STEP).min(total);
        if self.images < total {
            return Some(Progress { phase: "reading images".into(), done: self.images as u64, total: total as u64 });
        }
        lists.modules_complete = true;
        None
    }
}

/// Fills in what the image in memory says of itself.
pub(super) fn describe(memory: &dyn Memory, module: &mut Module) {
    // Drivers of one session are only mapped in processes of that session.
    let Ok(image) = Image::mapped(memory, module.base) else { return };
    module.timestamp = module.timestamp.or(Some(image.headers().timestamp));
    module.checksum = module.checksum.or(Some(image.headers().checksum).filter(|sum| *sum != 0));
    match image.code_view() {
        Ok(Some(CodeView::Pdb70 { guid, age, path })) => {
            module.debug_file = path;
            module.debug_id = Some(DebugId::Pdb70 { guid: Guid(guid), age });
        }
        Ok(Some(CodeView::Pdb20 { timestamp, age, path })) => {
            module.debug_file = path;
            module.debug_id = Some(DebugId::Pdb20 { timestamp, age });
        }
        Ok(None) | Err(_) => {}
    }
    if let Ok(Some(version)) = image.version() {
        module.version = version.fixed.map(|fixed| {
            let [major, minor, build, revision] = fixed.file_version;
            Version(major, minor, build, revision)
        });
    }
}

/// Modules in the terms of all dumps.
pub(super) fn modules(full: &Full, notes: &mut Vec<Note>) -> ModuleMap {
    let loaded =
        full.kernel.modules(notes).into_iter().map(|KernelModule { base, size, path, checksum, timestamp, .. }| {
            Module {
                base,
                size: u64::from(size),
                path,
                timestamp,
                checksum,
                version: None,
                debug_file: None,
                debug_id: None,
            }
        });
    let unloaded = full.kernel.unloaded_drivers().into_iter().map(|driver| UnloadedModule {
        base: driver.start,
        size: driver.end.0.saturating_sub(driver.start.0),
        name: driver.name,
        timestamp: None,
        checksum: None,
    });
    let map = ModuleMap::new(loaded.collect(), unloaded.collect(), header_size(full.kernel.machine()));
    map.with_memory(Rc::clone(&full.space) as Rc<_>)
}

/// Lists that hold what the summary needs: the threads that ran and their processes.
pub(super) fn first_lists(full: &Full, crash: &Crash, modules: &ModuleMap) -> Lists {
    let mut threads = full.running();
    let ip = crash.context.as_ref().map(|(context, _)| context.instruction_pointer());
    for entry in threads.iter_mut().filter(|entry| matches!(entry.context, ThreadContext::Crash)) {
        entry.locate(ip, modules);
    }
    Lists { threads, ..Lists::default() }
}

/// Gathers a dump whose kernel was found.
pub(super) fn gather(
    dump: &KernelDump,
    mut full: Full,
    file_name: Option<String>,
    file_size: u64,
    mut notes: Vec<Note>,
) -> World {
    full.place_crash(dump.context(&mut Vec::new()).as_ref());
    let modules = modules(&full, &mut notes);
    let mut crash = crash::crash(dump, &*full.space, &mut notes);
    crash.thread = full.crashed.as_ref().and_then(|(_, thread)| thread.id);
    let seen = info::Seen {
        prcb: full.crashed.as_ref().and_then(|(index, _)| full.processors.get(*index)).map(|processor| &processor.prcb),
        process: full.current.as_ref(),
        build_lab: full.kernel.build_lab(),
        ..info::Seen::default()
    };
    let info = info::info(dump, seen, file_name, file_size);
    let lists = first_lists(&full, &crash, &modules);
    let parts = KernelParts::new(dump, None, Vec::new(), None).with_pages(&full);
    World {
        mode: Mode::Kernel,
        machine: dump.machine(),
        windows: true,
        dump: info,
        modules,
        memory: Rc::clone(&full.space) as Rc<_>,
        lists,
        full: Some(Box::new(full)),
        crash,
        symbols: crate::symbols::Symbols::default(),
        landmarks: super::landmarks(dump.header()),
        parts: Box::new(parts),
        images: Images::default(),
        notes,
    }
}
