//! User minidumps.
use dumplens_base::{ReadError, Source};

/// An opened minidump.
#[derive(Debug)]
pub struct Minidump {}

impl Minidump {
    /// Opens.
    ///
    /// # Errors
    /// Bad header.
    pub fn open(source: Source) -> Result<Self, ReadError> {
        let _ = source;
        Ok(Self {})
    }
}
