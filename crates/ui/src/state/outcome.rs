//! What came of symbol files that were offered, in plain words.

use dumplens_report::{model::SymbolStatus, symbols::SymbolNeed};

/// Names that a sentence lists.
const MOST_NAMES: usize = 6;

/// What came of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) result: Fate,
}

/// Whether it was of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Modules that it names now, and what the file is.
    Named(Vec<String>, String),
    /// It was there already: what the file is.
    Again(String),
    /// It belongs to no module: why.
    Unmatched(String),
    /// The server that was asked does not have it.
    Absent(String),
    /// It could not be read: why.
    Refused(String),
}

/// Why a file that was taken belongs to no module.
pub(crate) fn unmatched(name: &str, identity: &str, needs: &[SymbolNeed]) -> String {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let near = needs.iter().find_map(|need| {
        need.mismatches.iter().find(|mismatch| same(&mismatch.file)).map(|mismatch| (need, &mismatch.reason))
    });
    let done = needs.iter().find(|need| {
        matches!(need.symbols, SymbolStatus::Loaded | SymbolStatus::Exports | SymbolStatus::Forced)
            && (same(&need.image) || need.files.iter().any(|file| same(&file.name)))
    });
    let kept = |need: &SymbolNeed| {
        let from = need.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{} keeps the names it has{from}", need.module)
    };
    match (near, done) {
        (Some((need, reason)), _) if need.symbols == SymbolStatus::Mismatched => {
            format!("{name} does not match: {reason}")
        }
        (Some((need, reason)), _) => format!("{name} does not match: {reason}. {}", kept(need)),
        // The engine tells why a file does not match only where the module lacks names.
        (None, Some(need)) => format!("{name} does not match {} or adds nothing to it: {}", need.module, kept(need)),
        (None, None) => format!(
            "{name} belongs to no module of this dump ({identity}); it stays at hand in case an image asks for it"
        ),
    }
}

/// One sentence or a few for all files.
pub(crate) fn sentence(outcomes: &[Outcome]) -> String {
    if let [one] = outcomes {
        return match &one.result {
            Fate::Named(modules, _) => {
                format!("{} was added: {} {} names now.", one.name, list(modules), have(modules.len()))
            }
            Fate::Again(_) => format!("{} was there already: the same file is kept once.", one.name),
            Fate::Unmatched(why) | Fate::Absent(why) | Fate::Refused(why) => full_stop(why),
        };
    }
    let mut modules: Vec<String> = Vec::new();
    let (mut named, mut again) = (0, 0);
    let (mut unmatched, mut absent, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for outcome in outcomes {
        match &outcome.result {
            Fate::Named(names, _) => {
                named += 1;
                modules.extend(names.iter().filter(|name| !modules.contains(name)).cloned().collect::<Vec<_>>());
            }
            Fate::Again(_) => again += 1,
            Fate::Unmatched(why) => unmatched.push(why.as_str()),
            Fate::Absent(why) => absent.push(why.as_str()),
            Fate::Refused(why) => refused.push(why.as_str()),
        }
    }
    let mut parts = Vec::new();
    if named > 0 {
        let were = if named == 1 { "file was" } else { "files were" };
        parts.push(format!("{named} {were} added: {} {} names now.", list(&modules), have(modules.len())));
    }
    if again > 0 {
        let were = if again == 1 { "file was" } else { "files were" };
        parts.push(format!("{again} {were} there already and kept once."));
    }
    match unmatched.as_slice() {
        [] => {}
        [one] => parts.push(full_stop(one)),
        many => parts.push(format!("{} files match no module.", many.len())),
    }
    match absent.as_slice() {
        [] => {}
        [one] => parts.push(full_stop(one)),
        many => parts.push(format!("{} files are not on the server.", many.len())),
    }
    match refused.as_slice() {
        [] => {}
        [one] => parts.push(full_stop(one)),
        many => parts.push(format!("{} files cannot be used.", many.len())),
    }
    if parts.is_empty() { "No file of these is wanted.".into() } else { parts.join(" ") }
}

const fn have(count: usize) -> &'static str {
    if count == 1 { "has" } else { "have" }
}

fn full_stop(text: &str) -> String {
    if text.ends_with('.') { text.into() } else { format!("{text}.") }
}

/// "a, b and c", or "a, b and 5 more".
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= MOST_NAMES => format!("{} and {last}", first.join(", ")),
        many => {
            let shown = many.get(..MOST_NAMES - 1).unwrap_or_default();
            format!("{} and {} more", shown.join(", "), many.len().saturating_sub(shown.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::symbols::Mismatch;

    fn named(name: &str, modules: &[&str]) -> Outcome {
        let modules = modules.iter().map(|name| (*name).to_string()).collect();
        Outcome { name: name.into(), result: Fate::Named(modules, String::new()) }
    }

    #[test]
    fn one_file_is_named_many_are_counted() {
        assert_eq!(sentence(&[named("a.sys", &["a"])]), "a.sys was added: a has names now.");
        let refused = |why: &str| Outcome { name: "x".into(), result: Fate::Refused(why.into()) };
        assert_eq!(sentence(&[refused("x: not a symbol file")]), "x: not a symbol file.");
        assert_eq!(
            sentence(&[named("a.sys", &["a"]), named("a.pdb", &["a"]), named("b.sys", &["b"]), refused("x is odd")]),
            "3 files were added: a and b have names now. x is odd."
        );
        let again = || Outcome { name: "a.sys".into(), result: Fate::Again(String::new()) };
        assert_eq!(sentence(&[again()]), "a.sys was there already: the same file is kept once.");
        assert_eq!(
            sentence(&[named("b.sys", &["b"]), again(), again()]),
            "1 file was added: b has names now. 2 files were there already and kept once."
        );
        assert_eq!(sentence(&[]), "No file of these is wanted.");
    }

    #[test]
    fn a_mismatch_says_what_differs() {
        let reason = "the image offered is another version: its size is 0x2";
        let need = SymbolNeed {
            module: "a".into(),
            image: "a.sys".into(),
            symbols: SymbolStatus::Mismatched,
            reason: Some(reason.into()),
            mismatches: vec![Mismatch { file: "a.sys".into(), reason: reason.into() }],
            matters: None,
            files: vec![],
        };
        let why = unmatched("A.sys", "image", std::slice::from_ref(&need));
        assert_eq!(why, "A.sys does not match: the image offered is another version: its size is 0x2");
        let named = SymbolNeed {
            symbols: SymbolStatus::Exports,
            reason: Some("exported names of a.sys".into()),
            ..need.clone()
        };
        let why = unmatched("a.sys", "image", std::slice::from_ref(&named));
        assert_eq!(why, format!("a.sys does not match: {reason}. a keeps the names it has (exported names of a.sys)"));
        let all = SymbolNeed { symbols: SymbolStatus::Loaded, mismatches: vec![], ..named };
        let why = unmatched("a.sys", "image", &[all]);
        assert!(why.starts_with("a.sys does not match a or adds nothing to it: a keeps"), "{why}");
        assert!(unmatched("b.sys", "image, time stamp 0x1", &[need]).starts_with("b.sys belongs to no module"));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..9).map(|number| number.to_string()).collect();
        assert_eq!(list(&names), "0, 1, 2, 3, 4 and 4 more");
        assert_eq!(list(names.get(..2).unwrap()), "0 and 1");
    }
}
