use alloc::string::String;
use core::fmt;

use dumplens_base::Va;

use crate::DebugId;

/// An image that was loaded when the dump was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// First address.
    pub base: Va,
    /// `SizeOfImage`, in bytes.
    pub size: u64,
    /// The recorded path or name, as it stands in the dump.
    pub path: String,
    /// `TimeDateStamp` of the image; often a hash rather than a time. `None` where the dump does not hold it.
    pub timestamp: Option<u32>,
    /// `CheckSum` of the image; `None` where the dump does not hold it.
    pub checksum: Option<u32>,
    /// File version of the version resource.
    pub version: Option<Version>,
    /// Name of the debug file, as the linker wrote it (usually a full path on the build machine).
    pub debug_file: Option<String>,
    /// Identity of the debug file.
    pub debug_id: Option<DebugId>,
}

impl Module {
    /// The file name: what follows the last slash of either kind.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit(['\\', '/']).next().unwrap_or(&self.path)
    }

    /// Whether `address` lies in the image.
    #[must_use]
    pub fn contains(&self, address: Va) -> bool {
        address.offset_from(self.base).is_some_and(|offset| offset < self.size)
    }
}

/// An image that had been unloaded before the dump was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedModule {
    /// First address.
    pub base: Va,
    /// Length in bytes.
    pub size: u64,
    /// The recorded name; kernel dumps keep at most 12 characters of it.
    pub name: String,
    /// `TimeDateStamp` of the image, where recorded.
    pub timestamp: Option<u32>,
    /// `CheckSum` of the image, where recorded.
    pub checksum: Option<u32>,
}

/// A four-part file version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.0, self.1, self.2, self.3)
    }
}
