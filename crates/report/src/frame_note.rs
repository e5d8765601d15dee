//! Notes on frames that tell of the stack around them: where user mode begins, and what stands there again and again. The
//! engine writes them and front ends draw them; here both find the words.

use alloc::{format, string::String, vec::Vec};

/// Begins the note on the first frame of a stack's part in user mode.
pub const USER_MODE: &str = "user mode from here on";
/// Begins the note on the first frame of the 32-bit part of a program on a 64-bit system.
pub const WOW64: &str = "32-bit code (WOW64) from here on";

/// What separates the parts of a note.
const SEPARATOR: &str = "; ";
const HERE: &str = " here ";

/// The part of a note that says how often the last `period` frames were found, one behind the other.
#[must_use]
pub fn repeated(period: usize, rounds: usize) -> String {
    match period {
        1 => format!("this frame stands{HERE}{rounds} times"),
        _ => format!("the last {period} frames stand{HERE}{rounds} times"),
    }
}

/// A note with one more part.
#[must_use]
pub fn joined(note: Option<String>, part: String) -> String {
    match note {
        Some(note) => format!("{note}{SEPARATOR}{part}"),
        None => part,
    }
}

/// Frames that were found again and again, in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated<'a> {
    /// Frames of one round: the one with the note, and those above it.
    pub period: usize,
    /// The part of the note.
    pub text: &'a str,
}

/// A note, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameNote<'a> {
    /// [`USER_MODE`] or [`WOW64`]: the stack crosses a border above this frame.
    pub border: Option<&'a str>,
    /// Frames that were folded.
    pub repeated: Option<Repeated<'a>>,
    /// The rest of it.
    pub rest: Vec<&'a str>,
}

impl<'a> FrameNote<'a> {
    /// Takes a note apart.
    #[must_use]
    pub fn of(note: &'a str) -> Self {
        let mut parts = Self::default();
        for part in note.split(SEPARATOR) {
            if matches!(part, USER_MODE | WOW64) {
                parts.border = Some(part);
            } else if let Some(period) = period(part) {
                parts.repeated = Some(Repeated { period, text: part });
            } else {
                parts.rest.push(part);
            }
        }
        parts
    }
}

/// How many frames a part of a note says were found again and again.
fn period(part: &str) -> Option<usize> {
    let (frames, rounds) = part.strip_suffix(" times")?.split_once(HERE)?;
    rounds.parse::<usize>().ok()?;
    if frames == "this frame stands" {
        return Some(1);
    }
    frames.strip_prefix("the last ")?.strip_suffix(" frames stand")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    #[test]
    fn what_the_engine_writes_is_taken_apart() {
        let source = "trap frame at 0xffffb20000001e70";
        let note = joined(Some(joined(Some(USER_MODE.into()), source.into())), repeated(1, 300));
        let parts = FrameNote::of(&note);
        assert_eq!(parts.border, Some(USER_MODE));
        assert_eq!(parts.repeated, Some(Repeated { period: 1, text: "this frame stands here 300 times" }));
        assert_eq!(parts.rest, [source]);

        let two = repeated(2, 41);
        let parts = FrameNote::of(&two);
        assert_eq!(parts.repeated.map(|found| (found.period, found.text.to_string())), Some((2, two.clone())));
        assert_eq!(FrameNote::of(WOW64).border, Some(WOW64));
    }

    #[test]
    fn other_notes_are_left_whole() {
        for note in ["in no known image", "he stands here many times", "the last x frames stand here 2 times"] {
            assert_eq!(FrameNote::of(note), FrameNote { rest: vec![note], ..FrameNote::default() });
        }
    }
}
