/// LZX's bits: little-endian words of 16 bits, each from its top.
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// Where the first byte stands that has not been fetched into `held`.
    at: usize,
    /// Fetched bits, right-aligned; above `count` stands what has been taken.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, held: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 32 {
            let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<2>()) else { return };
            self.held = self.held << 16 | u64::from(u16::from_le_bytes(*word));
            self.count += 16;
            self.at = self.at.saturating_add(2);
        }
    }

    /// The next 16 bits without taking them, with zeros behind the end.
    pub(crate) fn peek(&mut self) -> u16 {
        if self.count < 16 {
            self.fill();
        }
        let shown = match self.count.checked_sub(16) {
            Some(behind) => self.held >> behind,
            None => self.held << 16_u32.saturating_sub(self.count),
        };
        (shown & 0xffff) as u16
    }

    /// Passes `count` bits. `None` if fewer are left.
    pub(crate) fn pass(&mut self, count: u32) -> Option<()> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count)?;
        Some(())
    }

    /// Takes `count` bits, at most 17, the first on top.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        self.pass(count)?;
        let mask = (1_u64 << count.min(32)).saturating_sub(1);
        u32::try_from(self.held >> self.count & mask).ok()
    }

    /// Passes to the next word: one to sixteen bits, never none.
    pub(crate) fn align(&mut self) -> Option<()> {
        match self.count % 16 {
            0 => self.pass(16),
            some => self.pass(some),
        }
    }

    /// Takes `count` whole bytes, in front of which the bits stand at a word's start.
    pub(crate) fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        // Words that were fetched ahead go back.
        let ahead = usize::try_from(self.count / 16).ok()?.saturating_mul(2);
        self.at = self.at.saturating_sub(ahead);
        self.count = 0;
        let taken = self.data.get(self.at..self.at.checked_add(count)?)?;
        self.at = self.at.saturating_add(count);
        Some(taken)
    }
}
