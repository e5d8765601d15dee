/// Deepest nesting of objects and lists that is followed. Real tables have below twenty.
pub const MOST_DEPTH: u32 = 64;
/// Longest text of a table, in bytes as written. Decorated C++ names end at 4096.
pub const MOST_TEXT: u32 = 16 * 1024;

/// What a table may cost. The defaults leave room for any kernel and stop what is built to exhaust memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of JSON, after unpacking.
    pub unpacked: u64,
    /// Bytes of dictionary that an xz file may ask for. `xz -9` asks for 64 MiB.
    pub dictionary: usize,
    /// Symbols.
    pub symbols: usize,
    /// Structures, unions, enumerations and base types together.
    pub types: usize,
    /// Fields and constants of all types together.
    pub fields: usize,
    /// Bytes of all different names together.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpacked: 512 << 20,
            dictionary: 64 << 20,
            symbols: 2_000_000,
            types: 200_000,
            fields: 4_000_000,
            names: 256 << 20,
        }
    }
}
