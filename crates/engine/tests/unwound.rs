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
    let thread =
        TestThread { teb: 0, id: 7, name: None, stack_at: STACK, stack: words(stack), context: registers.clone() };
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

/// A 64-bit dump of a 32-bit program: the processor ran 64-bit code, or 32-bit code.
fn narrow(code_segment: u16) -> Stack {
    const TEB: u64 = 0x7efd_b000;
    const AREA: u64 = 0x8_f000;
    const NARROW_STACK: u64 = 0x18_f000;
    let module = |base, path: &str| TestModule { base, size: 0x8000, path: path.into(), ..TestModule::default() };
    let modules = [module(BASE, "C:\\Windows\\System32\\wow64cpu.dll"), module(0x40_0000, "C:\\old\\ledger.exe")];
    let lower = Registers { ip: 0x40_1234, sp: NARROW_STACK, fp: NARROW_STACK + 0x10, ..Registers::default() };
    let (ip, sp, fp) = match code_segment {
        0x23 => (0x40_1238, NARROW_STACK, NARROW_STACK + 0x10),
        _ => (BASE + 0x1005, STACK, 0),
    };
    let mut registers = context(Arch::X64, Registers { ip, sp, fp, ..Registers::default() });
    registers[0x38..0x3a].copy_from_slice(&code_segment.to_le_bytes());
    let mut dump = MinidumpBuilder::new(1_700_000_000, 2);
    dump.system_info(9, 2, (10, 0, 19045), 4).modules(&modules);
    let thread = TestThread { teb: TEB, id: 7, name: None, stack_at: STACK, stack: words(&[0; 8]), context: registers };
    dump.threads(&[thread]);
    let mut block = vec![0; 0x3000];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1488, &AREA.to_le_bytes());
    put(0x2004, &(NARROW_STACK as u32 + 0x1000).to_le_bytes());
    put(0x2008, &(NARROW_STACK as u32 - 0x1000).to_le_bytes());
    put(0x2018, &(TEB as u32 + 0x2000).to_le_bytes());
    put(0x2030, &0x7efd_f000_u32.to_le_bytes());
    let mut area = vec![0; 4];
    area.extend(context(Arch::X86, lower));
    // The program's frame: the saved frame pointer, and a return address.
    let mut stack = vec![0; 0x100];
    stack[0x14..0x18].copy_from_slice(&0x40_2345_u32.to_le_bytes());
    dump.memory(&[(TEB, block), (AREA, area), (NARROW_STACK, stack), (STACK, words(&[0; 8]))]);
    let request = Request::Stack { of: StackOf::Thread { id: 7 }, arguments: false };
    let Ok(Reply::Stack(found)) = ask(&mut open(dump.build()).unwrap(), request) else { panic!() };
    found.stack
}

#[test]
fn a_64_bit_dump_of_a_32_bit_program_shows_its_32_bit_stack() {
    let rows = |stack: &Stack| -> Vec<(u64, Trust, Option<String>)> {
        stack.frames.iter().map(|frame| (frame.address.0, frame.trust, frame.module.clone())).collect()
    };
    let (cpu, ledger) = (Some("wow64cpu".to_string()), Some("ledger".to_string()));
    let waiting = narrow(0x33);
    let expected = [
        (BASE + 0x1005, Trust::Context, cpu),
        (0x40_1234, Trust::Context, ledger.clone()),
        (0x40_2345, Trust::FramePointer, ledger.clone()),
    ];
    assert_eq!(rows(&waiting), expected);
    assert!(waiting.frames[1].note.as_deref().unwrap().starts_with("32-bit code (WOW64)"));
    // What was saved is old while the program's own code runs.
    let running = rows(&narrow(0x23));
    assert_eq!(running, [(0x40_1238, Trust::Context, ledger.clone()), (0x40_2345, Trust::FramePointer, ledger)]);
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
