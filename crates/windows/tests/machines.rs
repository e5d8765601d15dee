//! The kernel found in whole machines that the testkit wrote: every release, every form of dump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::rc::Rc;

use dumplens_base::{Machine as Arch, MemoryExt, Note, NoteKind, Va};
use dumplens_dump::{Dump, open};
use dumplens_testkit::machine::{
    Machine, MachineSpec, Marks, PAGE, Paging, RELEASES, Release, Store, WIN10_X64, WIN11_ARM64, WIN11_X64,
};
use dumplens_windows::{Hints, Kernel, find_in_memory};

fn hints(machine: &Machine) -> Hints {
    Hints {
        machine: match machine.spec.release.paging {
            Paging::X86 | Paging::Pae => Arch::X86,
            Paging::X64 | Paging::La57 => Arch::X64,
            Paging::Arm64 => Arch::Arm64,
        },
        build: machine.spec.release.build,
        directory_table_base: machine.kernel.root,
        module_list: Some(Va(machine.module_list)),
        process_list: Some(Va(machine.process_list)),
        debugger_data: Some(Va(machine.debugger_data)),
        kernel_base: None,
        pae: None,
        processors: machine.spec.processors,
    }
}

fn find(machine: &Machine, store: Store, hints: &Hints) -> (Result<Kernel, String>, Vec<Note>) {
    let mut notes = Vec::new();
    let pages = match open(Rc::new(machine.write(store))).unwrap() {
        Dump::Kernel(dump) => dump.physical(&mut notes).unwrap(),
        Dump::Physical(image, _) => image.physical(&mut notes),
        Dump::Minidump(_) => panic!("not a minidump"),
    };
    (Kernel::find(Rc::new(pages), hints, &mut notes), notes)
}

fn kernel(release: Release) -> (Machine, Kernel, Vec<Note>) {
    let machine = MachineSpec::small(release).build();
    let (kernel, notes) = find(&machine, Store::BitmapKernel, &hints(&machine));
    (machine, kernel.unwrap(), notes)
}

#[test]
fn every_form_of_dump_leads_to_the_same_kernel() {
    for release in RELEASES {
        let machine = MachineSpec::small(release).build();
        for store in Store::DUMPS {
            if !release.is_64_bit() && matches!(store, Store::Range | Store::RangeCounted) {
                continue;
            }
            let (kernel, notes) = find(&machine, store, &hints(&machine));
            let kernel = kernel.unwrap_or_else(|error| panic!("{release:?} {store:?}: {error}"));
            assert_eq!(kernel.base, Some(Va(machine.kernel_base)), "{release:?} {store:?}");
            assert_eq!(kernel.space.read_u64(Va(machine.marks.large)).unwrap(), Marks::LARGE);
            assert!(notes.iter().all(|note| note.kind == NoteKind::Info), "{release:?} {store:?}: {notes:?}");
            let lab = kernel.build_lab().unwrap();
            assert!(lab.starts_with(&release.build.to_string()), "{lab}");
        }
    }
}

#[test]
fn modules_are_listed_in_order_with_what_the_list_holds() {
    for release in RELEASES {
        let (machine, kernel, _) = kernel(release);
        let mut notes = Vec::new();
        let modules = kernel.modules(&mut notes);
        assert!(notes.is_empty(), "{notes:?}");
        let found: Vec<(u64, u32)> = modules.iter().map(|module| (module.base.0, module.size)).collect();
        let expected: Vec<(u64, u32)> = machine.modules.iter().map(|(base, size, _)| (*base, *size)).collect();
        assert_eq!(found, expected, "{release:?}");
        assert_eq!(modules[5].path, "\\SystemRoot\\System32\\drivers\\glasswing.sys");
        assert_eq!(modules[1].timestamp, (release.build >= 10_240).then_some(0x6500_1111));
        let unloaded = kernel.unloaded_drivers();
        assert_eq!(unloaded.len(), 2, "{release:?}");
        assert_eq!(unloaded[0].name, "dump_storage.sys");
    }
}

#[test]
fn processes_and_threads_are_listed_for_every_release() {
    for release in RELEASES {
        let (machine, kernel, notes) = kernel(release);
        let mut more = Vec::new();
        let processes = kernel.processes(&mut more);
        let rows: Vec<(u64, String)> =
            processes.iter().map(|p| (p.id.unwrap(), p.name.clone().unwrap_or_default())).collect();
        let expected: Vec<(u64, String)> = machine.spec.processes.iter().map(|p| (p.id, p.name.clone())).collect();
        assert_eq!(rows, expected, "{release:?} {notes:?}");
        for (process, spec) in processes.iter().zip(&machine.spec.processes) {
            assert_eq!(process.parent_id, Some(spec.parent), "{release:?}");
            assert_eq!(process.active_threads, Some(spec.threads.len() as u32), "{release:?}");
            let threads = kernel.threads(process, &mut more);
            let ids: Vec<u64> = threads.iter().filter_map(|thread| thread.id).collect();
            assert_eq!(ids, spec.threads, "{release:?} {notes:?}");
            assert!(threads.iter().all(|t| t.process_id == Some(spec.id) && t.stack_base > t.stack_limit));
            let session = kernel.session_id(process);
            assert_eq!(session, (spec.id != 4).then_some(spec.session), "{release:?} {}", spec.name);
            if spec.id != 4 {
                let space = kernel.process_space(process).unwrap();
                assert_eq!(space.read_u64(Va(machine.marks.user)).unwrap(), spec.id);
            }
        }
        assert!(more.is_empty(), "{more:?}");
    }
}

#[test]
fn shared_memory_is_found_through_the_address_descriptors() {
    for release in RELEASES.into_iter().filter(|release| release.is_64_bit()) {
        let (machine, kernel, _) = kernel(release);
        let processes = kernel.processes(&mut Vec::new());
        let notepad = processes.iter().find(|process| process.name.as_deref() == Some("notepad.exe")).unwrap();
        let space = kernel.process_space(notepad).unwrap();
        assert_eq!(space.read_u64(Va(machine.marks.by_vad)).map_err(|e| e.to_string()), Ok(Marks::VAD), "{release:?}");
    }
}

#[test]
fn processors_name_their_threads_and_contexts() {
    for release in RELEASES {
        let (machine, kernel, _) = kernel(release);
        let processors = kernel.processor_list(&mut Vec::new());
        assert_eq!(processors.len(), 2, "{release:?}");
        for (processor, (_, object)) in processors.iter().zip(&machine.threads) {
            assert_eq!(processor.prcb.current_thread, Some(Va(*object)));
            assert_eq!(processor.context.is_some(), release.offsets().prcb_context != 0);
        }
    }
}

#[test]
fn an_encoded_block_and_a_missing_address_are_no_obstacle() {
    for release in [WIN10_X64, WIN11_X64, WIN11_ARM64] {
        let spec = MachineSpec { encoded: true, ..MachineSpec::small(release) };
        let machine = spec.build();
        let at_hand = hints(&machine);
        let lost = Hints { debugger_data: None, ..at_hand };
        let wrong = Hints { debugger_data: Some(Va(machine.kernel_base)), ..at_hand };
        for hints in [at_hand, lost, wrong] {
            let (kernel, notes) = find(&machine, Store::Full, &hints);
            let kernel = kernel.unwrap();
            assert!(kernel.decoded && kernel.data.is_some(), "{notes:?}");
            assert_eq!(kernel.processes(&mut Vec::new()).len(), 6);
        }
    }
}

#[test]
fn an_unknown_build_is_worked_out_from_the_system_process() {
    // The header claims a build whose built-in layout is another one.
    let machine = MachineSpec::small(WIN11_X64).build();
    for build in [22_631, 9_600, 2_195] {
        let (kernel, notes) = find(&machine, Store::Full, &Hints { build, ..hints(&machine) });
        let kernel = kernel.unwrap();
        assert!(kernel.layout.source().contains("System process"), "{build}");
        let processes = kernel.processes(&mut Vec::new());
        let names: Vec<_> = processes.iter().filter_map(|process| process.name.as_deref()).collect();
        assert_eq!(
            names,
            ["System", "smss.exe", "csrss.exe", "winlogon.exe", "explorer.exe", "notepad.exe"],
            "{notes:?}"
        );
        let threads = kernel.threads(&processes[4], &mut Vec::new());
        let ids: Vec<_> = threads.iter().filter_map(|thread| thread.id).collect();
        assert_eq!(ids, [3124, 3128, 3132], "{build} {notes:?}");
    }
}

#[test]
fn wrong_tables_are_refused_with_the_place() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let (kernel, _) = find(&machine, Store::Full, &Hints { directory_table_base: 0x7777_7000, ..hints(&machine) });
    let error = kernel.unwrap_err();
    assert!(error.contains("0x77777000") && error.contains("not in the dump"), "{error}");
}

#[test]
fn lists_that_loop_or_break_give_what_they_have() {
    let mut machine = MachineSpec::small(WIN10_X64).build();
    let (kernel, _) = find(&machine, Store::Full, &hints(&machine));
    let kernel = kernel.unwrap();
    let modules = kernel.modules(&mut Vec::new());
    let physical = |va: Va| kernel.space.translate(va, &mut |_| {}).unwrap().pa.0;
    // The third entry points back at the second: a loop that never meets the head.
    let (third, second) = (physical(modules[2].entry), modules[1].entry.0);
    machine.phys.put(third, &second.to_le_bytes());
    // The second process's page of links is gone.
    let process = machine.process_objects[3];
    let page = physical(Va(process)) / PAGE;
    let (broken, _) = find(&machine, Store::Full, &hints(&machine));
    let mut notes = Vec::new();
    let modules = broken.unwrap().modules(&mut notes);
    assert_eq!(modules.len(), 3);
    assert!(notes[0].text.contains("loops"), "{notes:?}");
    machine.phys.remove(page);
    let (broken, _) = find(&machine, Store::Full, &hints(&machine));
    let mut notes = Vec::new();
    let processes = broken.unwrap().processes(&mut notes);
    assert!(!processes.is_empty() && processes.len() < 6);
    assert!(notes.iter().any(|note| note.kind == NoteKind::Damaged), "{notes:?}");
}

#[test]
fn raw_images_and_guest_cores_give_up_their_kernel() {
    for release in RELEASES.into_iter().filter(|release| release.paging != Paging::La57) {
        let machine = MachineSpec { encoded: release.build >= 9_600, ..MachineSpec::small(release) }.build();
        for store in [Store::Raw, Store::Elf] {
            if store == Store::Elf && !release.is_64_bit() {
                continue;
            }
            let mut file = machine.write(store);
            // Raw images are at least as long as the smallest memory that holds Windows.
            file.resize(file.len().max(32 << 20), 0);
            let Ok(Dump::Physical(image, _)) = open(Rc::new(file)) else { panic!("{release:?} {store:?}") };
            let mut notes = Vec::new();
            let pages: Rc<dyn dumplens_base::PhysMemory> = Rc::new(image.physical(&mut notes));
            let hints = find_in_memory(&pages, image.machine, &image.roots, &mut notes)
                .unwrap_or_else(|error| panic!("{release:?} {store:?}: {error}"));
            assert_eq!(hints.kernel_base, Some(Va(machine.kernel_base)));
            assert_eq!(hints.build, release.build);
            let kernel = Kernel::find(pages, &hints, &mut notes).unwrap();
            assert_eq!(kernel.modules(&mut notes).len(), 6);
            assert_eq!(kernel.processes(&mut notes).len(), 6, "{release:?} {notes:?}");
            assert_eq!(kernel.processor_list(&mut notes).len(), 2);
            assert_eq!(kernel.decoded, release.build >= 9_600);
        }
    }
}

#[test]
fn without_the_module_list_images_are_searched_for() {
    for release in [WIN10_X64, WIN11_ARM64] {
        let mut machine = MachineSpec::small(release).build();
        let (kernel, _) = find(&machine, Store::Full, &hints(&machine));
        let head = kernel.unwrap().space.translate(Va(machine.module_list), &mut |_| {}).unwrap().pa;
        // Both links are lost; with one left, the list would be followed from its other end.
        machine.phys.put(head.0, &[0; 16]);
        let (kernel, _) = find(&machine, Store::Full, &hints(&machine));
        let mut notes = Vec::new();
        let modules = kernel.unwrap().modules(&mut notes);
        let found: Vec<_> = modules.iter().map(|module| (module.base.0, module.size, module.path.clone())).collect();
        assert_eq!(found, machine.modules, "{release:?}");
        assert!(notes[0].text.contains("found by searching memory"), "{notes:?}");
    }
}
