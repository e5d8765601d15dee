//! Stacks of a machine's threads: those that wait, those that ran, their parts in user mode, and those that are gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{ask, open};
use dumplens_engine::Session;
use dumplens_report::{
    Hex,
    model::{Frame, Trust},
    protocol::{FailureKind, Reply, Request, StackOf, ThreadStack},
};
use dumplens_testkit::machine::{Machine, MachineSpec, RELEASES, Store, WIN7_PAE, WIN10_X64};

fn session(machine: &Machine) -> Session {
    open(machine.write(Store::BitmapFull)).unwrap()
}

fn stack(session: &mut Session, of: StackOf) -> ThreadStack {
    match ask(session, Request::Stack { of, arguments: false }) {
        Ok(Reply::Stack(stack)) => stack,
        other => panic!("{of:?}: {other:?}"),
    }
}

fn addresses(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.address.0).collect()
}

#[test]
fn waiting_threads_have_the_stacks_that_they_were_given() {
    for release in RELEASES {
        let machine = MachineSpec::small(release).build();
        let mut session = session(&machine);
        let waiting = machine.stacks.iter().filter(|stack| ![8, 12].contains(&stack.thread));
        let mut seen = 0;
        for expected in waiting {
            let what = format!("{release:?}, thread {}", expected.thread);
            let found = stack(&mut session, StackOf::Thread { id: expected.thread });
            let all: Vec<u64> = match expected.is_paged_out {
                true => expected.user.clone(),
                false => [&expected.kernel[..], &expected.user, &expected.narrow].concat(),
            };
            if expected.is_paged_out {
                assert!(found.context.is_none(), "{what}");
                assert!(found.stack.stop.contains("paging file 1") || !all.is_empty(), "{what}: {}", found.stack.stop);
                continue;
            }
            assert_eq!(addresses(&found.stack.frames), all, "{what}: {:#?}", found.stack);
            seen += 1;
        }
        assert_eq!(seen, 8, "{release:?}");
    }
}

#[test]
fn each_part_says_how_it_was_found_and_names_its_images() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = session(&machine);
    let found = stack(&mut session, StackOf::Thread { id: 3124 });
    let rows: Vec<_> = found.stack.frames.iter().map(|frame| (frame.module.as_deref().unwrap(), frame.trust)).collect();
    // The machine frame under the system call leads to user mode: no guess is needed.
    let [context, unwind] = [Trust::Context, Trust::Unwind];
    assert_eq!(rows, [("nt", context), ("nt", unwind), ("nt", unwind), ("ntdll", unwind), ("explorer", unwind)]);
    assert!(found.stack.context.contains("scheduler saved"), "{}", found.stack.context);
    let border = found.stack.frames[3].note.as_deref().unwrap();
    assert!(border.starts_with("user mode from here on"), "{border}");
    assert_eq!(found.stack.stop, "The stack ends here.");
    assert_eq!(found.stack.warnings, [""; 0]);
    assert_eq!(found.context.unwrap().registers.0.iter().find(|(name, _)| name == "rbp").unwrap().1, Hex(0x5050));
}

#[test]
fn a_32_bit_program_shows_both_of_its_stacks() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = session(&machine);
    let found = stack(&mut session, StackOf::Thread { id: 4820 });
    let modules: Vec<_> = found.stack.frames.iter().map(|frame| frame.module.as_deref().unwrap()).collect();
    assert_eq!(modules, ["nt", "nt", "nt", "ntdll", "wow64", "ntdll", "notepad"]);
    let narrow = &found.stack.frames[5];
    assert!(narrow.note.as_deref().unwrap().starts_with("32-bit code (WOW64) from here on"), "{narrow:?}");
    assert_eq!((narrow.trust, found.stack.frames[6].trust), (Trust::Context, Trust::FramePointer));
}

#[test]
fn a_paged_out_stack_is_said_to_be_with_the_reason() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = session(&machine);
    let found = stack(&mut session, StackOf::Thread { id: 3132 });
    assert!(found.context.is_none() && found.stack.frames.is_empty());
    // Its trap frame is on that stack too: nothing is known of user mode either.
    assert!(
        found.stack.stop.contains("not resident") && found.stack.stop.contains("paging file 1"),
        "{}",
        found.stack.stop
    );
}

#[test]
fn processors_threads_by_object_and_saved_registers_can_be_asked_for() {
    for release in RELEASES {
        let machine = MachineSpec::small(release).build();
        let mut session = session(&machine);
        let second = stack(&mut session, StackOf::Processor { number: 1 });
        assert_eq!(second.stack.frames[0].address.0, machine.registers.ip + 1, "{release:?}");
        assert_eq!(second.stack.thread, Some(12));
        let (id, object) = machine.threads[2];
        let by_object = stack(&mut session, StackOf::ThreadObject { object: Hex(object) });
        assert_eq!(by_object, stack(&mut session, StackOf::Thread { id }));
        let none = ask(&mut session, Request::Stack { of: StackOf::Processor { number: 7 }, arguments: false });
        assert_eq!(none.unwrap_err().kind, FailureKind::NotFound);
        let nothing = StackOf::ThreadObject { object: Hex(machine.kernel_base) };
        assert!(ask(&mut session, Request::Stack { of: nothing, arguments: false }).is_err(), "{release:?}");
    }
}

#[test]
fn a_trap_frame_at_an_address_gives_the_stack_it_interrupted() {
    for release in [WIN10_X64, WIN7_PAE] {
        let machine = MachineSpec::small(release).build();
        let mut session = session(&machine);
        let Ok(Reply::Contexts(choices)) = ask(&mut session, Request::Contexts) else { panic!() };
        let of: Vec<_> = choices.iter().map(|choice| choice.of).collect();
        assert_eq!(of, [StackOf::Crash, StackOf::Processor { number: 0 }, StackOf::Processor { number: 1 }]);
        assert!(choices[0].location.as_deref().unwrap().starts_with("glasswing"), "{choices:?}");
        // The frame that thread 16 of System would have had is empty: it leads nowhere, and says so.
        let nowhere = StackOf::TrapFrame { address: Hex(0x1000) };
        let failure = ask(&mut session, Request::Stack { of: nowhere, arguments: false }).unwrap_err();
        assert!(failure.message.contains("no trap frame at 0x1000"), "{}", failure.message);
    }
}

#[test]
fn arguments_are_told_when_they_are_asked_for() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let mut session = session(&machine);
    let of = StackOf::Thread { id: 16 };
    let Ok(Reply::Stack(plain)) = ask(&mut session, Request::Stack { of, arguments: false }) else { panic!() };
    let Ok(Reply::Stack(full)) = ask(&mut session, Request::Stack { of, arguments: true }) else { panic!() };
    assert!(plain.stack.frames.iter().all(|frame| frame.arguments.is_empty()));
    assert_eq!(full.stack.frames[0].arguments.len(), 4);
    assert_eq!(addresses(&plain.stack.frames), addresses(&full.stack.frames));
}

#[test]
fn threads_with_the_same_stack_are_shown_together() {
    let spec = MachineSpec::crowded(WIN10_X64, 10, 20);
    let machine = spec.build();
    let mut session = session(&machine);
    let Ok(Reply::Stacks(groups)) = ask(&mut session, Request::Stacks) else { panic!() };
    let threads: usize = groups.iter().map(|group| group.threads.len()).sum();
    assert_eq!(threads, machine.stacks.len());
    // Those of the crowd came from no user mode, like the system thread.
    assert_eq!(
        groups[0].threads.len(),
        201,
        "{:?}",
        groups.iter().map(|group| group.threads.len()).collect::<Vec<_>>()
    );
}
