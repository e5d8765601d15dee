use alloc::string::String;

use dumplens_base::Source;
use dumplens_report::protocol::{Failure, FailureKind};

/// An open dump.
#[derive(Debug)]
pub struct Session {}

impl Session {
    /// Opens a dump. `file_name` is what reports call it.
    ///
    /// # Errors
    /// If the file is not a dump, or its header or directory cannot be read.
    pub fn open(source: Source, file_name: Option<String>) -> Result<Self, Failure> {
        let _ = (source, file_name);
        Err(Failure { kind: FailureKind::NotADump, message: "not wired".into() })
    }
}
