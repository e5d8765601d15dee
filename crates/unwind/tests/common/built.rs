//! An image and a stack laid out by hand.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::rc::Rc;

use dumplens_base::{Fault, Memory, ReadOutcome, Region, Searched, Va};
use dumplens_unwind::{
    Modules, Target,
    x64::{Absent, CodeImage},
};

pub const BASE: u64 = 0xffff_f806_0000_0000;
pub const STACK: u64 = 0x20_0000;
const PDATA: u32 = 0x8000;
const XDATA: u32 = 0x9000;
pub const SIZE: u32 = 0x1_0000;

/// An image of 64 KiB: code, filled with `nop`, from 0x1000 to 0x8000; then the function table and unwind data.
#[derive(Clone)]
pub struct Built {
    pub bytes: Vec<u8>,
    functions: Vec<[u32; 3]>,
    next: u32,
}

impl Built {
    pub fn new() -> Self {
        let mut bytes = vec![0; SIZE as usize];
        bytes[0x1000..0x8000].fill(0x90);
        Self { bytes, functions: Vec::new(), next: XDATA }
    }

    pub fn put(&mut self, rva: u32, bytes: &[u8]) {
        self.bytes[rva as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Stores unwind data: version and flags, length of the prologue, frame register and offset, slots, what follows.
    pub fn info(&mut self, first: u8, prologue: u8, frame: u8, slots: &[[u8; 2]], tail: &[u32]) -> u32 {
        let rva = self.next;
        let mut bytes = vec![first, prologue, slots.len() as u8, frame];
        bytes.extend(slots.iter().flatten());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(tail.iter().flat_map(|word| word.to_le_bytes()));
        self.put(rva, &bytes);
        self.next += (bytes.len() as u32).next_multiple_of(4);
        rva
    }

    pub fn raw(&mut self, bytes: &[u8]) -> u32 {
        let rva = self.next;
        self.put(rva, bytes);
        self.next += (bytes.len() as u32).next_multiple_of(4);
        rva
    }

    pub fn function(&mut self, begin: u32, end: u32, unwind: u32) {
        self.functions.push([begin, end, unwind]);
        self.functions.sort();
        let table: Vec<u8> = self.functions.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        self.put(PDATA, &table);
    }

    /// A call that returns to `rva`.
    pub fn call(&mut self, rva: u32) -> u64 {
        self.put(rva - 5, &[0xe8, 0, 0, 0, 0]);
        BASE + u64::from(rva)
    }
}

impl CodeImage for Built {
    fn base(&self) -> Va {
        Va(BASE)
    }

    fn size(&self) -> u32 {
        SIZE
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        (!self.functions.is_empty()).then(|| (PDATA, 12 * self.functions.len() as u32))
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        match self.bytes.get(rva as usize..).and_then(|rest| rest.get(..buf.len())) {
            Some(bytes) => buf.copy_from_slice(bytes),
            None => return Err(Absent { rva: rva.max(SIZE) }),
        }
        Ok(())
    }

    fn is_executable(&self, rva: u32) -> bool {
        (0x1000..0x8000).contains(&rva)
    }
}

/// Words of a stack from [`STACK`] up.
pub struct Words(pub Vec<u64>);

impl Memory for Words {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        for (index, byte) in buf.iter_mut().enumerate() {
            let at = va.0.wrapping_add(index as u64);
            let word = at.checked_sub(STACK).and_then(|offset| self.0.get((offset / 8) as usize));
            let Some(word) = word else {
                let fault = Fault::NotInDump { va: Va(at), searched: Searched::MinidumpRanges };
                return ReadOutcome { filled: index, fault: Some(fault) };
            };
            *byte = word.to_le_bytes()[(at % 8) as usize];
        }
        ReadOutcome::complete(buf.len())
    }

    fn next_region(&self, _: Va) -> Option<Region> {
        None
    }
}

/// The image as the only module; or the module without anything of it to read.
pub struct One(pub Option<Rc<Built>>);

impl Modules for One {
    fn target(&self, address: Va) -> Target {
        if (BASE..BASE + u64::from(SIZE)).contains(&address.0) { Target::Code } else { Target::Nothing }
    }

    fn image(&self, address: Va) -> Option<Rc<dyn CodeImage + '_>> {
        let image = self.0.clone().filter(|_| self.target(address) == Target::Code)?;
        Some(image)
    }
}
