//! Stacks of threads: what the scheduler saved of those that wait, what entering the kernel saved, and the frames that
//! lie below in user mode, with the images that they run through.

use std::collections::BTreeMap;

use super::{
    PAGE, Paging, PhysImage, Tables, USER,
    objects::{Maker, machine_number, software_entry},
    pe::{self, RETURN, RETURN_2, RETURN_3, SYSTEM_CALL_RETURN, TestImage},
};
use crate::context::{Arch, Registers, context};

/// The stack that a thread is expected to have: addresses, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedStack {
    /// Thread id.
    pub thread: u64,
    /// In the kernel.
    pub kernel: Vec<u64>,
    /// In the process's native half.
    pub user: Vec<u64>,
    /// In its 32-bit half.
    pub narrow: Vec<u64>,
    /// Whether the kernel stack is in the paging file.
    pub is_paged_out: bool,
}

/// Addresses in user mode.
pub(super) struct UserMap {
    program: u64,
    system: u64,
    stacks: u64,
    tebs: u64,
    peb: u64,
}

/// Where a 64-bit system keeps a 32-bit program: its block behind the 64-bit one, below 4 GiB.
const NARROW_TEB: u64 = 0x7efd_b000;
const NARROW_PEB: u64 = 0x7efd_f000;
const NARROW_STACK: u64 = 0x0018_0000;
const NARROW_PROGRAM: u64 = 0x0040_0000;
const NARROW_SYSTEM: u64 = 0x7760_0000;
/// Where the 32-bit registers are kept: on the native stack.
const NARROW_AREA: u64 = 0x0008_f000;

pub(super) const fn user_map(pointer: usize) -> UserMap {
    if pointer == 8 {
        UserMap {
            program: 0x7ff7_2000_0000,
            system: 0x7ffb_1000_0000,
            stacks: 0xa0_0010_0000,
            tebs: 0x7ff6_1231_0000,
            peb: 0x7ff6_1230_0000,
        }
    } else {
        UserMap { program: 0x0100_0000, system: 0x7710_0000, stacks: 0x0020_0000, tebs: 0x7ffa_0000, peb: 0x7ffd_e000 }
    }
}

impl UserMap {
    /// The environment block of a thread, by its place in the process.
    pub(super) const fn teb(&self, index: u64) -> u64 {
        self.tebs + index * 2 * PAGE
    }

    /// The base of a thread's stack.
    const fn stack(&self, index: u64) -> u64 {
        self.stacks + (index + 1) * 0x1_0000
    }
}

/// Whether a process is a 32-bit program on a 64-bit system.
pub(super) fn is_narrow(name: &str, paging: Paging) -> bool {
    name == "notepad.exe" && matches!(paging, Paging::X64 | Paging::La57)
}

/// The environment block of the only thread of a 32-bit program.
pub(super) const fn narrow_teb() -> u64 {
    NARROW_TEB
}

/// Fills the kernel stack of a thread that waits. `user` is the index in its process of a thread that came from user
/// mode. Returns the addresses that unwinding must find.
pub(super) fn kernel_stack(make: &mut Maker, thread: u64, high: u64, user: Option<u64>, base: u64) -> Vec<u64> {
    let o = make.offsets;
    let at = |rva: u32| base + u64::from(rva);
    let initial = high - 0x370;
    make.word(thread + o.initial_stack as u64, initial);
    let map = user_map(make.pointer);
    match make.kernel.paging {
        Paging::X64 | Paging::La57 => {
            let frame = initial - 0x190;
            let saved = frame - 0xa0;
            make.word(thread + o.kernel_stack as u64, saved);
            make.word(saved + 0x30, 0x5050);
            make.word(saved + 0x38, at(RETURN));
            make.word(saved + 0x40 + pe::FRAME, at(RETURN_2));
            let outer = if user.is_some() { at(SYSTEM_CALL_RETURN) } else { at(RETURN_3) };
            make.word(frame - 8, outer);
            if let Some(index) = user {
                let sp = map.stack(index) - 0x400;
                make.word(thread + o.trap_frame as u64, frame);
                for (offset, value) in
                    [(0x158, 0x1234), (0x168, map.system + u64::from(RETURN)), (0x170, 0x33), (0x178, 0x246)]
                {
                    make.word(frame + offset, value);
                }
                make.word(frame + 0x180, sp);
                make.word(frame + 0x188, 0x2b);
            }
            vec![at(RETURN), at(RETURN_2), outer]
        }
        Paging::X86 | Paging::Pae => {
            let frame = initial - 0x8c;
            let saved = frame - 0xc0;
            let (first, second) = (saved + 0x30, saved + 0x60);
            make.word(thread + o.kernel_stack as u64, saved);
            for (offset, value) in
                [(8, at(RETURN)), (0xc, first), (0x10, 1), (0x14, 2), (0x18, 3), (0x1c, at(RETURN_2))]
            {
                make.word(saved + offset, value);
            }
            make.word(first, second);
            make.word(first + 4, at(RETURN_3));
            let outer = at(SYSTEM_CALL_RETURN);
            make.word(second, if user.is_some() { frame } else { 0 });
            make.word(second + 4, outer);
            if let Some(index) = user {
                let sp = map.stack(index) - 0x400;
                make.word(thread + o.trap_frame as u64, frame);
                for (offset, value) in [
                    (0x60, sp + 0x20),
                    (0x68, map.system + u64::from(RETURN)),
                    (0x6c, 0x1b),
                    (0x70, 0x246),
                    (0x74, sp),
                    (0x78, 0x23),
                ] {
                    make.word(frame + offset, value);
                }
            }
            vec![at(RETURN_2), at(RETURN_3), outer]
        }
        Paging::Arm64 => {
            let saved = initial - 0x200;
            let (first, second) = (saved + 0x60, saved + 0xa0);
            make.word(thread + o.kernel_stack as u64, saved);
            make.word(saved + 0x10, first);
            make.word(saved + 0x18, at(RETURN));
            make.word(first, second);
            make.word(first + 8, at(RETURN_2));
            make.word(second, 0);
            make.word(second + 8, at(RETURN_3));
            vec![at(RETURN), at(RETURN_2), at(RETURN_3)]
        }
    }
}

/// Moves a stack into the paging file.
pub(super) fn page_out(make: &mut Maker, low: u64, build: u32) {
    let paging = make.kernel.paging;
    for page in 0..6 {
        let entry = software_entry(paging, build, 1, 0x9000 + page);
        make.kernel.set_leaf(&mut make.phys, low + page * PAGE, entry);
    }
}

/// A process's own pages.
struct User<'a> {
    phys: &'a mut PhysImage,
    tables: Tables,
    pages: BTreeMap<u64, u64>,
    /// Free memory for strings and lists.
    heap: u64,
}

impl User<'_> {
    fn put(&mut self, va: u64, bytes: &[u8]) {
        for (at, byte) in (va..).zip(bytes) {
            let page = at / PAGE;
            if !self.pages.contains_key(&page) {
                let pfn = self.phys.alloc();
                self.tables.map(self.phys, page * PAGE, pfn, USER);
                self.pages.insert(page, pfn);
            }
            self.phys.put(self.pages[&page] * PAGE + at % PAGE, &[*byte]);
        }
    }

    fn word(&mut self, va: u64, value: u64, width: usize) {
        self.put(va, &value.to_le_bytes()[..width]);
    }

    /// An image, laid out as in memory.
    fn image(&mut self, machine: u16, base: u64, name: &str, number: u8) {
        let stem = name.split('.').next().unwrap();
        let image = TestImage {
            machine,
            timestamp: 0x7000_0000 + u32::from(number),
            size: 0x4000,
            guid: [0x40 + number; 16],
            age: 1,
            pdb: format!("{stem}.pdb"),
            export_name: name.into(),
            has_functions: true,
            exports: vec![(format!("{stem}Wait"), pe::TEXT + 0x100)],
        };
        self.put(base, &image.build());
    }

    /// The loader's list of images in `LDR_DATA_TABLE_ENTRY`s.
    fn loader(&mut self, peb: u64, width: usize, images: &[(u64, &str, u8)]) {
        let w = width as u64;
        let (data_at, list, dll, size, path, stamp) =
            if width == 8 { (0x18, 0x10, 0x30, 0x40, 0x48, 0x80) } else { (0xc, 0xc, 0x18, 0x20, 0x24, 0x44) };
        let mut take = |bytes: u64| {
            let at = self.heap;
            self.heap += bytes;
            at
        };
        let head = take(0x80) + list;
        let entries: Vec<u64> = images.iter().map(|_| take(0x100)).collect();
        let texts: Vec<u64> = images.iter().map(|_| take(0x100)).collect();
        self.word(peb + data_at, head - list, width);
        let ring: Vec<u64> = std::iter::once(head).chain(entries.iter().copied()).collect();
        for (index, node) in ring.iter().enumerate() {
            self.word(*node, ring[(index + 1) % ring.len()], width);
            self.word(*node + w, ring[(index + ring.len() - 1) % ring.len()], width);
        }
        for ((entry, text), (base, name, number)) in entries.iter().zip(&texts).zip(images) {
            let full: Vec<u8> = format!("C:\\Test\\{name}").encode_utf16().flat_map(u16::to_le_bytes).collect();
            self.put(*text, &full);
            self.word(entry + dll, *base, width);
            self.word(entry + size, 0x4000, 4);
            self.word(entry + path, full.len() as u64, 2);
            self.word(entry + path + w, *text, width);
            self.word(entry + stamp, 0x7000_0000 + u64::from(*number), 4);
        }
    }
}

/// Makes the user half of a process; the expected stacks of its threads are completed.
pub(super) fn user_half(
    phys: &mut PhysImage,
    tables: Tables,
    name: &str,
    peb_page: u64,
    threads: &mut [ExpectedStack],
) {
    let paging = tables.paging;
    let pointer = if matches!(paging, Paging::X86 | Paging::Pae) { 4 } else { 8 };
    let map = user_map(pointer);
    let machine = machine_number(paging);
    let pages = BTreeMap::from([(map.peb / PAGE, peb_page)]);
    let mut user = User { phys, tables, pages, heap: map.program + 0x10_0000 };
    let narrow = is_narrow(name, paging);
    let program = if narrow { "wow64.dll" } else { name };
    user.image(machine, map.program, program, 1);
    user.image(machine, map.system, "ntdll.dll", 2);
    user.loader(map.peb, pointer, &[(map.program, program, 1), (map.system, "ntdll.dll", 2)]);
    for (index, thread) in threads.iter_mut().enumerate() {
        let index = index as u64;
        let teb = if narrow { NARROW_TEB } else { map.teb(index) };
        let (base, sp) = (map.stack(index), map.stack(index) - 0x400);
        let w = pointer as u64;
        user.word(teb + w, base, pointer);
        user.word(teb + 2 * w, base - 0x8000, pointer);
        if matches!(paging, Paging::Arm64) {
            // Where its registers are saved when it enters the kernel is not public.
            continue;
        }
        let called = map.program + u64::from(RETURN_2);
        if pointer == 8 {
            user.word(sp + pe::FRAME, called, 8);
        } else {
            user.word(sp + 0x20, 0, 4);
            user.word(sp + 0x24, called, 4);
        }
        thread.user = vec![map.system + u64::from(RETURN), called];
        if narrow {
            narrow_half(&mut user, teb, thread);
        }
    }
}

/// The 32-bit half of a thread.
fn narrow_half(user: &mut User<'_>, teb: u64, thread: &mut ExpectedStack) {
    let lower = teb + 0x2000;
    user.heap = NARROW_PROGRAM + 0x10_0000;
    user.image(0x14c, NARROW_PROGRAM, "notepad.exe", 3);
    user.image(0x14c, NARROW_SYSTEM, "ntdll.dll", 4);
    user.loader(NARROW_PEB, 4, &[(NARROW_PROGRAM, "notepad.exe", 3), (NARROW_SYSTEM, "ntdll.dll", 4)]);
    user.word(lower + 4, NARROW_STACK, 4);
    user.word(lower + 8, NARROW_STACK - 0x8000, 4);
    user.word(lower + 0x18, lower, 4);
    user.word(lower + 0x30, NARROW_PEB, 4);
    user.word(teb + 0x1488, NARROW_AREA, 8);
    let sp = NARROW_STACK - 0x200;
    let registers = Registers { ip: NARROW_SYSTEM + u64::from(RETURN), sp, fp: sp + 0x40, lr: 0, first: 0x1111 };
    user.put(NARROW_AREA + 4, &context(Arch::X86, registers));
    user.word(sp + 0x40, 0, 4);
    let called = NARROW_PROGRAM + u64::from(RETURN_3);
    user.word(sp + 0x44, called, 4);
    thread.narrow = vec![NARROW_SYSTEM + u64::from(RETURN), called];
}
