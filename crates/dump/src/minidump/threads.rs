//! Threads, their names and their times.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError, Va};

use super::{Location, Minidump, StreamType, memory::descriptor};
use crate::{Extent, FileTime, limits};

/// `MINIDUMP_THREAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Thread id.
    pub id: u32,
    /// How often it is suspended.
    pub suspend_count: u32,
    /// Priority class of its process.
    pub priority_class: u32,
    /// Its priority.
    pub priority: u32,
    /// Thread environment block.
    pub teb: Va,
    /// The captured stack, from the stack pointer up.
    pub stack: Extent,
    /// Where its registers stand.
    pub context: Location,
}

/// `MINIDUMP_THREAD_INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// `MINIDUMP_THREAD_INFO_*` bits: 2 is the thread that wrote the dump.
    pub flags: u32,
    /// Exit status, for threads that ended.
    pub exit_status: u32,
    /// When it was created.
    pub create_time: FileTime,
    /// Time in kernel mode, 100 ns units.
    pub kernel_time: u64,
    /// Time in user mode, 100 ns units.
    pub user_time: u64,
    /// Where it started.
    pub start_address: Va,
}

const THREAD_SIZE: u64 = 0x30;
const THREAD_EX_SIZE: u64 = 0x40;
const THREAD_INFO_SIZE: u32 = 0x40;
const THREAD_NAME_SIZE: u64 = 12;

impl Minidump {
    /// The threads in list order.
    pub fn threads(&self, notes: &mut Vec<Note>) -> Vec<Thread> {
        let plain = self.stream(StreamType::ThreadList).is_some();
        let (kind, size) =
            if plain { (StreamType::ThreadList, THREAD_SIZE) } else { (StreamType::ThreadExList, THREAD_EX_SIZE) };
        let threads = self.with_stream(kind, notes, |bytes, notes| {
            let claimed = u64::from(bytes.u32("thread count")?);
            let count = Self::entries(bytes, claimed, limits::THREADS, size, "thread list", notes)?;
            (0..count).map(|_| Self::thread(bytes, size)).collect::<Result<_, _>>()
        });
        threads.unwrap_or_default()
    }

    fn thread(bytes: &mut Bytes<'_>, size: u64) -> Result<Thread, ReadError> {
        let mut entry = bytes.split(size as usize, "thread")?;
        Ok(Thread {
            id: entry.u32("thread id")?,
            suspend_count: entry.u32("suspend count")?,
            priority_class: entry.u32("priority class")?,
            priority: entry.u32("priority")?,
            teb: Va(entry.u64("TEB")?),
            stack: descriptor(&mut entry, "thread stack")?,
            context: Location::parse(&mut entry, "thread context")?,
        })
    }

    /// Names of threads, by thread id.
    pub fn thread_names(&self, notes: &mut Vec<Note>) -> BTreeMap<u32, String> {
        let names = self.with_stream(StreamType::ThreadNames, notes, |bytes, notes| {
            let claimed = u64::from(bytes.u32("thread name count")?);
            let count = Self::entries(bytes, claimed, limits::THREADS, THREAD_NAME_SIZE, "thread name list", notes)?;
            let mut names = BTreeMap::new();
            for _ in 0..count {
                let id = bytes.u32("thread id")?;
                // The offset is 64 bits wide and stands at +4: the structure is packed.
                let offset = bytes.u64("thread name offset")?;
                if let Some(name) = self.string(offset, notes).filter(|name| !name.is_empty()) {
                    names.insert(id, name);
                }
            }
            Ok(names)
        });
        names.unwrap_or_default()
    }

    /// Times and start addresses of threads, by thread id.
    pub fn thread_info(&self, notes: &mut Vec<Note>) -> BTreeMap<u32, ThreadInfo> {
        let infos = self.with_stream(StreamType::ThreadInfoList, notes, |bytes, notes| {
            let list = Self::sized_list(bytes, THREAD_INFO_SIZE, false, "thread info list")?;
            let size = u64::from(list.entry);
            let count = Self::entries(bytes, list.count, limits::THREADS, size, "thread info list", notes)?;
            let mut infos = BTreeMap::new();
            for _ in 0..count {
                let mut entry = bytes.split(list.entry as usize, "thread info")?;
                let id = entry.u32("thread id")?;
                let flags = entry.u32("thread info flags")?;
                entry.skip(4, "thread info error")?;
                let exit_status = entry.u32("exit status")?;
                let create_time = FileTime(entry.u64("create time")?);
                entry.skip(8, "exit time")?;
                let kernel_time = entry.u64("kernel time")?;
                let user_time = entry.u64("user time")?;
                let start_address = Va(entry.u64("start address")?);
                infos.insert(id, ThreadInfo { flags, exit_status, create_time, kernel_time, user_time, start_address });
            }
            Ok(infos)
        });
        infos.unwrap_or_default()
    }
}
