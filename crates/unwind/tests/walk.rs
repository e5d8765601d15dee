//! What a walk finds on stacks laid out by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use dumplens_base::{Fault, Machine, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_unwind::{Bounds, FramePointers, MAX_FRAMES, Modules, Registers, Stop, Target, Trust, walk};
use proptest::prelude::*;

const STACK: u64 = 0x7000_0000;
const CODE: u64 = 0x1_4000_0000;

/// A stack of 64-bit words from [`STACK`] up, and code bytes from [`CODE`] up.
struct World {
    stack: Vec<u64>,
    code: Vec<u8>,
}

impl Memory for World {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        let stack: Vec<u8> = self.stack.iter().flat_map(|word| word.to_le_bytes()).collect();
        for (base, bytes) in [(STACK, &stack), (CODE, &self.code)] {
            let Some(start) = va.0.checked_sub(base).map(|start| start as usize) else { continue };
            if start < bytes.len() {
                let len = buf.len().min(bytes.len() - start);
                buf[..len].copy_from_slice(&bytes[start..start + len]);
                if len == buf.len() {
                    return ReadOutcome::complete(len);
                }
                let va = Va(va.0 + len as u64);
                return ReadOutcome {
                    filled: len,
                    fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }),
                };
            }
        }
        ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::MinidumpRanges }) }
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// One image of 1 MiB at [`CODE`], whose first page is its headers.
struct OneImage;

impl Modules for OneImage {
    fn target(&self, address: Va) -> Target {
        if (CODE + 0x1000..CODE + 0x10_0000).contains(&address.0) { Target::Code } else { Target::Nothing }
    }
}

fn x64(ip: u64, sp: u64, fp: u64) -> Registers {
    Registers { machine: Machine::X64, ip: Va(ip), sp: Va(sp), fp: Va(fp), lr: None }
}

fn bounds(words: usize) -> Option<Bounds> {
    Some(Bounds { limit: Va(STACK), base: Va(STACK + 8 * words as u64) })
}

fn found(stack: &dumplens_unwind::Stack) -> Vec<(u64, Trust)> {
    stack.frames.iter().map(|frame| (frame.ip.0.wrapping_sub(CODE), frame.trust)).collect()
}

#[test]
fn a_scan_finds_return_addresses_and_skips_what_cannot_be_one() {
    let stack = vec![0, CODE + 0x10, 0xdead, CODE + 0x2000, STACK + 8, CODE + 0x3000, 7];
    let world = World { stack, code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, 0), bounds(7), FramePointers::Never);
    assert_eq!(found(&stack), [(0x1500, Trust::Context), (0x2000, Trust::Scan), (0x3000, Trust::Scan)]);
    assert_eq!(stack.stop, Stop::NoReturnAddress);
}

#[test]
fn a_word_that_follows_no_call_is_not_a_frame_when_the_code_is_known() {
    let mut code = vec![0x90; 0x3000];
    code[0x2000 - 5] = 0xe8;
    let world = World { stack: vec![CODE + 0x1800, CODE + 0x2000], code };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, 0), bounds(2), FramePointers::Never);
    assert_eq!(found(&stack), [(0x1500, Trust::Context), (0x2000, Trust::Scan)]);
}

#[test]
fn kept_frame_pointers_are_followed_past_other_return_addresses() {
    let stack = vec![CODE + 0x9000, STACK + 0x20, CODE + 0x2000, CODE + 0x9000, 0, CODE + 0x3000];
    let world = World { stack, code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, STACK + 8), bounds(6), FramePointers::Kept);
    let expected = [(0x1500, Trust::Context), (0x2000, Trust::FramePointer), (0x3000, Trust::FramePointer)];
    assert_eq!(found(&stack), expected);
    assert_eq!(stack.stop, Stop::EndOfStack);
}

#[test]
fn a_doubtful_frame_pointer_needs_its_next_link() {
    // The register points at a pair that looks right, but what it saves leads nowhere.
    let stack = vec![CODE + 0x8000, STACK + 0x18, CODE + 0x2000, 5, 6];
    let world = World { stack, code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, STACK + 8), bounds(5), FramePointers::Doubtful);
    let expected = [(0x1500, Trust::Context), (0x8000, Trust::Scan), (0x2000, Trust::Scan)];
    assert_eq!(found(&stack), expected);
}

#[test]
fn after_a_call_to_nowhere_the_top_of_the_stack_is_the_caller() {
    let stack = vec![CODE + 0x2000, STACK + 0x18, CODE + 0x3000, 0, CODE + 0x4000];
    let world = World { stack, code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(0, STACK, STACK + 8), bounds(5), FramePointers::Doubtful);
    let expected = [
        (0_u64.wrapping_sub(CODE), Trust::Context),
        (0x2000, Trust::Scan),
        (0x3000, Trust::FramePointer),
        (0x4000, Trust::FramePointer),
    ];
    assert_eq!(found(&stack), expected);
}

#[test]
fn on_arm64_the_link_register_knows_the_caller_of_a_call_to_nowhere() {
    let world = World { stack: vec![0, CODE + 0x3000], code: Vec::new() };
    let registers =
        Registers { machine: Machine::Arm64, ip: Va(0), sp: Va(STACK), fp: Va(STACK), lr: Some(Va(CODE + 0x2000)) };
    let stack = walk(&world, &OneImage, registers, bounds(2), FramePointers::Kept);
    assert_eq!(found(&stack)[1..], [(0x2000, Trust::Scan), (0x3000, Trust::FramePointer)]);
}

#[test]
fn a_stack_that_is_not_in_the_dump_says_so() {
    let world = World { stack: Vec::new(), code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, 0), bounds(100), FramePointers::Never);
    assert!(matches!(stack.stop, Stop::Unreadable(Fault::NotInDump { va: Va(STACK), .. })));
}

#[test]
fn endless_recursion_ends_at_the_frame_limit() {
    let world = World { stack: vec![CODE + 0x2000; 4 * MAX_FRAMES], code: Vec::new() };
    let stack = walk(&world, &OneImage, x64(CODE + 0x1500, STACK, 0), None, FramePointers::Never);
    assert_eq!((stack.frames.len(), stack.stop), (MAX_FRAMES, Stop::FrameLimit));
}

proptest! {
    #[test]
    fn any_stack_ends_and_moves_upwards(
        words in proptest::collection::vec(prop_oneof![
            any::<u64>(), (0_u64..0x11_0000).prop_map(|o| CODE + o), (0_u64..0x400).prop_map(|o| STACK + o)
        ], 0..120),
        sp in prop_oneof![any::<u64>(), (0_u64..0x400).prop_map(|o| STACK + o)],
        fp in prop_oneof![any::<u64>(), (0_u64..0x400).prop_map(|o| STACK + o)],
        bounded in any::<bool>(),
        kept in 0..3,
    ) {
        let bounds = bounded.then(|| bounds(words.len()).unwrap());
        let policy = [FramePointers::Kept, FramePointers::Doubtful, FramePointers::Never][kept as usize];
        let stack = walk(&World { stack: words, code: Vec::new() }, &OneImage, x64(CODE + 0x1500, sp, fp), bounds, policy);
        prop_assert!(stack.frames.len() <= MAX_FRAMES);
        for pair in stack.frames.windows(2) {
            prop_assert!(pair[1].sp > pair[0].sp);
        }
    }
}
