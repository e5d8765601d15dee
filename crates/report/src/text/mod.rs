//! The report and its lists as text for people.
//!
//! Strings from dumps are hostile: everything printed passes [`clean`], so that neither terminal escapes nor
//! direction marks get through.

mod lists;
mod memory;
mod paging;
mod report;
mod table;

use alloc::{borrow::Cow, string::String};
use core::fmt::{self, Write};

pub use lists::{modules, processes, streams, symbol_needs, threads, unloaded_modules};
pub use memory::memory;
pub use paging::{regions, translation};
pub use report::{contexts, report, thread_stack};

use crate::model::{Frame, Trust};

/// `text` with every control character and every character that changes text direction replaced by U+FFFD.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) {
        Cow::Owned(text.chars().map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A frame as debuggers print it: `nt!KeBugCheckEx+0x10`, `amdppm+0x334c`, or the bare address.
#[must_use]
pub fn location(frame: &Frame) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_location(&mut out, frame);
    out
}

fn write_location(out: &mut impl Write, frame: &Frame) -> fmt::Result {
    match (&frame.module, &frame.function, &frame.unloaded_module) {
        (Some(module), Some(function), _) => {
            write!(out, "{}!{}", clean(module), clean(function))?;
            write_offset(out, frame.function_offset)
        }
        (Some(module), None, _) => {
            out.write_str(&clean(module))?;
            write_offset(out, frame.offset)
        }
        (None, _, Some(unloaded)) => {
            write!(out, "<unloaded {}>", clean(unloaded))?;
            write_offset(out, frame.offset)
        }
        (None, ..) => write!(out, "{}", frame.address),
    }
}

fn write_offset(out: &mut impl Write, offset: Option<crate::Hex>) -> fmt::Result {
    match offset {
        Some(offset) if offset.0 != 0 => write!(out, "+{offset}"),
        _ => Ok(()),
    }
}

/// How a trust label is printed in a column of a stack.
#[must_use]
pub const fn trust_label(trust: Trust) -> &'static str {
    match trust {
        Trust::FramePointer => "frame pointer",
        other => other.name(),
    }
}

/// A number of bytes for people: `1.4 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut out = String::new();
    if bytes < 1024 {
        let _ = write!(out, "{bytes} bytes");
        return out;
    }
    // One decimal, rounded half up, in integers: the core has no floating point formatting to spare.
    let mut unit = 0;
    let mut scale = 1024_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale = scale.saturating_mul(1024);
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(scale) / 2) / u128::from(scale);
    let name = UNITS.get(unit).copied().unwrap_or_default();
    let _ = write!(out, "{}.{} {name}", tenths / 10, tenths % 10);
    out
}

/// A number of seconds for people: `3 d 4:05:06`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let mut out = String::new();
    if days > 0 {
        let _ = write!(out, "{days} d ");
    }
    let _ = write!(out, "{hours}:{minutes:02}:{:02}", seconds % 60);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_direction_marks_do_not_get_through() {
        assert_eq!(clean("\u{1b}[2Jevil\u{202e}.sys\n"), "\u{fffd}[2Jevil\u{fffd}.sys\u{fffd}");
        assert!(matches!(clean("ntoskrnl.exe"), Cow::Borrowed(_)));
    }

    #[test]
    fn sizes_and_durations_are_short() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1_444_532), "1.4 MiB");
        assert_eq!(size(68_719_476_736), "64.0 GiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(duration(11_520), "3:12:00");
        assert_eq!(duration(90_061), "1 d 1:01:01");
    }
}
