use core::fmt;

use crate::SourceError;

/// A physical address of the machine that crashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pa(pub u64);

impl Pa {
    /// First address of page frame `pfn`, or `None` past the end of the 64-bit space.
    #[must_use]
    pub const fn of_frame(pfn: u64) -> Option<Self> {
        match pfn.checked_mul(PAGE_SIZE) {
            Some(address) => Some(Self(address)),
            None => None,
        }
    }

    /// Page frame number.
    #[must_use]
    pub const fn frame(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// The address `bytes` further on, or `None` past the end of the 64-bit space.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

impl fmt::Display for Pa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Pa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pa({:#x})", self.0)
    }
}

/// Bytes of a page on every architecture Windows crash dumps come from.
pub const PAGE_SIZE: u64 = 0x1000;

/// Physical memory of the machine that crashed, as far as the dump holds it.
///
/// | implementation | where |
/// |---|---|
/// | `PageStore` | `dumplens-dump`: runs and bitmaps of kernel dumps, raw images, guest cores |
/// | a map of pages | tests of `dumplens-paging` |
pub trait PhysMemory {
    /// Reads the longest prefix of `buf` that is present from `pa` on, and says why it stopped.
    fn read(&self, pa: Pa, buf: &mut [u8]) -> PhysOutcome;

    /// The run of present pages that holds `pa`, or else the next one above it; `None` when nothing follows.
    fn next_run(&self, pa: Pa) -> Option<PhysRun>;

    /// Whether the page that holds `pa` is in the dump, without reading it.
    fn has_page(&self, pa: Pa) -> bool;

    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    /// The fault that stopped the read.
    fn read_exact(&self, pa: Pa, buf: &mut [u8]) -> Result<(), PhysFault> {
        match self.read(pa, buf).fault {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

/// A run of physical addresses that the dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysRun {
    /// First address.
    pub start: Pa,
    /// Length in bytes, never 0.
    pub len: u64,
}

/// How far a physical read got. `fault` is `None` exactly when everything was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhysOutcome {
    /// Bytes filled from the start of the buffer.
    pub filled: usize,
    /// Why the next byte could not be read.
    pub fault: Option<PhysFault>,
}

/// Why a physical address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhysFault {
    /// The dump does not hold this page.
    NotInDump {
        /// The first absent address.
        pa: Pa,
    },
    /// The dump claims to hold the page but the file is damaged or shorter there.
    Source {
        /// The first unreadable address.
        pa: Pa,
        /// What the byte source said.
        error: SourceError,
    },
}

impl PhysFault {
    /// The first address that could not be read.
    #[must_use]
    pub const fn address(&self) -> Pa {
        match self {
            Self::NotInDump { pa } | Self::Source { pa, .. } => *pa,
        }
    }
}

impl fmt::Display for PhysFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInDump { pa } => write!(f, "the physical page at {pa} is not in the dump"),
            Self::Source { pa, error } => write!(f, "the physical page at {pa} should be in the dump, but {error}"),
        }
    }
}

impl core::error::Error for PhysFault {}
