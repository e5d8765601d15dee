//! `KDDEBUGGER_DATA64`, the block in which the kernel tells debuggers where things are.

use alloc::boxed::Box;

/// A debugger data block. It has the same 64-bit form on every architecture and has grown over the releases: a field
/// past the end of an older block is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebuggerData {
    bytes: Box<[u8]>,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $offset:literal;)*) => {
        impl DebuggerData {
            $($(#[$doc])* #[must_use] pub fn $name(&self) -> Option<$type> { self.field($offset).map(<$type>::from_le_bytes) })*
        }
    };
}

fields! {
    /// Base address of the kernel.
    kernel_base: u64 = 0x18;
    /// Head of the loaded module list.
    ps_loaded_module_list: u64 = 0x48;
    /// Head of the process list.
    ps_active_process_head: u64 = 0x50;
    /// Address of the build lab string.
    nt_build_lab: u64 = 0x208;
    /// Address of the array of processor control blocks.
    ki_processor_block: u64 = 0x218;
    /// Offset of the TEB address in a thread.
    offset_thread_teb: u16 = 0x29a;
    /// Offset of the saved kernel stack pointer in a thread.
    offset_thread_kernel_stack: u16 = 0x29c;
    /// Offset of the initial kernel stack pointer in a thread.
    offset_thread_initial_stack: u16 = 0x29e;
    /// Offset of the current process in a thread.
    offset_thread_apc_process: u16 = 0x2a0;
    /// Offset of the state in a thread.
    offset_thread_state: u16 = 0x2a2;
    /// Size of a process object.
    size_process: u16 = 0x2a8;
    /// Offset of the PEB address in a process.
    offset_process_peb: u16 = 0x2aa;
    /// Offset of the parent's id in a process.
    offset_process_parent: u16 = 0x2ac;
    /// Offset of the directory table base in a process.
    offset_process_directory_table_base: u16 = 0x2ae;
    /// Size of a processor control block.
    size_prcb: u16 = 0x2b0;
    /// Offset of the current thread in a processor control block.
    offset_prcb_current_thread: u16 = 0x2b4;
    /// Offset of the clock rate in a processor control block.
    offset_prcb_mhz: u16 = 0x2b6;
    /// Offset of the vendor string in a processor control block.
    offset_prcb_vendor: u16 = 0x2ba;
    /// Offset of the processor number in a processor control block.
    offset_prcb_number: u16 = 0x2be;
    /// Size of a thread object.
    size_thread: u16 = 0x2c0;
    /// Offset of the stack limit in a thread (Windows 8 and later).
    offset_thread_stack_limit: u32 = 0x340;
    /// Offset of the stack base in a thread (Windows 8 and later).
    offset_thread_stack_base: u32 = 0x344;
    /// Offset of the wait reason in a thread (Windows 8.1 and later).
    offset_thread_wait_reason: u16 = 0x35c;
}

impl DebuggerData {
    /// Checks the tag `KDBG` and keeps as many bytes as the block itself claims.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.get(0x10..0x14)? != b"KDBG" {
            return None;
        }
        let size = u32::from_le_bytes(*bytes.get(0x14..)?.first_chunk()?) as usize;
        let bytes = bytes.get(..size.min(bytes.len()))?;
        Some(Self { bytes: bytes.into() })
    }

    fn field<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk().copied()
    }
}
