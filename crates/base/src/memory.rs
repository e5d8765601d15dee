use alloc::{rc::Rc, string::String, vec, vec::Vec};

use crate::{Fault, Va};

/// Virtual memory of the machine that crashed, as far as the dump holds it.
///
/// Object-safe, and *the* type everything above the containers takes: unwinding, objects and the memory view do not
/// know whether bytes come from a minidump's ranges, a small dump's data blocks or a page table walk.
pub trait Memory {
    /// Reads the longest prefix of `buf` that is present from `va` on, and says why it stopped.
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome;

    /// The captured range that contains `va`, or else the next one above it; `None` when nothing follows.
    ///
    /// Cost must not grow with the size of the dump: views call it on every scroll. An implementation that would have to
    /// search further gives up and says `None`; [`Fault::span`] tells what it knows.
    fn next_region(&self, va: Va) -> Option<Region>;
}

/// A contiguous captured range of virtual memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: Va,
    /// Length in bytes, never 0.
    pub len: u64,
    /// What the container calls it: "call stack", "memory list", "data block".
    pub kind: &'static str,
}

/// How far a read got. `fault` is `None` exactly when everything was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Bytes filled from the start of the buffer.
    pub filled: usize,
    /// Why the next byte could not be read.
    pub fault: Option<Fault>,
}

impl ReadOutcome {
    /// A read that filled all `len` bytes.
    #[must_use]
    pub const fn complete(len: usize) -> Self {
        Self { filled: len, fault: None }
    }
}

/// Typed reads on top of [`Memory`]. Each either succeeds whole or returns the fault.
pub trait MemoryExt: Memory {
    /// Fills `buf` completely.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_exact(&self, va: Va, buf: &mut [u8]) -> Result<(), Fault> {
        match self.read(va, buf).fault {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Reads `len` bytes; callers bound `len`.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_vec(&self, va: Va, len: usize) -> Result<Vec<u8>, Fault> {
        let mut buf = vec![0; len];
        self.read_exact(va, &mut buf)?;
        Ok(buf)
    }

    /// Reads a 16-bit integer.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_u16(&self, va: Va) -> Result<u16, Fault> {
        let mut buf = [0; 2];
        self.read_exact(va, &mut buf)?;
        Ok(u16::from_le_bytes(buf))
    }

    /// Reads a 32-bit integer.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_u32(&self, va: Va) -> Result<u32, Fault> {
        let mut buf = [0; 4];
        self.read_exact(va, &mut buf)?;
        Ok(u32::from_le_bytes(buf))
    }

    /// Reads a 64-bit integer.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_u64(&self, va: Va) -> Result<u64, Fault> {
        let mut buf = [0; 8];
        self.read_exact(va, &mut buf)?;
        Ok(u64::from_le_bytes(buf))
    }

    /// Reads a pointer of the machine: 4 or 8 bytes, zero-extended.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_pointer(&self, va: Va, size: u8) -> Result<u64, Fault> {
        if size == 4 { self.read_u32(va).map(u64::from) } else { self.read_u64(va) }
    }

    /// Reads a counted UTF-16 string of `bytes` bytes, at most 64 KiB of it. Unpaired surrogates become U+FFFD.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_utf16(&self, va: Va, bytes: u16) -> Result<String, Fault> {
        Ok(crate::utf16le(&self.read_vec(va, usize::from(bytes))?))
    }
}

impl<M: Memory + ?Sized> MemoryExt for M {}

impl<M: Memory + ?Sized> Memory for Rc<M> {
    fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
        (**self).read(va, buf)
    }

    fn next_region(&self, va: Va) -> Option<Region> {
        (**self).next_region(va)
    }
}
