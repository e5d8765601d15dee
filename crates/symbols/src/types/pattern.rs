//! Names with wildcards.

/// Whether `name` is of the form `pattern`, in which `*` stands for any bytes and `?` for one. Case matters.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Behind the last star: the pattern, and the name from where that was tried.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                pattern = rest;
                retry = Some((rest, name));
            }
            ([first, rest @ ..], [its, more @ ..]) if *first == b'?' || first == its => {
                (pattern, name) = (rest, more);
            }
            ([], []) => return true,
            _ => {
                let Some((rest, [_, more @ ..])) = retry else { return false };
                (pattern, name) = (rest, more);
                retry = Some((rest, more));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks_stand_for_what_they_should() {
        for (pattern, name, expected) in [
            ("_TEB", "_TEB", true),
            ("_TEB", "_TEB64", false),
            ("_TEB*", "_TEB", true),
            ("_TEB*", "_TEB_ACTIVE_FRAME", true),
            ("*ENTRY", "_LIST_ENTRY", true),
            ("*ENTRY", "_LIST_ENTRY32", false),
            ("_T?B", "_TEB", true),
            ("_T?B", "_TB", false),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("*a*b*c", "xxaxxcxxb", false),
            ("", "", true),
            ("", "x", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        // No pattern takes longer than the product of the lengths.
        let name = vec![b'a'; 20_000];
        assert!(!matches(b"*a*a*a*a*a*a*a*a*b", &name));
    }
}
