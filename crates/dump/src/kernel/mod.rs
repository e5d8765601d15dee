//! Kernel dumps.
use dumplens_base::{ReadError, Source};

/// An opened kernel dump.
#[derive(Debug)]
pub struct KernelDump {}

impl KernelDump {
    /// Opens.
    ///
    /// # Errors
    /// Bad header.
    pub fn open(source: Source) -> Result<Self, ReadError> {
        let _ = source;
        Ok(Self {})
    }
}
