//! Stacks in the report's terms.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use dumplens_base::{Machine, Memory, Va};
use dumplens_dump::Context;
use dumplens_report::{
    Hex,
    model::{self, Trust},
};
use dumplens_unwind::{self as unwind, Bounds, CallSite, FramePointers, Stop};

use crate::modules::ModuleMap;

/// Note on a scanned frame whose address is known to follow a call.
pub(crate) const FOLLOWS_CALL: &str = "follows a call instruction";

/// What a walk needs beside the registers.
pub(crate) struct StackWorld<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) modules: &'a ModuleMap,
    pub(crate) frame_pointers: FramePointers,
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
    pub(crate) fn walk(
        &self,
        context: &Context,
        source: &str,
        bounds: Option<Bounds>,
        thread: Option<u64>,
    ) -> model::Stack {
        let registers = unwind::Registers {
            machine: context.machine(),
            ip: context.instruction_pointer(),
            sp: context.stack_pointer(),
            fp: context.frame_pointer(),
            lr: context.link_register(),
        };
        let walked = unwind::walk(self.memory, self.modules, registers, bounds, self.frame_pointers);
        let mut frames = Vec::new();
        for (index, frame) in walked.frames.iter().enumerate() {
            self.push_frame(frame, index == 0, &mut frames);
        }
        let mut warnings = Vec::new();
        if bounds.is_some_and(|bounds| registers.sp < bounds.limit || registers.sp >= bounds.base) {
            warnings.push(alloc::format!("the stack pointer {} lies outside the thread's stack", registers.sp));
        }
        if frames.iter().any(|frame| frame.trust == Trust::Scan) {
            warnings.push(
                "frames found by scanning are candidates: some may be left over from earlier calls, and true callers \
                 may be missing"
                    .to_string(),
            );
        }
        model::Stack { thread, context: source.into(), frames, stop: stop_reason(walked.stop), warnings }
    }

    /// Adds a frame, and the calls that the compiler put into its function above it.
    fn push_frame(&self, frame: &unwind::Frame, first: bool, frames: &mut Vec<model::Frame>) {
        // A return address stands behind its call, which may be the last instruction of a line or a function.
        let back = u64::from(!first);
        let at = Va(frame.ip.0.saturating_sub(back));
        let (found, place) = self.modules.place(at).map_or((None, None), |(named, place)| (Some(named), place));
        let unloaded = if found.is_none() { self.modules.find_unloaded(frame.ip) } else { None };
        let base = found.map(|named| named.module.base).or(unloaded.map(|module| module.base));
        let trust = match frame.trust {
            unwind::Trust::Context => Trust::Context,
            unwind::Trust::FramePointer => Trust::FramePointer,
            unwind::Trust::Scan => Trust::Scan,
        };
        let note = match (trust, found, unloaded) {
            (_, None, Some(_)) => Some("in an image that had been unloaded"),
            (_, None, None) if frame.ip.0 < 0x1_0000 => Some("near address 0: no code can be there"),
            (_, None, None) => Some("in no known image"),
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
                ..outer.clone()
            });
        }
        frames.push(outer);
    }
}

fn stop_reason(stop: Stop) -> String {
    match stop {
        Stop::EndOfStack => "The stack ends here.".to_string(),
        Stop::NoReturnAddress => "The rest of the stack holds no further return address.".to_string(),
        Stop::FrameLimit => alloc::format!("Stopped after {} frames.", unwind::MAX_FRAMES),
        Stop::Unreadable(fault) => alloc::format!("The stack cannot be read further: {fault}."),
    }
}

/// A stack of which nothing is known, and why.
pub(crate) fn empty(thread: Option<u64>, reason: String) -> model::Stack {
    model::Stack { thread, context: "none".into(), frames: vec![], stop: reason, warnings: vec![] }
}

/// A register context in the report's terms.
pub(crate) fn context(context: &Context, source: &str) -> model::Context {
    let registers = context.registers().into_iter().map(|register| (register.name.into(), Hex(register.value)));
    model::Context { source: source.into(), registers: model::Registers(registers.collect()) }
}
