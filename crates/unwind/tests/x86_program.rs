//! Programs of frame data: what each operator does, what is refused, and that nothing runs away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::Cell;

use dumplens_base::{Fault, Searched, Va};
use dumplens_unwind::x86::{MAX_STACK, ProgramError, Register, Results, Variables, run};
use proptest::prelude::*;

/// A frame whose registers are known but for `edi`; the word at an address is that address plus one.
#[derive(Default)]
struct Frame {
    reads: Cell<usize>,
    searches: Cell<usize>,
}

impl Variables for Frame {
    fn register(&self, register: Register) -> Option<u32> {
        (register != Register::EDI).then(|| 0x100 * u32::from(register.number()))
    }

    fn eip(&self) -> u32 {
        0xe1b
    }

    fn sizes(&self) -> [u32; 3] {
        [24, 8, 12]
    }

    fn search(&self) -> Result<u32, ProgramError> {
        self.searches.set(self.searches.get() + 1);
        Ok(0x5000)
    }

    fn search_from_top(&self) -> Result<u32, ProgramError> {
        self.searches.set(self.searches.get() + 1);
        Ok(0x4000)
    }

    fn read(&self, address: u32) -> Result<u32, Fault> {
        self.reads.set(self.reads.get() + 1);
        let va = Va(address.into());
        if address < 0xffff_0000 {
            Ok(address + 1)
        } else {
            Err(Fault::NotInDump { va, searched: Searched::MinidumpRanges })
        }
    }
}

/// What `$eip` is after a program, which is given a stack pointer.
fn eip(program: &str) -> Result<u32, ProgramError> {
    run(&format!("$esp 0 = {program}"), &Frame::default()).map(|results| results.eip.unwrap())
}

#[test]
fn every_operator_does_what_it_stands_for() {
    for (program, value) in [
        ("$eip 7 3 + =", 10),
        ("$eip 7 3 - =", 4),
        ("$eip 3 7 - =", 0_u32.wrapping_sub(4)),
        ("$eip 7 3 * =", 21),
        ("$eip 7 3 / =", 2),
        ("$eip 7 3 % =", 1),
        ("$eip 79 16 @ =", 64),
        ("$eip 64 ^ =", 65),
        ("$eip 0x40 -1 + =", 63),
        ("$eip 4294967295 =", u32::MAX),
        ("$eip .raSearch =", 0x5000),
        ("$eip .raSearchStart =", 0x4000),
        ("$eip .cbLocals 10000 * .cbParams 100 * + .cbSavedRegs + =", 240_812),
        ("$T15 5 = $eip $T15 $T15 * =", 25),
        // The callee's own values, by name and by CodeView's number.
        ("$eip $eip 1 + =", 0xe1c),
        ("$eip $ebp $22 + $esp - =", 0xa00),
        ("$33 $23 =", 0x600),
        // What was assigned counts from then on.
        ("$ebp 9 = $eip $ebp =", 9),
        // Visual C++ forgets blanks.
        ("$T0 $ebp 204 + =$eip $T0 4 + ^ =", 0x500 + 204 + 5),
    ] {
        assert_eq!(eip(program), Ok(value), "{program}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    use ProgramError::{Arithmetic, Assignment, NoCaller, Operands, TooDeep, Unknown, Word};
    for (program, error) in [
        ("", NoCaller),
        ("$eip 1 =", NoCaller),
        ("$esp 1 =", NoCaller),
        ("+", Operands { at: 0 }),
        ("1 +", Operands { at: 2 }),
        ("^", Operands { at: 0 }),
        ("1 =", Operands { at: 2 }),
        ("1 2 =", Assignment { at: 4 }),
        (".raSearch 2 =", Assignment { at: 12 }),
        ("$eip 1 0 / =", Arithmetic { at: 9 }),
        ("$eip 1 0 % =", Arithmetic { at: 9 }),
        ("$eip 1 12 @ =", Arithmetic { at: 10 }),
        ("$eip 1 0 @ =", Arithmetic { at: 9 }),
        ("$eip $T3 =", Unknown { at: 9, register: None }),
        ("$eip $edi =", Unknown { at: 10, register: Some(Register::EDI) }),
        ("$T16", Word { at: 0 }),
        ("$25", Word { at: 0 }),
        ("1 .raLook", Word { at: 2 }),
        ("4294967296", Word { at: 0 }),
        ("$eip 1é =", Word { at: 5 }),
    ] {
        assert_eq!(run(program, &Frame::default()), Err(error), "{program}");
    }
    assert_eq!(run(&"1 ".repeat(MAX_STACK + 1), &Frame::default()), Err(TooDeep { at: 2 * MAX_STACK }));
    let fault = run("$eip -4 ^ =", &Frame::default()).unwrap_err();
    assert!(matches!(fault, ProgramError::Memory(Fault::NotInDump { va: Va(0xffff_fffc), .. })), "{fault}");
}

#[test]
fn a_register_that_cannot_be_read_does_not_take_the_caller_with_it() {
    let results = run("$eip 1 = $esp 2 = $20 3 = $23 -4 ^ = $24 5 =", &Frame::default()).unwrap();
    assert_eq!((results.eip, results.registers[4], results.registers[3]), (Some(1), Some(2), Some(3)));
    assert_eq!((results.registers[6], results.registers[7]), (None, None));
    assert!(matches!(results.cut, Some(ProgramError::Memory(_))));
}

fn word() -> impl Strategy<Value = String> {
    const FIXED: [&str; 27] = [
        "+",
        "-",
        "*",
        "/",
        "%",
        "@",
        "^",
        "=",
        "$eip",
        "$esp",
        "$ebp",
        "$T0",
        "$T1",
        "$T15",
        "$20",
        "$33",
        ".raSearch",
        ".raSearchStart",
        ".cbLocals",
        ".cbParams",
        ".cbSavedRegs",
        "0",
        "4",
        "8",
        "=$eip",
        "4294967295",
        "-1",
    ];
    prop_oneof![8 => proptest::sample::select(&FIXED[..]).prop_map(String::from), 1 => "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn any_program_ends_and_does_no_more_than_it_says(words in proptest::collection::vec(word(), 0..200), gap in "[ \t]?") {
        let program = words.join(if gap.is_empty() { " " } else { &gap });
        let frame = Frame::default();
        let result = run(&program, &frame);
        prop_assert!(frame.reads.get() <= program.matches('^').count());
        prop_assert!(frame.searches.get() <= program.matches(".raSearch").count());
        prop_assert_eq!(run(&program, &frame), result);
        match result {
            Ok(Results { eip, registers, cut }) => {
                prop_assert!(eip.is_some() && registers[4].is_some());
                prop_assert!(cut.is_none_or(|cut| !cut.to_string().is_empty()));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
