//! Where fields stand in process and thread objects, by architecture and build.
//!
//! Offsets from public symbol files of the kernel (one representative of each range of builds); x64 9600, 19041 and
//! 26100 were checked against real dumps.

use dumplens_base::Machine;

use crate::DebuggerData;

/// Offsets in bytes. `None` means that the field is not known for this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLayout {
    /// Size of a pointer.
    pub pointer: u8,
    /// First build the built-in offsets were read from; 0 if only the debugger data block is known.
    pub first_build: u32,
    /// Whether the build lies in a range that was read, rather than after the newest one.
    pub exact: bool,
    /// Whether offsets were found by reasoning from the System process.
    pub reasoned: bool,
    pub(crate) process_id: Option<u16>,
    pub(crate) parent_id: Option<u16>,
    pub(crate) image_name: Option<u16>,
    pub(crate) create_time: Option<u16>,
    pub(crate) peb: Option<u16>,
    pub(crate) session: Option<u16>,
    pub(crate) active_threads: Option<u16>,
    pub(crate) thread_list: Option<u16>,
    pub(crate) vad_root: Option<u16>,
    pub(crate) directory_table_base: u16,
    pub(crate) thread_stack_limit: Option<u16>,
    pub(crate) thread_stack_base: Option<u16>,
    pub(crate) thread_kernel_stack: Option<u16>,
    pub(crate) thread_initial_stack: Option<u16>,
    pub(crate) thread_trap_frame: Option<u16>,
    pub(crate) thread_owner: Option<u16>,
    pub(crate) thread_state: Option<u16>,
    pub(crate) thread_wait_reason: Option<u16>,
    pub(crate) thread_priority: Option<u16>,
    pub(crate) thread_teb: Option<u16>,
    pub(crate) thread_process: Option<u16>,
    pub(crate) thread_cid: Option<u16>,
    pub(crate) thread_create_time: Option<u16>,
    pub(crate) thread_start: Option<u16>,
    pub(crate) thread_list_entry: Option<u16>,
    pub(crate) size_process: Option<u16>,
    pub(crate) size_thread: Option<u16>,
}

/// Process offsets of one range of builds: first build, id, parent, name, create time, PEB, session, list of threads,
/// address descriptors. `ActiveProcessLinks` follows the id, and the thread count the list of threads.
type ProcessRow = (u32, u16, u16, u16, u16, u16, u16, u16, u16);
/// Thread offsets that last long: first build, stack limit, stack base, saved stack pointer, state, wait reason, priority,
/// TEB, process.
type KThreadRow = (u32, u16, u16, u16, u16, u16, u16, u16, u16);
/// Thread offsets that change often: first build, client id, create time, Win32 start address, link in the process's list.
type EThreadRow = (u32, u16, u16, u16, u16);
/// What leads from a thread to its stacks: first build, initial stack pointer, trap frame, owning process.
type StackRow = (u32, u16, u16, u16);

const PROCESS_X64: [ProcessRow; 14] = [
    (3790, 0xd8, 0x218, 0x268, 0xc0, 0x2c0, 0x260, 0x290, 0x398),
    (6000, 0xe0, 0x1f0, 0x238, 0xc8, 0x290, 0x230, 0x260, 0x380),
    (7600, 0x180, 0x290, 0x2e0, 0x168, 0x338, 0x2d8, 0x308, 0x448),
    (9200, 0x2e0, 0x3d0, 0x438, 0x2d0, 0x3e8, 0x3f0, 0x470, 0x590),
    (9600, 0x2e0, 0x3d0, 0x438, 0x2d0, 0x3e8, 0x3f0, 0x470, 0x5d8),
    (10240, 0x2e8, 0x3e0, 0x448, 0x308, 0x3f8, 0x400, 0x480, 0x608),
    (10586, 0x2e8, 0x3e0, 0x450, 0x308, 0x3f8, 0x400, 0x488, 0x610),
    (14393, 0x2e8, 0x3e0, 0x450, 0x308, 0x3f8, 0x400, 0x488, 0x620),
    (15063, 0x2e0, 0x3e0, 0x450, 0x308, 0x3f8, 0x400, 0x488, 0x628),
    (18326, 0x2e8, 0x3e8, 0x450, 0x310, 0x3f8, 0x400, 0x488, 0x658),
    (18362, 0x2e8, 0x3e8, 0x450, 0x310, 0x3f8, 0x400, 0x488, 0x658),
    (19041, 0x440, 0x540, 0x5a8, 0x468, 0x550, 0x558, 0x5e0, 0x7d8),
    (20348, 0x440, 0x540, 0x5a8, 0x468, 0x550, 0x558, 0x5e0, 0x7d8),
    (26100, 0x1d0, 0x2d0, 0x338, 0x1f8, 0x2e0, 0x2e8, 0x370, 0x558),
];

const KTHREAD_X64: [KThreadRow; 4] = [
    (3790, 0x30, 0x240, 0x38, 0x154, 0x92, 0x93, 0xb0, 0x68),
    (6000, 0x30, 0x250, 0x38, 0x154, 0x94, 0x73, 0xb0, 0x68),
    (7600, 0x30, 0x278, 0x38, 0x164, 0x26b, 0x7b, 0xb8, 0x70),
    (9200, 0x30, 0x38, 0x58, 0x184, 0x283, 0xc3, 0xf0, 0xb8),
];

const ETHREAD_X64: [EThreadRow; 14] = [
    (3790, 0x358, 0x308, 0x3c8, 0x3d0),
    (6000, 0x380, 0x330, 0x3e0, 0x3f0),
    (7600, 0x3b0, 0x360, 0x410, 0x420),
    (9200, 0x398, 0x348, 0x3f0, 0x400),
    (9600, 0x620, 0x5d0, 0x678, 0x688),
    (10240, 0x628, 0x5d8, 0x680, 0x690),
    (14393, 0x630, 0x5e0, 0x688, 0x698),
    (15063, 0x638, 0x5e8, 0x690, 0x6a0),
    (16299, 0x638, 0x5f0, 0x690, 0x6a8),
    (17763, 0x638, 0x5f0, 0x690, 0x6a8),
    (18326, 0x648, 0x600, 0x6a0, 0x6b8),
    (19041, 0x478, 0x430, 0x4d0, 0x4e8),
    (20348, 0x4c8, 0x480, 0x520, 0x538),
    (26100, 0x508, 0x4c0, 0x560, 0x578),
];

/// Serviced Windows 7 and Server 2008 R2 (about 24540 on) have a longer thread object.
const ETHREAD_7601_SERVICED: EThreadRow = (7600, 0x3b8, 0x368, 0x418, 0x428);
/// Its size.
const SIZE_THREAD_7601_SERVICED: u16 = 0x4a8;

const PROCESS_X86: [ProcessRow; 13] = [
    (2600, 0x84, 0x14c, 0x174, 0x70, 0x1b0, 0x170, 0x190, 0x11c),
    (3790, 0x94, 0x138, 0x164, 0x80, 0x1a0, 0x160, 0x180, 0x250),
    (6000, 0x9c, 0x124, 0x14c, 0x88, 0x188, 0x148, 0x168, 0x238),
    (7600, 0xb4, 0x140, 0x16c, 0xa0, 0x1a8, 0x168, 0x188, 0x278),
    (9200, 0xb4, 0x134, 0x170, 0xa8, 0x140, 0x144, 0x194, 0x274),
    (9600, 0xb4, 0x134, 0x170, 0xa8, 0x140, 0x144, 0x194, 0x274),
    (10240, 0xb4, 0x138, 0x170, 0xc8, 0x144, 0x148, 0x194, 0x284),
    (10586, 0xb4, 0x138, 0x174, 0xc8, 0x144, 0x148, 0x198, 0x284),
    (14393, 0xb4, 0x138, 0x174, 0xc8, 0x144, 0x148, 0x198, 0x28c),
    (15063, 0xb4, 0x140, 0x17c, 0xd0, 0x14c, 0x150, 0x1a0, 0x298),
    (17134, 0xb4, 0x140, 0x17c, 0xd0, 0x14c, 0x150, 0x1a0, 0x29c),
    (18362, 0xb4, 0x140, 0x17c, 0xd0, 0x14c, 0x150, 0x1a0, 0x310),
    (19041, 0xe4, 0x170, 0x1ac, 0x100, 0x17c, 0x180, 0x1d0, 0x350),
];

const KTHREAD_X86: [KThreadRow; 5] = [
    (2600, 0x1c, 0x168, 0x28, 0x2d, 0x5b, 0x33, 0x20, 0x44),
    (3790, 0x1c, 0x158, 0x20, 0x4c, 0x5a, 0x5b, 0x74, 0x38),
    (6000, 0x2c, 0x174, 0x30, 0x5c, 0x6c, 0x4f, 0x84, 0x48),
    (7600, 0x2c, 0x190, 0x30, 0x68, 0x187, 0x57, 0x88, 0x50),
    (9200, 0x24, 0x28, 0x48, 0x90, 0x18b, 0x87, 0xa8, 0x80),
];

const ETHREAD_X86: [EThreadRow; 11] = [
    (2600, 0x1ec, 0x1c0, 0x228, 0x22c),
    (3790, 0x1e4, 0x1b8, 0x220, 0x224),
    (6000, 0x20c, 0x1e0, 0x240, 0x248),
    (7600, 0x22c, 0x200, 0x260, 0x268),
    (9200, 0x214, 0x1e8, 0x244, 0x24c),
    (9600, 0x364, 0x338, 0x394, 0x39c),
    (10240, 0x374, 0x348, 0x3a4, 0x3ac),
    (14393, 0x374, 0x348, 0x3a4, 0x3ac),
    (15063, 0x37c, 0x350, 0x3ac, 0x3b4),
    (18362, 0x384, 0x358, 0x3b4, 0x3bc),
    (19041, 0x2ac, 0x280, 0x2dc, 0x2e4),
];

/// ARM64, as far as it was read (0: not known); the debugger data block and reasoning give the rest.
const PROCESS_ARM64: [ProcessRow; 2] =
    [(22000, 0x3f8, 0x4f8, 0x560, 0, 0x508, 0, 0, 0), (26100, 0x1c0, 0x2c0, 0x328, 0x1e8, 0x2d0, 0x2d8, 0x360, 0x618)];

const KTHREAD_ARM64: [KThreadRow; 1] = [(16299, 0x30, 0x38, 0x58, 0x17c, 0x2a3, 0, 0xe8, 0xb0)];

const ETHREAD_ARM64: [EThreadRow; 2] = [(22000, 0x4e8, 0, 0, 0), (22621, 0, 0, 0, 0)];

const STACK_X64: [StackRow; 4] =
    [(3790, 0x28, 0x1c8, 0x1e8), (6000, 0x28, 0x1c8, 0x1f8), (7600, 0x28, 0x1d8, 0x210), (9200, 0x28, 0x90, 0x220)];

const STACK_X86: [StackRow; 5] = [
    (2600, 0x18, 0x134, 0),
    (3790, 0x18, 0x110, 0x128),
    (6000, 0x28, 0x120, 0x144),
    (7600, 0x28, 0x128, 0x150),
    (9200, 0x20, 0x6c, 0x150),
];

const STACK_ARM64: [StackRow; 1] = [(16299, 0x28, 0, 0)];

/// Newest build whose offsets were read; later ones use the same and say so.
const NEWEST_KNOWN: u32 = 26_200;

/// The layout for a build. What `data` states about this very kernel wins over the tables.
#[must_use]
pub fn layout(machine: Machine, build: u32, data: Option<&DebuggerData>) -> KernelLayout {
    let tables = match machine {
        Machine::X64 => Some((&PROCESS_X64[..], &KTHREAD_X64[..], &ETHREAD_X64[..], &STACK_X64[..])),
        Machine::X86 => Some((&PROCESS_X86[..], &KTHREAD_X86[..], &ETHREAD_X86[..], &STACK_X86[..])),
        Machine::Arm64 => Some((&PROCESS_ARM64[..], &KTHREAD_ARM64[..], &ETHREAD_ARM64[..], &STACK_ARM64[..])),
        _ => None,
    };
    let word = |offset: Option<u16>| offset.filter(|offset| *offset != 0);
    let wide = |offset: Option<u32>| offset.and_then(|offset| u16::try_from(offset).ok()).filter(|offset| *offset != 0);
    let process = tables.and_then(|(rows, ..)| row(rows, build, |row| row.0));
    let kthread = tables.and_then(|(_, rows, ..)| row(rows, build, |row| row.0));
    let ethread = tables.and_then(|(_, _, rows, _)| row(rows, build, |row| row.0));
    let stack = tables.and_then(|(.., rows)| row(rows, build, |row| row.0));
    let size_thread = word(data.and_then(DebuggerData::size_thread));
    let serviced = machine == Machine::X64 && size_thread == Some(SIZE_THREAD_7601_SERVICED);
    let ethread = if serviced && (7_600..9_200).contains(&build) { Some(ETHREAD_7601_SERVICED) } else { ethread };
    let of_process = |pick: fn(ProcessRow) -> u16| word(process.map(pick));
    let of_kthread = |pick: fn(KThreadRow) -> u16| word(kthread.map(pick));
    let of_ethread = |pick: fn(EThreadRow) -> u16| word(ethread.map(pick));
    let of_stack = |pick: fn(StackRow) -> u16| word(stack.map(pick));
    let stated = |field: fn(&DebuggerData) -> Option<u16>| word(data.and_then(field));
    let pointer = machine.pointer_size();
    let thread_list = of_process(|row| row.7);
    // Before Windows 8 two more pointers stand between the list of threads and their number.
    let gap = match (build, pointer) {
        (9_200.., 8) => 0x10,
        (9_200.., _) => 8,
        (_, 8) => 0x20,
        _ => 0x10,
    };
    KernelLayout {
        pointer,
        first_build: process.map_or(0, |row| row.0),
        exact: process.is_some() && build <= NEWEST_KNOWN,
        reasoned: false,
        process_id: of_process(|row| row.1),
        parent_id: stated(DebuggerData::offset_process_parent).or(of_process(|row| row.2)),
        image_name: of_process(|row| row.3),
        create_time: of_process(|row| row.4),
        peb: stated(DebuggerData::offset_process_peb).or(of_process(|row| row.5)),
        session: of_process(|row| row.6),
        active_threads: thread_list.map(|list| list + gap),
        thread_list,
        vad_root: of_process(|row| row.8),
        directory_table_base: stated(DebuggerData::offset_process_directory_table_base).unwrap_or(if pointer == 4 {
            0x18
        } else {
            0x28
        }),
        thread_stack_limit: wide(data.and_then(DebuggerData::offset_thread_stack_limit)).or(of_kthread(|row| row.1)),
        thread_stack_base: wide(data.and_then(DebuggerData::offset_thread_stack_base)).or(of_kthread(|row| row.2)),
        thread_kernel_stack: stated(DebuggerData::offset_thread_kernel_stack).or(of_kthread(|row| row.3)),
        thread_initial_stack: stated(DebuggerData::offset_thread_initial_stack).or(of_stack(|row| row.1)),
        thread_trap_frame: of_stack(|row| row.2),
        thread_owner: of_stack(|row| row.3),
        thread_state: stated(DebuggerData::offset_thread_state).or(of_kthread(|row| row.4)),
        thread_wait_reason: stated(DebuggerData::offset_thread_wait_reason).or(of_kthread(|row| row.5)),
        thread_priority: of_kthread(|row| row.6),
        thread_teb: stated(DebuggerData::offset_thread_teb).or(of_kthread(|row| row.7)),
        thread_process: stated(DebuggerData::offset_thread_apc_process).or(of_kthread(|row| row.8)),
        thread_cid: of_ethread(|row| row.1),
        thread_create_time: of_ethread(|row| row.2),
        thread_start: of_ethread(|row| row.3),
        thread_list_entry: of_ethread(|row| row.4),
        size_process: stated(DebuggerData::size_process),
        size_thread,
    }
}

impl KernelLayout {
    /// What the offsets rest on, for the reader.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        if self.reasoned {
            return "the debugger data block and what the System process itself shows";
        }
        match (self.first_build, self.exact) {
            (0, _) => "the dump's debugger data block alone",
            (_, true) => "the debugger data block and built-in offsets of this range of builds",
            (_, false) => "the debugger data block and built-in offsets of an older build",
        }
    }
}

/// The last row whose first build is not after `build`.
fn row<T: Copy>(rows: &[T], build: u32, first: impl Fn(&T) -> u32) -> Option<T> {
    rows.iter().take_while(|row| first(row) <= build).last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_takes_the_row_of_its_range() {
        assert_eq!(layout(Machine::X64, 19045, None).image_name, Some(0x5a8));
        assert_eq!(layout(Machine::X64, 9600, None).thread_cid, Some(0x620));
        assert_eq!(layout(Machine::X86, 7601, None).process_id, Some(0xb4));
        assert!(layout(Machine::X64, 22631, None).exact);
    }

    #[test]
    fn unknown_builds_say_so() {
        assert!(!layout(Machine::X64, 30_000, None).exact);
        assert_eq!(layout(Machine::X64, 2195, None).image_name, None);
        assert_eq!(layout(Machine::Arm64, 16299, None).image_name, None);
    }

    #[test]
    fn rows_are_in_order() {
        assert!(PROCESS_X64.is_sorted_by_key(|row| row.0) && PROCESS_X86.is_sorted_by_key(|row| row.0));
        assert!(KTHREAD_X64.is_sorted_by_key(|row| row.0) && KTHREAD_X86.is_sorted_by_key(|row| row.0));
        assert!(ETHREAD_X64.is_sorted_by_key(|row| row.0) && ETHREAD_X86.is_sorted_by_key(|row| row.0));
    }
}
