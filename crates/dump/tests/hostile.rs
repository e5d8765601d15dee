//! Whatever the bytes, opening a file and asking it for everything ends, without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::rc::Rc;

use dumplens_base::{Memory, Pa, PhysMemory, Va};
use dumplens_dump::{
    Context, Dump, PageStore,
    minidump::{Minidump, StreamType},
    open,
};
use proptest::prelude::*;

/// Asks for everything; panics are the failure.
fn exhaust(bytes: Vec<u8>) {
    let mut notes = Vec::new();
    match open(Rc::new(bytes)) {
        Ok(Dump::Minidump(dump)) => exhaust_minidump(&dump),
        Ok(Dump::Kernel(dump)) => {
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
                walk(&triage.memory(&mut notes));
            }
            if let Some(store) = dump.physical(&mut notes) {
                walk_pages(&store);
            }
        }
        Ok(Dump::Physical(image, _)) => walk_pages(&image.physical(&mut notes)),
        Err(_) => {}
    }
}

/// Reads around the edges of the first runs.
fn walk_pages(store: &PageStore) {
    let mut at = Pa(0);
    for _ in 0..64 {
        let Some(run) = store.next_run(at) else { break };
        assert!(run.len > 0 && run.start >= at, "runs go forward");
        let mut buf = [0; 0x1800];
        for start in [run.start.0, run.start.0 + run.len / 2, (run.start.0 + run.len).saturating_sub(0x800)] {
            let outcome = store.read(Pa(start), &mut buf);
            assert_eq!(outcome.fault.is_none(), outcome.filled == buf.len());
        }
        let Some(next) = run.start.checked_add(run.len) else { break };
        at = next;
    }
}

fn exhaust_minidump(dump: &Minidump) {
    let mut notes = Vec::new();
    let threads = dump.threads(&mut notes);
    walk(&dump.memory(&threads, &mut notes));
    for thread in &threads {
        dump.context_at(thread.context, &mut notes);
    }
    dump.exception(&mut notes);
    dump.modules(&mut notes);
    dump.unloaded_modules(&mut notes);
    dump.thread_names(&mut notes);
    dump.thread_info(&mut notes);
    dump.misc_info(&mut notes);
    dump.handles(100, &mut notes);
    dump.memory_info(100, &mut notes);
    dump.tokens(&mut notes);
    dump.function_tables(&mut notes);
    dump.system_memory_info(&mut notes);
    dump.vm_counters(&mut notes);
    dump.crashpad_info(&mut notes);
    dump.breakpad_info(&mut notes);
    dump.breakpad_assertion(&mut notes);
    dump.text(StreamType::CommentA, &mut notes);
}

fn walk(memory: &dyn Memory) {
    let mut at = Va(0);
    for _ in 0..1000 {
        let Some(region) = memory.next_region(at) else { break };
        let mut buf = [0; 64];
        memory.read(region.start, &mut buf);
        let next = Va(region.start.0.saturating_add(region.len));
        assert!(next > at, "regions go upwards");
        at = next;
    }
}

/// A directory of streams of documented types that lie anywhere, over arbitrary bytes.
fn minidump() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![3_u32..25, 0x4767_0001_u32..0x4767_000b, Just(0x4350_0001_u32)];
    let stream = (kinds, 0_u32..600, 0_u32..700);
    (proptest::collection::vec(stream, 1..20), proptest::collection::vec(any::<u8>(), 0..600)).prop_map(
        |(streams, rest)| {
            let mut bytes = b"MDMP\x93\xa7\0\0".to_vec();
            bytes.extend((streams.len() as u32).to_le_bytes());
            bytes.extend(0x20_u32.to_le_bytes());
            bytes.resize(0x20, 0);
            for (kind, size, offset) in streams {
                for value in [kind, size, offset] {
                    bytes.extend(value.to_le_bytes());
                }
            }
            bytes.extend(rest);
            bytes
        },
    )
}

/// A small dump whose own header is arbitrary numbers, most of them small enough to hit something.
fn triage() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![any::<u32>(), 0_u32..0x3000];
    (proptest::collection::vec(word, 0x20), proptest::collection::vec(any::<u8>(), 0..0x1000)).prop_map(
        |(words, rest)| {
            let mut bytes = b"PAGEDU64".to_vec();
            bytes.resize(0x2000, 0x50);
            bytes[0x30..0x34].copy_from_slice(&0x8664_u32.to_le_bytes());
            bytes[0xf98..0xf9c].copy_from_slice(&4_u32.to_le_bytes());
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            bytes.extend(rest);
            bytes
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        exhaust(bytes);
    }

    #[test]
    fn arbitrary_minidumps_end(bytes in minidump()) {
        exhaust(bytes);
    }

    #[test]
    fn arbitrary_small_dumps_end(bytes in triage()) {
        exhaust(bytes);
    }

    #[test]
    fn arbitrary_contexts_end(bytes in proptest::collection::vec(any::<u8>(), 0..1400), number in any::<u16>()) {
        let machine = dumplens_base::Machine::from_image_file_machine(number);
        for machine in [machine, dumplens_base::Machine::X86, dumplens_base::Machine::X64, dumplens_base::Machine::Arm64] {
            if let Ok(context) = Context::parse(machine, &bytes, 0) {
                let _ = context.registers();
            }
            let _ = Context::from_trap_frame(machine, 9_600, &bytes, 0);
        }
    }
}
