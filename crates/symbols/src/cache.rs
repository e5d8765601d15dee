//! A bounded store of things that are costly to make again.

use std::cell::{Cell, RefCell};

/// Most entries of a group.
const GROUP: usize = 32;
/// Entries that a full group makes room for at a time.
const GROWTH: usize = 4;

/// Keeps things by key, at most a given number of bytes of them.
///
/// Entries stand in the order of their keys, in groups of some dozens: that takes less memory than a tree, and less time
/// to find what is at or below a key. When room is needed, a hand goes round and drops from each group what was not used
/// since it came by last.
pub(crate) struct Cache<V> {
    budget: usize,
    state: RefCell<State<V>>,
}

struct State<V> {
    /// For each group a key that none of it is below, and that all of those before are below.
    firsts: Vec<u32>,
    groups: Vec<Group<V>>,
    used: usize,
    /// The group that is next to lose what is not used.
    hand: usize,
}

/// Entries with their keys. Keys are searched, so they stand close together.
struct Group<V> {
    keys: Vec<u32>,
    entries: Vec<Entry<V>>,
}

struct Entry<V> {
    cost: u32,
    recent: Cell<bool>,
    value: V,
}

impl<V> Cache<V> {
    /// A cache of at most `budget` bytes, or one thing if it is larger.
    pub(crate) const fn new(budget: usize) -> Self {
        let state = State { firsts: Vec::new(), groups: Vec::new(), used: 0, hand: 0 };
        Self { budget, state: RefCell::new(state) }
    }

    /// What was kept under `key`.
    pub(crate) fn get(&self, key: u32) -> Option<V>
    where
        V: Clone,
    {
        self.floor(key, |found, value| (found == key).then(|| value.clone()))
    }

    /// What `answer` makes of the thing under the greatest key not above `key`.
    pub(crate) fn floor<T>(&self, key: u32, answer: impl FnOnce(u32, &V) -> Option<T>) -> Option<T> {
        let state = self.state.borrow();
        let group = state.groups.get(state.group(key))?;
        let at = group.behind(key).checked_sub(1)?;
        let (found, entry) = (group.keys.get(at)?, group.entries.get(at)?);
        let answer = answer(*found, &entry.value);
        if answer.is_some() {
            entry.recent.set(true);
        }
        answer
    }

    /// Keeps `value`, which takes `cost` bytes beside itself.
    pub(crate) fn insert(&self, key: u32, value: V, cost: usize) {
        let cost = cost.saturating_add(size_of::<u32>()).saturating_add(size_of::<Entry<V>>());
        let state = &mut *self.state.borrow_mut();
        state.make_room(self.budget.saturating_sub(cost));
        state.put(key, Entry { cost: u32::try_from(cost).unwrap_or(u32::MAX), recent: Cell::new(false), value });
    }
}

impl<V> Group<V> {
    /// Where an entry behind all with keys up to `key` would stand.
    fn behind(&self, key: u32) -> usize {
        // There are so few that counting, without a branch, is faster than to search.
        self.keys.iter().map(|its| u32::from(*its <= key)).sum::<u32>() as usize
    }

    fn insert(&mut self, at: usize, key: u32, entry: Entry<V>) {
        if self.keys.len() == self.keys.capacity() {
            self.keys.reserve_exact(GROWTH);
            self.entries.reserve_exact(GROWTH);
        }
        self.keys.insert(at, key);
        self.entries.insert(at, entry);
    }

    /// Takes the upper half away.
    fn split(&mut self) -> Self {
        let middle = self.keys.len() / 2;
        let upper = Self { keys: self.keys.split_off(middle), entries: self.entries.split_off(middle) };
        self.shrink();
        upper
    }

    fn shrink(&mut self) {
        self.keys.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// Drops what was not used since this was last done, and says what it cost.
    fn forget(&mut self) -> usize {
        let mut freed: usize = 0;
        let mut stay = self.entries.iter().map(|entry| entry.recent.get());
        self.keys.retain(|_| stay.next().unwrap_or(false));
        self.entries.retain(|entry| {
            let stays = entry.recent.replace(false);
            if !stays {
                freed = freed.saturating_add(entry.cost as usize);
            }
            stays
        });
        self.shrink();
        freed
    }
}

impl<V> State<V> {
    /// The group that `key` belongs to.
    fn group(&self, key: u32) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    /// Drops what is not used until `most` bytes are left. The first time round it may be that all was used.
    fn make_room(&mut self, most: usize) {
        for _ in 0..self.groups.len().saturating_mul(2) {
            if self.used <= most {
                return;
            }
            if self.hand >= self.groups.len() {
                self.hand = 0;
            }
            let Some(group) = self.groups.get_mut(self.hand) else { return };
            self.used = self.used.saturating_sub(group.forget());
            if group.keys.is_empty() {
                self.groups.remove(self.hand);
                self.firsts.remove(self.hand);
            } else {
                self.hand = self.hand.saturating_add(1);
            }
        }
    }

    fn put(&mut self, key: u32, entry: Entry<V>) {
        self.used = self.used.saturating_add(entry.cost as usize);
        let index = self.group(key);
        let (Some(group), Some(first)) = (self.groups.get_mut(index), self.firsts.get_mut(index)) else {
            self.firsts.push(key);
            self.groups.push(Group { keys: vec![key], entries: vec![entry] });
            return;
        };
        *first = key.min(*first);
        let at = group.behind(key);
        if let Some(before) = at.checked_sub(1)
            && group.keys.get(before) == Some(&key)
            && let Some(known) = group.entries.get_mut(before)
        {
            self.used = self.used.saturating_sub(known.cost as usize);
            *known = entry;
            return;
        }
        group.insert(at, key, entry);
        if group.keys.len() >= GROUP {
            let upper = group.split();
            if let Some(first) = upper.keys.first() {
                self.firsts.insert(index.saturating_add(1), *first);
                self.groups.insert(index.saturating_add(1), upper);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl<V> State<V> {
        fn entries(&self) -> usize {
            assert!(self.groups.iter().all(|group| group.keys.len() == group.entries.len()));
            self.groups.iter().map(|group| group.keys.len()).sum()
        }
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(2000);
        for key in 0..100_u32 {
            cache.insert(key, key, 100);
            assert!(cache.get(0).is_some(), "it is used all the time");
        }
        assert!(cache.get(1).is_none() && cache.get(99).is_some());
        let state = cache.state.borrow();
        assert!(state.used <= 2000 && state.entries() < 20);
    }

    #[test]
    fn one_thing_stays_though_it_is_larger_than_the_budget() {
        let cache = Cache::new(10);
        for key in 0..3_u32 {
            cache.insert(key, key, 100);
            assert_eq!(cache.get(key), Some(key));
        }
        assert_eq!(cache.state.borrow().groups.len(), 1);
    }

    proptest! {
        #[test]
        fn a_cache_that_need_not_forget_is_a_map(keys in proptest::collection::vec(0_u32..2000, 1..800)) {
            let (cache, mut map) = (Cache::new(usize::MAX), BTreeMap::new());
            for (value, key) in keys.into_iter().enumerate() {
                cache.insert(key, value, 8);
                map.insert(key, value);
            }
            for key in 0..2000 {
                let floor = map.range(..=key).next_back().map(|(key, value)| (*key, *value));
                prop_assert_eq!(cache.floor(key, |key, value| Some((key, *value))), floor);
                prop_assert_eq!(cache.get(key), map.get(&key).copied());
            }
            let cost = size_of::<Entry<usize>>() + size_of::<u32>() + 8;
            prop_assert_eq!(cache.state.borrow().used, map.len() * cost);
        }

        #[test]
        fn a_cache_that_forgets_is_right_or_silent(
            keys in proptest::collection::vec((0_u32..400, 0_u32..400), 1..800),
            budget in 0_usize..20_000,
        ) {
            let cache = Cache::new(budget);
            for (key, asked) in keys {
                cache.insert(key, key, 40);
                prop_assert_eq!(cache.get(key), Some(key));
                prop_assert!(cache.get(asked).is_none_or(|value| value == asked));
                let state = cache.state.borrow();
                let cost = size_of::<Entry<u32>>() + size_of::<u32>() + 40;
                prop_assert_eq!(state.used, state.entries() * cost);
                prop_assert!(state.used <= budget.max(cost));
                let keys: Vec<u32> = state.groups.iter().flat_map(|group| group.keys.clone()).collect();
                prop_assert!(keys.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
