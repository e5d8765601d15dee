use crate::kernel::header::KernelHeader;

/// What kind of kernel dump a file is.
///
/// The signature behind the header decides and the header's `DumpType` only refines it, because tools and Windows
/// versions disagree on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// The header alone (type 3).
    HeaderOnly,
    /// A small memory dump (type 4).
    Triage,
    /// All physical memory, as runs of pages (type 1).
    Full,
    /// The kernel memory dump of Windows 2000 to 7 (type 2).
    Summary,
    /// A complete or active memory dump with a page bitmap (`FDMP`, type 5).
    BitmapFull,
    /// A kernel or automatic memory dump with a page bitmap (`SDMP`, types 6 and 7).
    BitmapKernel,
    /// Kernel memory as page ranges, written by a debugger (`RDMP`, type 8).
    RangeKernel,
    /// Kernel and user memory as page ranges, written by a debugger (`RDMP`, type 9).
    RangeKernelAndUser,
    /// All memory as page ranges, written by a debugger (`RDMP`, type 10).
    RangeComplete,
    /// None of these, by its `DumpType`.
    Unknown(u32),
}

impl DumpKind {
    /// From the header and the first bytes behind it.
    pub(super) fn decide(header: &KernelHeader, inner: &[u8]) -> Self {
        let word = |at: usize| inner.get(at..at.saturating_add(4)).unwrap_or_default();
        match (word(0), word(4), header.dump_type) {
            (_, b"RDMP", 8) => Self::RangeKernel,
            (_, b"RDMP", 9) => Self::RangeKernelAndUser,
            (_, b"RDMP", _) | (.., 10) => Self::RangeComplete,
            (b"FDMP", ..) | (.., 5) => Self::BitmapFull,
            (.., 2) => Self::Summary,
            (b"SDMP", ..) | (.., 6 | 7) => Self::BitmapKernel,
            (.., 1) => Self::Full,
            (.., 3) => Self::HeaderOnly,
            (.., 4) => Self::Triage,
            (.., 8) => Self::RangeKernel,
            (.., 9) => Self::RangeKernelAndUser,
            (.., other) => Self::Unknown(other),
        }
    }

    /// The name of the storage format: `kernel-triage`, `kernel-full`, `kernel-summary`, `kernel-bitmap` or
    /// `kernel-range`; `None` where there is no memory or the type is not known.
    #[must_use]
    pub const fn format_name(self) -> Option<&'static str> {
        match self {
            Self::Triage => Some("kernel-triage"),
            Self::Full => Some("kernel-full"),
            Self::Summary => Some("kernel-summary"),
            Self::BitmapFull | Self::BitmapKernel => Some("kernel-bitmap"),
            Self::RangeKernel | Self::RangeKernelAndUser | Self::RangeComplete => Some("kernel-range"),
            Self::HeaderOnly | Self::Unknown(_) => None,
        }
    }

    /// What a reader calls it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::HeaderOnly => "kernel dump header without memory",
            Self::Triage => "small memory dump",
            Self::Full => "complete memory dump",
            Self::Summary => "kernel memory dump of Windows 2000 to 7",
            Self::BitmapFull => "complete or active memory dump",
            Self::BitmapKernel => "kernel or automatic memory dump",
            Self::RangeKernel => "kernel memory dump written by a debugger",
            Self::RangeKernelAndUser => "kernel and user memory dump written by a debugger",
            Self::RangeComplete => "complete memory dump written by a debugger",
            Self::Unknown(_) => "kernel dump of an unknown type",
        }
    }

    /// The signature that stands behind the header, where the kind has one.
    pub(super) const fn signature(self) -> Option<&'static str> {
        match self {
            Self::Summary | Self::BitmapKernel => Some("SDMP"),
            Self::BitmapFull => Some("FDMP"),
            Self::RangeKernel | Self::RangeKernelAndUser | Self::RangeComplete => Some("RDMP"),
            Self::HeaderOnly | Self::Triage | Self::Full | Self::Unknown(_) => None,
        }
    }
}
