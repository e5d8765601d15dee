//! One file per view.

pub(crate) mod archive;
pub(crate) mod landing;
pub(crate) mod lists;
pub(crate) mod memory;
pub(crate) mod modules;
pub(crate) mod notes;
pub(crate) mod parts;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod registers;
pub(crate) mod stack;
pub(crate) mod summary;
pub(crate) mod symbol_tools;
pub(crate) mod symbols;
pub(crate) mod threads;

/// Text from a dump as it may be shown: without control characters and direction marks. It only ever becomes a text node
/// or an attribute's value, never markup.
pub(crate) fn safe(text: &str) -> String {
    dumplens_report::text::clean(text).into_owned()
}

/// A value that may be absent, as a cell.
pub(crate) fn cell(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
