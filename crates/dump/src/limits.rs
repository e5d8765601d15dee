//! The most Dumplens follows of what a file claims. Each is far above what real dumps hold, and low enough that a lying
//! count ends in an error or a note instead of a long loop or a large allocation.

/// `EXCEPTION_MAXIMUM_PARAMETERS`.
pub const EXCEPTION_PARAMETERS: u64 = 15;
/// Streams in a minidump's directory.
pub const STREAMS: u64 = 4_096;
/// Threads in a dump.
pub const THREADS: u64 = 65_536;
/// Modules in a dump; drivers in a small kernel dump.
pub const MODULES: u64 = 65_536;
/// Bytes of one string.
pub const STRING_BYTES: u64 = 64 * 1024;
