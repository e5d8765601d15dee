//! Damaged and hostile files: each gets an answer, none gets a panic, and damage is not passed over in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{ask, open, real, report};
use dumplens_report::protocol::{Reply, Request};
use dumplens_testkit::{
    damage,
    machine::{MachineSpec, RELEASES, Store, WIN10_X64},
    story,
};

/// Opens and asks everything; whether the file was refused or its result partial.
fn survives(bytes: Vec<u8>) -> bool {
    let Ok(mut session) = open(bytes) else { return true };
    let report = report(&mut session);
    assert!(dumplens_report::to_json(&report).is_ok());
    if let Ok(Reply::Streams(streams)) = ask(&mut session, Request::Streams) {
        for index in 0..streams.len().min(64) {
            let _ = ask(&mut session, Request::StreamDetails { index: index as u32 });
        }
    }
    let _ = ask(
        &mut session,
        Request::Regions {
            space: dumplens_report::protocol::Space::Current,
            from: dumplens_report::Hex(0),
            count: 1000,
        },
    );
    report.is_partial()
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_said_to_be_partial() {
    for bytes in [story::driver_at_raised_irql(), story::application_null_call()] {
        // The last seven bytes may be padding that nobody misses.
        for (len, cut) in damage::truncations(&bytes, 400).filter(|(len, _)| *len + 8 <= bytes.len()) {
            assert!(survives(cut), "cut off at {len} without a word");
        }
    }
}

#[test]
fn real_files_cut_off_anywhere_are_refused_or_said_to_be_partial() {
    for name in ["kernel/triage_x64_0x1000007e_19041.dmp", "user/calc.dmp", "user/windows_x86_crash.dmp"] {
        let Some(bytes) = real(name) else { return };
        for (len, cut) in damage::truncations(&bytes, 40).filter(|(len, _)| *len + 8 <= bytes.len()) {
            assert!(survives(cut), "{name} cut off at {len} without a word");
        }
    }
}

#[test]
fn overwritten_fields_never_end_the_program() {
    for (seed, bytes) in [(1, story::driver_at_raised_irql()), (2, story::application_null_call())] {
        for (_, damaged) in damage::flips(&bytes, seed, 1500) {
            survives(damaged);
        }
    }
}

#[test]
fn files_made_to_break_readers_do_not() {
    for (name, bytes) in damage::hostile() {
        assert!(survives(bytes), "{name}: nothing was said");
    }
}

#[test]
fn kernel_dumps_cut_off_anywhere_are_refused_or_said_to_be_partial() {
    let machine = MachineSpec::small(WIN10_X64).build();
    for store in Store::DUMPS {
        let bytes = machine.write(store);
        for (len, cut) in damage::truncations(&bytes, 24).filter(|(len, _)| *len + 8 <= bytes.len()) {
            assert!(survives(cut), "{store:?} cut off at {len} without a word");
        }
    }
}

#[test]
fn overwritten_fields_of_kernel_dumps_never_end_the_program() {
    for (seed, release) in (11..).zip(RELEASES) {
        let machine = MachineSpec::small(release).build();
        for store in Store::DUMPS {
            if !release.is_64_bit() && matches!(store, Store::Range | Store::RangeCounted) {
                continue;
            }
            for (_, damaged) in damage::flips(&machine.write(store), seed, 24) {
                survives(damaged);
            }
        }
    }
}

#[test]
fn bits_that_turn_over_in_page_tables_and_lists_never_end_the_program() {
    let machine = MachineSpec::small(WIN10_X64).build();
    let bytes = machine.write(Store::Full);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..150 {
        let mut damaged = bytes.clone();
        // Tables, list entries and objects stand in the first megabytes; a dozen bits in each file.
        for _ in 0..12 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = 0x2000 + seed as usize % (bytes.len() - 0x2000);
            damaged[at] ^= 1 << (seed >> 60 & 7);
        }
        survives(damaged);
    }
}
