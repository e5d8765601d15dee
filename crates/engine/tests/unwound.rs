//! Stacks of minidumps that hold the code of their images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::rc::Rc;

use common::{ask, open, real, report};
use dumplens_image::{Image, ImageBytes};
use dumplens_report::{
    model::{Stack, Trust},
    protocol::{Reply, Request, StackOf},
};
use dumplens_testkit::{
    context::{Arch, Registers, context, exception_record},
    minidump::{MinidumpBuilder, TestModule, TestThread},
};

const BASE: u64 = 0x7ff6_5000_0000;
const STACK: u64 = 0x14_f000;

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A dump of a program that stands at `ip`, with this memory beside its stack.
fn dump(ip: u64, stack: &[u64], modules: &[TestModule], memory: &[(u64, Vec<u8>)], tables: &[u8]) -> Stack {
    let registers = context(Arch::X64, Registers { ip, sp: STACK, ..Registers::default() });
    let mut dump = MinidumpBuilder::new(1_700_000_000, 2);
    dump.system_info(9, 2, (10, 0, 19045), 4).modules(modules);
    let thread = TestThread { id: 7, name: None, stack_at: STACK, stack: words(stack), context: registers.clone() };
    dump.threads(&[thread]).exception(7, &exception_record(0xc000_0005, ip, &[0, 0]), &registers);
    let mut memory = memory.to_vec();
    memory.push((STACK, words(stack)));
    dump.memory(&memory);
    if !tables.is_empty() {
        dump.stream(13, tables);
    }
    let mut session = open(dump.build()).unwrap();
    let Reply::Stack(found) =
        ask(&mut session, Request::Stack { of: StackOf::Thread { id: 7 }, arguments: false }).unwrap()
    else {
        panic!()
    };
    assert_eq!(found.stack.frames, report(&mut session).stack.unwrap().frames, "the report tells the same");
    found.stack
}

fn frames(stack: &Stack) -> Vec<(u64, Trust, Option<&str>)> {
    let row =
        |frame: &dumplens_report::model::Frame| (frame.address.0.wrapping_sub(BASE), frame.trust, frame.note.clone());
    let rows = stack.frames.iter().map(row);
    rows.map(|(address, trust, note)| (address, trust, note.map(|note| &*note.leak()))).collect()
}

#[test]
fn images_in_memory_lend_their_unwind_data() {
    let Some(bytes) = real("pe-pdb/seh/x64/xcpt4.exe") else { return };
    let image = Image::file(Rc::new(bytes)).unwrap();
    let mut mapped = vec![0; image.headers().size_of_image as usize];
    for start in (0..mapped.len()).step_by(0x200) {
        let _ = image.read_prefix(start as u32, &mut mapped[start..][..0x200]);
    }
    let module = TestModule {
        base: BASE,
        size: image.headers().size_of_image,
        path: "C:\\seh\\xcpt4.exe".into(),
        timestamp: image.headers().timestamp,
        version: None,
        codeview: Vec::new(),
    };
    // The function at 0x1010 has 0x30 bytes and rdi, the one at 0x1060 0x20 bytes and rbx; it calls the first.
    let (one, two) = (BASE + 0x1044, BASE + 0x1099);
    let mut stack = vec![one, 2, 3, 4, 5, two, 0xd1, two];
    stack.extend([one, two, 3, 4, 0xbb, 0]);
    let memory = [(BASE, mapped)];
    let walked = dump(BASE + 0x1044, &stack, std::slice::from_ref(&module), &memory, &[]);
    assert_eq!(frames(&walked), [(0x1044, Trust::Context, None), (0x1099, Trust::Unwind, None)]);
    assert_eq!((walked.stop.as_str(), &walked.warnings[..]), ("The stack ends here.", &[][..]));

    // The two call each other forty times.
    let mut stack = Vec::new();
    for _ in 0..40 {
        stack.extend([1, 2, 3, 4, 5, 6, 0xd1, two, 1, 2, 3, 4, 0xbb, one]);
    }
    let len = stack.len();
    stack[len - 1] = 0;
    let walked = dump(BASE + 0x1044, &stack, &[module], &memory, &[]);
    let note = Some("the last 2 frames stand here 39 times");
    let expected = [
        (0x1044, Trust::Context, None),
        (0x1099, Trust::Unwind, None),
        (0x1044, Trust::Unwind, note),
        (0x1099, Trust::Unwind, None),
    ];
    assert_eq!(frames(&walked), expected);
}

#[test]
fn generated_code_is_unwound_by_its_dynamic_table() {
    // Code at BASE + 0x100, unwind data (sub rsp, 8) at BASE + 0x1000.
    let mut code = vec![0x90; 0x1000];
    code.extend([1, 4, 1, 0, 4, 2, 0, 0]);
    code[0x200 - 5] = 0xe8;
    let stack = [BASE + 0x150, BASE + 0x200, 1, 0];
    let mut tables: Vec<u8> = [24_u32, 32, 8, 12, 1, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    tables.extend(words(&[BASE, BASE + 0x1000, BASE, 1]));
    tables.extend([0; 8]);
    tables.extend([0x100_u32, 0x300, 0x1000].iter().flat_map(|word| word.to_le_bytes()));
    let walked = dump(BASE + 0x120, &stack, &[], &[(BASE, code)], &tables);
    let found: Vec<_> = walked.frames.iter().map(|frame| (frame.address.0 - BASE, frame.trust)).collect();
    assert_eq!(found, [(0x120, Trust::Context), (0x200, Trust::Unwind)]);
    assert_eq!(walked.stop, "The stack ends here.");
}
