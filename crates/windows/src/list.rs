//! Doubly linked lists of the kernel, followed with suspicion.

use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;

use dumplens_base::{Fault, Memory, MemoryExt, Va};

/// Nodes of a list, and whether that is all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Addresses of the nodes, in list order.
    pub nodes: Vec<Va>,
    /// What was wrong with the list; `None` if it closes.
    pub broken: Option<Broken>,
}

/// Why a list does not close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A node cannot be read. Those before it on the way back from the head are listed too.
    Unreadable {
        /// What stopped it.
        fault: Fault,
        /// Nodes that were found by following the list backwards.
        recovered: usize,
    },
    /// A node was met twice.
    Cycle {
        /// That node.
        at: Va,
    },
    /// More nodes than can be true.
    Endless {
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { fault, recovered: 0 } => write!(f, "it cannot be followed to its end: {fault}"),
            Self::Unreadable { fault, recovered } => {
                write!(f, "it is broken in the middle ({fault}); {recovered} entries were found from its other end")
            }
            Self::Cycle { at } => write!(f, "it loops back to {at} instead of its head"),
            Self::Endless { limit } => write!(f, "it has more than {limit} entries; the rest was not followed"),
        }
    }
}

/// Follows the list from its head, which is not a node. At most `limit` nodes.
#[must_use]
pub fn follow(memory: &dyn Memory, head: Va, pointer: u8, limit: usize) -> List {
    let mut seen = BTreeSet::from([head]);
    let mut nodes = Vec::new();
    let mut at = head;
    let broken = loop {
        match memory.read_pointer(at, pointer) {
            Ok(next) if Va(next) == head => break None,
            Ok(next) if nodes.len() >= limit => {
                let _ = next;
                break Some(Broken::Endless { limit });
            }
            Ok(next) => {
                if !seen.insert(Va(next)) {
                    break Some(Broken::Cycle { at: Va(next) });
                }
                at = Va(next);
                // A node whose links cannot be read is no node: nothing else of it would be there either.
                if let Err(fault) = memory.read_pointer(at, pointer) {
                    let back = backwards(memory, head, pointer, limit.saturating_sub(nodes.len()), &mut seen);
                    let recovered = back.len();
                    nodes.extend(back.into_iter().rev());
                    break Some(Broken::Unreadable { fault, recovered });
                }
                nodes.push(at);
            }
            Err(fault) => break Some(Broken::Unreadable { fault, recovered: 0 }),
        }
    };
    List { nodes, broken }
}

/// Nodes met on the way back from the head, last first.
fn backwards(memory: &dyn Memory, head: Va, pointer: u8, limit: usize, seen: &mut BTreeSet<Va>) -> Vec<Va> {
    let mut nodes = Vec::new();
    let mut at = head;
    while nodes.len() < limit {
        let link = at.checked_add(u64::from(pointer));
        let Some(before) = link.and_then(|link| memory.read_pointer(link, pointer).ok()).map(Va) else { break };
        if memory.read_pointer(before, pointer).is_err() || !seen.insert(before) {
            break;
        }
        nodes.push(before);
        at = before;
    }
    nodes
}

/// Whether `head` looks like the head of a list: its first node points back at it.
#[must_use]
pub(crate) fn is_list_head(memory: &dyn Memory, head: Va, pointer: u8) -> bool {
    let Ok(first) = memory.read_pointer(head, pointer) else { return false };
    let back = Va(first).checked_add(u64::from(pointer));
    back.and_then(|back| memory.read_pointer(back, pointer).ok()) == Some(head.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, vec};
    use dumplens_base::{ReadOutcome, Region, Searched};

    struct Words(BTreeMap<u64, u64>);

    impl Memory for Words {
        fn read(&self, va: Va, buf: &mut [u8]) -> ReadOutcome {
            match self.0.get(&va.0) {
                Some(word) => {
                    buf.copy_from_slice(&word.to_le_bytes()[..buf.len()]);
                    ReadOutcome::complete(buf.len())
                }
                None => ReadOutcome { filled: 0, fault: Some(Fault::NotInDump { va, searched: Searched::Nothing }) },
            }
        }
        fn next_region(&self, _: Va) -> Option<Region> {
            None
        }
    }

    /// Head at 0x10, nodes at the given places.
    fn ring(nodes: &[u64]) -> BTreeMap<u64, u64> {
        let all: Vec<u64> = [0x10].into_iter().chain(nodes.iter().copied()).collect();
        let mut words = BTreeMap::new();
        for (index, node) in all.iter().enumerate() {
            words.insert(*node, all[(index + 1) % all.len()]);
            words.insert(node + 8, all[(index + all.len() - 1) % all.len()]);
        }
        words
    }

    #[test]
    fn a_whole_list_closes() {
        let memory = Words(ring(&[0x100, 0x200, 0x300]));
        assert_eq!(
            follow(&memory, Va(0x10), 8, 10),
            List { nodes: vec![Va(0x100), Va(0x200), Va(0x300)], broken: None }
        );
        assert!(is_list_head(&memory, Va(0x10), 8) && !is_list_head(&memory, Va(0x20), 8));
        assert_eq!(follow(&memory, Va(0x10), 8, 2).broken, Some(Broken::Endless { limit: 2 }));
    }

    #[test]
    fn a_hole_is_bridged_from_the_other_end() {
        let mut words = ring(&[0x100, 0x200, 0x300, 0x400]);
        words.remove(&0x200);
        let list = follow(&Words(words), Va(0x10), 8, 10);
        assert_eq!(list.nodes, [Va(0x100), Va(0x300), Va(0x400)]);
        assert!(matches!(list.broken, Some(Broken::Unreadable { recovered: 2, .. })));
    }

    #[test]
    fn a_loop_ends() {
        let mut words = ring(&[0x100, 0x200, 0x300]);
        words.insert(0x300, 0x100);
        let list = follow(&Words(words), Va(0x10), 8, 1000);
        assert_eq!((list.nodes.len(), list.broken), (3, Some(Broken::Cycle { at: Va(0x100) })));
    }
}
