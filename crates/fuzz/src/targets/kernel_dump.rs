use std::sync::OnceLock;

use dumplens_base::{Pa, PhysMemory};
use dumplens_dump::{Dump, PageStore, kernel::KernelDump, open};
use dumplens_testkit::{
    damage,
    machine::{MachineSpec, Release, SERVER2008_X86, Store, WIN7_PAE, WIN10_X64, WIN11_ARM64},
    story,
};

use crate::{Patch, budget, file::File, targets::regions};

/// Machines whose memory is stored in every form.
const MACHINES: [Release; 4] = [WIN10_X64, SERVER2008_X86, WIN7_PAE, WIN11_ARM64];
const STORES: [Store; 8] = [
    Store::Full,
    Store::BitmapKernel,
    Store::BitmapFull,
    Store::Summary,
    Store::Range,
    Store::RangeCounted,
    Store::Elf,
    Store::Raw,
];

/// How many dumps there are to patch: machines in every form, a small dump, a header without pages.
pub const KERNEL_DUMPS: usize = MACHINES.len() * STORES.len() + 2;

fn base(number: usize) -> &'static [u8] {
    static BASES: [OnceLock<Vec<u8>>; KERNEL_DUMPS] = [const { OnceLock::new() }; KERNEL_DUMPS];
    let make = || match number.checked_sub(MACHINES.len() * STORES.len()) {
        Some(0) => story::driver_at_raised_irql(),
        Some(_) => damage::other_kernel_dump(7),
        None => {
            let mut spec = MachineSpec::small(MACHINES[number / STORES.len()]);
            spec.drivers.clear();
            spec.processes.truncate(1);
            let mut file = spec.build().write(STORES[number % STORES.len()]);
            // Zeros where a header would be are taken for a dump that was never written, and what has less than 16 MiB
            // for no machine's memory.
            if STORES[number % STORES.len()] == Store::Raw {
                file.resize(16 << 20, 0);
                file[..4].copy_from_slice(b"\x53\xff\0\xf0");
            }
            file
        }
    };
    BASES[number].get_or_init(|| budget::unbounded(make))
}

/// A kernel dump: its header, its small dump's parts, its pages.
///
/// The first byte says which dump of the testkit the rest patches; from [`KERNEL_DUMPS`] on, the rest is the file.
pub fn kernel_dump(data: &[u8]) {
    let Some((number, rest)) = data.split_first() else { return };
    budget::within(64, || {
        let number = usize::from(*number);
        let source =
            if number < KERNEL_DUMPS { File::patched(base(number), Patch::all(rest)) } else { File::plain(rest) };
        match open(source) {
            Ok(Dump::Kernel(dump)) => everything(&dump),
            Ok(Dump::Physical(image, kind)) => {
                let mut notes = Vec::new();
                assert!(!kind.to_string().is_empty() && image.size() > 0);
                runs(&image.physical(&mut notes));
            }
            Ok(Dump::Minidump(_)) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

fn everything(dump: &KernelDump) {
    let mut notes = Vec::new();
    let _ = dump.header().check();
    dump.context(&mut notes);
    dump.exception(&mut notes);
    if let Some(triage) = dump.triage(&mut notes) {
        triage.drivers(&mut notes);
        triage.unloaded_drivers(&mut notes);
        triage.debugger_data(&mut notes);
        for part in triage.parts() {
            let _ = triage.bytes(part);
        }
        let blobs = triage.blobs(&mut notes);
        let _ = triage.smbios(&blobs);
        regions(&triage.memory(&mut notes));
    }
    if let Some(store) = dump.physical(&mut notes) {
        runs(&store);
    }
    assert!(notes.iter().all(|note| !note.text.is_empty()));
}

/// Reads around the edges of the first runs.
fn runs(store: &PageStore) {
    let mut at = Pa(0);
    for _ in 0..64 {
        let Some(run) = store.next_run(at) else { break };
        assert!(run.len > 0 && run.start >= at, "runs go forward");
        let end = run.start.checked_add(run.len - 1).expect("a run ends in the address space");
        assert!(store.has_page(run.start) && store.has_page(end), "a run has its pages");
        assert!(run.start == at || !store.has_page(at), "a run starts where pages do");
        let mut buf = [0; 0x1800];
        for start in [run.start.0, run.start.0 + run.len / 2, end.0.saturating_sub(0x7ff)] {
            let outcome = store.read(Pa(start), &mut buf);
            assert_eq!(outcome.fault.is_none(), outcome.filled == buf.len());
            if let Some(fault) = outcome.fault {
                assert_eq!(fault.address().0, start.wrapping_add(outcome.filled as u64), "where the read stopped");
            }
        }
        let Some(next) = run.start.checked_add(run.len) else { break };
        at = next;
    }
}
