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
    /// Bit 0: physical address extension, on x86.
    pae_flags: u16 = 0x36;
    /// Head of the loaded module list.
    ps_loaded_module_list: u64 = 0x48;
    /// Head of the process list.
    ps_active_process_head: u64 = 0x50;
    /// Address of the array with the bug-check code and its parameters.
    ki_bugcheck_data: u64 = 0x88;
    /// Address of the build lab string.
    nt_build_lab: u64 = 0x208;
    /// Address of the array of processor control blocks.
    ki_processor_block: u64 = 0x218;
    /// Address of the pointer to the array of unloaded drivers.
    mm_unloaded_drivers: u64 = 0x220;
    /// Address of the number of the next entry in that array.
    mm_last_unloaded_driver: u64 = 0x228;
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
    /// Offset in a processor control block of the registers saved when the processor was stopped.
    offset_prcb_saved_context: u16 = 0x2bc;
    /// Offset of the processor number in a processor control block.
    offset_prcb_number: u16 = 0x2be;
    /// Size of a thread object.
    size_thread: u16 = 0x2c0;
    /// Bit of an invalid page table entry that the mitigation of L1 terminal fault flips; 0 if none (Windows 10 1903 and
    /// later).
    l1tf_high_physical_bit: u8 = 0x2c2;
    /// Offset of the special registers in a processor control block.
    offset_prcb_special_registers: u16 = 0x2f2;
    /// Offset of the address of a processor's context record in its control block (Windows 7 and later).
    offset_prcb_context: u16 = 0x338;
    /// Offset of the stack limit in a thread (Windows 8 and later).
    offset_thread_stack_limit: u32 = 0x340;
    /// Offset of the stack base in a thread (Windows 8 and later).
    offset_thread_stack_base: u32 = 0x344;
    /// Offset in a processor control block of the top of the stack for deferred procedure calls (Windows 8 and later).
    offset_prcb_dpc_stack: u16 = 0x354;
    /// Offset in a processor control block of the top of the stack for interrupts (Windows 8 and later).
    offset_prcb_interrupt_stack: u16 = 0x356;
    /// Offset of the wait reason in a thread (Windows 8.1 and later).
    offset_thread_wait_reason: u16 = 0x35c;
    /// Offset of the idle thread in a processor control block (Windows 8 and later).
    offset_prcb_idle_thread: u16 = 0x350;
    /// First address of the page tables' own mapping (Windows 10 1607 and later).
    pte_base: u64 = 0x360;
}

/// Addresses known from elsewhere that a debugger data block holds too. They prove a decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownAddresses {
    /// Base address of the kernel.
    pub kernel_base: Option<u64>,
    /// Head of the loaded module list.
    pub module_list: Option<u64>,
    /// Head of the process list.
    pub process_list: Option<u64>,
}

/// Largest block that any build has had is below this.
pub(crate) const MOST_BYTES: usize = 0x500;
/// The block of Windows 2000, the smallest.
const LEAST_BYTES: usize = 0x208;

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

    /// Decodes a block as a running Windows 8 or later keeps it.
    ///
    /// Each eight bytes are combined with two secrets and an address by exclusive or, a rotation and a byte swap. Written
    /// out, all but the rotation collapse into one unknown number: `plain = swap(rotate(coded, r)) ^ key`. One known
    /// address gives the key for each of the 64 rotations, the tag and the other known addresses tell which is right.
    /// So no symbols are needed.
    #[must_use]
    pub fn decode(bytes: &[u8], known: &KnownAddresses) -> Option<Self> {
        let bytes = bytes.get(..bytes.len().min(MOST_BYTES))?;
        let word = |at: usize| bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
        let facts = [(0x18, known.kernel_base), (0x48, known.module_list), (0x50, known.process_list)];
        let (anchor, plain) = facts.iter().find_map(|(at, value)| Some((*at, (*value)?)))?;
        let anchor = word(anchor)?;
        let tag = word(0x10)?;
        (0..64).find_map(|rotation| {
            let turn = |coded: u64| coded.rotate_left(rotation).swap_bytes();
            let key = turn(anchor) ^ plain;
            let header = turn(tag) ^ key;
            let size = usize::try_from(header >> 32).ok()?;
            let tagged = header & 0xffff_ffff == u64::from(u32::from_le_bytes(*b"KDBG"));
            if !tagged || !(LEAST_BYTES..=MOST_BYTES).contains(&size) || !size.is_multiple_of(8) {
                return None;
            }
            let agrees = |(at, value): &(usize, Option<u64>)| {
                value.is_none_or(|value| word(*at).is_some_and(|coded| turn(coded) ^ key == value))
            };
            if !facts.iter().all(agrees) {
                return None;
            }
            let decoded: alloc::vec::Vec<u8> = bytes
                .get(..size.min(bytes.len()))?
                .chunks_exact(8)
                .filter_map(|coded| coded.first_chunk())
                .flat_map(|coded| (turn(u64::from_le_bytes(*coded)) ^ key).to_le_bytes())
                .collect();
            Self::parse(&decoded)
        })
    }

    /// Whether the block can be believed: a plain size, a page-aligned kernel, list heads in it.
    #[must_use]
    pub fn is_plausible(&self, known: &KnownAddresses) -> bool {
        let same = |known: Option<u64>, field: Option<u64>| known.is_none_or(|known| field == Some(known));
        (LEAST_BYTES..=MOST_BYTES).contains(&self.bytes.len())
            && self.kernel_base().is_some_and(|base| base != 0 && base % 0x1000 == 0)
            && same(known.kernel_base, self.kernel_base())
            && same(known.module_list, self.ps_loaded_module_list())
            && same(known.process_list, self.ps_active_process_head())
    }

    fn field<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    fn plain() -> Vec<u8> {
        let mut bytes = vec![0; 0x380];
        let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(0x10, u64::from(u32::from_le_bytes(*b"KDBG")) | 0x380 << 32);
        put(0x18, 0xffff_f801_2000_0000);
        put(0x48, 0xffff_f801_2000_3100);
        put(0x50, 0xffff_f801_2000_3120);
        put(0x2a8, 0xa40);
        bytes
    }

    proptest! {
        /// Whatever the secrets, one known address is enough.
        #[test]
        fn an_encoded_block_is_decoded_without_symbols(never in any::<u64>(), always in any::<u64>(), at in any::<u64>()) {
            let coded: Vec<u8> = plain()
                .chunks_exact(8)
                .flat_map(|word| {
                    let word = u64::from_le_bytes(word.try_into().unwrap());
                    (((word ^ always).swap_bytes() ^ at).rotate_right((never & 0x3f) as u32) ^ never).to_le_bytes()
                })
                .collect();
            let known = KnownAddresses { kernel_base: Some(0xffff_f801_2000_0000), ..KnownAddresses::default() };
            let data = DebuggerData::decode(&coded, &known).unwrap();
            prop_assert_eq!(data.ps_loaded_module_list(), Some(0xffff_f801_2000_3100));
            prop_assert_eq!(data.size_process(), Some(0xa40));
            let wrong = KnownAddresses { module_list: Some(1), ..known };
            prop_assert!(DebuggerData::decode(&coded, &wrong).is_none());
        }
    }
}
