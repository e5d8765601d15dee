//! Stacks in the report's terms.

use alloc::{
    rc::Rc,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use dumplens_base::{Machine, Memory, MemoryExt, Va};
use dumplens_dump::Context;
use dumplens_report::{
    Hex, frame_note,
    model::{self, Trust},
};
use dumplens_unwind::{
    self as unwind, Bounds, CallSite, Entered, Entry, FramePointers, Gap, OTHER_STACKS, Options, Reason, Stop, arm64,
    x64, x86,
};

use crate::{
    images::{Images, Lookup},
    modules::ModuleMap,
    symbols::SymbolFile,
};

/// Note on a scanned frame whose address is known to follow a call.
pub(crate) const FOLLOWS_CALL: &str = "follows a call instruction";

/// Most names in one warning, and most warnings of one kind.
const MOST_NAMES: usize = 8;

/// What a walk needs beside the registers.
#[derive(Clone, Copy)]
pub(crate) struct StackWorld<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) modules: &'a ModuleMap,
    pub(crate) images: &'a Images,
    /// Files that were dropped: images among them.
    pub(crate) files: &'a [Rc<SymbolFile>],
    pub(crate) frame_pointers: FramePointers,
    /// Whether the dump is of Windows, where x64 and ARM64 code have unwind data, and x86 code frame data in its PDB.
    pub(crate) windows: bool,
    /// Whether frames tell the words of their arguments.
    pub(crate) arguments: bool,
}

/// Stacks that a walk is told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stacks {
    /// The one that it starts on, if that is known.
    pub(crate) bounds: Option<Bounds>,
    /// Others that code may have come from.
    pub(crate) others: [Option<Bounds>; OTHER_STACKS],
}

impl From<Option<Bounds>> for Stacks {
    fn from(bounds: Option<Bounds>) -> Self {
        Self { bounds, ..Self::default() }
    }
}

/// A stack, and the registers with which the kernel was entered if it ends there.
pub(crate) struct Walked {
    pub(crate) stack: model::Stack,
    pub(crate) entered: Option<Entered>,
}

/// Whether compilers of this platform keep frame pointers.
pub(crate) const fn frame_pointers(machine: Machine, windows: bool, kernel: bool) -> FramePointers {
    match (machine, windows, kernel) {
        (Machine::X64, true, true) => FramePointers::Never,
        (Machine::X64, true, false) => FramePointers::Doubtful,
        _ => FramePointers::Kept,
    }
}

impl StackWorld<'_> {
    /// Walks the stack of `context`; `source` says where the context was found.
    pub(crate) fn walk(&self, context: &Context, source: &str, stacks: Stacks, thread: Option<u64>) -> Walked {
        let bounds = stacks.bounds;
        let walked = self.walk_frames(context, stacks);
        let keys: Vec<_> = walked.frames.iter().map(|frame| (frame.ip, frame.trust)).collect();
        let mut frames = Vec::new();
        let mut stop = walked.stop;
        for entry in unwind::fold(&keys) {
            if frames.len() >= unwind::MAX_FRAMES {
                stop = Stop::FrameLimit;
                break;
            }
            let (first, period, rounds) = match entry {
                Entry::Frame(index) => (index, 1, 1),
                Entry::Repeated { first, period, rounds } => (first, period, rounds),
            };
            for (index, frame) in walked.frames.iter().enumerate().skip(first).take(period) {
                let arguments = self.arguments_of(context.machine(), walked.frames.get(index.saturating_add(1)));
                self.push_frame(frame, arguments, &mut frames);
            }
            if let Some(last) = frames.last_mut().filter(|_| rounds > 1) {
                last.note = Some(frame_note::joined(last.note.take(), frame_note::repeated(period, rounds)));
            }
        }
        let mut warnings = Vec::new();
        let sp = context.stack_pointer();
        if bounds.is_some_and(|bounds| !bounds.contains(sp)) {
            warnings.push(alloc::format!("the stack pointer {sp} lies outside the thread's stack"));
        }
        let wanted = self.gaps(&walked.gaps, &mut warnings);
        if frames.iter().any(|frame| frame.trust == Trust::Scan) {
            warnings.push(
                "frames found by scanning are candidates: some may be left over from earlier calls, and true callers \
                 may be missing"
                    .to_string(),
            );
        }
        let stack = model::Stack { thread, context: source.into(), frames, stop: stop_reason(stop), warnings, wanted };
        Walked { stack, entered: walked.entered }
    }

    /// The words above a frame's return address, where they are asked for: `caller` is the next frame. On x64 the first
    /// four arguments are passed in registers, and these words are where the function may have stored them.
    fn arguments_of(&self, machine: Machine, caller: Option<&unwind::Frame>) -> Vec<Hex> {
        const WORDS: u64 = 4;
        let Some(caller) = caller.filter(|caller| self.arguments && !caller.interrupted) else { return Vec::new() };
        if !matches!(machine, Machine::X86 | Machine::X64) {
            return Vec::new();
        }
        let pointer = machine.pointer_size();
        let word = |index: u64| {
            let at = caller.sp.checked_add(index.checked_mul(u64::from(pointer))?)?;
            self.memory.read_pointer(at, pointer).ok().map(Hex)
        };
        (0..WORDS).map_while(word).collect()
    }

    fn walk_frames(&self, context: &Context, Stacks { bounds, others }: Stacks) -> unwind::Stack {
        let frame_pointers = self.frame_pointers;
        let machine = context.machine();
        if self.windows && matches!(machine, Machine::X64 | Machine::X86 | Machine::Arm64) {
            let options = Options { bounds, others, frame_pointers, most_frames: unwind::MAX_UNWOUND_FRAMES };
            let (memory, modules, images, files) = (self.memory, self.modules, self.images, self.files);
            let lookup = Lookup { memory, modules, images, files, machine };
            if machine == Machine::Arm64 {
                return unwind::walk_arm64(memory, &lookup, &arm64_registers(context), arm64::PAC_MASK, &options);
            }
            if machine == Machine::X86 {
                return unwind::walk_x86(memory, &lookup, &x86_registers(context), &options);
            }
            return unwind::walk_x64(memory, &lookup, &x64_registers(context), &options);
        }
        let registers = unwind::Registers {
            machine,
            ip: context.instruction_pointer(),
            sp: context.stack_pointer(),
            fp: context.frame_pointer(),
            lr: context.link_register(),
        };
        unwind::walk(self.memory, self.modules, registers, bounds, frame_pointers)
    }

    /// Warnings about modules that could not be unwound: one for all that lack unwind data, one for each where it is
    /// there and does not help, with the first reason. The names of the files that would help.
    fn gaps(&self, gaps: &[Gap], told: &mut Vec<String>) -> Vec<String> {
        let mut seen = Vec::new();
        let (mut absent, mut no_frames, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let mut warnings = Vec::new();
        for gap in gaps {
            let Some(named) = self.modules.find(gap.ip).filter(|named| !seen.contains(&named.module.base)) else {
                continue;
            };
            seen.push(named.module.base);
            let location = || self.modules.location(gap.ip).unwrap_or_default();
            match gap.reason {
                Reason::Data(stop) if !stop.is_absence() => {
                    warnings.push(alloc::format!("{} cannot be unwound: {stop}", location()));
                }
                Reason::Frame(stop) if !stop.is_absence() => {
                    warnings.push(alloc::format!("{} cannot be unwound: {stop}", location()));
                }
                Reason::NoCaller(_) => {
                    warnings.push(alloc::format!("unwinding {} leads to no caller", location()));
                }
                Reason::Frame(_) => {
                    no_frames.push(named.module.file_name());
                    let pdb = named.module.debug_file.as_deref().and_then(|path| path.rsplit(['\\', '/']).next());
                    wanted.extend(pdb.map(String::from));
                }
                Reason::NoImage | Reason::Data(_) => {
                    absent.push(named.module.file_name());
                    wanted.push(named.module.file_name().into());
                }
            }
        }
        for (mut names, what) in [(absent, "unwind data"), (no_frames, "frame data (their PDBs have it)")] {
            if names.is_empty() {
                continue;
            }
            let more = names.len().saturating_sub(MOST_NAMES);
            names.truncate(MOST_NAMES);
            let more = if more > 0 { alloc::format!(" and {more} more") } else { String::new() };
            let text = alloc::format!("no {what} for {}{more}: frames below may be wrong", names.join(", "));
            warnings.insert(0, text);
        }
        warnings.truncate(MOST_NAMES);
        told.append(&mut warnings);
        wanted
    }

    /// Adds a frame, and the calls that the compiler put into its function above it.
    fn push_frame(&self, frame: &unwind::Frame, arguments: Vec<Hex>, frames: &mut Vec<model::Frame>) {
        // A return address stands behind its call, which may be the last instruction of a line or a function.
        let back = u64::from(!frame.interrupted);
        let at = Va(frame.ip.0.saturating_sub(back));
        let (found, place) = self.modules.place(at).map_or((None, None), |(named, place)| (Some(named), place));
        let unloaded = if found.is_none() { self.modules.find_unloaded(frame.ip) } else { None };
        let base = found.map(|named| named.module.base).or(unloaded.map(|module| module.base));
        let trust = match frame.trust {
            unwind::Trust::Context => Trust::Context,
            unwind::Trust::Unwind => Trust::Unwind,
            unwind::Trust::FramePointer => Trust::FramePointer,
            unwind::Trust::Scan => Trust::Scan,
        };
        let note = match (trust, found, unloaded) {
            (_, None, Some(_)) => Some("in an image that had been unloaded"),
            (_, None, None) if frame.ip.0 < 0x1_0000 => Some("near address 0: no code can be there"),
            (_, None, None) => Some("in no known image"),
            (Trust::Unwind, ..) if frame.interrupted => Some("interrupted here"),
            (Trust::Scan, ..) if frame.call == CallSite::Call => Some(FOLLOWS_CALL),
            _ => place.as_ref().and_then(|place| place.note),
        };
        let outer = model::Frame {
            address: Hex(frame.ip.0),
            stack_pointer: Some(Hex(frame.sp.0)),
            module: found.map(|named| named.name.clone()),
            offset: base.and_then(|base| frame.ip.offset_from(base)).map(Hex),
            function: place.as_ref().map(|place| place.function.clone()),
            function_offset: place.as_ref().map(|place| Hex(place.offset.saturating_add(back))),
            file: place.as_ref().and_then(|place| place.file.clone()),
            line: place.as_ref().and_then(|place| place.line),
            trust,
            inline: false,
            unloaded_module: unloaded.map(|module| module.name.clone()),
            note: note.map(String::from),
            arguments,
        };
        for inlined in place.into_iter().flat_map(|place| place.inlines) {
            frames.push(model::Frame {
                function: Some(inlined.function),
                function_offset: None,
                file: inlined.file,
                line: inlined.line,
                trust: Trust::Inline,
                inline: true,
                note: None,
                arguments: Vec::new(),
                ..outer.clone()
            });
        }
        frames.push(outer);
    }
}

/// The registers of an x64 context that were captured.
fn x64_registers(context: &Context) -> x64::Registers {
    let mut registers = x64::Registers::new(context.instruction_pointer(), context.stack_pointer());
    let names = (0..16).map(x64::Register::new).filter(|register| *register != x64::Register::RSP);
    let captured = context.registers();
    for register in names {
        if let Some(known) = captured.iter().find(|known| known.name == register.name()) {
            registers.set(register, known.value);
        }
    }
    registers
}

/// The registers of an x86 context that were captured.
fn x86_registers(context: &Context) -> x86::Registers {
    let narrow = |address: Va| address.0 as u32;
    let mut registers = x86::Registers::new(narrow(context.instruction_pointer()), narrow(context.stack_pointer()));
    let captured = context.registers();
    for register in x86::Register::all() {
        if let Some(known) = captured.iter().find(|known| known.name == register.name()) {
            registers.set(register, known.value as u32);
        }
    }
    registers
}

/// The registers of an ARM64 context that were captured.
fn arm64_registers(context: &Context) -> arm64::Registers {
    let mut registers = arm64::Registers::new(context.instruction_pointer(), context.stack_pointer());
    let captured = context.registers();
    for register in arm64::Register::all() {
        if let Some(known) = captured.iter().find(|known| known.name == register.name()) {
            registers.set(register, known.value);
        }
    }
    registers
}

fn stop_reason(stop: Stop) -> String {
    match stop {
        Stop::EndOfStack => "The stack ends here.".to_string(),
        Stop::NoReturnAddress => "The rest of the stack holds no further return address.".to_string(),
        Stop::UserMode => "The kernel was entered here from user mode.".to_string(),
        Stop::TooManyStacks => "Stopped: interrupts lead from stack to stack without end.".to_string(),
        Stop::FrameLimit => alloc::format!("Stopped after {} frames.", unwind::MAX_FRAMES),
        Stop::Unreadable(fault) => alloc::format!("The stack cannot be read further: {fault}."),
    }
}

/// A stack of which nothing is known, and why.
pub(crate) fn empty(thread: Option<u64>, reason: String) -> model::Stack {
    model::Stack { thread, context: "none".into(), frames: vec![], stop: reason, warnings: vec![], wanted: vec![] }
}

/// A register context in the report's terms.
pub(crate) fn context(context: &Context, source: &str) -> model::Context {
    let registers = context.registers().into_iter().map(|register| (register.name.into(), Hex(register.value)));
    model::Context { source: source.into(), registers: model::Registers(registers.collect()) }
}
