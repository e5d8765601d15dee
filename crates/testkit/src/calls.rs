//! An x64 program of many functions, and stacks of their calls: what unwinders are measured on.

use crate::{
    asm::structure,
    context::{Arch, Registers, context, exception_record},
    minidump::{MinidumpBuilder, TestModule, TestThread},
};

/// Where the image is loaded.
pub const BASE: u64 = 0x7ff6_1000_0000;
/// Bytes of code from one function to the next.
const STRIDE: u32 = 0x80;
/// RVA of the code.
const TEXT: u32 = 0x1000;
/// Offset behind the call of every function.
const RETURN: u32 = 0x40;
/// `TimeDateStamp` of the image.
const TIMESTAMP: u32 = 0x6500_0000;

/// The program.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The image as it is mapped.
    pub image: Vec<u8>,
    /// RVA of the function table.
    pub pdata: u32,
    /// RVA of the unwind data, which follows the table to the end of the image.
    pub xdata: u32,
    /// Bytes of the frame of each function, with its return address.
    frames: Vec<u64>,
    /// The functions' turn.
    seed: u64,
}

impl Calls {
    /// A program of so many functions: each saves some registers and has a frame of some size.
    #[must_use]
    pub fn new(functions: u32) -> Self {
        let pdata = (TEXT + functions * STRIDE).next_multiple_of(0x1000);
        let xdata = (pdata + functions * 12).next_multiple_of(0x1000);
        let size = (xdata + functions * 16).next_multiple_of(0x1000);
        let mut image = vec![0; size as usize];
        let mut put = |at: u32, bytes: &[u8]| image[at as usize..][..bytes.len()].copy_from_slice(bytes);
        put(0, &headers(size, pdata, functions * 12, xdata));
        put(TEXT, &vec![0xcc; (functions * STRIDE) as usize]);
        let mut frames = Vec::new();
        // What may be saved: with the allocation, all that a record of 16 bytes holds. rbp stays as it is.
        let registers = [3_u8, 6, 7, 12, 13];
        for index in 0..functions {
            let begin = TEXT + index * STRIDE;
            let saved = &registers[..index as usize % 6];
            let slots = 4 + index % 13;
            put(begin + RETURN - 5, &[0xe8, 0, 0, 0, 0]);
            put(begin + RETURN, &[0x90; 8]);
            let info = xdata + index * 16;
            // The allocation, then the pushes before it, the last first.
            let mut codes = vec![0x20, 2 | (slots as u8 - 1) << 4];
            for (at, register) in saved.iter().enumerate().rev() {
                codes.extend([2 + at as u8 * 2, register << 4]);
            }
            let mut unwind = vec![1, 0x20, codes.len() as u8 / 2, 0];
            unwind.extend(codes);
            put(pdata + index * 12, &[begin, begin + STRIDE - 0x10, info].map(u32::to_le_bytes).concat());
            put(info, &unwind);
            frames.push(u64::from(slots) * 8 + saved.len() as u64 * 8 + 8);
        }
        Self { image, pdata, xdata, frames, seed: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A stack of so many frames: where its innermost function is, and its words from the stack pointer up.
    pub fn stack(&mut self, frames: u32) -> (u64, Vec<u8>) {
        let mut next = || {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            (self.seed % self.frames.len() as u64) as u32
        };
        let place = |function: u32| BASE + u64::from(TEXT + function * STRIDE + RETURN);
        let first = next();
        let (mut function, mut stack) = (first, Vec::new());
        for depth in 1..=frames {
            stack.resize(stack.len() + self.frames[function as usize] as usize - 8, 0x5a);
            function = next();
            let caller = if depth == frames { 0 } else { place(function) };
            stack.extend(caller.to_le_bytes());
        }
        (place(first), stack)
    }

    /// A minidump of the program with so many threads, each with a stack of so many frames.
    #[must_use]
    pub fn minidump(&mut self, threads: u32, frames: u32) -> Vec<u8> {
        let mut memory = vec![(BASE, self.image.clone())];
        let threads: Vec<TestThread> = (0..threads)
            .map(|index| {
                let (ip, stack) = self.stack(frames);
                let stack_at = 0x10_0000_0000 + u64::from(index) * 0x10_0000;
                memory.push((stack_at, stack.clone()));
                let context = context(Arch::X64, Registers { ip, sp: stack_at, ..Registers::default() });
                TestThread { id: index + 1, name: None, teb: 0, stack_at, stack, context }
            })
            .collect();
        let module = TestModule {
            base: BASE,
            size: self.image.len() as u32,
            path: "C:\\calls.exe".into(),
            timestamp: TIMESTAMP,
            version: None,
            codeview: Vec::new(),
        };
        let mut dump = MinidumpBuilder::new(1_700_000_000, 2);
        dump.system_info(9, 2, (10, 0, 19045), 4).modules(&[module]).threads(&threads);
        let crashed = &threads[0];
        dump.exception(crashed.id, &exception_record(0xc000_0005, BASE, &[0, 0]), &crashed.context);
        dump.memory(&memory);
        dump.build()
    }
}

/// Headers of a PE image of code, function table and unwind data.
fn headers(size: u32, pdata: u32, pdata_len: u32, xdata: u32) -> Vec<u8> {
    let mut headers = vec![0; 0x80];
    headers[..2].copy_from_slice(b"MZ");
    headers[0x3c] = 0x80;
    headers.extend(b"PE\0\0");
    let file = [(0, 0x8664, 2), (2, 3, 2), (4, u64::from(TIMESTAMP), 4), (16, 0xf0, 2), (18, 0x22, 2)];
    headers.extend(structure(20, &file));
    let directories = 0x70;
    let optional = [
        (0, 0x20b, 2),
        (16, u64::from(TEXT), 4),
        (24, BASE, 8),
        (32, 0x1000, 4),
        (36, 0x200, 4),
        (56, u64::from(size), 4),
        (60, 0x400, 4),
        (directories - 4, 16, 4),
        (directories + 24, u64::from(pdata), 4),
        (directories + 28, u64::from(pdata_len), 4),
    ];
    headers.extend(structure(0xf0, &optional));
    let sections = [
        (".text", TEXT, pdata, 0x6000_0020),
        (".pdata", pdata, xdata, 0x4000_0040),
        (".xdata", xdata, size, 0x4000_0040),
    ];
    for (name, start, end, flags) in sections {
        let (start, length) = (u64::from(start), u64::from(end - start));
        let mut row = structure(40, &[(8, length, 4), (12, start, 4), (16, length, 4), (20, start, 4), (36, flags, 4)]);
        row[..name.len()].copy_from_slice(name.as_bytes());
        headers.extend(row);
    }
    headers
}
