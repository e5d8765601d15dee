//! Changes to something that the testkit made.

/// What a patch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes the value.
    Set,
    /// Adds the value to what is there.
    Add,
    /// Copies what stands at the place that the value names: makes loops of lists and tables.
    Copy,
    /// Takes the page away, or cuts the file off.
    Remove,
}

/// A change at one place. In the input it takes twelve bytes: operation, place (three), value (eight).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// What is done.
    pub op: Op,
    /// How many bytes are changed: 1, 2, 4 or 8.
    pub width: u8,
    /// Whether `place` counts in the list of places that matter, and not in all there is.
    pub listed: bool,
    /// Where, of 24 bits. Too large a number is taken modulo what there is.
    pub place: u32,
    /// With what.
    pub value: u64,
}

/// Most patches that are made of one input.
const MOST: usize = 64;

impl Patch {
    /// Writes a number at a place that matters.
    #[must_use]
    pub const fn set(place: u32, width: u8, value: u64) -> Self {
        Self { op: Op::Set, width, listed: true, place, value }
    }

    /// The patches that an input holds.
    pub fn all(data: &[u8]) -> impl Iterator<Item = Self> {
        data.as_chunks::<12>().0.iter().take(MOST).map(|[op, a, b, c, value @ ..]| Self {
            op: match op >> 2 & 3 {
                0 => Op::Set,
                1 => Op::Add,
                2 => Op::Copy,
                _ => Op::Remove,
            },
            width: 1 << (op & 3),
            listed: op & 0x10 == 0,
            place: u32::from_le_bytes([*a, *b, *c, 0]),
            value: u64::from_le_bytes(*value),
        })
    }

    /// The patch as an input holds it.
    #[must_use]
    pub fn bytes(self) -> [u8; 12] {
        let op = match self.op {
            Op::Set => 0,
            Op::Add => 1,
            Op::Copy => 2,
            Op::Remove => 3,
        };
        let op = self.width.trailing_zeros() as u8 | op << 2 | u8::from(!self.listed) << 4;
        let [a, b, c, _] = self.place.to_le_bytes();
        let mut bytes = [op, a, b, c, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[4..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    /// The place in a list of so many.
    pub(crate) const fn index(self, count: usize) -> usize {
        self.place as usize % if count == 0 { 1 } else { count }
    }

    /// What comes to stand where `old` stood; `other` is what stands at the place that the value names.
    pub(crate) const fn apply(self, old: u64, other: u64) -> u64 {
        match self.op {
            Op::Set | Op::Remove => self.value,
            Op::Add => old.wrapping_add(self.value),
            Op::Copy => other,
        }
    }
}
