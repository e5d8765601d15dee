//! The rows of a stack: frames, and the borders between its parts.

use dumplens_report::{frame_note::FrameNote, model::Frame, text::clean};

/// A row of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// The stack crosses into user mode or into 32-bit code.
    Border(String),
    /// A frame.
    Frame {
        /// Its number in the stack.
        index: usize,
        /// Whether it stands in a run of frames that were folded.
        folded: bool,
        /// How often that run was found, at its last frame.
        repeated: Option<String>,
        /// What else its note says.
        note: Option<String>,
    },
}

/// The rows of a stack, innermost first.
pub(crate) fn rows(frames: &[Frame]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(frames.len());
    for (index, frame) in frames.iter().enumerate() {
        let note = frame.note.as_deref().map(FrameNote::of).unwrap_or_default();
        if let Some(border) = note.border {
            // Calls that were put into the function by the compiler stand above it and belong to the same part.
            let inlined = frames.iter().take(index).rev().take_while(|frame| frame.inline).count();
            rows.insert(rows.len().saturating_sub(inlined), Row::Border(capital(border)));
        }
        let rest = Some(note.rest.join("; ")).filter(|rest| !rest.is_empty());
        let repeated = note.repeated.map(|found| capital(found.text));
        rows.push(Row::Frame { index, folded: repeated.is_some(), repeated, note: rest });
        if let Some(found) = note.repeated {
            fold(&mut rows, frames, found.period);
        }
    }
    rows
}

/// Marks the last `period` frames, and the calls that are inlined in them.
fn fold(rows: &mut [Row], frames: &[Frame], period: usize) {
    let mut left = period;
    for row in rows.iter_mut().rev() {
        let Row::Frame { index, folded, .. } = row else { break };
        let inline = frames.get(*index).is_some_and(|frame| frame.inline);
        if !inline {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        *folded = true;
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A source line, its folder apart: long paths are read from the end.
pub(crate) fn source(frame: &Frame) -> Option<(String, String)> {
    let (file, line) = (clean(frame.file.as_deref()?), frame.line?);
    let name = file.rfind(['\\', '/']).map_or(0, |at| at + 1);
    let (folder, name) = file.split_at(name);
    Some((folder.into(), format!("{name}:{line}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::{
        Hex,
        frame_note::{USER_MODE, WOW64, joined, repeated},
        model::Trust,
    };

    fn frame(inline: bool, note: Option<String>) -> Frame {
        Frame {
            address: Hex(0x1000),
            stack_pointer: None,
            module: None,
            offset: None,
            function: None,
            function_offset: None,
            file: None,
            line: None,
            trust: Trust::Unwind,
            inline,
            unloaded_module: None,
            note,
            arguments: vec![],
        }
    }

    /// Rows in short: `|` a border, `i` and `f` frames, upper case where they are folded.
    fn drawn(frames: &[Frame]) -> String {
        let letter = |row: &Row| match row {
            Row::Border(_) => '|',
            Row::Frame { index, folded, .. } => match (frames[*index].inline, folded) {
                (true, false) => 'i',
                (true, true) => 'I',
                (false, false) => 'f',
                (false, true) => 'F',
            },
        };
        rows(frames).iter().map(letter).collect()
    }

    #[test]
    fn a_border_stands_above_its_frame_and_what_is_inlined_there() {
        let frames = [
            frame(false, None),
            frame(true, None),
            frame(false, Some(joined(Some(USER_MODE.into()), "trap frame at 0x1000".into()))),
            frame(false, Some(WOW64.into())),
        ];
        assert_eq!(drawn(&frames), "f|if|f");
        let rows = rows(&frames);
        assert_eq!(rows[1], Row::Border("User mode from here on".into()));
        assert!(matches!(&rows[3], Row::Frame { note: Some(note), .. } if note == "trap frame at 0x1000"));
        assert!(matches!(&rows[5], Row::Frame { note: None, .. }));
    }

    #[test]
    fn folded_frames_are_marked_with_what_is_inlined_in_them() {
        let frames = [
            frame(false, None),
            frame(false, None),
            frame(true, None),
            frame(false, Some(repeated(2, 9))),
            frame(false, None),
        ];
        assert_eq!(drawn(&frames), "fFIFf");
        let times = |row: &Row| matches!(row, Row::Frame { repeated: Some(text), .. } if text == "The last 2 frames stand here 9 times");
        assert_eq!(rows(&frames).iter().map(times).collect::<Vec<_>>(), [false, false, false, true, false]);
        // More than there are.
        assert_eq!(drawn(&[frame(false, Some(repeated(70, 2)))]), "F");
    }

    #[test]
    fn a_source_line_is_told_with_its_folder_apart() {
        let mut at = frame(false, None);
        assert_eq!(source(&at), None);
        at.line = Some(41);
        at.file = Some(r"d:\os\src\ke\bugcheck.c".into());
        assert_eq!(source(&at), Some((r"d:\os\src\ke\".into(), "bugcheck.c:41".into())));
        at.file = Some("main.rs".into());
        assert_eq!(source(&at), Some((String::new(), "main.rs:41".into())));
    }
}
