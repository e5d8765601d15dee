use super::bits::Bits;

/// Most bits of a code word.
const LONGEST: usize = 16;
/// Code words of up to so many bits are looked up at once.
const SHORT: u32 = 10;
/// Code words of the code that code lengths stand in.
const LENGTH_SYMBOLS: usize = 20;

/// A Huffman code, told by the length of every symbol's code word.
#[derive(Default)]
pub(crate) struct Code {
    /// For the next [`SHORT`] bits: the symbol times 16 and its length, or 0 for a longer one.
    short: Vec<u16>,
    /// Symbols in the order of their code words.
    symbols: Vec<u16>,
    /// For each length: its first code word, how many there are, and where in `symbols` they start.
    lengths: [(u32, u32, usize); LONGEST + 1],
}

impl Code {
    /// The code with these lengths; 0 is a symbol that does not occur. `None` if no code has them.
    pub(crate) fn new(lengths: &[u8]) -> Option<Self> {
        let mut code = Self { short: vec![0; 1 << SHORT], ..Self::default() };
        let mut next = 0_u32;
        for (length, entry) in (0_u8..).zip(code.lengths.iter_mut()).skip(1) {
            next = next.checked_mul(2)?;
            *entry = (next, 0, code.symbols.len());
            for (symbol, _) in (0_u16..).zip(lengths).filter(|(_, each)| **each == length) {
                let length = u32::from(length);
                if next >> length != 0 {
                    return None;
                }
                if let Some(behind) = SHORT.checked_sub(length) {
                    let start = usize::try_from(next << behind).ok()?;
                    let filled = code.short.get_mut(start..start.checked_add(1 << behind)?)?;
                    filled.fill(symbol << 4 | u16::try_from(length).ok()?);
                }
                code.symbols.push(symbol);
                entry.1 = entry.1.checked_add(1)?;
                next = next.checked_add(1)?;
            }
        }
        Some(code)
    }

    /// Takes one symbol. `None` if the bits end or are no code word.
    pub(crate) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let shown = bits.peek();
        let found = self.short.get(usize::from(shown >> (16 - SHORT))).copied()?;
        if found != 0 {
            bits.pass(u32::from(found & 0xf))?;
            return Some(found >> 4);
        }
        for (length, (first, count, start)) in (0_u32..).zip(self.lengths).skip(1) {
            let word = u32::from(shown) >> 16_u32.saturating_sub(length);
            if let Some(index) = word.checked_sub(first)
                && index < count
            {
                bits.pass(length)?;
                return self.symbols.get(start.checked_add(usize::try_from(index).ok()?)?).copied();
            }
        }
        None
    }
}

/// Reads code lengths, which stand as differences from the ones before, in a code of their own.
pub(crate) fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Option<()> {
    let mut own = [0; LENGTH_SYMBOLS];
    for length in &mut own {
        *length = u8::try_from(bits.take(4)?).ok()?;
    }
    let code = Code::new(&own)?;
    let mut rest = lengths;
    while let Some(before) = rest.first().copied() {
        let less = |symbol: u16| {
            // Lengths count modulo 17.
            u8::try_from((u16::from(before).saturating_add(17)).checked_sub(symbol)? % 17).ok()
        };
        let (count, length) = match code.symbol(bits)? {
            17 => (bits.take(4)?.saturating_add(4), 0),
            18 => (bits.take(5)?.saturating_add(20), 0),
            19 => {
                let count = bits.take(1)?.saturating_add(4);
                let symbol = code.symbol(bits)?;
                if symbol > 16 {
                    return None;
                }
                (count, less(symbol)?)
            }
            symbol => (1, less(symbol)?),
        };
        let (run, behind) = rest.split_at_mut_checked(usize::try_from(count).ok()?)?;
        run.fill(length);
        rest = behind;
    }
    Some(())
}
