//! The letters and numbers of page tables in plain words.

use dumplens_report::{
    Hex,
    model::{Process, SymbolStatus},
    protocol::Space,
};

/// What each letter of a page table entry means, in the order in which they are printed.
pub(crate) const FLAGS: [(char, &str); 13] = [
    ('C', "copy on write"),
    ('G', "global: the same in every address space"),
    ('L', "large page"),
    ('D', "dirty: was written to"),
    ('A', "accessed: was used"),
    ('N', "not cached"),
    ('T', "writes go through the cache"),
    ('U', "programs may use it"),
    ('K', "only the kernel may use it"),
    ('W', "writable"),
    ('R', "read only"),
    ('E', "executable"),
    ('V', "valid: the processor uses it"),
];

/// The flags of an entry in words: "writable, executable, …". Empty for what is no row of letters.
pub(crate) fn flags(letters: &str) -> String {
    let known = |letter: char| letter == '-' || FLAGS.iter().any(|(flag, _)| *flag == letter);
    if !letters.ends_with('V') || !letters.chars().all(known) {
        return String::new();
    }
    let words = letters.chars().filter_map(|letter| FLAGS.iter().find(|(flag, _)| *flag == letter));
    words.map(|(_, word)| word.split(':').next().unwrap_or(word)).collect::<Vec<_>>().join(", ")
}

/// A reason without the address it starts with, where that address stands beside it anyway.
pub(crate) fn without_address(reason: &str) -> &str {
    match reason.split_once([' ', ':']) {
        Some((first, rest)) if first.starts_with("0x") => rest.trim_start_matches([':', ' ']),
        _ => reason,
    }
}

/// A time stamp as people read it; the column or the text around it says that it is UTC.
pub(crate) fn time(stamp: &str) -> String {
    stamp.replace('T', " ").replace('Z', "")
}

/// How far a module's names are known, in a word.
pub(crate) const fn status_word(status: SymbolStatus) -> &'static str {
    match status {
        SymbolStatus::Loaded => "loaded",
        SymbolStatus::Forced => "forced",
        SymbolStatus::Exports => "exports",
        SymbolStatus::Missing => "missing",
        SymbolStatus::Mismatched => "mismatched",
    }
}

/// How a process is called: "notepad.exe (4816)".
pub(crate) fn process_name(process: &Process) -> String {
    match (&process.name, process.id) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (Some(name), None) => name.clone(),
        (None, Some(id)) => format!("process {id}"),
        (None, None) => "a process without a name".into(),
    }
}

/// A space as the value of a choice, and back.
pub(crate) fn space_value(space: Space) -> String {
    match space {
        Space::Current => "current".into(),
        Space::Physical => "physical".into(),
        Space::Process { object } => object.to_string(),
    }
}

pub(crate) fn space_from(value: &str) -> Space {
    match value {
        "physical" => Space::Physical,
        other => Hex::parse(other).map_or(Space::Current, |object| Space::Process { object }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_in_words() {
        assert_eq!(flags("---DA--KWEV"), "dirty, accessed, only the kernel may use it, writable, executable, valid");
        assert_eq!(
            flags("CGL--NTUR-V"),
            "copy on write, global, large page, not cached, writes go through the cache, \
             programs may use it, read only, valid"
        );
        for words in ["transition", "not valid", "prototype", ""] {
            assert_eq!(flags(words), "", "{words}");
        }
    }

    #[test]
    fn reasons_lose_the_address_that_stands_beside_them() {
        assert_eq!(without_address("0xffffc00000004000 was paged out: its PTE 0x1"), "was paged out: its PTE 0x1");
        assert_eq!(without_address("0x1000: the page table is not in the dump"), "the page table is not in the dump");
        assert_eq!(without_address("the physical page at 0x0 is absent"), "the physical page at 0x0 is absent");
        assert_eq!(time("2026-03-14T09:26:53Z"), "2026-03-14 09:26:53");
    }

    #[test]
    fn a_space_survives_the_choice() {
        // "current" starts with a hexadecimal digit.
        for space in [Space::Current, Space::Physical, Space::Process { object: Hex(0xffff_8000_0000_1080) }] {
            assert_eq!(space_from(&space_value(space)), space);
        }
    }
}
