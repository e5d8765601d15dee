//! Small (triage) dumps: captured blocks, and copies of three objects.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Fault, Memory, Note, ReadOutcome, Region, Searched, Va, ascii_until_nul};
use dumplens_dump::{
    CapturedMemory, Extent,
    kernel::{FileRange, KernelDump, Smbios, Triage},
};
use dumplens_windows::{
    DebuggerData, KernelLayout, Prcb, Process, Thread, layout, read_prcb, read_process, read_thread,
};

/// What a small dump adds to the header.
pub(super) struct Small {
    pub(super) memory: CapturedMemory,
    pub(super) data: Option<DebuggerData>,
    pub(super) prcb: Option<Prcb>,
    pub(super) thread: Option<Thread>,
    pub(super) process: Option<Process>,
    pub(super) smbios: Option<Smbios>,
    pub(super) named_driver: Option<String>,
}

/// Gathers a small dump's memory and objects.
pub(super) fn gather(dump: &KernelDump, triage: &Triage, smbios: Option<Smbios>, notes: &mut Vec<Note>) -> Small {
    let header = dump.header();
    let mut memory = triage.memory(notes);
    let data = triage.debugger_data(notes).and_then(|bytes| {
        let parsed = DebuggerData::parse(&bytes);
        if parsed.is_none() {
            notes.push(Note::damaged("the debugger data block has no KDBG tag: objects cannot be located by it"));
        }
        parsed
    });
    let layout = layout(dump.machine(), header.build, data.as_ref());
    let (mut prcb, mut thread, mut process) = (None, None, None);
    if let Some(data) = &data {
        (prcb, thread, process) = overlay_objects(triage, data, &layout, &mut memory, notes);
    }
    Small { memory, data, prcb, thread, process, smbios, named_driver: triage.broken_driver() }
}

/// The dump holds copies of the crashing processor's control block, its thread and its process, but not where they were.
/// The control block names the thread and the thread the process; the copies are laid over memory at those addresses.
fn overlay_objects(
    triage: &Triage,
    data: &DebuggerData,
    layout: &KernelLayout,
    memory: &mut CapturedMemory,
    notes: &mut Vec<Note>,
) -> (Option<Prcb>, Option<Thread>, Option<Process>) {
    // Objects are read through a scratch address first: their own is not known yet.
    const SCRATCH: Va = Va(0x1000);
    let scratch = |part: Option<FileRange>| {
        let part = part?;
        Some((Scratch { at: SCRATCH, bytes: triage.bytes(part).ok()? }, part))
    };
    let size = |size: Option<u16>| size.map(u64::from);
    let prcb =
        scratch(triage.prcb(size(data.size_prcb()))).map(|(copy, _)| read_prcb(&copy, SCRATCH, data, layout.pointer));
    let thread_copy = scratch(triage.thread(size(data.size_thread())));
    let process_copy = scratch(triage.process(size(data.size_process())));
    let thread_at = prcb.as_ref().and_then(|prcb| prcb.current_thread);
    let thread = thread_copy.map(|(copy, part)| {
        let mut thread = read_thread(&copy, SCRATCH, layout);
        thread.address = thread_at.unwrap_or_default();
        if let Some(address) = thread_at {
            memory.overlay(Extent { address, size: part.size, offset: part.offset, kind: "thread object" });
        }
        thread
    });
    let process = process_copy.map(|(copy, part)| {
        let mut process = read_process(&copy, SCRATCH, layout);
        // An idle thread borrows the address space of whatever ran before it: then its process is not the one copied.
        let owner = thread.as_ref().filter(|thread| thread.process_id.is_some() && thread.process_id == process.id);
        if let Some(address) = owner.and_then(|thread| thread.process) {
            process.address = address;
            memory.overlay(Extent { address, size: part.size, offset: part.offset, kind: "process object" });
        }
        process
    });
    if process.as_ref().is_some_and(|process| process.name.is_none()) {
        notes.push(Note::info(alloc::format!(
            "the process's name cannot be read: the offsets rest on {}",
            layout.source()
        )));
    }
    (prcb, thread, process)
}

/// An object's bytes at a made-up address.
struct Scratch {
    at: Va,
    bytes: Vec<u8>,
}

impl Memory for Scratch {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let start = va.offset_from(self.at).and_then(|start| usize::try_from(start).ok());
        let rest = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let filled = rest.len().min(buf.len());
        buf.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        if filled == buf.len() {
            return ReadOutcome::complete(filled);
        }
        let va = Va(va.0.saturating_add(filled as u64));
        ReadOutcome { filled, fault: Some(Fault::NotInDump { va, searched: Searched::TriageBlocks }) }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

impl Small {
    /// The build lab string that the kernel keeps: `19041.1.amd64fre.vb_release.191206-1406`.
    pub(super) fn build_lab(&self) -> Option<String> {
        let at = Va(self.data.as_ref()?.nt_build_lab()?);
        let mut bytes = [0; 64];
        let filled = self.memory.read(at, &mut bytes).filled;
        ascii_until_nul(bytes.get(..filled)?).filter(|text| text.len() > 4)
    }
}
