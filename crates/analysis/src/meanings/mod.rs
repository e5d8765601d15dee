//! What a bug check and its parameters mean.

mod table;

use alloc::{borrow::ToOwned, string::String};

use table::TABLE;

use crate::{base_code, fast_fail, status_meaning, status_name, stop_code};

/// A bug check explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BugCheckInfo {
    /// The code under which it is documented.
    pub base_code: u32,
    /// Symbolic name.
    pub name: Option<&'static str>,
    /// What Windows means by it.
    pub description: Option<&'static str>,
    /// What each parameter is and what its value says.
    pub meaning: [Option<String>; 4],
}

/// Text on one bug check.
struct BugCheckText {
    code: u32,
    description: &'static str,
    parameters: [Parameter; 4],
}

struct Parameter {
    meaning: &'static str,
    decode: Option<Decode>,
}

/// How a parameter's value is put into words.
enum Decode {
    /// An NTSTATUS.
    Status,
    /// 0 read, 1 write, 8 execute.
    ReadWriteExecute,
    /// An interrupt request level.
    Irql,
    /// A fast-fail code.
    FastFail,
    /// One of these.
    Values(&'static [(u64, &'static str)]),
}

impl Decode {
    fn text(&self, value: u64) -> Option<String> {
        match self {
            // 32-bit statuses are sign-extended in 64-bit dumps.
            Self::Status => {
                let code = value as u32;
                let name = status_name(code)?;
                Some(match status_meaning(code) {
                    Some(meaning) => alloc::format!("{name}, {meaning}"),
                    None => name.to_owned(),
                })
            }
            Self::ReadWriteExecute => [(0, "read"), (1, "write"), (2, "write"), (8, "execute"), (0x10, "execute")]
                .iter()
                .find(|row| row.0 == value)
                .map(|row| row.1.to_owned()),
            Self::Irql => match value {
                0 => Some("PASSIVE_LEVEL".to_owned()),
                1 => Some("APC_LEVEL".to_owned()),
                2 => Some("DISPATCH_LEVEL".to_owned()),
                3..=0xff => Some("a device, clock or high level".to_owned()),
                _ => None,
            },
            Self::FastFail => fast_fail(value).map(ToOwned::to_owned),
            Self::Values(rows) => rows.iter().find(|row| row.0 == value).map(|row| row.1.to_owned()),
        }
    }
}

/// Explains a bug check. Codes that are not documented keep their number and say nothing else.
#[must_use]
pub fn bug_check_info(code: u32, parameters: [u64; 4]) -> BugCheckInfo {
    let base = base_code(code);
    let text = TABLE.binary_search_by_key(&base, |row| row.code).ok().and_then(|index| TABLE.get(index));
    let mut meaning = [const { None }; 4];
    if let Some(text) = text {
        for ((slot, parameter), value) in meaning.iter_mut().zip(&text.parameters).zip(parameters) {
            let decoded = parameter.decode.as_ref().and_then(|decode| decode.text(value));
            *slot = Some(match decoded {
                Some(decoded) => alloc::format!("{}: {decoded}", parameter.meaning),
                None => parameter.meaning.to_owned(),
            });
        }
    }
    BugCheckInfo {
        base_code: base,
        name: stop_code(code).map(|stop| stop.name),
        description: text.map(|text| text.description),
        meaning,
    }
}

/// How many bug checks have a text.
#[must_use]
pub fn explained_count() -> usize {
    TABLE.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_and_belong_to_documented_codes() {
        assert!(TABLE.is_sorted_by_key(|row| row.code));
        assert!(explained_count() >= 70);
        for row in TABLE {
            assert!(stop_code(row.code).is_some(), "{:#x}", row.code);
            assert!(row.description.ends_with('.'), "{:#x}", row.code);
        }
    }

    #[test]
    fn values_are_put_into_words() {
        let info = bug_check_info(0x1000_007e, [0xffff_ffff_c000_0005, 1, 2, 3]);
        assert_eq!(info.base_code, 0x7e);
        assert!(info.meaning[0].as_deref().unwrap().contains("STATUS_ACCESS_VIOLATION"));
        let info = bug_check_info(0xd1, [0x29, 2, 0, 4]);
        assert_eq!(info.meaning[1].as_deref(), Some("IRQL at that time: DISPATCH_LEVEL"));
        assert_eq!(info.meaning[2].as_deref(), Some("Kind of access: read"));
        let info = bug_check_info(0x1a, [0x41792, 0, 0, 0]);
        assert!(info.meaning[0].as_deref().unwrap().contains("should be empty"));
    }

    #[test]
    fn a_code_that_is_not_documented_is_not_explained() {
        let info = bug_check_info(0xa000_0001, [5, 0, 0, 0]);
        assert_eq!((info.base_code, info.name, info.description), (0xa000_0001, None, None));
        assert!(info.meaning.iter().all(Option::is_none));
    }
}
