//! Aligned columns.

use alloc::{string::String, vec, vec::Vec};
use core::fmt::{self, Write};

use super::clean;

/// Rows of text whose columns are aligned when printed; the last column is not padded.
pub(super) struct Table {
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell).into_owned()).collect());
    }

    pub(super) fn write(&self, out: &mut impl Write, indent: &str) -> fmt::Result {
        let mut widths = vec![0; self.headings.len()];
        let headings = self.headings.iter().map(|heading| heading.chars().count());
        widths.iter_mut().zip(headings).for_each(|(width, heading)| *width = heading);
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |out: &mut dyn Write, cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::from(indent);
            for (cell, width) in cells.zip(&widths) {
                write!(text, "{cell:width$}  ")?;
            }
            writeln!(out, "{}", text.trim_end())
        };
        line(out, &mut self.headings.iter().copied())?;
        self.rows.iter().try_for_each(|row| line(out, &mut row.iter().map(String::as_str)))
    }
}

/// A cell for a value that may be absent.
pub(super) fn cell(value: Option<impl fmt::Display>) -> String {
    use alloc::string::ToString;
    value.map_or_else(|| String::from("-"), |value| value.to_string())
}
