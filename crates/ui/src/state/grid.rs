//! Rows of text, filtered and sorted.

use std::cmp::Ordering;

/// Which column is sorted, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) column: usize,
    pub(crate) descending: bool,
}

impl Sort {
    /// What a click on a heading does: ascending, descending, list order.
    pub(crate) fn clicked(before: Option<Self>, column: usize) -> Option<Self> {
        match before {
            Some(Self { column: same, descending: false }) if same == column => Some(Self { column, descending: true }),
            Some(Self { column: same, descending: true }) if same == column => None,
            _ => Some(Self { column, descending: false }),
        }
    }
}

/// Numbers of the rows to show, in order. A row is shown if every word of the filter stands in one of its cells.
pub(crate) fn arrange(rows: &[Vec<String>], filter: &str, sort: Option<Sort>) -> Vec<usize> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let matches = |row: &[String]| {
        let cells: Vec<String> = row.iter().map(|cell| cell.to_lowercase()).collect();
        words.iter().all(|word| cells.iter().any(|cell| cell.contains(word)))
    };
    let mut shown: Vec<usize> =
        rows.iter().enumerate().filter(|(_, row)| words.is_empty() || matches(row)).map(|(index, _)| index).collect();
    if let Some(Sort { column, descending }) = sort {
        let cell = |index: &usize| rows.get(*index).and_then(|row| row.get(column)).map_or("", String::as_str);
        // A stable sort: rows that are alike stay in list order either way.
        shown.sort_by(|a, b| {
            let order = compare(cell(a), cell(b));
            if descending { order.reverse() } else { order }
        });
    }
    shown
}

/// Numbers by value, text by letters, empty cells last.
fn compare(a: &str, b: &str) -> Ordering {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => (a.is_empty(), a.to_lowercase()).cmp(&(b.is_empty(), b.to_lowercase())),
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The rows in sight: first and one past the last, with a few to spare on both sides.
pub(crate) fn in_sight(scroll: f64, height: f64, row_height: f64, count: usize) -> (usize, usize) {
    const SPARE: usize = 8;
    let first = (scroll.max(0.0) / row_height) as usize;
    let visible = (height.max(0.0) / row_height) as usize + 1;
    let first = first.saturating_sub(SPARE).min(count);
    (first, (first + visible + 2 * SPARE).min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [["0x10", "nt", "a"], ["0x9", "amdppm", "b"], ["0x100", "Wdf01000", ""]]
            .map(|row| row.map(String::from).to_vec())
            .to_vec()
    }

    #[test]
    fn every_word_of_the_filter_must_match_some_cell() {
        assert_eq!(arrange(&rows(), "AMD", None), [1]);
        assert_eq!(arrange(&rows(), "0x1 nt", None), [0]);
        assert_eq!(arrange(&rows(), "zzz", None), [0; 0]);
        assert_eq!(arrange(&rows(), "  ", None), [0, 1, 2]);
    }

    #[test]
    fn numbers_sort_by_value_and_text_by_letters() {
        let sort = |column, descending| arrange(&rows(), "", Some(Sort { column, descending }));
        assert_eq!(sort(0, false), [1, 0, 2]);
        assert_eq!(sort(0, true), [2, 0, 1]);
        assert_eq!(sort(1, false), [1, 0, 2]);
        assert_eq!(sort(2, false), [0, 1, 2]);
        assert_eq!(sort(9, false), [0, 1, 2]);
    }

    #[test]
    fn a_heading_goes_up_down_and_back_to_list_order() {
        let up = Sort::clicked(None, 1);
        let down = Sort::clicked(up, 1);
        assert_eq!(
            (up, down),
            (Some(Sort { column: 1, descending: false }), Some(Sort { column: 1, descending: true }))
        );
        assert_eq!(Sort::clicked(down, 1), None);
        assert_eq!(Sort::clicked(down, 2), Some(Sort { column: 2, descending: false }));
    }

    #[test]
    fn only_rows_in_sight_are_shown_however_long_the_list() {
        assert_eq!(in_sight(0.0, 240.0, 24.0, 100_000), (0, 27));
        assert_eq!(in_sight(24_000.0, 240.0, 24.0, 100_000), (992, 1019));
        assert_eq!(in_sight(1e12, 240.0, 24.0, 10), (10, 10));
        assert_eq!(in_sight(0.0, 240.0, 24.0, 0), (0, 0));
    }
}
