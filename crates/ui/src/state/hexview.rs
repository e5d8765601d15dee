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

/// First address of the window that shows `address` in its middle; `top` is the highest address there is.
pub(crate) fn window_start(address: Hex, top: u64) -> Hex {
    let aligned = address.0 & !(ROW - 1);
    let last = (top & !(ROW - 1)).saturating_sub((ROWS - 1) * ROW);
    Hex(aligned.saturating_sub(ROWS / 2 * ROW).min(last))
}

/// Where a key moves the cursor, if it is a key for that. It stays between 0 and `top`.
pub(crate) fn moved(cursor: Hex, key: &str, rows_in_page: u64, top: u64) -> Option<Hex> {
    let (step, back) = match key {
        "ArrowLeft" => (1, true),
        "ArrowRight" => (1, false),
        "ArrowUp" => (ROW, true),
        "ArrowDown" => (ROW, false),
        "PageUp" => (ROW * rows_in_page.max(1), true),
        "PageDown" => (ROW * rows_in_page.max(1), false),
        "Home" => (cursor.0 % ROW, true),
        "End" => (ROW - 1 - cursor.0 % ROW, false),
        _ => return None,
    };
    let to = if back { cursor.0.checked_sub(step) } else { cursor.0.checked_add(step).filter(|to| *to <= top) };
    Some(Hex(to.unwrap_or(cursor.0)))
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

    /// What is known of one byte: the byte, or why it is absent. `None` while its page is being read.
    pub(crate) fn byte(&self, at: u64) -> Option<Result<u8, Option<&str>>> {
        let (_, chunks) = self.pages.get(&(at & !(PAGE - 1)))?;
        let chunk = chunks.iter().find(|chunk| at >= chunk.address.0 && at - chunk.address.0 < u64::from(chunk.length));
        let byte = chunk.and_then(|chunk| {
            let offset = usize::try_from(at - chunk.address.0).ok()?;
            chunk.bytes.as_ref()?.0.get(offset).copied()
        });
        Some(byte.ok_or_else(|| chunk.and_then(|chunk| chunk.reason.as_deref())))
    }

    /// A little-endian number of `size` bytes, if all of them are there.
    pub(crate) fn number(&self, at: u64, size: u64) -> Option<u64> {
        (0..size).try_fold(0, |number, step| {
            let byte = self.byte(at.checked_add(step)?)?.ok()?;
            Some(number | u64::from(byte) << (8 * step))
        })
    }

    /// The row at `address`, which is a multiple of [`ROW`].
    pub(crate) fn row(&self, address: u64) -> Row {
        let mut row = Row { address, hex: String::new(), text: String::new(), reason: None, waiting: false };
        if !self.has(address & !(PAGE - 1)) {
            row.waiting = true;
            return row;
        }
        for step in 0..ROW {
            if step > 0 {
                row.hex.push(if step == ROW / 2 { '-' } else { ' ' });
            }
            match self.byte(address + step) {
                Some(Ok(byte)) => {
                    row.hex.push_str(&format!("{byte:02x}"));
                    row.text.push(if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' });
                }
                other => {
                    row.hex.push_str("??");
                    row.text.push('?');
                    let reason = other.and_then(|byte| byte.err().flatten());
                    row.reason = row.reason.or_else(|| reason.map(String::from));
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
        assert_eq!(window_start(Hex(0), u64::MAX), Hex(0));
        assert_eq!(window_start(Hex(0x1234), u64::MAX), Hex(0));
        let top = window_start(Hex(u64::MAX), u64::MAX);
        assert!(top.0.checked_add((ROWS - 1) * ROW).is_some());
        let middle = window_start(Hex(0xffff_8504_2989_1728), u64::MAX);
        assert_eq!(middle.0 + ROWS / 2 * ROW, 0xffff_8504_2989_1720);
        let narrow = window_start(Hex(0xffff_fff8), u64::from(u32::MAX));
        assert_eq!(narrow.0 + (ROWS - 1) * ROW, 0xffff_fff0);
    }

    #[test]
    fn keys_move_the_cursor_within_the_address_space() {
        let go = |at, key| moved(Hex(at), key, 10, 0xffff_ffff).map(|to| to.0);
        assert_eq!(go(0x1008, "ArrowLeft"), Some(0x1007));
        assert_eq!(go(0x1008, "ArrowDown"), Some(0x1018));
        assert_eq!(go(0x1008, "PageDown"), Some(0x10a8));
        assert_eq!((go(0x1008, "Home"), go(0x1008, "End")), (Some(0x1000), Some(0x100f)));
        assert_eq!((go(8, "ArrowUp"), go(0xffff_fff8, "ArrowDown")), (Some(8), Some(0xffff_fff8)));
        assert_eq!(go(8, "Tab"), None);
        assert_eq!(moved(Hex(u64::MAX), "ArrowRight", 1, u64::MAX), Some(Hex(u64::MAX)));
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
        assert_eq!(cache.number(0x1004, 4), Some(0x4847_4645));
        assert_eq!(cache.number(0x1004, 8), None);
        assert_eq!(cache.byte(0x1008), Some(Err(Some("not in the dump"))));
        assert_eq!(cache.byte(0x2000), None);
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
