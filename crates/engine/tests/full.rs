//! Dumps that hold physical memory: whole machines from the testkit, in every form, through the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::{cell::Cell, rc::Rc};

use common::{Counting, ask, open, report};
use dumplens_engine::{Job, Session, Step};
use dumplens_report::{
    Hex,
    model::{DumpFormat, NoteKind},
    protocol::{FailureKind, Reply, Request, Space, StackOf, Translation},
};
use dumplens_testkit::machine::{
    Machine, MachineSpec, Marks, Paging, RELEASES, Store, WIN7_X64, WIN10_X64, WIN11_ARM64, WIN11_X64,
};

fn bytes(session: &mut Session, space: Space, address: u64) -> Result<u64, String> {
    let request = Request::Memory { space, address: Hex(address), length: 8 };
    let Ok(Reply::Memory(chunks)) = ask(session, request) else { panic!("no memory") };
    match &chunks[0].bytes {
        Some(bytes) if bytes.0.len() == 8 => Ok(u64::from_le_bytes(bytes.0.as_slice().try_into().unwrap())),
        _ => Err(chunks[0].reason.clone().unwrap_or_default()),
    }
}

fn translate(session: &mut Session, space: Space, address: u64) -> Translation {
    match ask(session, Request::Translate { space, address: Hex(address) }) {
        Ok(Reply::Translation(translation)) => translation,
        other => panic!("{other:?}"),
    }
}

fn machine(release: dumplens_testkit::machine::Release, store: Store) -> (Machine, Session) {
    let machine = MachineSpec::small(release).build();
    let session = open(machine.write(store)).unwrap_or_else(|error| panic!("{release:?} {store:?}: {error}"));
    (machine, session)
}

#[test]
fn every_release_in_every_form_gives_the_same_report() {
    for release in RELEASES {
        for store in Store::DUMPS {
            if !release.is_64_bit() && matches!(store, Store::Range | Store::RangeCounted) {
                continue;
            }
            let (machine, mut session) = machine(release, store);
            let report = report(&mut session);
            let what = format!("{release:?} {store:?}");
            let bad: Vec<_> = report.notes.iter().filter(|note| note.kind != NoteKind::Info).collect();
            assert!(bad.is_empty(), "{what}: {bad:?}");
            assert_eq!(
                report.dump.format,
                Some(match store {
                    Store::Full => DumpFormat::KernelFull,
                    Store::Summary => DumpFormat::KernelSummary,
                    Store::Range | Store::RangeCounted => DumpFormat::KernelRange,
                    _ => DumpFormat::KernelBitmap,
                })
            );
            let names: Vec<_> = report.modules.iter().map(|module| module.name.as_str()).collect();
            assert_eq!(names, ["nt", "hal", "ACPI", "Ntfs", "tcpip", "glasswing"], "{what}");
            assert!(report.modules.iter().all(|module| module.timestamp.is_some()), "from the list or the image");
            assert_eq!(report.modules[0].debug_file.as_deref(), Some("ntkrnlmp.pdb"));
            assert_eq!(report.modules[0].debug_id.as_deref(), Some("010101010101010101010101010101011"));
            assert_eq!(report.unloaded_modules.len(), 2);
            assert_eq!(report.processes.len(), 6, "{what}");
            assert_eq!(report.threads.len(), 11, "{what}");
            assert_eq!(report.crashing_thread, Some(8), "{what}");
            assert_eq!(report.dump.process.as_deref(), Some("System"));
            let current: Vec<_> = report.processes.iter().filter(|process| process.current).collect();
            assert_eq!(current.len(), 1);
            let frames = report.stack.unwrap().frames;
            assert_eq!(frames[0].module.as_deref(), Some("glasswing"), "{what}");
            assert!(frames.iter().any(|frame| frame.module.as_deref() == Some("nt")), "{what}: {frames:?}");
            // The other processor's thread has its own registers, behind a pointer or within the control block.
            let other = report.threads.iter().find(|thread| thread.id == 12).unwrap();
            assert_eq!(other.frames.first().map(|frame| frame.address.0), Some(machine.registers.ip + 1), "{what}");
            assert_eq!(other.instruction_pointer, Some(Hex(machine.registers.ip + 1)), "{what}");
        }
    }
}

#[test]
fn processes_and_threads_carry_what_the_objects_say() {
    let (machine, mut session) = machine(WIN10_X64, Store::BitmapKernel);
    let Ok(Reply::Processes(processes)) = ask(&mut session, Request::Processes) else { panic!() };
    let explorer = &processes[4];
    assert_eq!((explorer.id, explorer.parent_id, explorer.session), (Some(3120), Some(3004), Some(1)));
    assert_eq!(explorer.threads, Some(3));
    assert_eq!(explorer.create_time.as_deref(), Some("2026-03-14T09:52:00Z"));
    assert_eq!(explorer.object, Some(Hex(machine.process_objects[4])));
    let object = explorer.object.unwrap();
    let Ok(Reply::Threads(threads)) = ask(&mut session, Request::ProcessThreads { object }) else { panic!() };
    let rows: Vec<_> = threads.iter().map(|t| (t.id, t.state.as_deref(), t.wait_reason.as_deref())).collect();
    let waiting = (Some("Waiting"), Some("UserRequest"));
    assert_eq!(rows, [3124, 3128, 3132].map(|id| (id, waiting.0, waiting.1)));
    assert!(threads.iter().all(|thread| thread.stack_limit.is_some() && thread.process_id == Some(3120)));
    let Ok(Reply::Threads(all)) = ask(&mut session, Request::Threads) else { panic!() };
    assert_eq!(all.len(), 11);
    let nobody = ask(&mut session, Request::ProcessThreads { object: Hex(machine.kernel_base) });
    assert_eq!(nobody.unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn memory_is_read_as_the_chosen_process_sees_it() {
    let (machine, mut session) = machine(WIN10_X64, Store::Full);
    let marks = &machine.marks;
    for (spec, object) in machine.spec.processes.iter().zip(&machine.process_objects).skip(1) {
        let space = Space::Process { object: Hex(*object) };
        assert_eq!(bytes(&mut session, space, marks.user), Ok(spec.id));
        assert_eq!(bytes(&mut session, space, marks.large), Ok(Marks::LARGE));
    }
    assert!(bytes(&mut session, Space::Current, marks.user).unwrap_err().contains("not mapped"));
    assert_eq!(bytes(&mut session, Space::Current, marks.transition), Ok(Marks::TRANSITION));
    let reason = bytes(&mut session, Space::Current, marks.paged_out).unwrap_err();
    assert!(reason.contains("page 0x4321 of paging file 1"), "{reason}");
    let reason = bytes(&mut session, Space::Current, marks.absent).unwrap_err();
    assert!(reason.contains("0xf0000000") && reason.contains("does not hold"), "{reason}");
    let wrong = Request::Memory { space: Space::Process { object: Hex(0x1234) }, address: Hex(0), length: 1 };
    assert_eq!(ask(&mut session, wrong).unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn physical_memory_and_translation_agree() {
    for release in [WIN10_X64, WIN7_X64, WIN11_X64, WIN11_ARM64] {
        let (machine, mut session) = machine(release, Store::BitmapFull);
        let translation = translate(&mut session, Space::Current, machine.marks.large);
        assert_eq!(translation.steps.len(), 3, "a large page ends at the PDE");
        assert_eq!(translation.page_size, Some(0x20_0000));
        let physical = translation.physical.unwrap().0;
        assert_eq!(bytes(&mut session, Space::Physical, physical), Ok(Marks::LARGE));
        let offset = translation.file_offset.unwrap().0 as usize;
        let file = machine.write(Store::BitmapFull);
        assert_eq!(file[offset..offset + 8], Marks::LARGE.to_le_bytes());
        let shared = translate(&mut session, Space::Current, machine.marks.prototype);
        assert_eq!(shared.steps.last().unwrap().level, "prototype PTE");
        assert!(shared.outcome.contains("shared"), "{}", shared.outcome);
        let paged = translate(&mut session, Space::Current, machine.marks.paged_out);
        assert!(paged.physical.is_none() && paged.outcome.contains("paging file 1"), "{}", paged.outcome);
        let absent = translate(&mut session, Space::Physical, 0xf000_0000);
        assert!(absent.file_offset.is_none() && absent.outcome.contains("does not hold"));
    }
}

#[test]
fn regions_are_listed_for_every_space() {
    let (machine, mut session) = machine(WIN10_X64, Store::BitmapKernel);
    let notepad = Space::Process { object: Hex(machine.process_objects[5]) };
    for (space, address) in [(Space::Current, machine.marks.large), (notepad, machine.marks.user)] {
        let (mut from, mut found) = (Some(Hex(0)), false);
        while let Some(start) = from {
            let Ok(Reply::Regions(part)) = ask(&mut session, Request::Regions { space, from: start, count: 3 }) else {
                panic!()
            };
            assert!(part.regions.len() <= 3);
            found |= part.regions.iter().any(|r| r.start.0 <= address && address - r.start.0 < r.length.0);
            assert!(part.next.is_none_or(|next| next > start), "it goes on");
            from = part.next;
        }
        assert!(found);
    }
    let Ok(Reply::Regions(part)) =
        ask(&mut session, Request::Regions { space: Space::Physical, from: Hex(0), count: 9 })
    else {
        panic!()
    };
    assert_eq!(part.regions[0].start, Hex(0x1a_0000));
}

#[test]
fn a_dump_without_physical_memory_says_so() {
    let mut session = open(dumplens_testkit::story::application_null_call()).unwrap();
    for request in [
        Request::Translate { space: Space::Current, address: Hex(0) },
        Request::Memory { space: Space::Physical, address: Hex(0), length: 4 },
    ] {
        let failure = ask(&mut session, request).unwrap_err();
        assert!(failure.kind == FailureKind::NotFound && failure.message.contains("no physical memory"));
    }
}

#[test]
fn raw_images_and_guest_cores_open_when_windows_is_in_them() {
    for (release, store) in
        [(WIN10_X64, Store::Raw), (WIN11_X64, Store::Elf), (WIN11_ARM64, Store::Elf), (WIN7_X64, Store::Raw)]
    {
        let machine = MachineSpec::small(release).build();
        let mut file = machine.write(store);
        file.resize(file.len().max(32 << 20), 0);
        let mut session = open(file).unwrap();
        let report = report(&mut session);
        assert_eq!((report.modules.len(), report.processes.len()), (6, 6));
        assert!(report.bugcheck.is_none() && report.dump.format.is_none());
        assert_eq!(report.dump.build, Some(release.build));
        assert!(report.notes.iter().any(|note| note.text.contains("running system")), "{:?}", report.notes);
    }
    let failure = open([0x9c; 64].repeat(0x4_0000)).unwrap_err();
    assert!(failure.message.contains("no page tables of Windows"), "{failure}");
}

#[test]
fn opening_reads_little_however_large_the_dump_claims_to_be() {
    let machine = MachineSpec::crowded(WIN10_X64, 200, 4).build();
    for store in [Store::BitmapKernel, Store::Full, Store::Range] {
        let file = Counting { source: machine.write(store), bytes: Cell::new(0) };
        let length = file.source.len() as u64;
        let file = Rc::new(file);
        let mut session = Session::open(file.clone(), None).unwrap();
        let Ok(Reply::Summary(summary)) = ask(&mut session, Request::Summary) else { panic!() };
        assert_eq!(summary.counts.modules, 6);
        assert_eq!(summary.counts.processes, None, "the list is read when it is asked for");
        assert!(file.bytes.get() < length / 4, "{store:?}: {} of {length} bytes", file.bytes.get());
    }
}

#[test]
fn long_lists_come_in_steps_and_a_cancelled_one_costs_nothing() {
    let machine = MachineSpec::crowded(WIN10_X64, 200, 4).build();
    let mut session = open(machine.write(Store::BitmapKernel)).unwrap();
    let mut job = Job::new(Request::Threads);
    let Step::Working(progress) = job.step(&mut session) else { panic!("206 processes take several steps") };
    assert_eq!((progress.phase.as_str(), progress.total), ("listing processes", 206));
    drop(job);
    let Ok(Reply::Threads(threads)) = ask(&mut session, Request::Threads) else { panic!() };
    assert_eq!(threads.len(), 11 + 800);
    assert_eq!(threads.iter().filter(|thread| thread.crashed).count(), 1);
    let Ok(Reply::Stack(stack)) =
        ask(&mut session, Request::Stack { of: StackOf::Thread { id: 0x1_0004 }, arguments: false })
    else {
        panic!()
    };
    assert!(!stack.stack.frames.is_empty() && stack.stack.context.contains("scheduler saved"));
}

#[test]
fn damage_is_reported_with_what_is_left() {
    let machine = MachineSpec::small(WIN10_X64).build();
    for store in Store::DUMPS {
        let file = machine.write(store);
        // The last third of the pages is cut off.
        let mut session = open(file[..file.len() * 2 / 3].to_vec()).unwrap();
        let cut = report(&mut session);
        assert!(cut.is_partial());
        assert!(cut.notes.iter().any(|note| note.text.contains("cut off")), "{store:?}: {:?}", cut.notes);
    }
    // Runs in the wrong order, and one that claims 2^60 pages.
    let mut file = machine.write(Store::Full);
    let swap: Vec<u8> = file[0x98..0xb8].to_vec();
    file[0x98..0xa8].copy_from_slice(&swap[16..]);
    file[0xa8..0xb8].copy_from_slice(&swap[..16]);
    assert!(report(&mut open(file.clone()).unwrap()).is_partial());
    file[0xa0..0xa8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    assert!(report(&mut open(file).unwrap()).is_partial());
    // A bitmap that claims more bits than there is room for.
    let mut file = machine.write(Store::BitmapKernel);
    file[0x2030..0x2038].copy_from_slice(&(1_u64 << 33).to_le_bytes());
    let claimed = report(&mut open(file).unwrap());
    assert!(claimed.notes.iter().any(|note| note.text.contains("page bitmap claims")), "{:?}", claimed.notes);
}

#[test]
fn the_paging_of_the_machine_is_told_apart() {
    for release in RELEASES {
        let (machine, mut session) = machine(release, Store::Full);
        let translation = translate(&mut session, Space::Current, machine.kernel_base);
        let expected = match release.paging {
            Paging::X86 => "x86, 2",
            Paging::Pae => "x86 PAE",
            Paging::X64 => "x64, 4",
            Paging::La57 => "x64, 5",
            Paging::Arm64 => "ARM64",
        };
        assert!(translation.mode.starts_with(expected), "{release:?}: {}", translation.mode);
    }
}
