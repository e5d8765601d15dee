//! Threads that stand at the same place: hundreds of waiting threads share a few stacks.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{Hex, model::Stack};

/// A stack and the threads that have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackGroup {
    /// Ids of the threads, in the order they came.
    pub threads: Vec<u64>,
    /// Addresses of their objects, in the same order, where the dump has them: idle threads share an id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Hex>,
    /// The stack of the first; stack pointers differ from thread to thread.
    pub stack: Stack,
}

/// What tells stacks apart: the addresses and modules of the frames, as processes have different images at one address;
/// without any frames, why there are none, wherever that was.
type Place = (Vec<(u64, Option<String>)>, String);

/// Stacks as they come, those with the same addresses put together.
#[derive(Clone, Debug, Default)]
pub struct StackGroups {
    places: BTreeMap<Place, usize>,
    groups: Vec<StackGroup>,
}

impl StackGroups {
    /// Adds the stack of a thread.
    pub fn add(&mut self, thread: u64, object: Option<Hex>, stack: Stack) {
        let addresses: Vec<_> = stack.frames.iter().map(|frame| (frame.address.0, frame.module.clone())).collect();
        let reason = if addresses.is_empty() { without_addresses(&stack.stop) } else { String::new() };
        let place = *self.places.entry((addresses, reason)).or_insert(self.groups.len());
        match self.groups.get_mut(place) {
            Some(group) => {
                group.threads.push(thread);
                group.objects.extend(object);
            }
            None => {
                let (threads, objects) = (Vec::from([thread]), object.into_iter().collect());
                self.groups.push(StackGroup { threads, objects, stack });
            }
        }
    }

    /// The groups, the largest first. Groups of one size keep their order.
    #[must_use]
    pub fn finish(mut self) -> Vec<StackGroup> {
        for group in &mut self.groups {
            if group.objects.len() != group.threads.len() {
                group.objects.clear();
            }
        }
        self.groups.sort_by_key(|group| core::cmp::Reverse(group.threads.len()));
        self.groups
    }
}

/// A reason without the addresses in it: what is absent is at another address in every thread.
fn without_addresses(reason: &str) -> String {
    let mut parts = reason.split("0x");
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    core::iter::once(first).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Frame, Trust};
    use alloc::vec;

    fn stack(addresses: &[u64]) -> Stack {
        let frame = |address: &u64| Frame {
            address: Hex(*address),
            stack_pointer: None,
            module: None,
            offset: None,
            function: None,
            function_offset: None,
            file: None,
            line: None,
            trust: Trust::Context,
            inline: false,
            unloaded_module: None,
            note: None,
            arguments: vec![],
        };
        let frames = addresses.iter().map(frame).collect();
        Stack { thread: None, context: "test".into(), frames, stop: "end".into(), warnings: vec![], wanted: vec![] }
    }

    #[test]
    fn equal_stacks_are_one_group_and_unknown_ones_go_by_their_reason() {
        let absent = |reason: &str| Stack { stop: reason.into(), ..stack(&[]) };
        let mut groups = StackGroups::default();
        for (thread, stack) in [
            (1, stack(&[1])),
            (2, stack(&[2, 3])),
            (3, absent("0x1000 was paged out")),
            (4, stack(&[2, 3])),
            (5, absent("ended")),
            (6, absent("0xffffb20000001e70 was paged out")),
            (7, stack(&[2, 3])),
        ] {
            groups.add(thread, Some(Hex(thread << 12)), stack);
        }
        let groups = groups.finish();
        let ids: Vec<_> = groups.iter().map(|group| group.threads.clone()).collect();
        assert_eq!(ids, [vec![2, 4, 7], vec![3, 6], vec![1], vec![5]]);
        assert_eq!(
            groups.first().map(|group| group.objects.clone()),
            Some(vec![Hex(0x2000), Hex(0x4000), Hex(0x7000)])
        );
    }
}
