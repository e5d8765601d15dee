//! A `File` of the browser as a byte source. The file is never copied: each read takes one slice of it.

use std::{cell::Cell, rc::Rc};

use dumplens_base::{ByteSource, SourceError, SourceErrorKind};
use js_sys::Uint8Array;
use wasm_bindgen::JsCast as _;
use web_sys::{DomException, File, FileReaderSync};

/// Largest length that a JavaScript number holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What was read of some files.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) calls: Cell<u64>,
    pub(crate) bytes: Cell<u64>,
}

/// A file read through `FileReaderSync`, which exists in workers only.
pub(crate) struct FileSource {
    file: File,
    reader: FileReaderSync,
    len: u64,
    reads: Rc<Reads>,
}

impl FileSource {
    /// A file whose reads are counted in `reads`.
    pub(crate) fn new(file: File, reads: Rc<Reads>) -> Result<Self, &'static str> {
        let size = file.size();
        if !(0.0..EXACT).contains(&size) {
            return Err("the browser gives no usable size for this file");
        }
        let reader = FileReaderSync::new().map_err(|_| "this browser cannot read files in a worker")?;
        Ok(Self { file, reader, len: size as u64, reads })
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        let len = buf.len() as u64;
        let fail = |kind| SourceError { offset, len, kind };
        let end = offset.checked_add(len).filter(|end| *end <= self.len).ok_or(fail(SourceErrorKind::OutOfRange))?;
        self.reads.calls.set(self.reads.calls.get().saturating_add(1));
        self.reads.bytes.set(self.reads.bytes.get().saturating_add(len));
        // Both are at most the file's length, which a JavaScript number holds exactly.
        let slice = self.file.slice_with_f64_and_f64(offset as f64, end as f64);
        let bytes = slice.and_then(|slice| self.reader.read_as_array_buffer(&slice));
        let bytes = bytes.map_err(|error| {
            // What browsers say when the file on disk was changed or removed since it was picked.
            let changed = error
                .dyn_ref::<DomException>()
                .is_some_and(|error| matches!(error.name().as_str(), "NotReadableError" | "NotFoundError"));
            fail(if changed { SourceErrorKind::Changed } else { SourceErrorKind::Io })
        })?;
        let bytes = Uint8Array::new(&bytes);
        if u64::from(bytes.length()) != len {
            return Err(fail(SourceErrorKind::Changed));
        }
        bytes.copy_to(buf);
        Ok(())
    }
}
