//! Seeds of the unwinder.

use dumplens_fuzz::{FUNCTIONS, IMAGE, STACK};

use super::nothing;

/// An input: flags, the places of `rip`, `rsp` and `rbp`, words and patches.
fn input(flags: u8, places: [u32; 3], words: &[u64], patches: &[u8]) -> Vec<u8> {
    let places = places.map(|place| (place as u16).to_le_bytes()).concat();
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    [&[flags, (words.len() / 8) as u8], &*places, &words, patches].concat()
}

/// Every function interrupted in its prologue, its body and its epilogue, on a stack of three more frames.
pub(super) fn unwind() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let returns = |begin: u64| IMAGE + begin + 0x50;
    for (index, (begin, frame)) in FUNCTIONS.into_iter().enumerate() {
        let below: Vec<u64> = (0..frame as u64).map(|word| STACK + 8 * word).collect();
        let callers = [returns(0x2000), 8, returns(0x1000), 1, 2, 3, 4, 0xbb, returns(0x3000), 0, 0];
        // What the processor pushes: rip, cs, flags, rsp, ss.
        let pushed = [returns(0x1000), 0x10, 0x246, STACK + 8 * (frame as u64 + 5), 0x18];
        let trap = matches!(begin, 0x4000 | 0x4200);
        let words = [&below[..], if trap { &pushed } else { &[] }, &callers].concat();
        for flags in [0b0000_1110, 0b0010_1000, 0b0001_0100, 0b0000_1101, 0b0110_1110] {
            seeds.push(input(flags, [begin + 0x50, 0, 0x20], &words, &[]));
        }
        for into in [0, 2, 5, 0x40, 0x60, 0xe0, 0xfa, 0xff] {
            seeds.push(input(0b0010_1110, [begin + into, 8 * frame as u32, 0x20], &words, &[]));
        }
        // The function's entry, all records, and its code.
        let entry = 12 * index as u32;
        for patches in [nothing((entry..entry + 12).step_by(4), 4), nothing((132..132 + 64).step_by(1), 1)] {
            seeds.push(input(0b0000_1110, [begin + 0x50, 0, 0x20], &words, &patches));
        }
        seeds.push(input(0b0000_1110, [begin + 0x50, 0, 0x20], &words, &nothing((196..196 + 64).step_by(1), 1)));
    }
    seeds
}
