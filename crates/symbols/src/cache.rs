//! A bounded store of things that are costly to make again.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// Keeps what was used lately, at most a given number of bytes of it.
///
/// Two generations stand for an order of use: what is used moves to the young one, and when that has half of the bytes,
/// the old one is dropped and the young one becomes the old.
pub(crate) struct Cache<K, V> {
    half: usize,
    state: RefCell<State<K, V>>,
}

struct State<K, V> {
    young: BTreeMap<K, Entry<V>>,
    old: BTreeMap<K, Entry<V>>,
    used: usize,
}

struct Entry<V> {
    value: Rc<V>,
    cost: usize,
}

impl<K: Ord + Copy, V> Cache<K, V> {
    /// A cache of at most `budget` bytes, or one thing if it is larger.
    pub(crate) const fn new(budget: usize) -> Self {
        let state = State { young: BTreeMap::new(), old: BTreeMap::new(), used: 0 };
        Self { half: budget / 2, state: RefCell::new(state) }
    }

    /// What was kept under `key`.
    pub(crate) fn get(&self, key: K) -> Option<Rc<V>> {
        let mut state = self.state.borrow_mut();
        if let Some(entry) = state.young.get(&key) {
            return Some(Rc::clone(&entry.value));
        }
        let entry = state.old.remove(&key)?;
        let value = Rc::clone(&entry.value);
        self.put(&mut state, key, entry);
        Some(value)
    }

    /// What was kept under the greatest key not above `key` that `fits`.
    pub(crate) fn floor(&self, key: K, fits: impl Fn(&V) -> bool) -> Option<Rc<V>> {
        let state = self.state.borrow();
        let find = |entries: &BTreeMap<K, Entry<V>>| {
            let (key, entry) = entries.range(..=key).next_back()?;
            fits(&entry.value).then(|| (*key, Rc::clone(&entry.value)))
        };
        if let Some((_, value)) = find(&state.young) {
            return Some(value);
        }
        let (key, _) = find(&state.old)?;
        drop(state);
        self.get(key)
    }

    /// Keeps `value`, which takes `cost` bytes.
    pub(crate) fn insert(&self, key: K, value: V, cost: usize) -> Rc<V> {
        let value = Rc::new(value);
        let entry = Entry { value: Rc::clone(&value), cost: cost.saturating_add(ENTRY) };
        self.put(&mut self.state.borrow_mut(), key, entry);
        value
    }

    fn put(&self, state: &mut State<K, V>, key: K, entry: Entry<V>) {
        if state.used.saturating_add(entry.cost) > self.half {
            state.old = std::mem::take(&mut state.young);
            state.used = 0;
        }
        state.used = state.used.saturating_add(entry.cost);
        if let Some(before) = state.young.insert(key, entry) {
            state.used = state.used.saturating_sub(before.cost);
        }
    }
}

/// What an entry costs beside its value, about.
const ENTRY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = Cache::new(2000);
        for key in 0..100_u32 {
            cache.insert(key, key, 100);
            assert!(cache.get(0).is_some(), "it is used all the time");
        }
        assert!(cache.get(1).is_none() && cache.get(99).is_some());
        let state = cache.state.borrow();
        assert!(state.young.len() + state.old.len() <= 14);
    }

    #[test]
    fn the_floor_is_found_in_both_generations() {
        let cache = Cache::new(600);
        for key in [10_u32, 20, 30] {
            cache.insert(key, key, 50);
        }
        assert_eq!(cache.floor(25, |value| *value == 20).as_deref(), Some(&20));
        assert_eq!(cache.floor(9, |_| true), None);
        assert_eq!(cache.floor(12, |value| *value == 10).as_deref(), Some(&10));
    }
}
