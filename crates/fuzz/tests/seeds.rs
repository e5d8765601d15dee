//! Every target takes its seeds, whole and a little damaged: what `cargo test` does where no libFuzzer is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../seeds/mod.rs"]
mod seeds;

use dumplens_testkit::damage;

/// Most bytes of a seed: what is larger is slow to mutate.
const MOST: usize = 64 << 10;

fn take(name: &str) {
    let (_, target) = dumplens_fuzz::TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    for (number, seed) in seeds::of(name).into_iter().enumerate() {
        assert!(!seed.is_empty() && seed.len() <= MOST, "seed {number} of {name} has {} bytes", seed.len());
        target(&seed);
        for (_, damaged) in damage::flips(&seed, 0x5eed + number as u64, 4) {
            target(&damaged);
        }
    }
    target(&[]);
}

#[test]
fn minidump() {
    take("minidump");
}

#[test]
fn kernel_dump() {
    take("kernel_dump");
}

#[test]
fn translate() {
    take("translate");
}

#[test]
fn kernel_objects() {
    take("kernel_objects");
}

#[test]
fn image() {
    take("image");
}

#[test]
fn archive() {
    take("archive");
}

#[test]
fn pdb() {
    take("pdb");
}

#[test]
fn isf() {
    take("isf");
}

#[test]
fn unwind() {
    take("unwind");
}

#[test]
fn unwind_x86() {
    take("unwind_x86");
}

#[test]
fn patches_come_back_from_an_input_as_they_went_in() {
    use dumplens_fuzz::{Op, Patch};
    let patch = Patch { op: Op::Copy, width: 4, listed: false, place: 0x12_3456, value: 0x0123_4567_89ab_cdef };
    assert_eq!(Patch::all(&patch.bytes()).collect::<Vec<_>>(), [patch]);
}

#[test]
fn a_target_gets_no_more_memory_than_its_budget() {
    use dumplens_fuzz::budget;
    let reserve = |mib: usize| Vec::<u8>::new().try_reserve_exact(mib << 20).is_ok();
    assert_eq!(budget::within(4, || [reserve(3), reserve(5), reserve(1 << 14)]), [true, false, false]);
    assert!(reserve(5), "the budget ends with the work");
    // Many small pieces count as one large.
    let pieces = budget::within(4, || {
        (0..8)
            .map_while(|_| {
                let mut piece = Vec::<u8>::new();
                piece.try_reserve_exact(1 << 20).ok().map(|()| piece)
            })
            .collect::<Vec<_>>()
            .len()
    });
    assert_eq!(pieces, 3);
}

#[test]
fn a_machine_without_patches_is_read_as_far_as_its_threads() {
    for number in 0..dumplens_fuzz::KERNELS {
        let places = dumplens_fuzz::places(number);
        assert!(places > 500, "machine {number}: only {places} places are read");
    }
}
