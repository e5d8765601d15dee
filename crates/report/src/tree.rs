//! Processes as the tree of who created whom.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::model::Process;

/// A row of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Index in the list.
    pub index: usize,
    /// Ancestors above it.
    pub depth: usize,
}

/// Deepest level that is drawn; what is below stands there too.
const MOST_DEPTH: usize = 64;

/// The rows of a process list in tree order: each process before those it created, which keep their list order.
///
/// Process ids are used again: a process whose recorded creator is younger than itself has lost its creator and stands
/// at the top.
#[must_use]
pub fn process_tree(processes: &[Process]) -> Vec<Branch> {
    let by_id: BTreeMap<u64, usize> =
        processes.iter().enumerate().rev().filter_map(|(index, process)| Some((process.id?, index))).collect();
    let parent = |index: usize| {
        let process = processes.get(index)?;
        let parent = *by_id.get(&process.parent_id?)?;
        let creator = processes.get(parent)?;
        let older = match (&creator.create_time, &process.create_time) {
            // ISO 8601 in UTC: the order of the text is the order in time.
            (Some(creator), Some(own)) => creator <= own,
            _ => true,
        };
        (parent != index && older).then_some(parent)
    };
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut roots = Vec::new();
    for index in 0..processes.len() {
        match parent(index) {
            Some(parent) => children.entry(parent).or_default().push(index),
            None => roots.push(index),
        }
    }
    let mut seen = vec![false; processes.len()];
    let mut rows = Vec::with_capacity(processes.len());
    let mut walk = |start: usize, rows: &mut Vec<Branch>| {
        let mut stack = vec![Branch { index: start, depth: 0 }];
        while let Some(branch) = stack.pop() {
            match seen.get_mut(branch.index) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            rows.push(branch);
            let below = children.get(&branch.index).map(Vec::as_slice).unwrap_or_default();
            let depth = (branch.depth + 1).min(MOST_DEPTH);
            stack.extend(below.iter().rev().map(|index| Branch { index: *index, depth }));
        }
    };
    for root in roots {
        walk(root, &mut rows);
    }
    // Processes that name each other as creators hang below no root.
    for index in 0..processes.len() {
        walk(index, &mut rows);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: u64, parent: u64, created: &str) -> Process {
        Process {
            id: Some(id),
            parent_id: Some(parent),
            name: None,
            current: false,
            session: None,
            object: None,
            peb: None,
            directory_table_base: None,
            threads: None,
            create_time: (!created.is_empty()).then(|| created.into()),
        }
    }

    fn rows(list: &[Process]) -> Vec<(u64, usize)> {
        process_tree(list).iter().map(|row| (list[row.index].id.unwrap(), row.depth)).collect()
    }

    #[test]
    fn children_follow_their_creator() {
        let list = [process(4, 0, ""), process(8, 4, ""), process(12, 99, ""), process(16, 8, ""), process(20, 4, "")];
        assert_eq!(rows(&list), [(4, 0), (8, 1), (16, 2), (20, 1), (12, 0)]);
    }

    #[test]
    fn a_younger_creator_only_has_the_same_id() {
        let list = [process(8, 12, "2026-01-01T00:00:00Z"), process(12, 4, "2026-01-02T00:00:00Z")];
        assert_eq!(rows(&list), [(8, 0), (12, 0)]);
    }

    #[test]
    fn rings_of_creators_are_shown_once() {
        let list = [process(8, 12, ""), process(12, 8, ""), process(16, 16, "")];
        assert_eq!(rows(&list), [(16, 0), (8, 0), (12, 1)]);
    }
}
