//! Smaller streams: memory states, tokens, function tables and counters.

use alloc::vec::Vec;

use dumplens_base::{Note, Va};

use super::{Minidump, StreamType};
use crate::limits;

/// `MINIDUMP_MEMORY_INFO`: one region of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// First address.
    pub base: Va,
    /// First address of the allocation it belongs to.
    pub allocation_base: Va,
    /// `PAGE_*` bits when it was allocated.
    pub allocation_protect: u32,
    /// Length in bytes.
    pub size: u64,
    /// `MEM_COMMIT` 0x1000, `MEM_RESERVE` 0x2000, `MEM_FREE` 0x10000.
    pub state: u32,
    /// `PAGE_*` bits.
    pub protect: u32,
    /// `MEM_PRIVATE` 0x20000, `MEM_MAPPED` 0x40000, `MEM_IMAGE` 0x1000000.
    pub kind: u32,
}

/// One entry of the token stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Thread or process id it belongs to.
    pub id: u32,
    /// Handle it was read through.
    pub handle: u64,
    /// Length of its data in bytes.
    pub size: u32,
}

/// One table of unwind data for generated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionTable {
    /// First address covered.
    pub minimum: Va,
    /// Address above the last one covered.
    pub maximum: Va,
    /// Base of the entries' offsets.
    pub base: Va,
    /// Number of entries.
    pub entries: u32,
    /// The entries of an x64 process: begin, end and unwind data, as offsets from the base. Empty where an entry has
    /// another size than those have.
    pub functions: Vec<[u32; 3]>,
}

/// The parts of `MINIDUMP_SYSTEM_MEMORY_INFO_1` that people ask for; counts are pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemMemoryInfo {
    /// Page size in bytes.
    pub page_size: u32,
    /// Physical pages of the machine.
    pub physical_pages: u32,
    /// Pages available.
    pub available_pages: u64,
    /// Pages committed.
    pub committed_pages: u64,
    /// Most pages that can be committed.
    pub commit_limit: u64,
    /// Most pages that were committed.
    pub peak_commitment: u64,
}

/// The parts of `MINIDUMP_PROCESS_VM_COUNTERS` that people ask for; sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmCounters {
    /// Page faults.
    pub page_faults: u32,
    /// Largest working set.
    pub peak_working_set: u64,
    /// Working set.
    pub working_set: u64,
    /// Page file use.
    pub pagefile_usage: u64,
    /// Largest page file use.
    pub peak_pagefile_usage: u64,
    /// Private bytes.
    pub private_usage: u64,
}

impl Minidump {
    /// The process's address space, at most `most` regions, and how many the stream holds in all.
    pub fn memory_info(&self, most: usize, notes: &mut Vec<Note>) -> Option<(Vec<MemoryInfo>, u64)> {
        self.with_stream(StreamType::MemoryInfoList, notes, |bytes, notes| {
            let list = Self::sized_list(bytes, 0x30, true, "memory info list")?;
            let size = u64::from(list.entry);
            let count = Self::entries(bytes, list.count, limits::ENTRIES, size, "memory info list", notes)?;
            let mut regions = Vec::new();
            for _ in 0..count.min(most) {
                let mut entry = bytes.split(list.entry as usize, "memory info")?;
                let base = Va(entry.u64("region base")?);
                let allocation_base = Va(entry.u64("allocation base")?);
                let allocation_protect = entry.u32("allocation protection")?;
                entry.skip(4, "padding")?;
                let size = entry.u64("region size")?;
                let state = entry.u32("region state")?;
                let protect = entry.u32("region protection")?;
                let kind = entry.u32("region type")?;
                regions.push(MemoryInfo { base, allocation_base, allocation_protect, size, state, protect, kind });
            }
            Ok((regions, count as u64))
        })
    }

    /// The access tokens that were captured: their owners and sizes.
    pub fn tokens(&self, notes: &mut Vec<Note>) -> Option<Vec<Token>> {
        self.with_stream(StreamType::Token, notes, |bytes, _| {
            bytes.skip(4, "token list size")?;
            let claimed = u64::from(bytes.u32("token count")?);
            let header = bytes.u32("token list header size")?;
            let element = bytes.u32("token header size")?;
            bytes.skip(header.saturating_sub(16) as usize, "token list header")?;
            let count = bytes.count(claimed, limits::ENTRIES, 16, "token count")?;
            let mut tokens = Vec::new();
            for _ in 0..count {
                let size = bytes.u32("token size")?;
                let id = bytes.u32("token id")?;
                let handle = bytes.u64("token handle")?;
                bytes.skip((element.max(16) - 16) as usize, "token header")?;
                // Unlike the SDK's text suggests, the size counts the element's header (seen in `calc.dmp`-like dumps of
                // Windows 10); a size that does not is taken as the length of the data alone.
                bytes.skip(size.saturating_sub(element.max(16)) as usize, "token")?;
                tokens.push(Token { id, handle, size });
            }
            Ok(tokens)
        })
    }

    /// Tables of unwind data for generated code.
    pub fn function_tables(&self, notes: &mut Vec<Note>) -> Option<Vec<FunctionTable>> {
        self.with_stream(StreamType::FunctionTable, notes, |bytes, _| {
            let offset = bytes.offset();
            let header = bytes.u32("function table header size")?;
            let descriptor = bytes.u32("function table descriptor size")?;
            let native = bytes.u32("native descriptor size")?;
            let entry = bytes.u32("function entry size")?;
            let claimed = u64::from(bytes.u32("function table count")?);
            let invalid =
                |value: u32| Err(dumplens_base::ReadError::invalid("function table sizes", offset, u64::from(value)));
            let Some(pad) = header.checked_sub(20) else { return invalid(header) };
            if !(0x20..=limits::ENTRY_BYTES).contains(&descriptor) {
                return invalid(descriptor);
            }
            bytes.skip(pad as usize, "function table header")?;
            let count = bytes.count(claimed, limits::ENTRIES, u64::from(descriptor), "function table count")?;
            let mut tables = Vec::new();
            for _ in 0..count {
                let mut table = bytes.split(descriptor as usize, "function table")?;
                let minimum = Va(table.u64("minimum address")?);
                let maximum = Va(table.u64("maximum address")?);
                let base = Va(table.u64("base address")?);
                let entries = table.u32("entry count")?;
                let len = u64::from(entries).saturating_mul(u64::from(entry));
                let data = len.saturating_add(native.into());
                bytes.skip(native as usize, "native descriptor")?;
                let mut rest = bytes.split(usize::try_from(len).unwrap_or(usize::MAX), "function table entries")?;
                let mut functions = Vec::new();
                // The bytes are there: the count cannot ask for more than the stream has.
                for _ in 0..if entry == 12 { entries } else { 0 } {
                    let mut word = || rest.u32("function table entry");
                    functions.push([word()?, word()?, word()?]);
                }
                // Each table is padded to 8 bytes; the last one may end without.
                let misaligned = (8 - data % 8) % 8;
                let _ = bytes.skip(misaligned as usize, "function table padding");
                tables.push(FunctionTable { minimum, maximum, base, entries, functions });
            }
            Ok(tables)
        })
    }

    /// Memory of the whole system.
    pub fn system_memory_info(&self, notes: &mut Vec<Note>) -> Option<SystemMemoryInfo> {
        self.with_stream(StreamType::SystemMemoryInfo, notes, |bytes, _| {
            bytes.skip(4, "revision and flags")?;
            let mut basic = bytes.split(0x34, "basic information")?;
            basic.skip(4, "timer resolution")?;
            let page_size = basic.u32("page size")?;
            let physical_pages = basic.u32("physical pages")?;
            bytes.skip(0x3c, "file cache information")?;
            let mut performance = bytes.split(0x20, "basic performance information")?;
            Ok(SystemMemoryInfo {
                page_size,
                physical_pages,
                available_pages: performance.u64("available pages")?,
                committed_pages: performance.u64("committed pages")?,
                commit_limit: performance.u64("commit limit")?,
                peak_commitment: performance.u64("peak commitment")?,
            })
        })
    }

    /// Memory counters of the process.
    pub fn vm_counters(&self, notes: &mut Vec<Note>) -> Option<VmCounters> {
        self.with_stream(StreamType::ProcessVmCounters, notes, |bytes, _| {
            bytes.skip(4, "revision and flags")?;
            let page_faults = bytes.u32("page fault count")?;
            let peak_working_set = bytes.u64("peak working set")?;
            let working_set = bytes.u64("working set")?;
            bytes.skip(32, "pool quotas")?;
            let pagefile_usage = bytes.u64("page file usage")?;
            let peak_pagefile_usage = bytes.u64("peak page file usage")?;
            // Revision 2 has two more sizes before the private bytes.
            let rest = bytes.remaining();
            if rest >= 24 {
                bytes.skip(16, "virtual sizes")?;
            }
            let private_usage = bytes.u64("private usage")?;
            Ok(VmCounters {
                page_faults,
                peak_working_set,
                working_set,
                pagefile_usage,
                peak_pagefile_usage,
                private_usage,
            })
        })
    }
}
