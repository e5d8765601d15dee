//! The search for the next captured range: each request looks at a bounded piece, and a search that takes long pauses.

use dumplens_report::{
    Hex,
    protocol::{MAX_REGIONS, Regions},
};

/// Requests until a search pauses and asks whether it should go on.
const PATIENCE: u32 = 48;
/// Bits of the first window below the target, and by how many a window grows.
const FIRST_WINDOW: u32 = 16;
const GROWTH: u32 = 2;

/// What an answer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Ask again.
    Ask,
    /// A range starts here.
    Found(Hex),
    /// There is none.
    Nothing,
    /// Nothing as far as this address; asking again goes on.
    Pause(Hex),
}

/// A search for the first range that starts above an address, or the last that starts below it.
///
/// Ranges cannot be listed backwards. Below, windows that grow are searched one after the other, nearest first: on a huge
/// address space a list from 0 on would take forever.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Ranges above: the lowest start that counts.
    least: u64,
    forward: bool,
    /// Where the next request starts.
    from: u64,
    /// The window below: its lowest address; ranges that start at `high` or above are known.
    low: u64,
    high: u64,
    bits: u32,
    best: Option<u64>,
    asked: u32,
}

impl Search {
    pub(crate) fn new(target: Hex, forward: bool) -> Self {
        let target = target.0;
        let least = target.saturating_add(1);
        let low = target.saturating_sub(1 << FIRST_WINDOW);
        let from = if forward { target } else { low };
        Self { least, forward, from, low, high: target, bits: FIRST_WINDOW, best: None, asked: 0 }
    }

    /// A search for the very first range.
    pub(crate) fn first() -> Self {
        Self { least: 0, ..Self::new(Hex(0), true) }
    }

    /// What to ask next: first address and how many ranges.
    pub(crate) fn request(&self) -> (Hex, u32) {
        (Hex(self.from), if self.forward { 2 } else { MAX_REGIONS })
    }

    /// Takes an answer in.
    pub(crate) fn take(&mut self, answer: &Regions) -> Outcome {
        self.asked += 1;
        let outcome = if self.forward { self.above(answer) } else { self.below(answer) };
        if outcome == Outcome::Ask && self.asked >= PATIENCE {
            self.asked = 0;
            return Outcome::Pause(Hex(if self.forward { self.from } else { self.low }));
        }
        outcome
    }

    fn above(&mut self, answer: &Regions) -> Outcome {
        if let Some(region) = answer.regions.iter().find(|region| region.start.0 >= self.least) {
            return Outcome::Found(region.start);
        }
        match answer.next {
            Some(next) if next.0 > self.from => {
                self.from = next.0;
                Outcome::Ask
            }
            _ => Outcome::Nothing,
        }
    }

    fn below(&mut self, answer: &Regions) -> Outcome {
        let last = answer.regions.iter().rev().map(|region| region.start.0).find(|start| *start < self.high);
        self.best = last.max(self.best);
        let beyond = answer.regions.last().is_some_and(|region| region.start.0 >= self.high);
        if let Some(next) = answer.next.filter(|next| !beyond && next.0 > self.from && next.0 < self.high) {
            self.from = next.0;
            return Outcome::Ask;
        }
        match self.best {
            // A range that starts where the window does may only go on there: the next window tells.
            Some(best) if best != self.low || self.low == 0 => return Outcome::Found(Hex(best)),
            None if self.low == 0 => return Outcome::Nothing,
            _ => {}
        }
        self.high = self.low.saturating_add(1);
        self.bits = (self.bits + GROWTH).min(63);
        self.low = self.low.saturating_sub(1 << self.bits);
        self.from = self.low;
        self.best = None;
        Outcome::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::protocol::MemoryRegion;

    /// Answers as the engine does: a range that covers the first address starts there; at most `most` ranges, and
    /// `next` where there may be more.
    fn answer(ranges: &[(u64, u64)], from: u64, most: usize) -> Regions {
        let mut regions: Vec<_> = ranges
            .iter()
            .filter(|(start, len)| start + (len - 1) >= from)
            .map(|(start, len)| {
                let clipped = (*start).max(from);
                MemoryRegion { start: Hex(clipped), length: Hex(start + len - clipped), kind: String::new() }
            })
            .collect();
        let next = (regions.len() > most).then(|| regions[most].start);
        regions.truncate(most);
        Regions { regions, next }
    }

    fn run(ranges: &[(u64, u64)], target: u64, forward: bool, most: usize) -> Outcome {
        let mut search = Search::new(Hex(target), forward);
        for _ in 0..1_000 {
            let (from, count) = search.request();
            match search.take(&answer(ranges, from.0, most.min(count as usize))) {
                Outcome::Ask => {}
                done => return done,
            }
        }
        panic!("a search must end");
    }

    const RANGES: [(u64, u64); 5] = [
        (0x1000, 0x1000),
        (0x7ff6_0000_0000, 0x4000_0000),
        (0xffff_8000_0000_0000, 0x1000),
        (0xffff_8000_0000_2000, 0x1000),
        (0xffff_ffff_ffff_e000, 0x1000),
    ];

    #[test]
    fn the_next_range_above_is_found() {
        for most in [1, 2, 100] {
            assert_eq!(run(&RANGES, 0, true, most), Outcome::Found(Hex(0x1000)));
            assert_eq!(run(&RANGES, 0x1000, true, most), Outcome::Found(Hex(0x7ff6_0000_0000)));
            assert_eq!(run(&RANGES, 0x1800, true, most), Outcome::Found(Hex(0x7ff6_0000_0000)));
            assert_eq!(run(&RANGES, 0xffff_ffff_ffff_e000, true, most), Outcome::Nothing);
        }
    }

    #[test]
    fn the_very_first_range_may_start_at_zero() {
        let mut search = Search::first();
        assert_eq!(search.take(&answer(&[(0, 0x1000)], search.request().0.0, 2)), Outcome::Found(Hex(0)));
        assert_eq!(Search::first().take(&Regions::default()), Outcome::Nothing);
    }

    #[test]
    fn the_last_range_below_is_found_however_far_it_is() {
        for most in [1, 2, 100] {
            let back = |target| run(&RANGES, target, false, most);
            assert_eq!(back(0), Outcome::Nothing);
            assert_eq!(back(0x1000), Outcome::Nothing);
            assert_eq!(back(0x1800), Outcome::Found(Hex(0x1000)));
            assert_eq!(back(0xffff_8000_0000_0000), Outcome::Found(Hex(0x7ff6_0000_0000)));
            assert_eq!(back(0xffff_8000_0000_2000), Outcome::Found(Hex(0xffff_8000_0000_0000)));
            assert_eq!(back(u64::MAX), Outcome::Found(Hex(0xffff_ffff_ffff_e000)));
            // From deep inside a range to its start, not to where a window happened to start.
            assert_eq!(back(0x7ff6_3fff_0000), Outcome::Found(Hex(0x7ff6_0000_0000)));
        }
    }

    #[test]
    fn a_search_that_takes_long_pauses_and_can_go_on() {
        let mut search = Search::new(Hex(0), true);
        let empty = |next: u64| Regions { regions: Vec::new(), next: Some(Hex(next)) };
        let mut pauses = 0;
        for step in 1..=2 * u64::from(PATIENCE) {
            match search.take(&empty(step << 20)) {
                Outcome::Pause(at) => {
                    assert_eq!(at, Hex(step << 20));
                    pauses += 1;
                }
                other => assert_eq!(other, Outcome::Ask),
            }
        }
        assert_eq!(pauses, 2);
        // An engine that does not go on ends the search.
        assert_eq!(search.take(&empty(1)), Outcome::Nothing);
    }
}
