//! Translations and memory ranges as text.

use alloc::{format, string::String};
use core::fmt::{self, Write};

use super::{
    clean,
    table::{Table, cell},
};
use crate::protocol::{MemoryRegion, Translation};

/// Prints how an address is translated, an entry a line.
///
/// # Errors
/// If `out` does.
pub fn translation(out: &mut impl Write, translation: &Translation) -> fmt::Result {
    writeln!(out, "VA {} in {} ({})", translation.address, clean(&translation.space), translation.mode)?;
    let mut table = Table::new(&["Level", "At", "Contains", "PFN", "Flags", "Meaning"]);
    for step in &translation.steps {
        let at = match (step.at, step.virtual_address) {
            (Some(at), Some(va)) => format!("{at} (VA {va})"),
            (Some(at), None) => format!("{at}"),
            (None, va) => cell(va),
        };
        table.row([
            step.level.clone(),
            at,
            format!("{}", step.entry),
            cell(step.frame),
            step.flags.clone(),
            step.meaning.clone(),
        ]);
    }
    if !translation.steps.is_empty() {
        table.write(out, "  ")?;
    }
    writeln!(out, "{}", clean(&translation.outcome))?;
    if let Some(offset) = translation.file_offset {
        writeln!(out, "File offset {offset}.")?;
    }
    Ok(())
}

/// Prints memory ranges, a line each.
///
/// # Errors
/// If `out` does.
pub fn regions(out: &mut impl Write, regions: &[MemoryRegion]) -> fmt::Result {
    let mut table = Table::new(&["Start", "End", "Length", "Kind"]);
    for region in regions {
        let end = region.start.0.saturating_add(region.length.0);
        table.row([
            format!("{:016x}", region.start.0),
            format!("{end:016x}"),
            format!("{}", region.length),
            String::from(&*region.kind),
        ]);
    }
    table.write(out, "")
}
