//! The memory view: a window of rows around an address, filled page by page as it is scrolled.

use std::collections::BTreeMap;

use dumplens_report::{Hex, protocol::MemoryChunk};

/// Bytes in a row.
pub(crate) const ROW: u64 = 16;
/// Bytes asked for at a time.
pub(crate) const PAGE: u64 = 4096;
/// Rows in the window: 1 MiB, which scrolls far and keeps the element's height within what browsers can lay out.
pub(crate) const ROWS: u64 = 65_536;
/// Pages that are kept.
const KEPT: usize = 128;

/// First address of the window that shows `address` in its middle.
pub(crate) fn window_start(address: Hex) -> Hex {
    let aligned = address.0 & !(ROW - 1);
    let last = (!(ROW - 1)).saturating_sub((ROWS - 1) * ROW);
    Hex(aligned.saturating_sub(ROWS / 2 * ROW).min(last))
}

/// Pages that cover the rows from `first` to `last` of a window.
pub(crate) fn pages(start: Hex, first: u64, last: u64) -> Vec<u64> {
    let from = start.0.saturating_add(first * ROW) & !(PAGE - 1);
    let to = start.0.saturating_add(last * ROW);
    (0..).map_while(|step: u64| from.checked_add(step * PAGE).filter(|page| *page <= to)).collect()
}

/// One row as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) address: u64,
    pub(crate) hex: String,
    pub(crate) text: String,
    /// Why bytes are absent; `None` where all are there.
    pub(crate) reason: Option<String>,
    /// Whether the row's page is still being read.
    pub(crate) waiting: bool,
}

/// Pages that have been read. The oldest go first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    pages: BTreeMap<u64, (u64, Vec<MemoryChunk>)>,
    clock: u64,
}

impl Cache {
    pub(crate) fn has(&self, page: u64) -> bool {
        self.pages.contains_key(&page)
    }

    pub(crate) fn insert(&mut self, page: u64, chunks: Vec<MemoryChunk>) {
        self.clock += 1;
        self.pages.insert(page, (self.clock, chunks));
        if self.pages.len() > KEPT
            && let Some(oldest) = self.pages.iter().min_by_key(|(_, (age, _))| *age).map(|(page, _)| *page)
        {
            self.pages.remove(&oldest);
        }
    }

    /// The row at `address`, which is a multiple of [`ROW`].
    pub(crate) fn row(&self, address: u64) -> Row {
        let mut row = Row { address, hex: String::new(), text: String::new(), reason: None, waiting: false };
        let Some((_, chunks)) = self.pages.get(&(address & !(PAGE - 1))) else {
            row.waiting = true;
            return row;
        };
        for step in 0..ROW {
            if step > 0 {
                row.hex.push(if step == ROW / 2 { '-' } else { ' ' });
            }
            let at = address + step;
            let chunk =
                chunks.iter().find(|chunk| at >= chunk.address.0 && at - chunk.address.0 < u64::from(chunk.length));
            let byte = chunk.and_then(|chunk| {
                let offset = usize::try_from(at - chunk.address.0).ok()?;
                chunk.bytes.as_ref()?.0.get(offset).copied()
            });
            match byte {
                Some(byte) => {
                    row.hex.push_str(&format!("{byte:02x}"));
                    row.text.push(if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' });
                }
                None => {
                    row.hex.push_str("??");
                    row.text.push('?');
                    row.reason = row.reason.or_else(|| chunk.and_then(|chunk| chunk.reason.clone()));
                }
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumplens_report::ByteString;

    #[test]
    fn a_window_stays_within_the_address_space() {
        assert_eq!(window_start(Hex(0)), Hex(0));
        assert_eq!(window_start(Hex(0x1234)), Hex(0));
        let top = window_start(Hex(u64::MAX));
        assert!(top.0.checked_add((ROWS - 1) * ROW).is_some());
        let middle = window_start(Hex(0xffff_8504_2989_1728));
        assert_eq!(middle.0 + ROWS / 2 * ROW, 0xffff_8504_2989_1720);
    }

    #[test]
    fn rows_in_sight_ask_for_the_pages_that_hold_them() {
        assert_eq!(pages(Hex(0x1000), 0, 10), [0x1000]);
        assert_eq!(pages(Hex(0x1ff0), 0, 1), [0x1000, 0x2000]);
    }

    #[test]
    fn absent_bytes_say_why() {
        let mut cache = Cache::default();
        assert!(cache.row(0x1000).waiting);
        let present = MemoryChunk {
            address: Hex(0x1000),
            length: 8,
            bytes: Some(ByteString(b"ABCDEFGH".to_vec())),
            reason: None,
        };
        let absent =
            MemoryChunk { address: Hex(0x1008), length: 4088, bytes: None, reason: Some("not in the dump".into()) };
        cache.insert(0x1000, vec![present, absent]);
        let row = cache.row(0x1000);
        assert_eq!(row.hex, "41 42 43 44 45 46 47 48-?? ?? ?? ?? ?? ?? ?? ??");
        assert_eq!(row.text, "ABCDEFGH????????");
        assert_eq!(row.reason.as_deref(), Some("not in the dump"));
    }

    #[test]
    fn old_pages_are_forgotten() {
        let mut cache = Cache::default();
        for page in 0..1000 {
            cache.insert(page * PAGE, Vec::new());
        }
        assert_eq!(cache.pages.len(), KEPT);
        assert!(cache.has(999 * PAGE) && !cache.has(0));
    }
}
