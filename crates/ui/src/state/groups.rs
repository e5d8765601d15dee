//! Stacks that threads share: which of them match a filter, what tells one from another, and how many of them there are.

use dumplens_report::{
    StackGroup,
    model::{Frame, Stack},
    protocol::StackOf,
    text::location,
};

use super::grid::filter_words;

/// Frames from the top that always tell where a stack stands.
const TOP: usize = 3;

/// What a stack is searched by: its functions and modules, its ids, why it ends where it has no frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Searched(String);

impl Searched {
    pub(crate) fn of(group: &StackGroup) -> Self {
        let mut text = String::new();
        let mut add = |part: &str| {
            text.push('\n');
            text.push_str(&part.to_lowercase());
        };
        for frame in &group.stack.frames {
            add(&location(frame));
        }
        if group.stack.frames.is_empty() {
            add(&group.stack.stop);
        }
        for id in &group.threads {
            add(&id.to_string());
        }
        text.push('\n');
        Self(text)
    }
}

/// Numbers of the groups in which every word of the filter stands: a number as a whole thread id, or as part of a name.
pub(crate) fn matching(searched: &[Searched], filter: &str) -> Vec<usize> {
    let words = filter_words(filter);
    let fits = |(_, Searched(text)): &(usize, &Searched)| {
        words.iter().all(|word| match word.parse::<u64>() {
            Ok(_) => text.contains(&format!("\n{word}\n")),
            Err(_) => text.contains(word.as_str()),
        })
    };
    searched.iter().enumerate().filter(fits).map(|(index, _)| index).collect()
}

/// A part of a stack in a few lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Frame(String),
    /// Frames that are left out.
    Gap(usize),
}

/// Where a stack stands: its top frames, and, if those are all of one module, the first frame of another. Waiting threads
/// have their topmost frames in common; who waits stands further down.
pub(crate) fn brief(stack: &Stack) -> Vec<Line> {
    let frames = &stack.frames;
    let line = |frame: &Frame| Line::Frame(location(frame));
    let mut lines: Vec<Line> = frames.iter().take(TOP).map(line).collect();
    let first = frames.first().map(|frame| &frame.module);
    let is_other = |frame: &Frame| frame.module.is_some() && Some(&frame.module) != first;
    let mut shown = lines.len();
    if !frames.iter().take(TOP).any(is_other)
        && let Some((at, frame)) = frames.iter().enumerate().skip(TOP).find(|(_, frame)| is_other(frame))
    {
        lines.extend((at > shown).then(|| Line::Gap(at - shown)));
        lines.push(line(frame));
        shown = at + 1;
    }
    lines.extend((frames.len() > shown).then(|| Line::Gap(frames.len() - shown)));
    lines
}

/// The threads of a group, each with its own stack's place.
pub(crate) fn members(group: &StackGroup) -> Vec<(u64, StackOf)> {
    let place = |(index, id): (usize, &u64)| {
        let object = group.objects.get(index).copied();
        (*id, object.map_or(StackOf::Thread { id: *id }, |object| StackOf::ThreadObject { object }))
    };
    group.threads.iter().enumerate().map(place).collect()
}

/// "12 stacks of 1204 threads", or how many of them a filter leaves.
pub(crate) fn count(groups: &[StackGroup], shown: &[usize]) -> String {
    let threads =
        |groups: &mut dyn Iterator<Item = &StackGroup>| groups.map(|group| group.threads.len()).sum::<usize>();
    let (all, in_all) = (groups.len(), threads(&mut groups.iter()));
    if shown.len() == all {
        return format!("{} of {}", counted(all, "stack"), counted(in_all, "thread"));
    }
    let left = threads(&mut shown.iter().filter_map(|index| groups.get(*index)));
    format!("{} of {}, {left} of {}", shown.len(), counted(all, "stack"), counted(in_all, "thread"))
}

/// "1 thread", "2 threads".
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::{Hex, model::Trust};

    fn frame(module: &str, function: &str) -> Frame {
        Frame {
            address: Hex(0x1000),
            stack_pointer: None,
            module: Some(module.into()),
            offset: None,
            function: Some(function.into()),
            function_offset: None,
            file: None,
            line: None,
            trust: Trust::Unwind,
            inline: false,
            unloaded_module: None,
            note: None,
            arguments: vec![],
        }
    }

    fn group(threads: &[u64], frames: Vec<Frame>) -> StackGroup {
        let stack = Stack {
            thread: threads.first().copied(),
            context: "test".into(),
            frames,
            stop: "No stack: it was paged out.".into(),
            warnings: vec![],
            wanted: vec![],
        };
        StackGroup { threads: threads.to_vec(), objects: vec![], stack }
    }

    fn groups() -> Vec<StackGroup> {
        let wait =
            || vec![frame("nt", "KiSwapContext"), frame("nt", "KiSwapThread"), frame("nt", "KeWaitForSingleObject")];
        let mut deep = wait();
        deep.extend([frame("nt", "ExpWait"), frame("storport", "RaidWorker"), frame("nt", "PspStart")]);
        vec![group(&[264, 8, 12], deep), group(&[4], wait()), group(&[0, 0], vec![])]
    }

    #[test]
    fn every_word_must_stand_in_a_stack() {
        let searched: Vec<_> = groups().iter().map(Searched::of).collect();
        let found = |filter: &str| matching(&searched, filter);
        assert_eq!(found(""), [0, 1, 2]);
        assert_eq!(found("kiSWAP"), [0, 1]);
        assert_eq!(found("raid nt!exp"), [0]);
        assert_eq!(found("paged"), [2]);
        assert_eq!(found("264"), [0]);
        assert_eq!(found("4"), [1], "a number is a whole id");
        assert_eq!(found("nowhere"), [] as [usize; 0]);
    }

    #[test]
    fn the_brief_form_reaches_the_first_other_module() {
        let [deep, short, none] = groups().try_into().unwrap();
        let frame = |text: &str| Line::Frame(text.into());
        let top = [frame("nt!KiSwapContext"), frame("nt!KiSwapThread"), frame("nt!KeWaitForSingleObject")];
        let mut expected = top.to_vec();
        expected.extend([Line::Gap(1), frame("storport!RaidWorker"), Line::Gap(1)]);
        assert_eq!(brief(&deep.stack), expected);
        assert_eq!(brief(&short.stack), top);
        assert_eq!(brief(&none.stack), []);
    }

    #[test]
    fn threads_lead_to_their_objects_where_they_are_known() {
        let mut idle = group(&[0, 0], vec![]);
        assert_eq!(members(&idle)[1], (0, StackOf::Thread { id: 0 }));
        idle.objects = vec![Hex(0x1000), Hex(0x2000)];
        assert_eq!(members(&idle)[1], (0, StackOf::ThreadObject { object: Hex(0x2000) }));
    }

    #[test]
    fn stacks_and_threads_are_counted() {
        let groups = groups();
        assert_eq!(count(&groups, &[0, 1, 2]), "3 stacks of 6 threads");
        assert_eq!(count(&groups, &[1]), "1 of 3 stacks, 1 of 6 threads");
        assert_eq!(count(&groups[1..2], &[0]), "1 stack of 1 thread");
    }
}
