//! Streams of Crashpad and Breakpad.

use alloc::{string::String, vec::Vec};

use dumplens_base::{Bytes, Note, ReadError, utf16_until_nul};

use super::{Location, Minidump, StreamType};
use crate::{Guid, limits};

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Module it belongs to, by index in the module list; `None` for the whole process.
    pub module: Option<u32>,
    /// Name; empty for entries of a plain list.
    pub name: String,
    /// Value; raw bytes of other than string type are shown as hexadecimal.
    pub value: String,
}

/// Crashpad's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashpadInfo {
    /// Identity of the report.
    pub report_id: Guid,
    /// Identity of the installation.
    pub client_id: Guid,
    /// Annotations of the process and of its modules.
    pub annotations: Vec<Annotation>,
}

/// Which threads took part in writing a Breakpad dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakpadInfo {
    /// Thread that wrote the dump.
    pub dump_thread: Option<u32>,
    /// Thread that asked for it.
    pub requesting_thread: Option<u32>,
}

/// A failed check that Breakpad recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakpadAssertion {
    /// What was checked.
    pub expression: String,
    /// Where: function.
    pub function: String,
    /// Where: source file.
    pub file: String,
    /// Where: line.
    pub line: u32,
    /// 1 invalid parameter, 2 pure virtual call.
    pub kind: u32,
}

impl Minidump {
    /// Crashpad's annotations. A damaged list gives what could be read before it.
    pub fn crashpad_info(&self, notes: &mut Vec<Note>) -> Option<CrashpadInfo> {
        self.with_stream(StreamType::CrashpadInfo, notes, |bytes, notes| {
            bytes.skip(4, "Crashpad version")?;
            let report_id = Guid(bytes.guid("Crashpad report id")?);
            let client_id = Guid(bytes.guid("Crashpad client id")?);
            let simple = Location::parse(bytes, "Crashpad annotations")?;
            let modules = Location::parse(bytes, "Crashpad module list")?;
            let mut annotations = Vec::new();
            let read = self
                .simple_annotations(simple, None, &mut annotations)
                .and_then(|()| self.module_annotations(modules, &mut annotations));
            if let Err(error) = read {
                notes.push(Note::damaged(alloc::format!("some Crashpad annotations cannot be read: {error}")));
            }
            Ok(CrashpadInfo { report_id, client_id, annotations })
        })
    }

    /// Reads the bytes of a list and checks its count. An empty location is an empty list.
    fn list<'a>(
        &self,
        location: Location,
        item: u64,
        raw: &'a mut Vec<u8>,
        what: &'static str,
    ) -> Result<(Bytes<'a>, usize), ReadError> {
        if location.size == 0 {
            return Ok((Bytes::new(&[], location.offset), 0));
        }
        *raw = self.located(location, limits::STREAM_BYTES, what)?;
        let mut bytes = Bytes::new(raw, location.offset);
        let claimed = u64::from(bytes.u32(what)?);
        let count = bytes.count(claimed, limits::ANNOTATIONS, item, what)?;
        Ok((bytes, count))
    }

    fn simple_annotations(
        &self,
        location: Location,
        module: Option<u32>,
        out: &mut Vec<Annotation>,
    ) -> Result<(), ReadError> {
        let mut raw = Vec::new();
        let (mut bytes, count) = self.list(location, 8, &mut raw, "annotation list")?;
        for _ in 0..count {
            let name = self.utf8_string(u64::from(bytes.u32("annotation name")?))?;
            let value = self.utf8_string(u64::from(bytes.u32("annotation value")?))?;
            out.push(Annotation { module, name, value });
        }
        Ok(())
    }

    fn module_annotations(&self, location: Location, out: &mut Vec<Annotation>) -> Result<(), ReadError> {
        let mut raw = Vec::new();
        let (mut bytes, count) = self.list(location, 12, &mut raw, "Crashpad module list")?;
        for _ in 0..count {
            let index = bytes.u32("module index")?;
            let info = Location::parse(&mut bytes, "Crashpad module")?;
            let module = Some(index);
            let raw = self.located(info, limits::STREAM_BYTES, "Crashpad module")?;
            let mut info = Bytes::new(&raw, info.offset);
            info.skip(4, "Crashpad module version")?;
            let list = Location::parse(&mut info, "annotation list")?;
            let simple = Location::parse(&mut info, "annotation list")?;
            self.plain_annotations(list, module, out)?;
            self.simple_annotations(simple, module, out)?;
            // Annotation objects came later; older records end here.
            if let Ok(objects) = Location::parse(&mut info, "annotation objects") {
                self.annotation_objects(objects, module, out)?;
            }
        }
        Ok(())
    }

    fn plain_annotations(
        &self,
        location: Location,
        module: Option<u32>,
        out: &mut Vec<Annotation>,
    ) -> Result<(), ReadError> {
        let mut raw = Vec::new();
        let (mut bytes, count) = self.list(location, 4, &mut raw, "annotation list")?;
        for _ in 0..count {
            let value = self.utf8_string(u64::from(bytes.u32("annotation")?))?;
            out.push(Annotation { module, name: String::new(), value });
        }
        Ok(())
    }

    fn annotation_objects(
        &self,
        location: Location,
        module: Option<u32>,
        out: &mut Vec<Annotation>,
    ) -> Result<(), ReadError> {
        const STRING: u16 = 1;
        let mut raw = Vec::new();
        let (mut bytes, count) = self.list(location, 12, &mut raw, "annotation objects")?;
        for _ in 0..count {
            let name = self.utf8_string(u64::from(bytes.u32("annotation name")?))?;
            let kind = bytes.u16("annotation type")?;
            bytes.skip(2, "annotation padding")?;
            let offset = u64::from(bytes.u32("annotation value")?);
            let value = self.counted_bytes(offset)?;
            let value = if kind == STRING { String::from_utf8_lossy(&value).into_owned() } else { hex(&value) };
            out.push(Annotation { module, name, value });
        }
        Ok(())
    }

    /// Which threads took part.
    pub fn breakpad_info(&self, notes: &mut Vec<Note>) -> Option<BreakpadInfo> {
        self.with_stream(StreamType::BreakpadInfo, notes, |bytes, _| {
            let valid = bytes.u32("Breakpad validity")?;
            let dump = bytes.u32("dump thread")?;
            let requesting = bytes.u32("requesting thread")?;
            let (dump_thread, requesting_thread) =
                ((valid & 1 != 0).then_some(dump), (valid & 2 != 0).then_some(requesting));
            Ok(BreakpadInfo { dump_thread, requesting_thread })
        })
    }

    /// A failed check.
    pub fn breakpad_assertion(&self, notes: &mut Vec<Note>) -> Option<BreakpadAssertion> {
        self.with_stream(StreamType::BreakpadAssertion, notes, |bytes, _| {
            let mut text = || bytes.take(256, "assertion text").map(utf16_until_nul);
            let (expression, function, file) = (text()?, text()?, text()?);
            let line = bytes.u32("assertion line")?;
            Ok(BreakpadAssertion { expression, function, file, line, kind: bytes.u32("assertion type")? })
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
