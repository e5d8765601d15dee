//! Inlined functions: the annotations that say which code comes from which line of them.

use super::lines::{Inlinee, Row};

/// A row of an inlined function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InlineRow {
    /// How many inlined functions it stands in, from 0.
    pub(crate) depth: u16,
    /// Which of the function's inline sites.
    pub(crate) site: u32,
    pub(crate) row: Row,
}

/// A compressed number: one, two or four bytes, told by the first bits.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (value, rest) = match **bytes {
        [a, ref rest @ ..] if a & 0x80 == 0 => (u32::from(a), rest),
        [a, b, ref rest @ ..] if a & 0xc0 == 0x80 => (u32::from_be_bytes([0, 0, a & 0x3f, b]), rest),
        [a, b, c, d, ref rest @ ..] if a & 0xe0 == 0xc0 => (u32::from_be_bytes([a & 0x1f, b, c, d]), rest),
        _ => return None,
    };
    *bytes = rest;
    Some(value)
}

/// A signed number: the sign stands in the last bit.
const fn signed(value: u32) -> i32 {
    let magnitude = (value >> 1).cast_signed();
    if value & 1 != 0 { magnitude.wrapping_neg() } else { magnitude }
}

/// Appends the rows of one inline site. `start` is where the procedure begins in its section; annotations that make no
/// sense end it.
pub(crate) fn rows(annotations: &[u8], start: u32, begin: &Inlinee, depth: u16, site: u32, out: &mut Vec<InlineRow>) {
    let mut bytes = annotations;
    let (mut base, mut offset, mut file, mut line) = (start, 0_u32, begin.file, begin.line);
    // The row that has no end yet.
    let mut open: Option<usize> = None;
    let close = |out: &mut Vec<InlineRow>, open: Option<usize>, end: u32| {
        if let Some(row) = open.and_then(|index| out.get_mut(index)) {
            row.row.end = end.max(row.row.start);
        }
    };
    while let Some(code) = number(&mut bytes) {
        let Some(operand) = number(&mut bytes).filter(|_| code != 0) else { break };
        let mut length = None;
        match code {
            0x1 => offset = operand,
            0x2 => base = start.wrapping_add(operand),
            0x4 => {
                let end = base.wrapping_add(offset).wrapping_add(operand);
                close(out, open.take(), end);
                offset = offset.wrapping_add(operand);
            }
            0x5 => file = operand,
            0x6 => line = line.wrapping_add_signed(signed(operand)),
            0x3 => offset = offset.wrapping_add(operand),
            0xb => {
                line = line.wrapping_add_signed(signed(operand >> 4));
                offset = offset.wrapping_add(operand & 0xf);
            }
            0xc => {
                let Some(step) = number(&mut bytes) else { break };
                length = Some(operand);
                offset = offset.wrapping_add(step);
            }
            // Ends of lines, columns, kinds of ranges.
            0x7..=0xa | 0xd => {}
            _ => break,
        }
        if matches!(code, 0x3 | 0xb | 0xc) {
            let at = base.wrapping_add(offset);
            close(out, open.take(), at);
            let end = at.wrapping_add(length.unwrap_or(0)).max(at);
            if length.is_none() {
                open = Some(out.len());
            }
            out.push(InlineRow { depth, site, row: Row { start: at, end, line, file } });
        }
    }
}

/// The rows that `offset` is in, outermost first. `rows` are sorted by depth and start.
pub(crate) fn chain(rows: &[InlineRow], offset: u32) -> impl Iterator<Item = &InlineRow> {
    let mut rest = rows;
    (0..=u16::MAX).map_while(move |depth| {
        let after = rest.partition_point(|row| (row.depth, row.row.start) <= (depth, offset));
        let (before, deeper) = rest.split_at_checked(after)?;
        rest = deeper;
        before.last().filter(|row| row.depth == depth && offset < row.row.end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_two_or_four_bytes() {
        let mut bytes: &[u8] = &[0x7f, 0xbf, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xe0];
        assert_eq!(number(&mut bytes), Some(0x7f));
        assert_eq!(number(&mut bytes), Some(0x3fff));
        assert_eq!(number(&mut bytes), Some(0x1fff_ffff));
        assert_eq!(number(&mut bytes), None);
        assert_eq!((signed(4), signed(5), signed(1)), (2, -2, 0));
    }

    #[test]
    fn annotations_make_rows() {
        let begin = Inlinee { id: 0, file: 7, line: 10 };
        let mut out = Vec::new();
        // Two bytes on and one line down; three bytes on; five bytes long; after a hole of four one more line of two.
        rows(&[0xb, 0x22, 0x3, 3, 0x4, 5, 0x6, 4, 0xc, 2, 4], 0x100, &begin, 0, 0, &mut out);
        let got: Vec<_> = out.iter().map(|row| (row.row.start, row.row.end, row.row.line)).collect();
        assert_eq!(got, [(0x102, 0x105, 11), (0x105, 0x10a, 11), (0x10e, 0x110, 13)]);
        assert_eq!(chain(&out, 0x104).count(), 1);
        assert_eq!(chain(&out, 0x10b).count(), 0);
    }
}
