use std::hash::{BuildHasher, RandomState};

/// A name, by its number in [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) u32);

/// Every different name once, in one text.
#[derive(Default)]
pub(crate) struct Names {
    text: String,
    /// Where each name ends in `text`. It starts where the one before it ends.
    ends: Vec<u32>,
}

impl Names {
    pub(crate) fn get(&self, name: Name) -> &str {
        let index = name.0 as usize;
        let start = index.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let range = start.zip(self.ends.get(index)).map(|(start, end)| *start as usize..*end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Bytes held, for measuring.
    pub(crate) fn held(&self) -> usize {
        self.text.capacity().saturating_add(self.ends.capacity().saturating_mul(4))
    }

    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

/// Finds names again while a table is loaded: open addressing over the names' numbers.
pub(crate) struct Interner {
    pub(crate) names: Names,
    /// One more than a name's number; zero where a slot is free. A power of two long, at most half full.
    slots: Vec<u32>,
    // Keyed, so that a hostile table cannot choose names that collide.
    hasher: RandomState,
    limit: usize,
}

impl Interner {
    /// Holds at most `limit` bytes of names.
    pub(crate) fn new(limit: usize) -> Self {
        Self { names: Names::default(), slots: vec![0; 1024], hasher: RandomState::new(), limit }
    }

    /// The number of `text`, new or old. `None` if there is no room for another name.
    pub(crate) fn intern(&mut self, text: &str) -> Option<Name> {
        let slot = self.find(text);
        match self.slots.get(slot).copied().unwrap_or(0).checked_sub(1) {
            Some(known) => Some(Name(known)),
            None => self.add(slot, text),
        }
    }

    /// The slot of `text`, or the free one where it belongs.
    fn find(&self, text: &str) -> usize {
        let mask = self.slots.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let mut slot = self.hasher.hash_one(text) as usize & mask;
        while let Some(known) = self.slots.get(slot).and_then(|held| held.checked_sub(1)) {
            if self.names.get(Name(known)) == text {
                break;
            }
            slot = slot.wrapping_add(1) & mask;
        }
        slot
    }

    fn add(&mut self, slot: usize, text: &str) -> Option<Name> {
        let end = self.names.text.len().checked_add(text.len()).filter(|end| *end <= self.limit)?;
        let name = u32::try_from(self.names.count()).ok().filter(|name| *name < u32::MAX)?;
        self.names.ends.push(u32::try_from(end).ok()?);
        self.names.text.push_str(text);
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = name.saturating_add(1);
        }
        if self.names.count().saturating_mul(2) > self.slots.len() {
            self.grow();
        }
        Some(Name(name))
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len().saturating_mul(2)];
        for index in 0..self.names.count() {
            let Ok(number) = u32::try_from(index) else { break };
            let slot = self.find(self.names.get(Name(number)));
            if let Some(slot) = self.slots.get_mut(slot) {
                *slot = number.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_and_bounded() {
        let mut interner = Interner::new(20_000);
        let all: Vec<_> = (0..3000).map(|n| interner.intern(&format!("n{n}")).unwrap()).collect();
        for (n, name) in all.iter().enumerate() {
            assert_eq!(interner.intern(&format!("n{n}")), Some(*name));
            assert_eq!(interner.names.get(*name), format!("n{n}"));
        }
        assert_eq!(interner.intern(""), interner.intern(""));
        assert_eq!(interner.intern(&"x".repeat(20_000)), None);
        assert_eq!(interner.names.get(Name(u32::MAX)), "");
    }
}
