//! The most Dumplens follows of what a file claims. Each is far above what real dumps hold, and low enough that a lying
//! count ends in an error or a note instead of a long loop or a large allocation.

/// `EXCEPTION_MAXIMUM_PARAMETERS`.
pub const EXCEPTION_PARAMETERS: u64 = 15;
/// Streams in a minidump's directory.
pub const STREAMS: u64 = 4_096;
/// Bytes of one stream that is parsed whole; memory contents do not count.
pub const STREAM_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of one entry in a list that states its own entry size.
pub const ENTRY_BYTES: u32 = 4_096;
/// Threads in a dump.
pub const THREADS: u64 = 65_536;
/// Modules in a dump; drivers in a small kernel dump.
pub const MODULES: u64 = 65_536;
/// Memory ranges in a minidump.
pub const MEMORY_RANGES: u64 = 1_000_000;
/// Entries of any other list.
pub const ENTRIES: u64 = 1_000_000;
/// Bytes of one string.
pub const STRING_BYTES: u64 = 64 * 1024;
/// Bytes of one register context; with extended state they reach about 16 KiB.
pub const CONTEXT_BYTES: u64 = 64 * 1024;
/// Bytes of one CodeView record.
pub const CODEVIEW_BYTES: u64 = 16 * 1024;
/// Annotations of one module.
pub const ANNOTATIONS: u64 = 4_096;
/// Data blocks in a small kernel dump.
pub const DATA_BLOCKS: u64 = 262_144;
/// Tagged blobs at the end of a kernel dump.
pub const BLOBS: usize = 4_096;
/// Bytes of one kernel object copied into a small kernel dump.
pub const OBJECT_BYTES: u64 = 1024 * 1024;
/// Page frames that a bitmap may name: 64 TiB of memory.
pub const PAGE_FRAMES: u64 = 1 << 34;
/// Ranges in a range dump.
pub const PAGE_RANGES: u64 = 4_000_000;
/// Program headers of a guest core.
pub const SEGMENTS: u64 = 65_535;
