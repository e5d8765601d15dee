use alloc::vec::Vec;

/// Most frames of one round of a recursion that is folded.
const LONGEST_PERIOD: usize = 8;

/// Rounds up to this many are shown one by one.
const FEWEST_ROUNDS: usize = 16;

/// A part of a stack as a reader wants to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The frame at this index.
    Frame(usize),
    /// The same frames over and over.
    Repeated {
        /// Index of the first.
        first: usize,
        /// How many frames a round has.
        period: usize,
        /// How many rounds there are, all whole.
        rounds: usize,
    },
}

/// Folds recursion: up to 8 frames that follow each other more than 16 times become one entry. `keys` tell frames
/// apart: return addresses, or functions where they are known.
///
/// The shortest period wins. Takes time in proportion to the number of frames.
#[must_use]
pub fn fold<K: PartialEq>(keys: &[K]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < keys.len() {
        let rounds = |period: usize| {
            let rest = keys.get(at..).unwrap_or_default();
            let later = rest.get(period..).unwrap_or_default();
            let same = rest.iter().zip(later).take_while(|(a, b)| a == b).count();
            (period, same.checked_div(period).unwrap_or_default().saturating_add(1))
        };
        match (1..=LONGEST_PERIOD).map(rounds).find(|(_, rounds)| *rounds > FEWEST_ROUNDS) {
            Some((period, rounds)) => {
                entries.push(Entry::Repeated { first: at, period, rounds });
                at = at.saturating_add(period.saturating_mul(rounds));
            }
            None => {
                entries.push(Entry::Frame(at));
                at = at.saturating_add(1);
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn recursion_folds_and_the_rest_stays() {
        let mut keys = vec![1, 2];
        for _ in 0..20 {
            keys.extend([7, 8, 9]);
        }
        keys.extend([7, 4]);
        let expected = [
            Entry::Frame(0),
            Entry::Frame(1),
            Entry::Repeated { first: 2, period: 3, rounds: 20 },
            Entry::Frame(62),
            Entry::Frame(63),
        ];
        assert_eq!(fold(&keys), expected);
    }

    #[test]
    fn a_few_rounds_and_long_rounds_stay_as_they_are() {
        assert!(fold(&[5; 16]).iter().all(|entry| matches!(entry, Entry::Frame(_))));
        assert_eq!(fold(&[5; 17]), [Entry::Repeated { first: 0, period: 1, rounds: 17 }]);
        let long: Vec<u32> = (0..1000).map(|i| i % 9).collect();
        assert_eq!(fold(&long).len(), 1000);
        assert_eq!(fold::<u8>(&[]), []);
    }
}
