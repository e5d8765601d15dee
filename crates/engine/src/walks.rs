//! Stacks that are asked for: where each starts, and how its parts in the kernel and in user mode join.

use alloc::{format, string::String, vec::Vec};

use dumplens_analysis::Mode;
use dumplens_base::{Machine, Memory, Va};
use dumplens_dump::Context;
use dumplens_report::{
    Hex,
    frame_note::{self, joined},
    model,
    protocol::{ContextChoice, Failure, StackOf, ThreadStack},
};
use dumplens_unwind::{Bounds, OTHER_STACKS};
use dumplens_windows::{Thread, wow64};

use crate::{
    facts::{ThreadContext, ThreadEntry, World},
    kernel::{
        threads::{Saved, bounds, context_at, is_user, narrow, narrow_saved, trap_frame_at, trap_frames},
        user::{UserPart, entered},
    },
    session::Session,
    spaces::not_found,
    stacks::{self, StackWorld, Stacks, Walked, frame_pointers},
};

/// Most trap frames that are offered as places to start from.
const MOST_TRAP_FRAMES: usize = 16;

/// What the registers of a kernel dump's header are called.
pub(crate) const HEADER: &str = "dump header";

/// Where a walk starts, and in which thread.
struct Start {
    saved: Saved,
    id: Option<u64>,
    bounds: Option<Bounds>,
    /// Of a kernel in physical memory.
    thread: Option<Thread>,
    /// Environment block of a thread of a minidump.
    teb: Option<Va>,
}

/// What stack walks in this dump need.
pub(crate) fn stack_world(world: &World) -> StackWorld<'_> {
    let kernel = world.mode == Mode::Kernel;
    StackWorld {
        memory: &*world.memory,
        modules: &world.modules,
        images: &world.images,
        files: &world.symbols.files,
        frame_pointers: frame_pointers(world.machine, world.windows, kernel),
        windows: world.windows,
        arguments: false,
    }
}

impl World {
    /// The stack of the crash.
    pub(crate) fn crash_stack(&self, arguments: bool) -> Option<model::Stack> {
        let (context, source) = self.crash.context.as_ref()?;
        let entry = self.crash.thread.and_then(|id| self.thread(id));
        let entry = entry.or_else(|| self.lists.threads.iter().find(|thread| thread.row.crashed));
        let start = Start {
            saved: (context.clone(), source.clone()),
            id: self.crash.thread,
            // An exception can run on another stack than the thread's own (interrupt stacks, a corrupt pointer): its
            // bounds say nothing then.
            bounds: entry.and_then(|entry| entry.bounds).filter(|bounds| bounds.contains(context.stack_pointer())),
            thread: self.full.as_ref().and_then(|full| full.crashed.as_ref()).map(|(_, thread)| thread.clone()),
            teb: entry.and_then(|entry| entry.row.teb).map(|teb| Va(teb.0)),
        };
        Some(self.walk(start, arguments))
    }

    /// One thread's registers and stack.
    pub(crate) fn thread_stack(&self, entry: &ThreadEntry, arguments: bool) -> ThreadStack {
        let id = Some(entry.row.id);
        let absent = || String::from("The registers of this thread are not in the dump or are damaged.");
        let object = entry.row.object.map(|object| Va(object.0));
        let thread = self.full.as_ref().zip(object).map(|(full, object)| full.kernel.thread(object));
        let saved = match entry.context {
            ThreadContext::Crash => self.crash.context.clone().ok_or_else(absent),
            ThreadContext::Stored(index) => {
                self.parts.context(index).map(|context| (context, "thread list".into())).ok_or_else(absent)
            }
            ThreadContext::Processor(number) => {
                let full = self.full.as_ref();
                let on = full.and_then(|full| full.processor(number));
                full.zip(on).and_then(|(full, processor)| full.context_of(processor)).ok_or_else(absent)
            }
            ThreadContext::Switched => match (&self.full, &thread) {
                (Some(full), Some(thread)) => full.switched(thread, &self.modules),
                _ => Err(absent()),
            },
        };
        match saved {
            Ok(saved) => self.registers_and_stack(
                Start { saved, id, bounds: entry.bounds, thread, teb: entry.row.teb.map(|teb| Va(teb.0)) },
                arguments,
            ),
            Err(reason) => {
                let mut stack = stacks::empty(id, reason);
                // What is in user mode may be there although the kernel stack is not.
                if let Some(thread) = &thread {
                    self.add_user_parts(&mut stack, thread, None, arguments);
                }
                ThreadStack { context: None, stack }
            }
        }
    }

    fn registers_and_stack(&self, start: Start, arguments: bool) -> ThreadStack {
        let context = stacks::context(&start.saved.0, &start.saved.1);
        ThreadStack { context: Some(context), stack: self.walk(start, arguments) }
    }

    /// Walks a stack from its first part to its last.
    fn walk(&self, start: Start, arguments: bool) -> model::Stack {
        let Start { saved: (context, source), id, bounds, thread, teb } = start;
        let Some((full, thread)) = self.full.as_deref().zip(thread) else {
            return self.walk_in_file((&context, &source), bounds, id, teb, arguments);
        };
        if is_user(&context) && context.stack_pointer() < full.space.mode().kernel_start() {
            // It was interrupted in user mode: there is no part in the kernel.
            let mut stack = model::Stack { context: source.clone(), ..stacks::empty(id, String::new()) };
            self.add_user_parts(&mut stack, &thread, Some((context, source)), arguments);
            return stack;
        }
        let entry = full.entry_of(&thread);
        // The kernel part ends where the registers of user mode were saved.
        let trim = |bounds: Bounds| match &entry {
            Some((at, _)) if bounds.contains(*at) && context.stack_pointer() < *at => Bounds { base: *at, ..bounds },
            _ => bounds,
        };
        let others = full.processor_of(thread.address).map_or([None; OTHER_STACKS], |on| full.stacks_of(on));
        let sp = context.stack_pointer();
        let own = bounds.or_else(|| others.iter().flatten().find(|bounds| bounds.contains(sp)).copied());
        let others = others.map(|other| other.filter(|other| !other.contains(sp)).map(trim));
        let space = thread.process.and_then(|process| full.space_of(process));
        let memory: &dyn Memory = space.as_deref().map_or(&*self.memory, |space| space);
        let walker = StackWorld { memory, arguments, ..stack_world(self) };
        let Walked { mut stack, entered: registers } =
            walker.walk(&context, &source, Stacks { bounds: own.map(trim), others }, id);
        let registers = registers.and_then(entered).map(|context| (context, String::new()));
        if registers.is_some() {
            // The last frame is that of user mode, which has its own modules.
            stack.frames.pop();
        }
        self.add_user_parts(&mut stack, &thread, registers, arguments);
        stack
    }

    /// Walks a stack of a dump that has no page tables. A 64-bit minidump of a 32-bit program has two of a thread.
    fn walk_in_file(
        &self,
        (context, source): (&Context, &str),
        bounds: Option<Bounds>,
        id: Option<u64>,
        teb: Option<Va>,
        arguments: bool,
    ) -> model::Stack {
        let walker = StackWorld { arguments, ..stack_world(self) };
        let user = self.windows && self.mode == Mode::User && context.machine() == Machine::X64;
        let lower = teb.filter(|_| user).and_then(|teb| wow64(&*self.memory, teb));
        let in_narrow = StackWorld { frame_pointers: frame_pointers(Machine::X86, true, false), ..walker };
        if let Some(running) = narrow(context).filter(|_| user) {
            let bounds = lower.and_then(|lower| lower.stack(&*self.memory)).map(Bounds::from);
            return in_narrow.walk(&running, source, bounds.into(), id).stack;
        }
        let mut stack = walker.walk(context, source, bounds.into(), id).stack;
        if let Some(((registers, source), bounds)) = lower.and_then(|lower| narrow_saved(&*self.memory, &lower)) {
            let part = in_narrow.walk(&registers, &source, bounds.into(), id).stack;
            join(&mut stack, part, frame_note::WOW64, &source, None);
        }
        stack
    }

    /// Adds what a thread's stack has in user mode; `start` if unwinding led there, or else what was saved when the
    /// kernel was entered.
    fn add_user_parts(&self, stack: &mut model::Stack, thread: &Thread, start: Option<Saved>, arguments: bool) {
        let Some(full) = self.full.as_deref() else { return };
        let unwound = start.as_ref().is_some_and(|(_, source)| source.is_empty());
        let start = start.or_else(|| {
            let (at, context) = full.entry_of(thread)?;
            Some((context, format!("trap frame at {at}")))
        });
        let Some((context, source)) = start else { return };
        let trust = unwound.then_some(model::Trust::Unwind);
        let running = narrow(&context).map(|context| (context, source.clone()));
        let in_narrow = running.is_some();
        if !in_narrow {
            match full.native_part(thread, (context, source), &self.symbols) {
                Ok(part) => self.add_part(stack, &part, frame_note::USER_MODE, trust, arguments),
                Err(reason) => stack.warnings.push(format!("the part in user mode is not shown: {reason}")),
            }
        }
        if let Some(part) = full.wow64_part(thread, running, &self.symbols) {
            self.add_part(stack, &part, frame_note::WOW64, trust.filter(|_| in_narrow), arguments);
        }
    }

    fn add_part(
        &self,
        stack: &mut model::Stack,
        part: &UserPart,
        note: &str,
        trust: Option<model::Trust>,
        arguments: bool,
    ) {
        let (context, source) = &part.start;
        let walker = StackWorld {
            memory: &*part.space,
            modules: &part.half.modules,
            images: &part.half.images,
            frame_pointers: frame_pointers(context.machine(), true, false),
            arguments,
            ..stack_world(self)
        };
        let bounds = part.bounds.filter(|bounds| bounds.contains(context.stack_pointer()));
        let mut user = walker.walk(context, source, bounds.into(), stack.thread).stack;
        user.warnings.extend(part.half.trouble.clone());
        join(stack, user, note, source, trust);
    }
}

/// Adds a further part to a stack. `trust` is for its first frame, if that was found otherwise than as a context.
fn join(stack: &mut model::Stack, part: model::Stack, note: &str, source: &str, trust: Option<model::Trust>) {
    let from = stack.frames.len();
    stack.frames.extend(part.frames);
    if let Some(first) = stack.frames.iter_mut().skip(from).find(|frame| !frame.inline) {
        first.trust = trust.unwrap_or(first.trust);
        let parts = [Some(source.into()).filter(|source: &String| !source.is_empty()), first.note.take()];
        first.note = Some(parts.into_iter().flatten().fold(note.into(), |note, part| joined(Some(note), part)));
    }
    stack.stop = part.stop;
    for file in part.wanted {
        if !stack.wanted.contains(&file) {
            stack.wanted.push(file);
        }
    }
    for warning in part.warnings {
        if !stack.warnings.contains(&warning) {
            stack.warnings.push(warning);
        }
    }
}

impl Session {
    /// The registers and the stack that a request means.
    pub(crate) fn stack(&self, of: StackOf, arguments: bool) -> Result<ThreadStack, Failure> {
        let world = self.world();
        let machine = world.machine;
        match of {
            StackOf::Crash => {
                let stack = world
                    .crash_stack(arguments)
                    .ok_or_else(|| not_found("the dump holds no registers of the crash: no stack can be shown"))?;
                let context = world.crash.context.as_ref();
                Ok(ThreadStack { context: context.map(|(context, source)| stacks::context(context, source)), stack })
            }
            StackOf::Header => {
                let header = world.crash.header.clone().map(|context| (context, HEADER.into()));
                let saved = header.or_else(|| world.crash.context.clone().filter(|(_, source)| source == HEADER));
                let saved = saved.ok_or_else(|| not_found("the dump's header holds no registers"))?;
                Ok(world.start_at(saved, arguments))
            }
            StackOf::Thread { id } => {
                let entry = world.thread(id);
                let entry = entry.ok_or_else(|| not_found(format!("there is no thread {id} in this dump")))?;
                Ok(world.thread_stack(entry, arguments))
            }
            StackOf::ThreadObject { object } => {
                let listed = world.lists.threads.iter().find(|entry| entry.row.object == Some(object));
                if let Some(entry) = listed {
                    return Ok(world.thread_stack(entry, arguments));
                }
                let read = world.full.as_ref().map(|full| full.kernel.thread(Va(object.0)));
                let thread = read.filter(|thread| thread.stack_base.is_some() && thread.id.is_some());
                let thread = thread.ok_or_else(|| not_found(format!("there is no thread object at {object}")))?;
                let full = world.full.as_deref();
                let entry = full.map(|full| full.entry(&thread));
                entry.map(|entry| world.thread_stack(&entry, arguments)).ok_or_else(|| {
                    not_found("this dump holds no physical memory: only its listed threads can be shown")
                })
            }
            StackOf::Processor { number } => {
                let full = world.full.as_deref();
                let processor = full.and_then(|full| full.processor(number));
                let (full, processor) = full
                    .zip(processor)
                    .ok_or_else(|| not_found(format!("the dump holds no control block of processor {number}")))?;
                let thread = processor.prcb.current_thread.map(|thread| full.kernel.thread(thread));
                if let Some(thread) = &thread {
                    return Ok(world.thread_stack(&full.entry(thread), arguments));
                }
                let saved = full.context_of(processor);
                let saved = saved
                    .ok_or_else(|| not_found(format!("the registers of processor {number} are not in the dump")))?;
                Ok(world
                    .registers_and_stack(Start { saved, id: None, bounds: None, thread: None, teb: None }, arguments))
            }
            StackOf::Context { address } => {
                let context = context_at(&*world.memory, machine, Va(address.0));
                let context = context
                    .map_err(|reason| not_found(format!("there is no register context at {address}: {reason}")))?;
                Ok(world.start_at((context, format!("context record at {address}")), arguments))
            }
            StackOf::TrapFrame { address } => {
                let context =
                    trap_frame_at(&*world.memory, machine, world.dump.build.unwrap_or_default(), Va(address.0));
                let context =
                    context.map_err(|reason| not_found(format!("there is no trap frame at {address}: {reason}")))?;
                Ok(world.start_at((context, format!("trap frame at {address}")), arguments))
            }
        }
    }

    /// Places where registers were saved.
    pub(crate) fn contexts(&self) -> Vec<ContextChoice> {
        let world = self.world();
        let choice = |of: StackOf, thread: Option<u64>, source: &str, context: &Context| ContextChoice {
            of,
            thread,
            source: source.into(),
            instruction_pointer: Hex(context.instruction_pointer().0),
            location: world.modules.location(context.instruction_pointer()),
        };
        // The header's registers and the trap frames are of the thread that crashed, too.
        let crashed = world.crash.thread;
        let mut choices = Vec::new();
        if let Some((context, source)) = &world.crash.context {
            choices.push(choice(StackOf::Crash, crashed, source, context));
        }
        for (full, processor) in world.full.iter().flat_map(|full| full.processors.iter().map(move |on| (full, on))) {
            let of = StackOf::Processor { number: processor.number };
            let thread = processor.prcb.current_thread.and_then(|thread| full.kernel.thread(thread).id);
            if let Some((context, source)) = full.context_of(processor) {
                choices.push(choice(of, thread, &source, &context));
            }
        }
        if let Some(context) = &world.crash.header {
            choices.push(choice(StackOf::Header, crashed, HEADER, context));
        }
        for (address, context) in world.trap_frames() {
            let of = StackOf::TrapFrame { address: Hex(address.0) };
            choices.push(choice(of, crashed, &format!("trap frame at {address}"), &context));
        }
        choices
    }
}

impl World {
    /// A walk from registers at an address, in the thread whose stack they are on.
    fn start_at(&self, saved: Saved, arguments: bool) -> ThreadStack {
        let sp = saved.0.stack_pointer();
        let listed = self.lists.threads.iter().find(|entry| entry.bounds.is_some_and(|bounds| bounds.contains(sp)));
        let object = listed.and_then(|entry| entry.row.object);
        let thread = self.full.as_ref().zip(object).map(|(full, object)| full.kernel.thread(Va(object.0)));
        let own = thread.as_ref().and_then(bounds).or_else(|| listed.and_then(|entry| entry.bounds));
        let id = listed.map(|entry| entry.row.id);
        self.registers_and_stack(Start { saved, id, bounds: own, thread, teb: None }, arguments)
    }

    /// Takes the registers of the fault from its trap frame, where the bug check names the instruction and the header has
    /// the registers of what came after: the routine that stopped the system.
    pub(crate) fn start_at_fault(&mut self) {
        let Some(instruction) = self.crash.instruction else { return };
        let after = self
            .crash
            .context
            .as_ref()
            .filter(|(context, source)| source == HEADER && context.instruction_pointer() != Va(instruction));
        let Some((header, _)) = after.cloned() else { return };
        let found = self.trap_frames().into_iter().find(|(_, frame)| frame.instruction_pointer() == Va(instruction));
        if let Some((at, frame)) = found {
            let source = format!("trap frame at {at}, whose instruction is the one that the bug check names");
            self.crash.context = Some((frame, source));
            self.crash.header = Some(header);
        }
    }

    /// Places on the crashing thread's stack that read as trap frames of the kernel.
    pub(crate) fn trap_frames(&self) -> Vec<(Va, Context)> {
        if self.machine != Machine::X64 || self.mode != Mode::Kernel {
            return Vec::new();
        }
        let crashed = self.lists.threads.iter().find(|thread| thread.row.crashed);
        let Some(stack) = crashed.and_then(|thread| thread.bounds) else { return Vec::new() };
        trap_frames(&*self.memory, &self.modules, stack, MOST_TRAP_FRAMES)
    }
}
