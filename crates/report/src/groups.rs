//! Threads that stand at the same place: hundreds of waiting threads share a few stacks.

use alloc::{collections::BTreeMap, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::model::Stack;

/// A stack and the threads that have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackGroup {
    /// Ids of the threads, in the order they came.
    pub threads: Vec<u64>,
    /// The stack of the first; stack pointers differ from thread to thread.
    pub stack: Stack,
}

/// Puts stacks with the same addresses together, the largest group first. Groups of one size keep their order.
#[must_use]
pub fn group_stacks(stacks: impl IntoIterator<Item = (u64, Stack)>) -> Vec<StackGroup> {
    let mut places: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
    let mut groups: Vec<StackGroup> = Vec::new();
    for (thread, stack) in stacks {
        let key: Vec<u64> = stack.frames.iter().map(|frame| frame.address.0).collect();
        // Stacks of which nothing is known are not the same for that.
        let known = if key.is_empty() { None } else { places.get(&key) };
        match known.and_then(|place| groups.get_mut(*place)) {
            Some(group) => group.threads.push(thread),
            None => {
                if !key.is_empty() {
                    places.insert(key, groups.len());
                }
                groups.push(StackGroup { threads: Vec::from([thread]), stack });
            }
        }
    }
    groups.sort_by_key(|group| core::cmp::Reverse(group.threads.len()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Hex,
        model::{Frame, Trust},
    };
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
        };
        let frames = addresses.iter().map(frame).collect();
        Stack { thread: None, context: "test".into(), frames, stop: "end".into(), warnings: vec![] }
    }

    #[test]
    fn equal_stacks_are_one_group_and_unknown_ones_are_not() {
        let groups = group_stacks([
            (1, stack(&[1])),
            (2, stack(&[2, 3])),
            (3, stack(&[])),
            (4, stack(&[2, 3])),
            (5, stack(&[])),
        ]);
        let ids: Vec<_> = groups.iter().map(|group| group.threads.clone()).collect();
        assert_eq!(ids, [vec![2, 4], vec![1], vec![3], vec![5]]);
    }
}
