use std::{rc::Rc, sync::OnceLock};

use dumplens_base::{Machine as Processor, Memory, Note, PhysMemory, Va};
use dumplens_testkit::machine::{Machine, MachineSpec, Paging, RELEASES};
use dumplens_windows::{Hints, Kernel};

use crate::{
    Patch, budget,
    machine::{Pages, Patched},
};

/// How many machines there are to patch: every release, with its debugger data block plain and encoded.
pub const KERNELS: usize = RELEASES.len() * 2;

pub(crate) struct Base {
    pub(crate) machine: Machine,
    pub(crate) pages: &'static Pages,
}

pub(crate) fn base(number: usize) -> &'static Base {
    static BASES: [OnceLock<Base>; KERNELS] = [const { OnceLock::new() }; KERNELS];
    let make = || {
        let mut spec = MachineSpec::small(RELEASES[number / 2]);
        spec.encoded = number % 2 == 1;
        let machine = spec.build();
        let pages = Pages::new(&machine.phys, |_, memory| everything(memory, &hints(&machine, 0), &machine));
        Base { machine, pages }
    };
    BASES[number].get_or_init(|| budget::unbounded(make))
}

/// How many places of a machine matter to [`kernel_objects`].
#[must_use]
pub fn places(number: usize) -> usize {
    base(number).pages.places.len()
}

/// What a dump's header would say; bits of `unknown` leave parts out.
fn hints(machine: &Machine, unknown: u8) -> Hints {
    let paging = machine.spec.release.paging;
    let known = |bit: u8, value: u64| (unknown & 1 << bit == 0).then_some(Va(value));
    Hints {
        machine: match paging {
            Paging::X86 | Paging::Pae => Processor::X86,
            Paging::X64 | Paging::La57 => Processor::X64,
            Paging::Arm64 => Processor::Arm64,
        },
        // A build that no table knows: offsets are found by reasoning.
        build: if unknown & 0x10 == 0 { machine.spec.release.build } else { 30_000 },
        directory_table_base: machine.kernel.root,
        module_list: known(0, machine.module_list),
        process_list: known(1, machine.process_list),
        debugger_data: known(2, machine.debugger_data),
        kernel_base: known(3, machine.kernel_base),
        pae: (unknown & 0x20 == 0).then_some(paging == Paging::Pae),
        processors: if unknown & 0x40 == 0 { machine.spec.processors } else { u32::MAX },
    }
}

/// The kernel in a machine's memory: its debugger data, modules, processes, threads and processors.
///
/// The first byte says which machine, the second what its header does not tell; the rest are patches.
pub fn kernel_objects(data: &[u8]) {
    let [number, unknown, rest @ ..] = data else { return };
    let base = base(usize::from(*number) % KERNELS);
    budget::within(64, || {
        let memory = Rc::new(Patched::new(base.pages, Patch::all(rest)));
        everything(memory, &hints(&base.machine, *unknown), &base.machine);
    });
}

fn everything(memory: Rc<dyn PhysMemory>, hints: &Hints, machine: &Machine) {
    let mut notes = Vec::new();
    let kernel = match Kernel::find(memory, hints, &mut notes) {
        Ok(kernel) => kernel,
        Err(reason) => return assert!(!reason.is_empty()),
    };
    let _ = (kernel.build_lab(), kernel.bug_check());
    let modules = kernel.modules(&mut notes);
    assert!(modules.len() <= 4096 && modules.iter().all(|module| module.size > 0 && !module.path.is_empty()));
    // The translation cache is warm now; the answer must not depend on it.
    assert_eq!(modules, kernel.modules(&mut Vec::new()), "modules, a second time");
    assert!(kernel.unloaded_drivers().iter().all(|driver| driver.start < driver.end));
    let processes = kernel.processes(&mut notes);
    assert_eq!(processes, kernel.processes(&mut Vec::new()), "processes, a second time");
    for process in processes.iter().take(32) {
        let _ = kernel.session_id(process);
        assert_eq!(kernel.process(process.address), *process);
        for thread in kernel.threads(process, &mut notes) {
            assert!(thread.priority.is_none_or(|priority| priority < 32));
        }
        let Some(space) = kernel.process_space(process) else { continue };
        for va in [machine.marks.user, machine.marks.by_vad, machine.marks.prototype, process.peb.unwrap_or_default().0]
        {
            let (mut first, mut again) = ([0; 32], [0; 32]);
            let outcome = space.read(Va(va), &mut first);
            assert_eq!((outcome, first), (space.read(Va(va), &mut again), again), "{va:#x}, a second time");
        }
    }
    assert!(kernel.processor_list(&mut notes).len() <= 2048);
    said(&notes);
}

/// Notes have something to say, and a damaged dump does not drown in them.
fn said(notes: &[Note]) {
    assert!(notes.iter().all(|note| !note.text.is_empty()));
    assert!(notes.len() < 10_000, "{} notes", notes.len());
}
