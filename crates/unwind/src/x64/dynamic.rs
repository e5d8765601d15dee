use alloc::vec::Vec;
use core::fmt;

use dumplens_base::{Memory, MemoryExt, Va};

use super::{Absent, CodeImage, RuntimeFunction, Stop};

/// A function table for code that a program made while it ran, as minidumps capture it. Its unwind data lies in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DynamicTable {
    minimum: Va,
    base: Va,
    maximum: Va,
    functions: Vec<RuntimeFunction>,
}

impl DynamicTable {
    /// The table of the code from `minimum` to below `maximum`, whose entries count from `base`.
    #[must_use]
    pub fn new(base: Va, minimum: Va, maximum: Va, mut functions: Vec<RuntimeFunction>) -> Self {
        // Programs need not register them in order.
        functions.sort_by_key(|function| function.begin);
        Self { minimum, base, maximum, functions }
    }

    /// Whether it is the table for the code at `address`.
    #[must_use]
    pub fn covers(&self, address: Va) -> bool {
        address >= self.minimum && address < self.maximum
    }

    /// The code as an image.
    #[must_use]
    pub const fn image<'a>(&'a self, memory: &'a dyn Memory) -> DynamicCode<'a> {
        DynamicCode { table: self, memory }
    }
}

/// Code that a program made while it ran, and its unwind data.
#[derive(Clone, Copy)]
pub struct DynamicCode<'a> {
    table: &'a DynamicTable,
    memory: &'a dyn Memory,
}

impl fmt::Debug for DynamicCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicCode({} to {})", self.table.minimum, self.table.maximum)
    }
}

impl CodeImage for DynamicCode<'_> {
    fn base(&self) -> Va {
        self.table.base
    }

    fn size(&self) -> u32 {
        let size = self.table.maximum.offset_from(self.table.base).unwrap_or_default();
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    fn function_table(&self) -> Option<(u32, u32)> {
        // It is not in memory as the processor's own tables are.
        None
    }

    fn read(&self, rva: u32, buf: &mut [u8]) -> Result<(), Absent> {
        let va = self.table.base.checked_add(rva.into()).ok_or(Absent { rva })?;
        self.memory.read_exact(va, buf).map_err(|_| Absent { rva })
    }

    fn is_executable(&self, rva: u32) -> bool {
        self.table.base.checked_add(rva.into()).is_some_and(|va| self.table.covers(va))
    }

    fn function(&self, rva: u32) -> Result<Option<RuntimeFunction>, Stop> {
        let functions = &self.table.functions;
        let above = functions.partition_point(|function| function.begin <= rva);
        let below = above.checked_sub(1).and_then(|index| functions.get(index)).copied();
        Ok(below.filter(|function| function.contains(rva)))
    }
}
