//! The parts of a file: minidump streams, and the parts of a kernel dump.

pub(crate) mod image;
pub(crate) mod kernel;
pub(crate) mod minidump;
mod pages;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Display;

use dumplens_dump::Context;
use dumplens_report::{
    protocol::{Details, Field, Stream, Table},
    text::clean,
};

use crate::kernel::Full;

/// A file's parts, and one of them field by field.
pub(crate) trait Parts {
    /// The parts in file or directory order.
    fn list(&self) -> &[Stream];

    /// The registers of the container's thread number `index`.
    fn context(&self, index: usize) -> Option<Context>;

    /// One part, field by field; `None` if there is no such part. `full` is the kernel in physical memory, if there is one.
    fn details(&self, index: usize, full: Option<&Full>) -> Option<Details>;
}

/// Rows of a detail table before the rest is counted as omitted.
pub(crate) const MOST_ROWS: usize = 2_000;

/// A named value.
pub(crate) fn field(name: &str, value: impl Display) -> Field {
    Field { name: name.into(), value: clean(&value.to_string()).into_owned(), meaning: None }
}

/// A named value and what it means.
pub(crate) fn explained(name: &str, value: impl Display, meaning: impl Into<String>) -> Field {
    Field { name: name.into(), value: value.to_string(), meaning: Some(meaning.into()) }
}

/// A named value that may be absent: absent ones are left out.
pub(crate) fn optional(name: &str, value: Option<impl Display>) -> Option<Field> {
    value.map(|value| field(name, value))
}

/// A table of at most [`MOST_ROWS`] rows out of `total`.
pub(crate) fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>, total: u64) -> Table {
    let omitted = total.saturating_sub(rows.len() as u64);
    Table {
        title: title.into(),
        columns: columns.iter().map(|column| (*column).into()).collect(),
        rows,
        omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
    }
}

/// A number as people read addresses and masks.
pub(crate) fn hex(value: impl Into<u64>) -> String {
    alloc::format!("{:#x}", value.into())
}

/// The first bytes of a part whose format is not decoded.
pub(crate) fn preview(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    let mut out = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        let _ = write!(out, "{:06x} ", index.saturating_mul(16));
        for byte in line {
            let _ = write!(out, " {byte:02x}");
        }
        for _ in line.len()..16 {
            out.push_str("   ");
        }
        out.push_str("  ");
        out.extend(line.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }));
        out.push('\n');
    }
    out
}
