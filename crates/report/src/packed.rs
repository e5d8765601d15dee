//! How stacks of very many threads travel: frames that stacks share are written once, and stack pointers as numbers.
//!
//! Messages to the page are built field by field; for 200 000 frames that takes longer than walking them.

use alloc::{collections::BTreeMap, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    Hex, StackGroup,
    model::{Frame, Stack, Trust},
};

/// The groups, as they travel.
#[derive(Serialize, Deserialize)]
struct Packed {
    /// Each frame once. Where it has a stack pointer, the value is the stack's.
    frames: Vec<Frame>,
    groups: Vec<Group>,
}

#[derive(Serialize, Deserialize)]
struct Group {
    /// All but the frames.
    group: StackGroup,
    /// Indices in the list of frames.
    frames: Vec<u32>,
    /// The upper and the lower half of the stack pointer of each frame that has one.
    pointers: Vec<u32>,
}

/// All of a frame but the value of its stack pointer.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    address: Hex,
    has_stack_pointer: bool,
    trust: Trust,
    inline: bool,
    line: Option<u32>,
    offsets: [Option<Hex>; 2],
    names: [Option<&'a str>; 5],
    arguments: &'a [Hex],
}

impl<'a> Key<'a> {
    fn of(frame: &'a Frame) -> Self {
        let Frame {
            address,
            stack_pointer,
            module,
            offset,
            function,
            function_offset,
            file,
            line,
            trust,
            inline,
            unloaded_module,
            note,
            arguments,
        } = frame;
        Self {
            address: *address,
            has_stack_pointer: stack_pointer.is_some(),
            trust: *trust,
            inline: *inline,
            line: *line,
            offsets: [*offset, *function_offset],
            names: [module, function, file, unloaded_module, note].map(Option::as_deref),
            arguments,
        }
    }
}

/// Writes groups in the form in which they travel.
pub(crate) fn serialize<S: Serializer>(groups: &[StackGroup], serializer: S) -> Result<S::Ok, S::Error> {
    let mut places: BTreeMap<Key<'_>, u32> = BTreeMap::new();
    let mut frames = Vec::new();
    let groups = groups.iter().map(|group| {
        let StackGroup { threads, objects, stack } = group;
        let Stack { thread, context, frames: its, stop, warnings, wanted } = stack;
        let mut pointers = Vec::new();
        let mut rows = Vec::with_capacity(its.len());
        for frame in its {
            let next = u32::try_from(frames.len()).unwrap_or(u32::MAX);
            rows.push(*places.entry(Key::of(frame)).or_insert_with(|| {
                frames.push(Frame { stack_pointer: frame.stack_pointer.map(|_| Hex(0)), ..frame.clone() });
                next
            }));
            if let Some(Hex(pointer)) = frame.stack_pointer {
                pointers.extend([(pointer >> 32) as u32, pointer as u32]);
            }
        }
        let stack = Stack {
            thread: *thread,
            context: context.clone(),
            frames: Vec::new(),
            stop: stop.clone(),
            warnings: warnings.clone(),
            wanted: wanted.clone(),
        };
        let group = StackGroup { threads: threads.clone(), objects: objects.clone(), stack };
        Group { group, frames: rows, pointers }
    });
    let groups = groups.collect();
    Packed { frames, groups }.serialize(serializer)
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StackGroup>, D::Error> {
    let Packed { frames, groups } = Packed::deserialize(deserializer)?;
    let unpack = |Group { mut group, frames: rows, pointers }: Group| {
        let mut pointers = pointers.as_chunks::<2>().0.iter();
        let frame = |row: u32| {
            let frame = frames.get(row as usize).ok_or_else(|| D::Error::custom("a frame that is not in the list"))?;
            let pointer = |_| match pointers.next() {
                Some([high, low]) => Ok(Hex(u64::from(*high) << 32 | u64::from(*low))),
                None => Err(D::Error::custom("a frame lacks its stack pointer")),
            };
            Ok(Frame { stack_pointer: frame.stack_pointer.map(pointer).transpose()?, ..frame.clone() })
        };
        group.stack.frames = rows.into_iter().map(frame).collect::<Result<_, _>>()?;
        Ok(group)
    };
    groups.into_iter().map(unpack).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::protocol::Reply;

    fn frame(address: u64, stack_pointer: Option<u64>, function: Option<&str>) -> Frame {
        Frame {
            address: Hex(address),
            stack_pointer: stack_pointer.map(Hex),
            module: Some("nt".into()),
            offset: Some(Hex(address & 0xfff)),
            function: function.map(Into::into),
            function_offset: function.map(|_| Hex(3)),
            file: None,
            line: function.map(|_| 7),
            trust: Trust::Unwind,
            inline: false,
            unloaded_module: None,
            note: None,
            arguments: vec![Hex(u64::MAX)],
        }
    }

    fn group(threads: &[u64], frames: Vec<Frame>) -> StackGroup {
        let stack = Stack {
            thread: threads.first().copied(),
            context: "switch frame".into(),
            frames,
            stop: "end of the stack".into(),
            warnings: vec!["doubtful".into()],
            wanted: vec!["ntoskrnl.exe".into()],
        };
        StackGroup { threads: threads.to_vec(), objects: vec![Hex(0xffff_8000_0000_0000)], stack }
    }

    #[test]
    fn what_travels_arrives_as_it_was_and_shared_frames_are_written_once() {
        const TOP: u64 = 0xffff_f800_1234_5678;
        let groups = vec![
            group(&[1, 2], vec![frame(TOP, Some(u64::MAX), Some("KiSwap")), frame(TOP + 16, Some(TOP), None)]),
            // The same frames elsewhere on a stack, without a stack pointer, and under another name.
            group(&[3], vec![frame(TOP, Some(0), Some("KiSwap")), frame(TOP, None, Some("KiSwap"))]),
            group(&[4], vec![frame(TOP, Some(8), Some("KiSwapped")), frame(TOP + 16, Some(TOP + 8), None)]),
            group(&[5], vec![]),
        ];
        let text = serde_json::to_string(&Reply::Stacks(groups.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), Reply::Stacks(groups));
        assert_eq!(text.matches("\"nt\"").count(), 4, "{text}");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let groups = vec![group(&[1], vec![frame(1, Some(2), None)])];
        let text = serde_json::to_string(&Reply::Stacks(groups)).unwrap();
        for (from, to) in [("\"frames\":[0]", "\"frames\":[1]"), ("\"pointers\":[0,2]", "\"pointers\":[0]")] {
            let broken = text.replace(from, to);
            assert_ne!(broken, text);
            assert!(serde_json::from_str::<Reply>(&broken).is_err(), "{broken}");
        }
    }
}
