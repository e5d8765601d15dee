//! Where the stack of a thread, of a processor or of saved registers starts.

use alloc::{format, string::String, vec::Vec};

use dumplens_base::{Machine, Memory, MemoryExt, Va};
use dumplens_dump::Context;
use dumplens_unwind::{Bounds, Modules, OTHER_STACKS, Target};
use dumplens_windows::{Processor, Thread, Wow64, processor_stack};

use super::Full;
use crate::modules::ModuleMap;

/// Registers to walk from, and where they were found.
pub(crate) type Saved = (Context, String);

/// Bytes of a `KTRAP_FRAME`.
pub(crate) const fn trap_frame_size(machine: Machine) -> usize {
    if matches!(machine, Machine::X86) { 0x8c } else { 0x190 }
}

/// Reads a register context.
pub(crate) fn context_at(memory: &dyn Memory, machine: Machine, at: Va) -> Result<Context, String> {
    let bytes = memory.read_vec(at, Context::size_of(machine)).map_err(|fault| format!("{fault}"))?;
    Context::parse(machine, &bytes, at.0).map_err(|error| format!("{error}"))
}

/// Reads a trap frame.
pub(crate) fn trap_frame_at(memory: &dyn Memory, machine: Machine, build: u32, at: Va) -> Result<Context, String> {
    let bytes = memory.read_vec(at, trap_frame_size(machine)).map_err(|fault| format!("{fault}"))?;
    Context::from_trap_frame(machine, build, &bytes, at.0).map_err(|error| format!("{error}"))
}

/// Whether registers are those of user mode, by the code segment's privilege level. Nothing else is known of ARM64.
pub(crate) fn is_user(context: &Context) -> bool {
    context.register("cs").is_some_and(|cs| cs.value & 3 == 3)
}

/// The 32-bit registers of an x64 context that ran 32-bit code.
pub(crate) fn narrow(context: &Context) -> Option<Context> {
    /// Code segment of 32-bit programs on 64-bit Windows.
    const NARROW_CODE: u64 = 0x23;
    const NAMES: [(&str, &str); 10] = [
        ("eip", "rip"),
        ("esp", "rsp"),
        ("ebp", "rbp"),
        ("eax", "rax"),
        ("ebx", "rbx"),
        ("ecx", "rcx"),
        ("edx", "rdx"),
        ("esi", "rsi"),
        ("edi", "rdi"),
        ("efl", "efl"),
    ];
    if context.machine() != Machine::X64 || context.register("cs")?.value != NARROW_CODE {
        return None;
    }
    let known = context.registers();
    let value = |name: &str| known.iter().find(|register| register.name == name).map(|register| register.value);
    let lower = NAMES.iter().filter_map(|(narrow, wide)| Some((*narrow, value(wide)? & 0xffff_ffff)));
    Context::of_registers(Machine::X86, &lower.collect::<Vec<_>>())
}

/// The 32-bit registers that a 64-bit system keeps of a thread while 64-bit code runs, and the bounds of their stack.
/// `None` if they are absent or are no registers of that stack.
pub(crate) fn narrow_saved(memory: &dyn Memory, half: &Wow64) -> Option<(Saved, Option<Bounds>)> {
    let registers = context_at(memory, Machine::X86, half.context).ok()?;
    let bounds = half.stack(memory).map(Bounds::from);
    let (ip, sp) = (registers.instruction_pointer(), registers.stack_pointer());
    let plausible = ip.0 >= 0x1_0000 && bounds.is_none_or(|bounds| bounds.contains(sp));
    let source = format!("32-bit registers saved at {}", half.context);
    plausible.then_some(((registers, source), bounds))
}

/// Trap frames of x64 between two addresses: places that read as the frame that the processor pushes when it is
/// interrupted in kernel code, lowest first. At most `most`.
///
/// A guess as each is, it is only offered, or taken where a bug check names the same instruction.
pub(crate) fn trap_frames(
    memory: &dyn Memory,
    modules: &dyn Modules,
    stack: Bounds,
    most: usize,
) -> Vec<(Va, Context)> {
    const PUSHED: u64 = 0x168;
    /// Bytes of stack that are looked at.
    const MOST_BYTES: u64 = 0x1_0000;
    let mut found = Vec::new();
    let len = stack.base.0.saturating_sub(stack.limit.0).min(MOST_BYTES);
    let mut bytes = alloc::vec![0; usize::try_from(len).unwrap_or(0)];
    // Whatever cannot be read stays zero, which is no code segment.
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let outcome = memory.read(Va(stack.limit.0.saturating_add(at as u64)), rest);
        at = at.saturating_add(outcome.filled).saturating_add(1).next_multiple_of(8);
    }
    let words: Vec<u64> =
        bytes.chunks_exact(8).filter_map(|word| word.first_chunk()).map(|word| u64::from_le_bytes(*word)).collect();
    for (index, pushed) in words.windows(5).enumerate() {
        let &[ip, cs, flags, sp, ss] = pushed else { continue };
        // Bit 1 of the flags is always set, and none above 21 ever is.
        let segments = cs == 0x10 && (ss == 0x18 || ss == 0);
        if !segments || flags & 2 == 0 || flags >> 22 != 0 {
            continue;
        }
        let slot = stack.limit.0.saturating_add(index as u64 * 8);
        let on_stack = sp > slot && sp <= stack.base.0.saturating_add(0x1000);
        if !on_stack || modules.target(Va(ip)) == Target::Nothing {
            continue;
        }
        let frame = Va(slot.saturating_sub(PUSHED));
        if let Ok(context) = trap_frame_at(memory, Machine::X64, 0, frame) {
            found.push((frame, context));
            if found.len() >= most {
                break;
            }
        }
    }
    found
}

impl Full {
    /// The registers that a processor ran with: those that its control block points to, or those within it.
    pub(crate) fn context_of(&self, processor: &Processor) -> Option<Saved> {
        let machine = self.kernel.machine();
        let number = processor.number;
        let places = [
            (processor.context, format!("context of processor {number}")),
            (processor.saved_context, format!("control block of processor {number}")),
        ];
        places.into_iter().find_map(|(at, source)| {
            let context = context_at(&*self.kernel.space, machine, at?).ok()?;
            (context.instruction_pointer().0 != 0 && context.flags() & 1 != 0).then_some((context, source))
        })
    }

    /// The registers that the scheduler saved of a thread, or why they are not known.
    pub(crate) fn switched(&self, thread: &Thread, modules: &ModuleMap) -> Result<Saved, String> {
        let machine = self.kernel.machine();
        let (ip, sp) = match machine {
            Machine::X86 => ("eip", "esp"),
            Machine::X64 => ("rip", "rsp"),
            _ => ("pc", "sp"),
        };
        let is_code = |va: Va| modules.target(va) == Target::Code;
        let saved = self.kernel.switched(thread, &is_code).map_err(|reason| {
            let state = thread.state.unwrap_or("not running");
            format!("No stack: {reason} (thread state: {state}).")
        })?;
        let mut registers = saved.registers;
        registers.extend([(ip, saved.ip.0), (sp, saved.sp.0)]);
        let source = format!("registers that the scheduler saved at {}", saved.at);
        let context = Context::of_registers(machine, &registers);
        context.map(|context| (context, source)).ok_or_else(|| "No stack: the architecture is not known.".into())
    }

    /// The registers with which a thread entered the kernel from user mode, and where they stand.
    pub(crate) fn entry_of(&self, thread: &Thread) -> Option<(Va, Context)> {
        let machine = self.kernel.machine();
        if machine == Machine::Arm64 {
            // The layout of its trap frames is not public.
            return None;
        }
        let top = thread.initial_stack.and_then(|top| Some(Va(top.0.checked_sub(trap_frame_size(machine) as u64)?)));
        let stack = bounds(thread)?;
        [thread.trap_frame, top].into_iter().flatten().find_map(|at| {
            let context = trap_frame_at(&*self.kernel.space, machine, self.kernel.build, at).ok()?;
            let flags = context.register("efl")?.value;
            let plausible = stack.contains(at) && is_user(&context) && flags & 2 != 0;
            let ip = context.instruction_pointer().0;
            let user = ip >= 0x1_0000 && ip < self.kernel.space.mode().kernel_start().0;
            (plausible && user).then_some((at, context))
        })
    }

    /// The stacks that a processor may switch to: its thread's, that for deferred procedure calls, that for interrupts.
    pub(crate) fn stacks_of(&self, processor: &Processor) -> [Option<Bounds>; OTHER_STACKS] {
        let own = processor.prcb.current_thread.and_then(|thread| bounds(&self.kernel.thread(thread)));
        let other = |top: Option<Va>| top.map(processor_stack).map(Bounds::from);
        [own, other(processor.dpc_stack), other(processor.interrupt_stack)]
    }

    /// The processor of this number.
    pub(crate) fn processor(&self, number: u32) -> Option<&Processor> {
        self.processors.iter().find(|processor| processor.number == number)
    }

    /// The processor that runs a thread.
    pub(crate) fn processor_of(&self, thread: Va) -> Option<&Processor> {
        self.processors.iter().find(|processor| processor.prcb.current_thread == Some(thread))
    }
}

/// The bounds of a thread's kernel stack.
pub(crate) fn bounds(thread: &Thread) -> Option<Bounds> {
    Some(Bounds { limit: thread.stack_limit?, base: thread.stack_base? })
}
