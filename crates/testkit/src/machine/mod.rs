//! Whole machines: page tables, a kernel with its debugger data block, drivers, processes, threads and stacks, written
//! from one description for every architecture, and stored in every form a kernel dump has.

mod layouts;
mod objects;
pub mod pe;
mod phys;
mod store;
mod threads;

pub use layouts::{
    Offsets, RELEASES, Release, SERVER2008_X86, WIN7_PAE, WIN7_X64, WIN10_X64, WIN11_ARM64, WIN11_LA57, WIN11_X64,
};
pub use phys::{CODE, DATA, PAGE, Paging, PhysImage, Rights, Tables, USER};
pub use store::Store;
pub use threads::ExpectedStack;

use crate::context::{Arch, Registers, context};

/// A process of a test machine.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// Image name, at most 15 characters.
    pub name: String,
    /// Process id.
    pub id: u64,
    /// Id of its creator.
    pub parent: u64,
    /// Session.
    pub session: u32,
    /// Ids of its threads.
    pub threads: Vec<u64>,
}

/// A driver of a test machine.
#[derive(Clone, Debug)]
pub struct DriverSpec {
    /// File name; the path is made of it.
    pub name: String,
    /// Bytes of the image, a multiple of a page.
    pub size: u32,
}

/// The description of a machine.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    /// What it runs.
    pub release: Release,
    /// Number of processors.
    pub processors: u32,
    /// Bug-check code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
    /// Whether the debugger data block stands encoded in memory, as live captures have it.
    pub encoded: bool,
    /// Drivers besides the kernel.
    pub drivers: Vec<DriverSpec>,
    /// Processes; the first is System.
    pub processes: Vec<ProcessSpec>,
}

impl MachineSpec {
    /// Two processors, five drivers, six processes.
    #[must_use]
    pub fn small(release: Release) -> Self {
        let process = |name: &str, id, parent, session, threads: &[u64]| ProcessSpec {
            name: name.into(),
            id,
            parent,
            session,
            threads: threads.to_vec(),
        };
        Self {
            release,
            processors: 2,
            code: 0xd1,
            parameters: [0x10, 2, 0, 0],
            encoded: false,
            drivers: ["hal.dll", "ACPI.sys", "Ntfs.sys", "tcpip.sys", "glasswing.sys"]
                .map(|name| DriverSpec { name: name.into(), size: 0x6000 })
                .to_vec(),
            processes: vec![
                process("System", 4, 0, 0, &[8, 12, 16]),
                process("smss.exe", 308, 4, 0, &[312]),
                process("csrss.exe", 404, 396, 0, &[408, 412]),
                process("winlogon.exe", 560, 480, 1, &[564]),
                process("explorer.exe", 3120, 3004, 1, &[3124, 3128, 3132]),
                process("notepad.exe", 4816, 3120, 1, &[4820]),
            ],
        }
    }

    /// As many more processes and threads as asked for.
    #[must_use]
    pub fn crowded(release: Release, processes: u64, threads_each: u64) -> Self {
        let mut spec = Self::small(release);
        for index in 0..processes {
            let id = 0x1_0000 + index * 0x400;
            spec.processes.push(ProcessSpec {
                name: format!("worker{index}.exe"),
                id,
                parent: 3120,
                session: 1,
                threads: (0..threads_each).map(|thread| id + 4 + thread * 4).collect(),
            });
        }
        spec
    }

    /// Makes the machine.
    #[must_use]
    pub fn build(&self) -> Machine {
        objects::build(self)
    }
}

/// Addresses in a machine at which tests know what to expect.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// In a large page; the eight bytes there are [`Marks::LARGE`].
    pub large: u64,
    /// In a page in transition; the eight bytes there are [`Marks::TRANSITION`].
    pub transition: u64,
    /// In a page that a valid prototype entry maps; the eight bytes there are [`Marks::PROTOTYPE`].
    pub prototype: u64,
    /// In a page of which the prototype entry says that it is in a file.
    pub in_file: u64,
    /// In paging file 1 at page 0x4321.
    pub paged_out: u64,
    /// Demand zero.
    pub demand_zero: u64,
    /// Mapped to a physical page that no dump holds.
    pub absent: u64,
    /// Never mapped; its page table does not exist.
    pub unmapped: u64,
    /// Behind a page table that is not in the dump.
    pub lost_table: u64,
    /// In every process's user half, with the process id in the first eight bytes.
    pub user: u64,
    /// In notepad's user half: shared memory that only its VADs know; the eight bytes there are [`Marks::VAD`].
    pub by_vad: u64,
    /// Two virtual pages in a row whose physical pages are not; the eight bytes across the border are
    /// [`Marks::ACROSS`].
    pub across: u64,
}

impl Marks {
    /// Content at [`Marks::large`].
    pub const LARGE: u64 = 0x1a29_3847_5665_7483;
    /// Content at [`Marks::transition`].
    pub const TRANSITION: u64 = 0x7472_616e_7369_7431;
    /// Content at [`Marks::prototype`].
    pub const PROTOTYPE: u64 = 0x7072_6f74_6f74_7970;
    /// Content at [`Marks::by_vad`].
    pub const VAD: u64 = 0x7661_6476_6164_7661;
    /// Content at [`Marks::across`].
    pub const ACROSS: u64 = 0x1122_3344_5566_7788;
}

/// A machine that was built: its memory and what a dump header says of it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it was built from.
    pub spec: MachineSpec,
    /// Physical memory.
    pub phys: PhysImage,
    /// The kernel's page tables.
    pub kernel: Tables,
    /// Every process's page tables, in the order of the description.
    pub roots: Vec<u64>,
    /// Every process's object.
    pub process_objects: Vec<u64>,
    /// Every thread's id and object.
    pub threads: Vec<(u64, u64)>,
    /// The stacks that its waiting threads have.
    pub stacks: Vec<ExpectedStack>,
    /// Base of the kernel.
    pub kernel_base: u64,
    /// Modules in list order: base, size, name.
    pub modules: Vec<(u64, u32, String)>,
    /// Address of the debugger data block.
    pub debugger_data: u64,
    /// Address of the module list's head.
    pub module_list: u64,
    /// Address of the process list's head.
    pub process_list: u64,
    /// Address of the variable that holds the page frame database's address.
    pub pfn_database: u64,
    /// Registers of the crash.
    pub registers: Registers,
    /// Known addresses.
    pub marks: Marks,
}

impl Machine {
    /// The architecture of its registers.
    #[must_use]
    pub const fn arch(&self) -> Arch {
        match self.spec.release.paging {
            Paging::X86 | Paging::Pae => Arch::X86,
            Paging::X64 | Paging::La57 => Arch::X64,
            Paging::Arm64 => Arch::Arm64,
        }
    }

    /// The crash's register context.
    #[must_use]
    pub fn context(&self) -> Vec<u8> {
        context(self.arch(), self.registers)
    }
}
