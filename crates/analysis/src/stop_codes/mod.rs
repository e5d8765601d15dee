//! Names of stop codes.

mod table;

use table::TABLE;

/// What a stop code is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Windows stops with it.
    BugCheck,
    /// Windows writes a live dump with it and goes on.
    LiveDump,
}

/// A documented stop code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopCode {
    /// The code under which it is documented.
    pub code: u32,
    /// Symbolic name.
    pub name: &'static str,
    /// What it is used for.
    pub kind: Kind,
}

/// How many codes the table holds.
pub const COUNT: usize = TABLE.len();

/// The code under which a recorded code is documented.
///
/// 0x1000xxxx are the variants that Windows uses where it writes a small dump early; they mean what the low code means.
#[must_use]
pub fn base_code(code: u32) -> u32 {
    let low = code & 0x0fff_ffff;
    if code >> 28 == 1 && find(low).is_some() { low } else { code }
}

/// Looks up a recorded code: by itself, because some variants have a name of their own, or by its base code.
#[must_use]
pub fn stop_code(code: u32) -> Option<StopCode> {
    find(code).or_else(|| find(base_code(code)))
}

/// A few codes are documented for both uses; the bug check stands first.
fn find(code: u32) -> Option<StopCode> {
    let first = TABLE.partition_point(|row| row.0 < code);
    TABLE.get(first).filter(|row| row.0 == code).map(|(code, name, kind)| StopCode { code: *code, name, kind: *kind })
}

#[cfg(test)]
mod tests {
    use super::{Kind::LiveDump, *};

    #[test]
    fn all_430_documented_codes_are_known_and_in_order() {
        assert_eq!(COUNT, 430);
        assert!(TABLE.is_sorted_by_key(|row| (row.0, row.2 == LiveDump)));
        for row in &TABLE {
            assert!(stop_code(row.0).is_some(), "{:#x}", row.0);
        }
    }

    #[test]
    fn names_are_found_for_codes_as_recorded() {
        let name = |code| stop_code(code).map(|stop| stop.name);
        assert_eq!(name(0x7e), Some("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"));
        assert_eq!(name(0x1000_007e), Some("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M"));
        assert_eq!(base_code(0x1000_007e), 0x7e);
        assert_eq!(name(0x50), Some("PAGE_FAULT_IN_NONPAGED_AREA"));
        assert_eq!(name(0xdead_dead), Some("MANUALLY_INITIATED_CRASH1"));
        assert_eq!(name(0xa000_0001), None);
        assert_eq!(base_code(0x1000_00ea), 0xea);
        assert_eq!(base_code(0xc000_021a), 0xc000_021a);
    }
}
