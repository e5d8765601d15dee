//! A bounded store of things that are costly to make again.

use std::cell::{Cell, RefCell};

/// Most entries of a group.
const GROUP: usize = 64;
/// Entries that a full group makes room for at a time.
const GROWTH: usize = 8;

/// Keeps things by key, at most a given number of bytes of them.
///
/// Entries stand in the order of their keys, in groups of some dozens: that takes less memory than a tree, and less time
/// to find what is at or below a key. When room is needed, a hand goes round and drops from each group what was not used
/// since it came by last.
pub(crate) struct Cache<K, V> {
    budget: usize,
    state: RefCell<State<K, V>>,
}

struct State<K, V> {
    /// For each group a key that none of it is below, and that all of those before are below.
    firsts: Vec<K>,
    groups: Vec<Vec<Entry<K, V>>>,
    used: usize,
    /// The group that is next to lose what is not used.
    hand: usize,
}

struct Entry<K, V> {
    key: K,
    cost: u32,
    recent: Cell<bool>,
    value: V,
}

impl<K: Ord + Copy, V> Cache<K, V> {
    /// A cache of at most `budget` bytes, or one thing if it is larger.
    pub(crate) const fn new(budget: usize) -> Self {
        let state = State { firsts: Vec::new(), groups: Vec::new(), used: 0, hand: 0 };
        Self { budget, state: RefCell::new(state) }
    }

    /// What was kept under `key`.
    pub(crate) fn get(&self, key: K) -> Option<V>
    where
        V: Clone,
    {
        self.floor(key, |found, value| (found == key).then(|| value.clone()))
    }

    /// What `answer` makes of the thing under the greatest key not above `key`.
    pub(crate) fn floor<T>(&self, key: K, answer: impl FnOnce(K, &V) -> Option<T>) -> Option<T> {
        let state = self.state.borrow();
        let group = state.groups.get(state.group(key))?;
        let entry = group.get(place(group, key).checked_sub(1)?)?;
        let answer = answer(entry.key, &entry.value)?;
        entry.recent.set(true);
        Some(answer)
    }

    /// Keeps `value`, which takes `cost` bytes beside itself.
    pub(crate) fn insert(&self, key: K, value: V, cost: usize) {
        let cost = cost.saturating_add(size_of::<Entry<K, V>>());
        let state = &mut *self.state.borrow_mut();
        state.make_room(self.budget.saturating_sub(cost));
        let entry = Entry { key, cost: u32::try_from(cost).unwrap_or(u32::MAX), recent: Cell::new(false), value };
        state.put(entry);
    }
}

/// Where an entry behind all with keys up to `key` would stand.
fn place<K: Ord + Copy, V>(group: &[Entry<K, V>], key: K) -> usize {
    group.partition_point(|entry| entry.key <= key)
}

impl<K: Ord + Copy, V> State<K, V> {
    /// The group that `key` belongs to.
    fn group(&self, key: K) -> usize {
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
            let used = &mut self.used;
            group.retain(|entry| {
                let stays = entry.recent.replace(false);
                if !stays {
                    *used = used.saturating_sub(entry.cost as usize);
                }
                stays
            });
            if group.is_empty() {
                self.groups.remove(self.hand);
                self.firsts.remove(self.hand);
            } else {
                group.shrink_to_fit();
                self.hand = self.hand.saturating_add(1);
            }
        }
    }

    fn put(&mut self, entry: Entry<K, V>) {
        self.used = self.used.saturating_add(entry.cost as usize);
        let index = self.group(entry.key);
        let (Some(group), Some(first)) = (self.groups.get_mut(index), self.firsts.get_mut(index)) else {
            self.firsts.push(entry.key);
            self.groups.push(vec![entry]);
            return;
        };
        *first = entry.key.min(*first);
        let at = place(group, entry.key);
        if let Some(before) = at.checked_sub(1).and_then(|before| group.get_mut(before))
            && before.key == entry.key
        {
            self.used = self.used.saturating_sub(before.cost as usize);
            *before = entry;
            return;
        }
        if group.len() == group.capacity() {
            group.reserve_exact(GROWTH);
        }
        group.insert(at, entry);
        if group.len() >= GROUP {
            let upper = group.split_off(GROUP / 2);
            group.shrink_to_fit();
            if let Some(entry) = upper.first() {
                self.firsts.insert(index.saturating_add(1), entry.key);
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

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(2000);
        for key in 0..100_u32 {
            cache.insert(key, key, 100);
            assert!(cache.get(0).is_some(), "it is used all the time");
        }
        assert!(cache.get(1).is_none() && cache.get(99).is_some());
        let state = cache.state.borrow();
        assert!(state.used <= 2000 && state.groups.iter().map(Vec::len).sum::<usize>() < 20);
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
            let entries = map.len() * (size_of::<Entry<u32, usize>>() + 8);
            prop_assert_eq!(cache.state.borrow().used, entries);
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
                let entries = state.groups.iter().map(Vec::len).sum::<usize>();
                let cost = size_of::<Entry<u32, u32>>() + 40;
                prop_assert_eq!(state.used, entries * cost);
                prop_assert!(state.used <= budget.max(cost));
                let keys: Vec<u32> = state.groups.iter().flatten().map(|entry| entry.key).collect();
                prop_assert!(keys.is_sorted_by(|a, b| a < b));
            }
        }
    }
}
