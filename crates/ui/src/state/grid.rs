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

/// A row that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Its number in the list.
    pub(crate) index: usize,
    /// Whether it only stands there because a row below it in the tree matches the filter.
    pub(crate) dimmed: bool,
}

/// Whether every word of the filter stands in one of the row's cells.
fn matches(row: &[String], words: &[String]) -> bool {
    let cells: Vec<String> = row.iter().map(|cell| cell.to_lowercase()).collect();
    words.iter().all(|word| {
        // Addresses stand in cells without prefix and with leading zeros; people paste them with and without.
        let digits = word.replace('`', "");
        let digits = digits.strip_prefix("0x").or(word.contains('`').then_some(digits.as_str()));
        cells.iter().any(|cell| {
            cell.contains(word) || digits.is_some_and(|digits| cell.trim_start_matches('0').starts_with(digits))
        })
    })
}

/// The words of a filter, in lower case.
pub(crate) fn filter_words(filter: &str) -> Vec<String> {
    filter.split_whitespace().map(str::to_lowercase).collect()
}

/// The rows of a tree that match the filter, and, dimmed, those above them. `depths` has the depth of each row.
pub(crate) fn arrange_tree(rows: &[Vec<String>], depths: &[usize], filter: &str) -> Vec<Shown> {
    let words = filter_words(filter);
    let mut shown = Vec::new();
    // The way from the root to the row at hand: depth, number, and whether it is shown already.
    let mut above: Vec<(usize, usize, bool)> = Vec::new();
    for (index, (row, depth)) in rows.iter().zip(depths).enumerate() {
        while above.last().is_some_and(|(upper, ..)| upper >= depth) {
            above.pop();
        }
        let found = matches(row, &words);
        if found {
            for (_, index, told) in above.iter_mut().filter(|(.., told)| !told) {
                *told = true;
                shown.push(Shown { index: *index, dimmed: true });
            }
            shown.push(Shown { index, dimmed: false });
        }
        above.push((*depth, index, found));
    }
    shown
}

/// Numbers of the rows to show, in order. A row is shown if every word of the filter stands in one of its cells.
pub(crate) fn arrange(rows: &[Vec<String>], filter: &str, sort: Option<Sort>) -> Vec<usize> {
    let words = filter_words(filter);
    let mut shown: Vec<usize> =
        rows.iter().enumerate().filter(|(_, row)| matches(row, &words)).map(|(index, _)| index).collect();
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
    fn addresses_are_found_however_they_are_written() {
        let rows = [["fffff8048b58334c", "nt"], ["0000000000401000", "a"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(arrange(&rows, "0xfffff8048b58334c", None), [0]);
        assert_eq!(arrange(&rows, "fffff804`8b58334c", None), [0]);
        assert_eq!(arrange(&rows, "0x401000", None), [1]);
        assert_eq!(arrange(&rows, "0x1000", None), [0; 0]);
    }

    #[test]
    fn a_filtered_tree_keeps_the_way_to_each_match() {
        let names = ["system", "smss", "csrss", "explorer", "worker1", "helper", "worker2"];
        let rows: Vec<Vec<String>> = names.iter().map(|name| vec![name.to_string()]).collect();
        let depths = [0, 1, 2, 0, 1, 2, 1];
        let shown =
            |filter| arrange_tree(&rows, &depths, filter).iter().map(|row| (row.index, row.dimmed)).collect::<Vec<_>>();
        assert_eq!(shown("csrss"), [(0, true), (1, true), (2, false)]);
        assert_eq!(shown("worker"), [(3, true), (4, false), (6, false)]);
        assert_eq!(shown("helper"), [(3, true), (4, true), (5, false)]);
        assert_eq!(shown("").len(), 7);
        assert!(shown("").iter().all(|(_, dimmed)| !dimmed));
        assert_eq!(shown("nobody"), []);
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
