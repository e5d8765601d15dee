//! Values as text, in the manner of a debugger's `dt` with an address.

use core::fmt::Write;

use dumplens_base::{
    Va,
    types::{FieldRole, Layout, TypeRef},
};

use super::{
    print::{COLUMN, line, name, type_text},
    value::{FieldValue, Value, value_text},
};

/// A line for the type at `address` and one for each of its `values`, as [`super::Reader::read`] gave them.
///
/// # Errors
/// If `out` fails.
pub fn print_values(out: &mut dyn Write, layout: &Layout, address: Va, values: &[FieldValue]) -> core::fmt::Result {
    line(out, &format!("{} {} at {address}, {:#x} bytes", layout.kind.name(), layout.name, layout.size))?;
    fields(out, values, address, 1)
}

fn fields(out: &mut dyn Write, values: &[FieldValue], start: Va, level: usize) -> core::fmt::Result {
    let width = values.iter().map(|its| name(&its.field).chars().count()).max().unwrap_or(0).min(COLUMN);
    let offset = |its: &FieldValue| format!("+{:#05x}", its.address.0.wrapping_sub(start.0));
    let column = values.iter().map(|its| offset(its).len()).max().unwrap_or(0);
    let indent = 3 * level;
    for its in values {
        let at = offset(its);
        let shown = match (&its.value, &its.field.of) {
            // What it is says more than how many members it has; they follow.
            (Ok(Value::Struct(_) | Value::Omitted), of) => type_text(of),
            (Ok(Value::Pointer(to)), TypeRef::Pointer { to: of, .. }) if to.0 != 0 => {
                format!("{} {}", value_text(&its.value), type_text(of))
            }
            _ => value_text(&its.value),
        };
        line(out, &format!("{:indent$}{at:<column$} {:<width$} : {shown}", "", name(&its.field)))?;
        if let Ok(Value::Struct(within)) = &its.value {
            // What has no name is counted as part of the structure.
            let start = if its.field.anonymous && its.field.role == FieldRole::Member { start } else { its.address };
            fields(out, within, start, level.saturating_add(1))?;
        }
    }
    Ok(())
}
