//! What is known about the crash of a kernel: the registers and the exception of the real fault.

use alloc::{string::String, string::ToString, vec::Vec};

use dumplens_analysis::{ContextSource, System, base_code, bug_check_access, context_source, exception_info};
use dumplens_base::{Machine, Memory, MemoryExt, Note, Va};
use dumplens_dump::{Context, ExceptionRecord, kernel::KernelDump};
use dumplens_report::{Hex, model};

use super::threads::{context_at, trap_frame_at};
use crate::{facts::Crash, text::exception_model, walks::HEADER};

/// What the header's exception record holds in ordinary crash dumps.
const STATUS_BREAKPOINT: u32 = 0x8000_0003;

/// The registers and the exception of the real fault; `memory` is what was current at the crash.
pub(super) fn crash(dump: &KernelDump, memory: &dyn Memory, notes: &mut Vec<Note>) -> Crash {
    let header = dump.header();
    let (code, parameters) = (header.bugcheck_code, header.bugcheck_parameters);
    let access = bug_check_access(code, parameters);
    let (mut context, mut exception) = (None, None);
    match context_source(code, parameters) {
        ContextSource::ContextRecord { parameter, address, exception: record } => {
            context = pointed(memory, dump, parameter, Va(address), Kind::Context, notes);
            exception = record.and_then(|(number, at)| record_at(memory, dump, number, Va(at)));
        }
        ContextSource::TrapFrame { parameter, address, exception: record } => {
            context = pointed(memory, dump, parameter, Va(address), Kind::TrapFrame, notes);
            exception = record.and_then(|(number, at)| record_at(memory, dump, number, Va(at)));
        }
        ContextSource::DoubleFault { parameter, address, instruction } => {
            context = double_fault(memory, dump.machine(), parameter, Va(address), Va(instruction));
        }
        ContextSource::None => {}
    }
    let header = dump.context(notes);
    let own = context.is_some();
    let context = context.or_else(|| header.clone().map(|context| (context, HEADER.to_string())));
    let exception = exception.or_else(|| from_parameters(code, parameters)).or_else(|| {
        // Crash dumps record the break inside the bug-check routine there, which is no news; debuggers and live tools
        // record what they stopped on.
        let record = dump.exception(notes).filter(|record| record.code != STATUS_BREAKPOINT)?;
        Some(exception_model(System::Windows, &record, "dump header".into()))
    });
    Crash {
        thread: None,
        context,
        header: header.filter(|_| own),
        exception,
        bugcheck: Some((code, parameters)),
        access,
        instruction: access.and_then(|access| access.instruction),
        named_driver: None,
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Context,
    TrapFrame,
}

/// The registers where a bug-check parameter points.
fn pointed(
    memory: &dyn Memory,
    dump: &KernelDump,
    parameter: u8,
    at: Va,
    kind: Kind,
    notes: &mut Vec<Note>,
) -> Option<(Context, String)> {
    let what = match kind {
        Kind::Context => "context record",
        Kind::TrapFrame => "trap frame",
    };
    let source = alloc::format!("{what} at bug check parameter {parameter}");
    let parsed = match kind {
        Kind::Context => context_at(memory, dump.machine(), at),
        Kind::TrapFrame => trap_frame_at(memory, dump.machine(), dump.header().build, at),
    };
    match parsed {
        Ok(context) => Some((context, source)),
        Err(reason) => {
            let text =
                alloc::format!("the {source} cannot be read ({reason}); the dump header's context is used instead");
            notes.push(Note::missing(text));
            None
        }
    }
}

/// The registers of what was interrupted by a double fault: a state segment on x86; a trap frame on x64, if it has the
/// instruction that the bug check names.
fn double_fault(
    memory: &dyn Memory,
    machine: Machine,
    parameter: u8,
    at: Va,
    instruction: Va,
) -> Option<(Context, String)> {
    if machine == Machine::X64 {
        let context = trap_frame_at(memory, machine, 0, at).ok()?;
        let source = alloc::format!("trap frame at bug check parameter {parameter}");
        return (context.instruction_pointer() == instruction).then_some((context, source));
    }
    if machine != Machine::X86 {
        return None;
    }
    // `KTSS`: the order is the processor's.
    const NAMES: [&str; 10] = ["eip", "efl", "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    let mut registers = Vec::with_capacity(NAMES.len());
    for (offset, name) in (0x20..).step_by(4).zip(NAMES) {
        registers.push((name, u64::from(memory.read_u32(at.checked_add(offset)?).ok()?)));
    }
    let context = Context::of_registers(machine, &registers)?;
    // The kernel's half: what else stands there is no task that this kernel ran.
    let in_kernel = |va: Va| va.0 >= 0x8000_0000;
    let plausible = in_kernel(context.instruction_pointer()) && in_kernel(context.stack_pointer());
    plausible.then(|| (context, alloc::format!("task state segment at bug check parameter {parameter}")))
}

/// The exception record where a bug-check parameter points.
fn record_at(memory: &dyn Memory, dump: &KernelDump, parameter: u8, at: Va) -> Option<model::Exception> {
    let wide = dump.header().is_64_bit;
    let size = if wide { ExceptionRecord::SIZE_64 } else { ExceptionRecord::SIZE_32 };
    let bytes = memory.read_vec(at, size).ok()?;
    let mut cursor = dumplens_base::Bytes::new(&bytes, at.0);
    let record = if wide { ExceptionRecord::parse_64(&mut cursor) } else { ExceptionRecord::parse_32(&mut cursor) };
    Some(exception_model(
        System::Windows,
        &record.ok()?,
        alloc::format!("exception record at bug check parameter {parameter}"),
    ))
}

/// What the parameters of an exception-carrying bug check tell of the exception.
fn from_parameters(code: u32, parameters: [u64; 4]) -> Option<model::Exception> {
    let [first, second, third, fourth] = parameters;
    let known: Vec<u64> = match base_code(code) {
        0x1e => Vec::from([third, fourth]),
        0x3b | 0x7e | 0x8e => Vec::new(),
        _ => return None,
    };
    let status = first as u32;
    let info = exception_info(System::Windows, status, second, &known);
    Some(model::Exception {
        code: Hex::from(status),
        name: info.name.map(String::from),
        address: Hex(second),
        description: info.description,
        flags: Hex(0),
        parameters: known.into_iter().map(Hex).collect(),
        access: info.access.map(crate::text::access_model),
        source: "bug check parameters".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use dumplens_base::{Fault, ReadOutcome, Region, Searched};

    /// Bytes at an address.
    struct Bytes(u64, Vec<u8>);

    impl Memory for Bytes {
        fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
            let start = va.0.checked_sub(self.0).map(|start| start as usize);
            match start.and_then(|start| self.1.get(start..start + buf.len())) {
                Some(bytes) => {
                    buf.copy_from_slice(bytes);
                    ReadOutcome::complete(buf.len())
                }
                None => {
                    ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::TriageBlocks }) }
                }
            }
        }

        fn next_region(&self, _: Va) -> Option<Region> {
            None
        }
    }

    #[test]
    fn a_double_fault_on_x86_leaves_the_interrupted_task_in_its_state_segment() {
        let mut bytes = vec![0; 0x68];
        for (offset, value) in [(0x20, 0x8260_1123_u32), (0x38, 0x8c00_1ff0), (0x3c, 0x8c00_2010), (0x44, 7)] {
            bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        let found = |memory: &Bytes| double_fault(memory, Machine::X86, 2, Va(0x8013_e000), Va(0));
        let (context, source) = found(&Bytes(0x8013_e000, bytes.clone())).unwrap();
        assert_eq!((context.instruction_pointer(), context.stack_pointer()), (Va(0x8260_1123), Va(0x8c00_1ff0)));
        assert_eq!((context.frame_pointer(), context.register("edi").unwrap().value), (Va(0x8c00_2010), 7));
        assert_eq!(source, "task state segment at bug check parameter 2");
        // What is in user mode, or not there, is no task of this kernel.
        bytes[0x23] = 0;
        assert!(found(&Bytes(0x8013_e000, bytes)).is_none() && found(&Bytes(0, Vec::new())).is_none());
    }

    #[test]
    fn a_double_fault_on_x64_is_believed_only_where_its_trap_frame_names_the_instruction() {
        let mut frame = vec![0; 0x190];
        frame[0x168..0x170].copy_from_slice(&0xffff_f801_2000_1123_u64.to_le_bytes());
        let at = 0xffff_b200_0000_1e70;
        let memory = Bytes(at, frame);
        let found = |instruction| double_fault(&memory, Machine::X64, 2, Va(at), Va(instruction));
        assert!(found(0xffff_f801_2000_1123).is_some());
        assert!(found(0xffff_f801_2000_1124).is_none());
    }
}
