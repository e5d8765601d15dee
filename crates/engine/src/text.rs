//! Small conversions into the report's terms.

use alloc::string::{String, ToString};

use dumplens_analysis::{Access, System, exception_info};
use dumplens_dump::{ExceptionRecord, FileTime};
use dumplens_report::{Hex, model};

/// A time, if it is one.
pub(crate) fn system_time(time: FileTime) -> Option<String> {
    time.is_plausible().then(|| time.to_string())
}

/// A failed access.
pub(crate) fn access_model(access: Access) -> model::MemoryAccess {
    model::MemoryAccess { kind: access.kind.name().into(), address: access.address.map(Hex) }
}

/// An exception record and what it means.
pub(crate) fn exception_model(system: System, record: &ExceptionRecord, source: String) -> model::Exception {
    let info = exception_info(system, record.code, record.address.0, &record.parameters);
    model::Exception {
        code: Hex::from(record.code),
        name: info.name.map(String::from),
        address: Hex(record.address.0),
        description: info.description,
        flags: Hex::from(record.flags),
        parameters: record.parameters.iter().copied().map(Hex).collect(),
        access: info.access.map(access_model),
        source,
    }
}

/// A note in the report's terms.
pub(crate) fn note_model(note: &dumplens_base::Note) -> model::Note {
    use dumplens_base::NoteKind;
    let kind = match note.kind {
        NoteKind::Info => model::NoteKind::Info,
        NoteKind::Missing => model::NoteKind::Missing,
        NoteKind::Damaged => model::NoteKind::Damaged,
    };
    model::Note { kind, text: note.text.clone() }
}
