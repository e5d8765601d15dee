//! Process, thread and processor objects.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Memory, MemoryExt, Va, ascii_until_nul};

use crate::{DebuggerData, KernelLayout};

/// A process object. A field is `None` if its offset is not known, its memory is absent, or its value is implausible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Address of the object.
    pub address: Va,
    /// Process id.
    pub id: Option<u64>,
    /// Id of the creating process.
    pub parent_id: Option<u64>,
    /// Image name, at most 15 characters.
    pub name: Option<String>,
    /// When it was created: `FILETIME`.
    pub create_time: Option<u64>,
    /// Process environment block.
    pub peb: Option<Va>,
    /// Directory table base, as recorded.
    pub directory_table_base: Option<u64>,
    /// Number of threads.
    pub active_threads: Option<u32>,
    /// Session object; none for System and its kin.
    pub session: Option<Va>,
    /// Whether the object calls itself a process (dispatcher type 3).
    pub is_process: bool,
}

/// A thread object, with fields as in [`Process`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Address of the object.
    pub address: Va,
    /// Id of its process.
    pub process_id: Option<u64>,
    /// Thread id.
    pub id: Option<u64>,
    /// Scheduler state.
    pub state: Option<&'static str>,
    /// What it waits or waited for.
    pub wait_reason: Option<&'static str>,
    /// Priority.
    pub priority: Option<u8>,
    /// Lowest address of the kernel stack.
    pub stack_limit: Option<Va>,
    /// Address above the kernel stack.
    pub stack_base: Option<Va>,
    /// Saved stack pointer of a thread that does not run.
    pub kernel_stack: Option<Va>,
    /// Where its kernel stack began when it last entered the kernel.
    pub initial_stack: Option<Va>,
    /// Registers saved when it last entered the kernel from user mode (`KTRAP_FRAME`); none for system threads.
    pub trap_frame: Option<Va>,
    /// Thread environment block.
    pub teb: Option<Va>,
    /// Process that it belongs to.
    pub owner: Option<Va>,
    /// Process whose address space it uses.
    pub process: Option<Va>,
    /// When it was created: `FILETIME`.
    pub create_time: Option<u64>,
    /// Where its user part started.
    pub start_address: Option<Va>,
}

/// What a processor control block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prcb {
    /// Number of the processor.
    pub number: Option<u32>,
    /// The thread it ran.
    pub current_thread: Option<Va>,
    /// Clock rate in MHz.
    pub mhz: Option<u32>,
    /// CPUID vendor.
    pub vendor: Option<String>,
}

/// Ids are multiples of 4 and far below this.
const HIGHEST_ID: u64 = 1 << 26;

/// Dispatcher type of processes.
pub(crate) const PROCESS_OBJECT: u8 = 3;
/// Dispatcher type of threads.
pub(crate) const THREAD_OBJECT: u8 = 6;

/// `KTHREAD_STATE`.
const STATES: [&str; 10] = [
    "Initialized",
    "Ready",
    "Running",
    "Standby",
    "Terminated",
    "Waiting",
    "Transition",
    "DeferredReady",
    "GateWait",
    "WaitingForProcessInSwap",
];

/// `KWAIT_REASON`.
const WAIT_REASONS: [&str; 42] = [
    "Executive",
    "FreePage",
    "PageIn",
    "PoolAllocation",
    "DelayExecution",
    "Suspended",
    "UserRequest",
    "WrExecutive",
    "WrFreePage",
    "WrPageIn",
    "WrPoolAllocation",
    "WrDelayExecution",
    "WrSuspended",
    "WrUserRequest",
    "WrEventPair",
    "WrQueue",
    "WrLpcReceive",
    "WrLpcReply",
    "WrVirtualMemory",
    "WrPageOut",
    "WrRendezvous",
    "WrKeyedEvent",
    "WrTerminated",
    "WrProcessInSwap",
    "WrCpuRateControl",
    "WrCalloutStack",
    "WrKernel",
    "WrResource",
    "WrPushLock",
    "WrMutex",
    "WrQuantumEnd",
    "WrDispatchInt",
    "WrPreempted",
    "WrYieldExecution",
    "WrFastMutex",
    "WrGuardedMutex",
    "WrRundown",
    "WrAlertByThreadId",
    "WrDeferredPreempt",
    "WrPhysicalFault",
    "WrIoRing",
    "WrMdlCache",
];

/// Reads fields of one object.
pub(crate) struct Object<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) address: Va,
    pub(crate) pointer: u8,
}

impl Object<'_> {
    pub(crate) fn at(&self, offset: Option<u16>) -> Option<Va> {
        self.address.checked_add(u64::from(offset?))
    }

    pub(crate) fn u8(&self, offset: Option<u16>) -> Option<u8> {
        let mut byte = [0];
        self.memory.read_exact(self.at(offset)?, &mut byte).ok()?;
        let [byte] = byte;
        Some(byte)
    }

    pub(crate) fn u32(&self, offset: Option<u16>) -> Option<u32> {
        self.memory.read_u32(self.at(offset)?).ok()
    }

    fn u64(&self, offset: Option<u16>) -> Option<u64> {
        self.memory.read_u64(self.at(offset)?).ok()
    }

    pub(crate) fn word(&self, offset: Option<u16>) -> Option<u64> {
        self.memory.read_pointer(self.at(offset)?, self.pointer).ok()
    }

    fn id(&self, offset: Option<u16>) -> Option<u64> {
        self.word(offset).filter(|id| *id < HIGHEST_ID && id.is_multiple_of(4))
    }

    pub(crate) fn address(&self, offset: Option<u16>) -> Option<Va> {
        self.word(offset).filter(|address| *address != 0).map(Va)
    }

    /// A `FILETIME` after 1995 and before 2150.
    fn time(&self, offset: Option<u16>) -> Option<u64> {
        self.u64(offset).filter(|time| (0x01ba_0000_0000_0000..0x0268_0000_0000_0000).contains(time))
    }
}

/// Reads a process object.
#[must_use]
pub fn read_process(memory: &dyn Memory, address: Va, layout: &KernelLayout) -> Process {
    let object = Object { memory, address, pointer: layout.pointer };
    let name = object.at(layout.image_name).and_then(|at| memory.read_vec(at, 15).ok());
    Process {
        address,
        id: object.id(layout.process_id),
        parent_id: object.id(layout.parent_id),
        name: name.and_then(|bytes| ascii_until_nul(&bytes)).filter(|name| !name.is_empty()),
        create_time: object.time(layout.create_time),
        peb: object.address(layout.peb),
        directory_table_base: object.word(Some(layout.directory_table_base)).filter(|base| *base != 0),
        active_threads: object.u32(layout.active_threads).filter(|count| *count < 1 << 20),
        session: object.address(layout.session),
        is_process: object.u8(Some(0)).is_some_and(|kind| kind & 0x7f == PROCESS_OBJECT),
    }
}

/// Reads a thread object.
#[must_use]
pub fn read_thread(memory: &dyn Memory, address: Va, layout: &KernelLayout) -> Thread {
    let object = Object { memory, address, pointer: layout.pointer };
    let name = |names: &'static [&'static str], index: Option<u8>| names.get(usize::from(index?)).copied();
    let thread_id = layout.thread_cid.and_then(|cid| cid.checked_add(u16::from(layout.pointer)));
    let (limit, base) = (object.address(layout.thread_stack_limit), object.address(layout.thread_stack_base));
    let bounded = matches!((limit, base), (Some(limit), Some(base)) if limit < base && base.0 - limit.0 <= 1 << 24);
    Thread {
        address,
        process_id: object.id(layout.thread_cid),
        id: object.id(thread_id),
        state: name(&STATES, object.u8(layout.thread_state)),
        wait_reason: name(&WAIT_REASONS, object.u8(layout.thread_wait_reason)),
        priority: object.u8(layout.thread_priority).filter(|priority| *priority < 32),
        stack_limit: limit.filter(|_| bounded),
        stack_base: base.filter(|_| bounded),
        kernel_stack: object.address(layout.thread_kernel_stack),
        initial_stack: object.address(layout.thread_initial_stack),
        trap_frame: object.address(layout.thread_trap_frame),
        teb: object.address(layout.thread_teb),
        owner: object.address(layout.thread_owner),
        process: object.address(layout.thread_process),
        create_time: object.time(layout.thread_create_time),
        start_address: object.address(layout.thread_start),
    }
}

/// Reads what the debugger data block tells of a processor control block.
#[must_use]
pub fn read_prcb(memory: &dyn Memory, address: Va, data: &DebuggerData, pointer: u8) -> Prcb {
    let object = Object { memory, address, pointer };
    let set = |offset: Option<u16>| offset.filter(|offset| *offset != 0);
    let vendor: Option<Vec<u8>> = object.at(set(data.offset_prcb_vendor())).and_then(|at| memory.read_vec(at, 12).ok());
    Prcb {
        number: object.u32(set(data.offset_prcb_number())).filter(|number| *number < 4096),
        current_thread: object.address(set(data.offset_prcb_current_thread())),
        mhz: object.u32(set(data.offset_prcb_mhz())).filter(|mhz| (1..20_000).contains(mhz)),
        vendor: vendor.and_then(|bytes| ascii_until_nul(&bytes)).filter(|name| !name.is_empty()),
    }
}
