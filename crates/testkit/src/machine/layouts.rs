//! Offsets of the builds that test machines run, restated from public symbol files.

use super::Paging;

/// A build of Windows that test machines can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// How its processor translates.
    pub paging: Paging,
    /// Build number.
    pub build: u32,
}

/// Windows 10 20H2, x64.
pub const WIN10_X64: Release = Release { paging: Paging::X64, build: 19041 };
/// Windows 11 24H2, x64.
pub const WIN11_X64: Release = Release { paging: Paging::X64, build: 26100 };
/// The same with five-level paging.
pub const WIN11_LA57: Release = Release { paging: Paging::La57, build: 26100 };
/// Windows 7 SP1, x64.
pub const WIN7_X64: Release = Release { paging: Paging::X64, build: 7601 };
/// Windows 7 SP1, x86 with PAE.
pub const WIN7_PAE: Release = Release { paging: Paging::Pae, build: 7601 };
/// Server 2008 SP2, x86 without PAE.
pub const SERVER2008_X86: Release = Release { paging: Paging::X86, build: 6002 };
/// Windows 11 24H2, ARM64.
pub const WIN11_ARM64: Release = Release { paging: Paging::Arm64, build: 26100 };

/// Every release, for tests that hold for all.
pub const RELEASES: [Release; 7] = [WIN10_X64, WIN11_X64, WIN11_LA57, WIN7_X64, WIN7_PAE, SERVER2008_X86, WIN11_ARM64];

/// Offsets in bytes of the fields that test machines fill.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// `_KPROCESS.DirectoryTableBase`
    pub directory_table_base: usize,
    /// `_KPROCESS.ThreadListHead`
    pub k_thread_list: usize,
    /// `_EPROCESS.UniqueProcessId`; `ActiveProcessLinks` is the next pointer.
    pub process_id: usize,
    /// `_EPROCESS.InheritedFromUniqueProcessId`
    pub parent: usize,
    /// `_EPROCESS.ImageFileName`
    pub name: usize,
    /// `_EPROCESS.CreateTime`
    pub created: usize,
    /// `_EPROCESS.Peb`
    pub peb: usize,
    /// `_EPROCESS.Session`
    pub session: usize,
    /// `_EPROCESS.ThreadListHead`
    pub thread_list: usize,
    /// `_EPROCESS.ActiveThreads`
    pub active_threads: usize,
    /// `_EPROCESS.VadRoot`
    pub vad_root: usize,
    /// `_KTHREAD.InitialStack`
    pub initial_stack: usize,
    /// `_KTHREAD.StackLimit`
    pub stack_limit: usize,
    /// `_KTHREAD.StackBase`
    pub stack_base: usize,
    /// `_KTHREAD.KernelStack`
    pub kernel_stack: usize,
    /// `_KTHREAD.TrapFrame`; 0 where it is not known.
    pub trap_frame: usize,
    /// `_KTHREAD.State`
    pub state: usize,
    /// `_KTHREAD.WaitReason`
    pub wait_reason: usize,
    /// `_KTHREAD.Teb`
    pub teb: usize,
    /// `_KTHREAD.ApcState.Process`
    pub apc_process: usize,
    /// `_KTHREAD.Process`
    pub owner: usize,
    /// `_KTHREAD.ThreadListEntry`
    pub k_thread_entry: usize,
    /// `_ETHREAD.Cid`
    pub cid: usize,
    /// `_ETHREAD.CreateTime`
    pub thread_created: usize,
    /// `_ETHREAD.Win32StartAddress`
    pub start: usize,
    /// `_ETHREAD.ThreadListEntry`
    pub thread_entry: usize,
    /// Bytes of an `_EPROCESS`.
    pub size_process: usize,
    /// Bytes of an `_ETHREAD`.
    pub size_thread: usize,
    /// `_KPRCB.Context`
    pub prcb_context: usize,
    /// `_KPRCB.ProcessorState.ContextFrame`; 0 where it is not filled.
    pub saved_context: usize,
    /// `_KPRCB.ProcessorState.SpecialRegisters`
    pub special_registers: usize,
    /// `_KPRCB.Number`
    pub prcb_number: usize,
    /// Bytes of a `_KPRCB`.
    pub size_prcb: usize,
    /// Bytes of the debugger data block.
    pub size_kdbg: usize,
}

impl Release {
    /// The offsets of this release.
    #[must_use]
    pub fn offsets(self) -> Offsets {
        match (self.paging, self.build) {
            (Paging::X64, 19041) => Offsets {
                directory_table_base: 0x28,
                k_thread_list: 0x30,
                process_id: 0x440,
                parent: 0x540,
                name: 0x5a8,
                created: 0x468,
                peb: 0x550,
                session: 0x558,
                thread_list: 0x5e0,
                active_threads: 0x5f0,
                vad_root: 0x7d8,
                initial_stack: 0x28,
                stack_limit: 0x30,
                stack_base: 0x38,
                kernel_stack: 0x58,
                trap_frame: 0x90,
                state: 0x184,
                wait_reason: 0x283,
                teb: 0xf0,
                apc_process: 0xb8,
                owner: 0x220,
                k_thread_entry: 0x2f8,
                cid: 0x478,
                thread_created: 0x430,
                start: 0x4d0,
                thread_entry: 0x4e8,
                size_process: 0xa40,
                size_thread: 0x898,
                prcb_context: 0x85c0,
                saved_context: 0,
                special_registers: 0x100,
                prcb_number: 0x24,
                size_prcb: 0xaf00,
                size_kdbg: 0x380,
            },
            (Paging::X64 | Paging::La57, 26100) => Offsets {
                directory_table_base: 0x28,
                k_thread_list: 0x30,
                process_id: 0x1d0,
                parent: 0x2d0,
                name: 0x338,
                created: 0x1f8,
                peb: 0x2e0,
                session: 0x2e8,
                thread_list: 0x370,
                active_threads: 0x380,
                vad_root: 0x558,
                initial_stack: 0x28,
                stack_limit: 0x30,
                stack_base: 0x38,
                kernel_stack: 0x58,
                trap_frame: 0x90,
                state: 0x184,
                wait_reason: 0x283,
                teb: 0xf0,
                apc_process: 0xb8,
                owner: 0x220,
                k_thread_entry: 0x2f8,
                cid: 0x508,
                thread_created: 0x4c0,
                start: 0x560,
                thread_entry: 0x578,
                size_process: 0x840,
                size_thread: 0x970,
                prcb_context: 0x8b40,
                saved_context: 0,
                special_registers: 0x100,
                prcb_number: 0x24,
                size_prcb: 0xc000,
                size_kdbg: 0x3a8,
            },
            (Paging::X64, 7601) => Offsets {
                directory_table_base: 0x28,
                k_thread_list: 0x30,
                process_id: 0x180,
                parent: 0x290,
                name: 0x2e0,
                created: 0x168,
                peb: 0x338,
                session: 0x2d8,
                thread_list: 0x308,
                active_threads: 0x328,
                vad_root: 0x448,
                initial_stack: 0x28,
                stack_limit: 0x30,
                stack_base: 0x278,
                kernel_stack: 0x38,
                trap_frame: 0x1d8,
                state: 0x164,
                wait_reason: 0x26b,
                teb: 0xb8,
                apc_process: 0x70,
                owner: 0x210,
                k_thread_entry: 0x2f8,
                cid: 0x3b8,
                thread_created: 0x368,
                start: 0x418,
                thread_entry: 0x428,
                size_process: 0x4d0,
                size_thread: 0x4a8,
                prcb_context: 0x53e0,
                saved_context: 0,
                special_registers: 0x40,
                prcb_number: 0x24,
                size_prcb: 0x6f00,
                size_kdbg: 0x340,
            },
            (Paging::Pae, 7601) => Offsets {
                directory_table_base: 0x18,
                k_thread_list: 0x2c,
                process_id: 0xb4,
                parent: 0x140,
                name: 0x16c,
                created: 0xa0,
                peb: 0x1a8,
                session: 0x168,
                thread_list: 0x188,
                active_threads: 0x198,
                vad_root: 0x278,
                initial_stack: 0x28,
                stack_limit: 0x2c,
                stack_base: 0x190,
                kernel_stack: 0x30,
                trap_frame: 0x128,
                state: 0x68,
                wait_reason: 0x187,
                teb: 0x88,
                apc_process: 0x50,
                owner: 0x150,
                k_thread_entry: 0x1e0,
                cid: 0x22c,
                thread_created: 0x200,
                start: 0x260,
                thread_entry: 0x268,
                size_process: 0x2c0,
                size_thread: 0x2b8,
                prcb_context: 0x3618,
                saved_context: 0,
                special_registers: 0x2e4,
                prcb_number: 0x3cc,
                size_prcb: 0x3748,
                size_kdbg: 0x340,
            },
            (Paging::X86, 6002) => Offsets {
                directory_table_base: 0x18,
                k_thread_list: 0x50,
                process_id: 0x9c,
                parent: 0x124,
                name: 0x14c,
                created: 0x88,
                peb: 0x188,
                session: 0x148,
                thread_list: 0x168,
                active_threads: 0x178,
                vad_root: 0x238,
                initial_stack: 0x28,
                stack_limit: 0x2c,
                stack_base: 0x174,
                kernel_stack: 0x30,
                trap_frame: 0x120,
                state: 0x5c,
                wait_reason: 0x6c,
                teb: 0x84,
                apc_process: 0x48,
                owner: 0x144,
                k_thread_entry: 0x1c4,
                cid: 0x20c,
                thread_created: 0x1e0,
                start: 0x240,
                thread_entry: 0x248,
                size_process: 0x268,
                size_thread: 0x288,
                prcb_context: 0,
                saved_context: 0x1c,
                special_registers: 0x2e8,
                prcb_number: 0x10,
                size_prcb: 0x2000,
                size_kdbg: 0x330,
            },
            (Paging::Arm64, 26100) => Offsets {
                directory_table_base: 0x28,
                k_thread_list: 0x30,
                process_id: 0x1c0,
                parent: 0x2c0,
                name: 0x328,
                created: 0x1e8,
                peb: 0x2d0,
                session: 0x2d8,
                thread_list: 0x360,
                active_threads: 0x370,
                vad_root: 0x618,
                initial_stack: 0x28,
                stack_limit: 0x30,
                stack_base: 0x38,
                kernel_stack: 0x58,
                trap_frame: 0,
                state: 0x17c,
                wait_reason: 0x2a3,
                teb: 0xe8,
                apc_process: 0xb0,
                owner: 0x240,
                k_thread_entry: 0x318,
                cid: 0x528,
                thread_created: 0x4e0,
                start: 0x580,
                thread_entry: 0x598,
                size_process: 0x8c0,
                size_thread: 0x9a0,
                prcb_context: 0x8a0,
                saved_context: 0,
                special_registers: 0x40,
                prcb_number: 0x24,
                size_prcb: 0x9680,
                size_kdbg: 0x3a8,
            },
            other => panic!("no layout for {other:?}"),
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub const fn pointer(self) -> usize {
        if matches!(self.paging, Paging::X86 | Paging::Pae) { 4 } else { 8 }
    }

    /// Whether dumps of it have the 64-bit header.
    #[must_use]
    pub const fn is_64_bit(self) -> bool {
        self.pointer() == 8
    }
}
