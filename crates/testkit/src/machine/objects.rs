//! Fills a machine: kernel image, lists, processes, threads, processors.

use std::collections::BTreeMap;

use super::{
    CODE, DATA, ExpectedStack, Machine, MachineSpec, Marks, Offsets, PAGE, Paging, PhysImage, Tables, USER,
    pe::{self, TestImage},
    threads,
};
use crate::context::{Arch, Registers, context};

/// 2026-03-14T09:00:00Z as a `FILETIME`.
const BOOT: u64 = 134_179_524_000_000_000;

/// Where things are in the kernel's `.data`, relative to its base.
mod rva {
    use super::pe::DATA;
    pub(super) const MODULE_LIST: u32 = DATA + 0x100;
    pub(super) const PROCESS_LIST: u32 = DATA + 0x120;
    pub(super) const PFN_DATABASE: u32 = DATA + 0x140;
    pub(super) const SYSTEM_PROCESS: u32 = DATA + 0x150;
    pub(super) const PROCESSOR_BLOCK: u32 = DATA + 0x200;
    pub(super) const BUILD_LAB: u32 = DATA + 0x600;
    pub(super) const UNLOADED: u32 = DATA + 0x700;
    pub(super) const DEBUGGER_DATA: u32 = DATA + 0xa00;
    pub(super) const SIZE: u32 = DATA + 0x2000;
}

pub(super) struct Maker {
    pub(super) offsets: Offsets,
    pub(super) pointer: usize,
    pub(super) phys: PhysImage,
    pub(super) kernel: Tables,
    /// Page of the kernel's half → physical page.
    mapped: BTreeMap<u64, u64>,
    pool: u64,
    stacks: u64,
}

impl Maker {
    /// Maps fresh pages in the kernel's half.
    fn map(&mut self, va: u64, bytes: u64, rights: super::Rights) {
        for page in va / PAGE..(va + bytes).div_ceil(PAGE) {
            if !self.mapped.contains_key(&page) {
                let pfn = self.phys.alloc();
                self.kernel.map(&mut self.phys, page * PAGE, pfn, rights);
                self.mapped.insert(page, pfn);
            }
        }
    }

    fn pa(&self, va: u64) -> u64 {
        self.mapped[&(va / PAGE)] * PAGE + va % PAGE
    }

    fn put(&mut self, va: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            let pa = self.pa(va + index as u64);
            self.phys.put(pa, &[*byte]);
        }
    }

    fn number(&mut self, va: u64, value: u64, width: usize) {
        self.put(va, &value.to_le_bytes()[..width]);
    }

    pub(super) fn word(&mut self, va: u64, value: u64) {
        self.number(va, value, self.pointer);
    }

    /// Pool memory.
    fn alloc(&mut self, bytes: u64) -> u64 {
        let va = self.pool;
        self.pool += bytes.next_multiple_of(0x20);
        self.map(va, bytes, DATA);
        va
    }

    /// A stack of six pages with a guard page below; its lowest address.
    fn stack(&mut self) -> u64 {
        let low = self.stacks + PAGE;
        self.stacks += 8 * PAGE;
        self.map(low, 6 * PAGE, DATA);
        low
    }

    fn unicode(&mut self, at: u64, text: &str) {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let buffer = self.alloc(units.len() as u64 + 2);
        self.put(buffer, &units);
        self.number(at, units.len() as u64, 2);
        self.number(at + 2, units.len() as u64 + 2, 2);
        self.word(at + self.pointer as u64, buffer);
    }

    /// Links nodes into a ring that starts at `head`.
    fn ring(&mut self, head: u64, nodes: &[u64]) {
        let all: Vec<u64> = std::iter::once(head).chain(nodes.iter().copied()).collect();
        for (index, node) in all.iter().enumerate() {
            let next = all[(index + 1) % all.len()];
            let before = all[(index + all.len() - 1) % all.len()];
            self.word(*node, next);
            self.word(*node + self.pointer as u64, before);
        }
    }
}

/// Addresses of a machine with pointers of this size.
struct Map {
    kernel: u64,
    drivers: u64,
    pool: u64,
    stacks: u64,
    marks: u64,
    user: u64,
}

const fn address_map(paging: Paging) -> Map {
    match paging {
        Paging::X86 | Paging::Pae => Map {
            kernel: 0x8260_0000,
            drivers: 0x8840_0000,
            pool: 0x8500_0000,
            stacks: 0x8c00_0000,
            marks: 0x9000_0000,
            user: 0x0040_0000,
        },
        Paging::La57 => Map {
            kernel: 0xffff_f801_2000_0000,
            drivers: 0xffff_f801_2400_0000,
            // Prototype entries hold 48 bits of an address: what they point to must be canonical for four levels too.
            pool: 0xffff_a50f_0000_0000,
            stacks: 0xff22_b200_0000_0000,
            marks: 0xff33_c000_0000_0000,
            user: 0x0000_7ff6_1234_0000,
        },
        _ => Map {
            kernel: 0xffff_f801_2000_0000,
            drivers: 0xffff_f801_2400_0000,
            pool: 0xffff_a50f_0000_0000,
            stacks: 0xffff_b200_0000_0000,
            marks: 0xffff_c000_0000_0000,
            user: 0x0000_7ff6_1234_0000,
        },
    }
}

pub(super) const fn machine_number(paging: Paging) -> u16 {
    match paging {
        Paging::X86 | Paging::Pae => 0x14c,
        Paging::X64 | Paging::La57 => 0x8664,
        Paging::Arm64 => 0xaa64,
    }
}

pub(super) fn build(spec: &MachineSpec) -> Machine {
    let release = spec.release;
    let map = address_map(release.paging);
    let mut phys = PhysImage::starting_at(0x1a0);
    let kernel = if release.paging == Paging::Pae {
        // The top table of PAE is 32 bytes long and need not start a page.
        let tables = Tables::new(&mut phys, release.paging);
        Tables { root: tables.root + 0x20, ..tables }
    } else {
        Tables::new(&mut phys, release.paging)
    };
    if matches!(release.paging, Paging::X64 | Paging::Arm64) {
        kernel.map_self(&mut phys, 0x1f6);
    }
    if matches!(release.paging, Paging::X86 | Paging::Pae) {
        kernel.map_self_32(&mut phys);
    }
    let mut make = Maker {
        offsets: release.offsets(),
        pointer: release.pointer(),
        phys,
        kernel,
        mapped: BTreeMap::new(),
        pool: map.pool,
        stacks: map.stacks,
    };
    let modules = images(&mut make, spec, &map);
    let base = map.kernel;
    let at = |rva: u32| base + u64::from(rva);
    module_list(&mut make, at(rva::MODULE_LIST), &modules);
    let mut marks = kernel_marks(&mut make, map.marks);
    // Whatever processes share must be mapped before their tables are made.
    make.map(map.pool, 0x8_0000, DATA);
    shared_user_data(&mut make, spec);
    let (roots, process_objects, threads, stacks) = processes(&mut make, spec, &map, at(rva::PROCESS_LIST), &mut marks);
    make.word(at(rva::SYSTEM_PROCESS), process_objects[0]);
    let registers = processors(&mut make, spec, &map, at(rva::PROCESSOR_BLOCK), &threads);
    make.put(at(rva::BUILD_LAB), format!("{}.1.test.dumplens.260314-0900\0", release.build).as_bytes());
    unloaded_drivers(&mut make, at(rva::UNLOADED));
    debugger_data(&mut make, spec, base);
    let mut spec = spec.clone();
    if let [_, _, _, ip @ 0] = &mut spec.parameters {
        // The instruction that failed, as the bug checks that name one do.
        *ip = registers.ip;
    }
    Machine {
        spec,
        phys: make.phys,
        kernel: make.kernel,
        roots,
        process_objects,
        threads,
        stacks,
        kernel_base: base,
        modules,
        debugger_data: at(rva::DEBUGGER_DATA),
        module_list: at(rva::MODULE_LIST),
        process_list: at(rva::PROCESS_LIST),
        pfn_database: at(rva::PFN_DATABASE),
        registers,
        marks,
    }
}

/// The kernel and the drivers, with their pages; list order.
fn images(make: &mut Maker, spec: &MachineSpec, map: &Map) -> Vec<(u64, u32, String)> {
    let machine = machine_number(spec.release.paging);
    let mut modules = vec![(map.kernel, rva::SIZE, "ntoskrnl.exe".to_string())];
    let mut base = map.drivers;
    for driver in &spec.drivers {
        modules.push((base, driver.size, driver.name.clone()));
        base += u64::from(driver.size).next_multiple_of(0x1_0000);
    }
    for (index, (base, size, name)) in modules.iter().enumerate() {
        let stem = name.split('.').next().unwrap();
        let exports = if index == 0 {
            vec![
                ("PsLoadedModuleList".to_string(), rva::MODULE_LIST),
                ("PsInitialSystemProcess".to_string(), rva::SYSTEM_PROCESS),
                ("IofCallDriver".to_string(), pe::TEXT + 0x100),
                ("KeBugCheckEx".to_string(), pe::TEXT + 0x200),
            ]
        } else {
            vec![(format!("{stem}Entry"), pe::TEXT + 0x40)]
        };
        let image = TestImage {
            machine,
            timestamp: 0x6500_0000 + index as u32 * 0x1111,
            size: *size,
            guid: [index as u8 + 1; 16],
            age: 1,
            pdb: if index == 0 { "ntkrnlmp.pdb".into() } else { format!("{stem}.pdb") },
            export_name: name.clone(),
            has_functions: true,
            exports,
        };
        for (page, bytes) in image.build().chunks(PAGE as usize).enumerate() {
            let va = base + page as u64 * PAGE;
            let rights = if page == pe::TEXT as usize / PAGE as usize { CODE } else { DATA };
            make.map(va, PAGE, rights);
            make.put(va, bytes);
        }
    }
    modules
}

/// `KLDR_DATA_TABLE_ENTRY` for each module, linked behind the head.
fn module_list(make: &mut Maker, head: u64, modules: &[(u64, u32, String)]) {
    let p = make.pointer as u64;
    let wide = make.pointer == 8;
    let mut nodes = Vec::new();
    for (index, (base, size, name)) in modules.iter().enumerate() {
        let entry = make.alloc(0xa0);
        let (dll_base, full, short, checksum, stamp) =
            if wide { (0x30, 0x48, 0x58, 0x78, 0x9c) } else { (0x18, 0x24, 0x2c, 0x40, 0x58) };
        make.word(entry + dll_base, *base);
        make.word(entry + dll_base + p, base + u64::from(pe::TEXT));
        make.number(entry + dll_base + 2 * p, u64::from(*size), 4);
        let folder =
            if name.ends_with(".sys") { "\\SystemRoot\\System32\\drivers\\" } else { "\\SystemRoot\\system32\\" };
        make.unicode(entry + full, &format!("{folder}{name}"));
        make.unicode(entry + short, name);
        let timestamp = 0x6500_0000 + index as u64 * 0x1111;
        make.number(entry + checksum, timestamp ^ 0x5555, 4);
        make.number(entry + stamp, timestamp, 4);
        nodes.push(entry);
    }
    make.ring(head, &nodes);
}

pub(super) fn software_entry(paging: Paging, build: u32, file: u64, offset: u64) -> u64 {
    match paging {
        Paging::X86 => file << 1 | 4 << 5 | offset << 12,
        _ if build >= 17_134 => 1 << 4 | file << 12 | 4 << 5 | offset << 32,
        _ => file << 1 | 4 << 5 | offset << 32,
    }
}

fn prototype_entry(paging: Paging, at: u64) -> u64 {
    match paging {
        Paging::X86 => {
            let offset = (at & 0x7fff_ffff) >> 2;
            1 << 10 | (offset & 0xff) << 1 | (offset >> 8) << 11
        }
        Paging::Pae => 1 << 10 | at << 32,
        _ => 1 << 10 | at << 16,
    }
}

fn transition_entry(paging: Paging, pfn: u64) -> u64 {
    // Bit 4: the entry needs no unswizzling. Old builds read bit 4 as "cache disabled", which changes nothing.
    let _ = paging;
    (1 << 11) | (4 << 5) | (1 << 4) | (pfn * PAGE)
}

/// Pages of every kind in the kernel's half.
fn kernel_marks(make: &mut Maker, base: u64) -> Marks {
    let paging = make.kernel.paging;
    let build_dependent = |make: &Maker, file, offset| software_entry(make.kernel.paging, build_of(make), file, offset);
    let tables = make.kernel;
    let large_size = if paging == Paging::X86 { 1024 } else { 512 };
    let large = base + 0x80_0000;
    let first = make.phys.alloc_run(large_size, large_size);
    tables.map_large(&mut make.phys, large, first, DATA);
    make.phys.put(first * PAGE + 0x1_2340, &Marks::LARGE.to_le_bytes());

    let transition = make.phys.alloc();
    make.phys.put(transition * PAGE + 0x80, &Marks::TRANSITION.to_le_bytes());
    tables.set_leaf(&mut make.phys, base + 0x1000, transition_entry(paging, transition));

    let shared = make.phys.alloc();
    make.phys.put(shared * PAGE + 0x88, &Marks::PROTOTYPE.to_le_bytes());
    let entries = make.alloc(0x20);
    make.number(entries, paging.page_entry(shared, DATA), paging.entry() as usize);
    let subsection = make.alloc(0x40);
    make.number(entries + 8, prototype_entry(paging, subsection), paging.entry() as usize);
    tables.set_leaf(&mut make.phys, base + 0x2000, prototype_entry(paging, entries));
    tables.set_leaf(&mut make.phys, base + 0x3000, prototype_entry(paging, entries + 8));

    let paged_out = build_dependent(make, 1, 0x4321);
    tables.set_leaf(&mut make.phys, base + 0x4000, paged_out);
    tables.set_leaf(&mut make.phys, base + 0x5000, 4 << 5);
    tables.map(&mut make.phys, base + 0x6000, 0xf_0000, DATA);

    // Two pages whose order in memory is the reverse of their order in the address space.
    let (second, first) = (make.phys.alloc(), make.phys.alloc());
    tables.map(&mut make.phys, base + 0x8000, first, DATA);
    tables.map(&mut make.phys, base + 0x9000, second, DATA);
    let across = Marks::ACROSS.to_le_bytes();
    make.phys.put(first * PAGE + 0xffc, &across[..4]);
    make.phys.put(second * PAGE, &across[4..]);

    // The tables of this address are made and then taken away.
    let lost = base + 0x4000_0000;
    let at = tables.entry_at(&mut make.phys, lost, 12);
    make.phys.remove(at / PAGE);
    Marks {
        large: large + 0x1_2340,
        transition: base + 0x1080,
        prototype: base + 0x2088,
        in_file: base + 0x3010,
        paged_out: base + 0x4010,
        demand_zero: base + 0x5000,
        absent: base + 0x6008,
        unmapped: base + 0x2000_0000,
        lost_table: lost,
        across: base + 0x8ffc,
        ..Marks::default()
    }
}

fn build_of(make: &Maker) -> u32 {
    // Only whether the mitigation's format is used matters here.
    if make.offsets.size_kdbg >= 0x380 { 19_041 } else { 7_601 }
}

fn shared_user_data(make: &mut Maker, spec: &MachineSpec) {
    let at = if make.pointer == 8 { 0xffff_f780_0000_0000 } else { 0xffdf_0000 };
    if make.kernel.paging == Paging::La57 {
        // The page is where it always is; five levels do not move it.
    }
    make.map(at, PAGE, DATA);
    let root: Vec<u8> = "C:\\Windows".encode_utf16().flat_map(u16::to_le_bytes).collect();
    make.put(at + 0x30, &root);
    let (major, minor) = match spec.release.build {
        7600..9200 => (6, 1),
        6000..7600 => (6, 0),
        _ => (10, 0),
    };
    make.number(at + 0x260, u64::from(spec.release.build), 4);
    make.number(at + 0x264, 1, 4);
    make.number(at + 0x26c, major, 4);
    make.number(at + 0x270, minor, 4);
}

type Made = (Vec<u64>, Vec<u64>, Vec<(u64, u64)>, Vec<ExpectedStack>);

/// Processes that get images and stacks in user mode: more would only make large machines larger.
const WITH_USER_HALF: usize = 6;
/// The thread whose kernel stack is in the paging file.
const PAGED_OUT: u64 = 3132;

fn processes(make: &mut Maker, spec: &MachineSpec, map: &Map, head: u64, marks: &mut Marks) -> Made {
    let (o, p) = (make.offsets, make.pointer as u64);
    let (mut roots, mut objects, mut all_threads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut nodes, mut stacks) = (Vec::new(), Vec::new());
    // Objects and stacks first: the kernel's tables must be complete when processes copy them.
    let sessions = [make.alloc(0x40), make.alloc(0x40)];
    for (number, session) in sessions.iter().enumerate() {
        // Windows 11 24H2 has another session object: what its first fields hold is no session id.
        let value = if spec.release.build >= 26_100 { 0xffff_ffff } else { number as u64 };
        make.number(session + 8, value, 4);
    }
    for (number, process) in spec.processes.iter().enumerate() {
        let object = make.alloc(o.size_process as u64);
        objects.push(object);
        nodes.push(object + o.process_id as u64 + p);
        make.number(object, 3, 1);
        make.word(object + o.process_id as u64, process.id);
        make.word(object + o.parent as u64, process.parent);
        make.put(object + o.name as u64, process.name.as_bytes());
        make.number(object + o.created as u64, BOOT + process.id * 10_000_000, 8);
        make.number(object + o.active_threads as u64, process.threads.len() as u64, 4);
        if process.id != 4 {
            make.word(object + o.peb as u64, if p == 8 { 0x7ff6_1230_0000 } else { 0x7ffd_e000 });
            make.word(object + o.session as u64, sessions[process.session as usize]);
        }
        let (mut k_nodes, mut e_nodes) = (Vec::new(), Vec::new());
        for (index, thread) in process.threads.iter().enumerate() {
            let at = make.alloc(o.size_thread as u64);
            all_threads.push((*thread, at));
            k_nodes.push(at + o.k_thread_entry as u64);
            e_nodes.push(at + o.thread_entry as u64);
            let low = make.stack();
            let high = low + 6 * PAGE;
            make.number(at, 6, 1);
            make.word(at + o.stack_limit as u64, low);
            make.word(at + o.stack_base as u64, high);
            let user = (process.id != 4 && number < WITH_USER_HALF).then_some(index as u64);
            let kernel = threads::kernel_stack(make, at, high, user, map.kernel);
            let mut stack = ExpectedStack { thread: *thread, kernel, ..ExpectedStack::default() };
            if *thread == PAGED_OUT {
                threads::page_out(make, low, spec.release.build);
                stack.is_paged_out = true;
            }
            stacks.push(stack);
            make.number(at + o.state as u64, 5, 1);
            make.number(at + o.wait_reason as u64, 6, 1);
            make.word(
                at + o.teb as u64,
                if process.id == 4 {
                    0
                } else if threads::is_narrow(&process.name, make.kernel.paging) {
                    threads::narrow_teb()
                } else {
                    threads::user_map(make.pointer).teb(index as u64)
                },
            );
            make.word(at + o.apc_process as u64, object);
            make.word(at + o.owner as u64, object);
            make.word(at + o.cid as u64, process.id);
            make.word(at + o.cid as u64 + p, *thread);
            make.number(at + o.thread_created as u64, BOOT + thread * 10_000_000, 8);
            make.word(at + o.start as u64, map.kernel + u64::from(pe::TEXT) + 0x300);
        }
        make.ring(object + o.k_thread_list as u64, &k_nodes);
        make.ring(object + o.thread_list as u64, &e_nodes);
    }
    make.ring(head, &nodes);
    marks.user = map.user;
    for (number, (process, object)) in spec.processes.iter().zip(&objects).enumerate() {
        let tables = if process.id == 4 {
            make.kernel
        } else {
            let mut tables = make.kernel.process(&mut make.phys);
            if make.kernel.paging == Paging::Pae {
                // Its top table has the kernel's offset in the page too.
                let entries: Vec<u64> = (0..4).map(|index| make.phys.number(make.kernel.root + index * 8, 8)).collect();
                for (index, entry) in entries.iter().enumerate().skip(2) {
                    make.phys.put(tables.root + 0x40 + index as u64 * 8, &entry.to_le_bytes());
                }
                tables.root += 0x40;
            }
            let page = make.phys.alloc();
            make.phys.put(page * PAGE, &process.id.to_le_bytes());
            tables.map(&mut make.phys, map.user, page, USER);
            let peb = make.phys.alloc();
            let (at, session) = if p == 8 { (0x7ff6_1230_0000, 0x2c0) } else { (0x7ffd_e000, 0x1d4) };
            make.phys.put(peb * PAGE + session, &process.session.to_le_bytes());
            tables.map(&mut make.phys, at, peb, USER);
            if number < WITH_USER_HALF {
                let own: Vec<usize> =
                    (0..stacks.len()).filter(|at| process.threads.contains(&stacks[*at].thread)).collect();
                if let (Some(first), Some(last)) = (own.first(), own.last()) {
                    threads::user_half(&mut make.phys, tables, &process.name, peb, &mut stacks[*first..=*last]);
                }
            }
            tables
        };
        roots.push(tables.root);
        let recorded = if p == 8 && process.id % 8 == 0 && !matches!(make.kernel.paging, Paging::Arm64) {
            // Flag bits as kernels with PCID leave them.
            tables.root | 2
        } else {
            tables.root
        };
        make.word(object + o.directory_table_base as u64, recorded);
        if process.name == "notepad.exe" && p == 8 {
            vad(make, &tables, *object, map.user + 0x10_0000, marks);
        }
    }
    (roots, objects, all_threads, stacks)
}

/// A range of shared memory that only the address descriptors know: a tree of two nodes.
fn vad(make: &mut Maker, tables: &Tables, process: u64, va: u64, marks: &mut Marks) {
    let shared = make.phys.alloc();
    make.phys.put(shared * PAGE + 0x18, &Marks::VAD.to_le_bytes());
    // Pool pages beyond this point would not be in the processes' tables: take what was mapped ahead.
    let prototypes = make.alloc(0x20);
    make.number(prototypes + 8, tables.paging.page_entry(shared, USER), 8);
    let (root, leaf) = (make.alloc(0x90), make.alloc(0x90));
    let old = build_of(make) < 9_200;
    let fill = |make: &mut Maker, node: u64, first: u64, last: u64| {
        if old {
            make.word(node + 0x18, first);
            make.word(node + 0x20, last);
        } else {
            make.number(node + 0x18, first & 0xffff_ffff, 4);
            make.number(node + 0x1c, last & 0xffff_ffff, 4);
            make.number(node + 0x20, first >> 32, 1);
            make.number(node + 0x21, last >> 32, 1);
        }
    };
    let page = va / PAGE;
    fill(make, root, page - 0x100, page - 0x80);
    fill(make, leaf, page, page + 3);
    make.word(leaf + 0x50, prototypes);
    // Before Windows 8.1 the links are parent, left, right behind each other; then left, right, parent.
    let offsets = make.offsets;
    if old {
        make.word(process + offsets.vad_root as u64 + 0x10, root);
        make.word(root + 0x10, leaf);
    } else {
        make.word(process + offsets.vad_root as u64, root);
        make.word(root + 8, leaf);
    }
    let by_vad = 0xffff_ffff_0000_0400_u64 | 4 << 5;
    tables.set_leaf(&mut make.phys, va + PAGE, by_vad);
    marks.by_vad = va + PAGE + 0x18;
}

/// Processor control blocks and what runs on them; the registers of the crash.
fn processors(make: &mut Maker, spec: &MachineSpec, map: &Map, block: u64, threads: &[(u64, u64)]) -> Registers {
    let (o, p) = (make.offsets, make.pointer as u64);
    let arch = match make.kernel.paging {
        Paging::X86 | Paging::Pae => Arch::X86,
        Paging::X64 | Paging::La57 => Arch::X64,
        Paging::Arm64 => Arch::Arm64,
    };
    let mut crash = Registers::default();
    for cpu in 0..u64::from(spec.processors) {
        let prcb = make.alloc(o.size_prcb as u64);
        make.word(block + cpu * p, prcb);
        make.number(prcb + o.prcb_number as u64, cpu, 4);
        let thread = threads[cpu as usize % threads.len()].1;
        let current = if p == 8 { 8 } else { 4 };
        make.word(prcb + current, thread);
        make.number(thread + o.state as u64, 2, 1);
        let stack_at = make.pa(thread + o.stack_base as u64);
        let top = make.phys.number(stack_at, p as usize);
        let registers = Registers {
            ip: map.drivers + 4 * 0x1_0000 + u64::from(pe::TEXT) + 0x123 + cpu,
            sp: top - 0x400,
            fp: top - 0x100,
            lr: map.kernel + u64::from(pe::RETURN),
            first: 0xdead_0000 + cpu,
        };
        // Code of x64 has unwind data, which tells where its caller stands.
        let slot = if arch == Arch::X64 { pe::FRAME } else { 0x20 };
        make.word(registers.sp + slot, map.kernel + u64::from(pe::RETURN));
        if arch == Arch::X64 {
            let cr4 = if make.kernel.paging == Paging::La57 { 0x35_1ef8 } else { 0x35_0ef8 };
            make.number(prcb + o.special_registers as u64 + 0x10, make.kernel.root, 8);
            make.number(prcb + o.special_registers as u64 + 0x18, cr4, 8);
        }
        if o.prcb_context != 0 {
            let record = context(arch, registers);
            let at = make.alloc(record.len() as u64);
            make.put(at, &record);
            make.word(prcb + o.prcb_context as u64, at);
        }
        if o.saved_context != 0 {
            make.put(prcb + o.saved_context as u64, &context(arch, registers));
        }
        if cpu == 0 {
            crash = registers;
        }
    }
    crash
}

/// The kernel's own list of unloaded drivers.
fn unloaded_drivers(make: &mut Maker, at: u64) {
    let p = make.pointer as u64;
    let (size, start, end, time) = if p == 8 { (0x28, 0x10, 0x18, 0x20) } else { (0x18, 8, 0xc, 0x10) };
    let array = make.alloc(50 * size);
    let base = if p == 8 { 0xffff_f801_3000_0000 } else { 0x8f00_0000 };
    for (index, name) in ["dump_storage.sys", "oldfilter.sys"].into_iter().enumerate() {
        let entry = array + index as u64 * size;
        make.unicode(entry, name);
        make.word(entry + start, base + index as u64 * 0x1_0000);
        make.word(entry + end, base + index as u64 * 0x1_0000 + 0x8000);
        make.number(entry + time, BOOT + 600_000_000, 8);
    }
    make.word(at, array);
    make.number(at + 0x20, 2, 4);
}

fn debugger_data(make: &mut Maker, spec: &MachineSpec, base: u64) {
    let o = make.offsets;
    let at = |rva: u32| base + u64::from(rva);
    // 64-bit fields of 32-bit systems are sign-extended.
    let sign = |value: u64| {
        if spec.release.is_64_bit() { value } else { i64::from(value as u32 as i32).cast_unsigned() }
    };
    let here = at(rva::DEBUGGER_DATA);
    let (context_at, stack) = (o.prcb_context as u64, |offset: usize| offset as u64);
    let current = if spec.release.is_64_bit() { 8 } else { 4 };
    let mut fields = vec![
        (0, sign(here), 8),
        (8, sign(here), 8),
        (0x10, u64::from(u32::from_le_bytes(*b"KDBG")), 4),
        (0x14, o.size_kdbg as u64, 4),
        (0x18, sign(base), 8),
        (0x36, u64::from(spec.release.paging == Paging::Pae), 2),
        (0x48, sign(at(rva::MODULE_LIST)), 8),
        (0x50, sign(at(rva::PROCESS_LIST)), 8),
        (0xc0, sign(at(rva::PFN_DATABASE)), 8),
        (0x138, 0x1000, 8),
        (0x208, sign(at(rva::BUILD_LAB)), 8),
        (0x218, sign(at(rva::PROCESSOR_BLOCK)), 8),
        (0x220, sign(at(rva::UNLOADED)), 8),
        (0x228, sign(at(rva::UNLOADED) + 0x20), 8),
        (0x29a, stack(o.teb), 2),
        (0x29c, stack(o.kernel_stack), 2),
        (0x29e, stack(o.initial_stack), 2),
        (0x2a0, stack(o.apc_process), 2),
        (0x2a2, stack(o.state), 2),
        (0x2a8, stack(o.size_process), 2),
        (0x2aa, stack(o.peb), 2),
        (0x2ac, stack(o.parent), 2),
        (0x2ae, stack(o.directory_table_base), 2),
        (0x2b0, stack(o.size_prcb), 2),
        (0x2b4, current, 2),
        (0x2bc, stack(o.saved_context), 2),
        (0x2be, stack(o.prcb_number), 2),
        (0x2c0, stack(o.size_thread), 2),
        (0x2f2, stack(o.special_registers), 2),
    ];
    if o.size_kdbg > 0x338 {
        fields.push((0x338, context_at, 2));
    }
    if o.size_kdbg >= 0x360 {
        fields.extend([
            (0x340, stack(o.stack_limit), 4),
            (0x344, stack(o.stack_base), 4),
            (0x35c, stack(o.wait_reason), 2),
        ]);
    }
    let mut bytes = crate::asm::structure(o.size_kdbg, &fields);
    if spec.encoded {
        encode(&mut bytes, 0x8b3e_77a1_90c4_5d2b, 0x5e1f_0c9d_2233_8f61, base + 0x1234);
    }
    make.put(here, &bytes);
}

/// The encoding that Windows 8 and later keep the block in while they run: the inverse of xor, rotate, xor, byte swap, xor.
fn encode(bytes: &mut [u8], never: u64, always: u64, flag_at: u64) {
    for chunk in bytes.chunks_exact_mut(8) {
        let plain = u64::from_le_bytes(chunk.try_into().unwrap());
        let unswapped = (plain ^ always).swap_bytes() ^ flag_at;
        let encoded = unswapped.rotate_right((never & 0xff) as u32 % 64) ^ never;
        chunk.copy_from_slice(&encoded.to_le_bytes());
    }
}
