use alloc::string::String;
use core::fmt;

/// How much a [`Note`] takes away from the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// Worth knowing; nothing is missing.
    Info,
    /// A part that this kind of dump could hold is absent or unreadable.
    Missing,
    /// A part is damaged: it contradicts itself or the file.
    Damaged,
}

/// Something a reader should know about the result, beside the result itself.
///
/// Parsing never fails as a whole because of one bad part: the part is left out and a note says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it takes away.
    pub kind: NoteKind,
    /// One plain sentence, with the file offset or address where there is one.
    pub text: String,
}

impl Note {
    /// A note that takes nothing away.
    pub fn info(text: impl Into<String>) -> Self {
        Self { kind: NoteKind::Info, text: text.into() }
    }

    /// A note on a part that is absent or unreadable.
    pub fn missing(text: impl Into<String>) -> Self {
        Self { kind: NoteKind::Missing, text: text.into() }
    }

    /// A note on a part that is damaged.
    pub fn damaged(text: impl Into<String>) -> Self {
        Self { kind: NoteKind::Damaged, text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
