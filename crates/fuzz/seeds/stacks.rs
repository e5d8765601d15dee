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

/// An x86 stack with a record of each kind for the function that was interrupted and for its caller.
pub(super) fn unwind_x86() -> Vec<Vec<u8>> {
    const STACK: u32 = 0x0012_0000;
    const CODE: u32 = 0x0040_0000;
    let programs = [
        "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =  $20 $T0 4 - ^ =",
        "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + =  $23 $T0 80 - ^ =",
        "$T1 .raSearch = $T0  $T1 4 - 8 @ = $ebp $T1 4 - ^ = $eip $T1 ^ = $esp $T1 4 + =",
        "$T0 $ebp = $T2 $esp = $T1 .raSearchStart = $eip $T1 ^ = $ebp $T0 = $esp $T1 4 + =",
        "$T0 $ebp 20 + =$eip $T0 .cbLocals * .cbParams / .cbSavedRegs % ^ =$esp 4 =",
        "",
    ];
    // Saved ebp and return address twice, an exception record, and the end.
    let stack = [1, 2, STACK + 20, CODE + 0x1150, 3, STACK + 36, CODE + 0x1050, u32::MAX, CODE + 0x9000, 0, 0, 0];
    let stack: Vec<u8> = stack.iter().flat_map(|word| word.to_le_bytes()).collect();
    // push ebp; mov ebp, esp; sub esp, 8; push esi; pop esi; leave; ret
    let mut code = vec![0x55, 0x8b, 0xec, 0x83, 0xec, 8, 0x56, 0x5e, 0xc9, 0xc3];
    code.resize(32, 0x90);
    let record = |start: u16, kind: u8, program: &str| {
        let sizes = [2, 8, 4, 6, kind, program.len() as u8, 0, 0];
        [&start.to_le_bytes()[..], &0x100_u16.to_le_bytes(), &sizes, program.as_bytes()].concat()
    };
    let mut seeds = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        for (kind, into) in [(1, 0), (1, 1), (1, 8), (0, 0x50), (4, 0x50), (5, 0x50), (6, 0x50), (0x17, 0x50)] {
            let places = [0x1000 + into, 0, 8].map(u16::to_le_bytes).concat();
            let flags = if number % 2 == 0 { 0b0000_0110 } else { 0b0001_0011 };
            let frames = [record(0x1000, kind, program), record(0x1100, 0, programs[1])].concat();
            seeds.push(
                [&[flags, (stack.len() / 4) as u8, (code.len() / 16) as u8], &*places, &stack, &code, &frames].concat(),
            );
        }
    }
    seeds
}
