//! One table for all long lists: filter, sort, keyboard, and only the rows in sight in the document.

use leptos::{attr::custom::custom_attribute, prelude::*};
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, KeyboardEvent};

use crate::state::grid::{Shown, Sort, arrange, arrange_tree, in_sight};

/// Height of a row in CSS pixels; the style sheet says the same.
const ROW_HEIGHT: f64 = 24.0;
/// Indent of a level in CSS pixels; the style sheet draws a line for each.
const INDENT: f64 = 16.0;

/// A column.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Width in characters; the last column takes what is left.
    pub(crate) width: u16,
    pub(crate) mono: bool,
}

/// A column of names or words.
pub(crate) const fn words(title: &'static str, width: u16) -> Column {
    Column { title, width, mono: false }
}

/// A column of numbers and addresses.
pub(crate) const fn mono(title: &'static str, width: u16) -> Column {
    Column { title, width, mono: true }
}

/// Columns and rows without the columns, besides the first, that are empty in every row.
pub(crate) fn without_empty(columns: &[Column], rows: Vec<Vec<String>>) -> (Vec<Column>, Vec<Vec<String>>) {
    let used: Vec<bool> = (0..columns.len())
        .map(|column| column == 0 || rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty())))
        .collect();
    let keep = |index: &usize| used.get(*index) == Some(&true);
    let columns = columns.iter().enumerate().filter(|(index, _)| keep(index)).map(|(_, column)| *column).collect();
    let row = |row: Vec<String>| row.into_iter().enumerate().filter(|(index, _)| keep(index)).map(|(_, cell)| cell);
    (columns, rows.into_iter().map(|cells| row(cells).collect()).collect())
}

/// A list of rows of text; when they change, filter, order and scroll position stay. `chosen` is called with a row's number in the list when it is clicked or Enter is pressed.
///
/// With `tree`, the depth of each row, the list order is a tree of which the first column is indented. A sorted column
/// flattens it. `picked` is the row that is shown in detail elsewhere.
#[component]
pub(crate) fn Table(
    name: &'static str,
    columns: Vec<Column>,
    #[prop(into)] rows: Signal<Vec<Vec<String>>>,
    #[prop(optional)] chosen: Option<Callback<usize>>,
    #[prop(optional)] marked: Option<Box<dyn Fn(usize) -> bool + Send + Sync>>,
    #[prop(optional)] tree: Option<Vec<usize>>,
    #[prop(optional, into)] picked: Option<Signal<Option<usize>>>,
    #[prop(optional)] mark_title: Option<&'static str>,
) -> impl IntoView {
    let total = move || rows.with(Vec::len);
    let columns = StoredValue::new(columns);
    let marked = StoredValue::new(marked);
    let filter = RwSignal::new(String::new());
    let sort = RwSignal::new(None::<Sort>);
    let scroll = RwSignal::new(0.0_f64);
    let height = RwSignal::new(600.0_f64);
    let selected = RwSignal::new(None::<usize>);
    let body = NodeRef::<leptos::html::Div>::new();
    let is_tree = tree.is_some();
    let depths = StoredValue::new(tree.unwrap_or_default());
    let in_tree = move || is_tree && sort.get().is_none();
    let shown = Memo::new(move |_| {
        let (filter, sort) = (filter.get(), sort.get());
        rows.with(|rows| match sort {
            None if is_tree => depths.with_value(|depths| arrange_tree(rows, depths, &filter)),
            sort => {
                arrange(rows, &filter, sort).into_iter().map(|index| Shown { index, dimmed: false }).collect::<Vec<_>>()
            }
        })
    });
    let template = columns.with_value(|columns| {
        let last = columns.len().saturating_sub(1);
        let widths = columns.iter().enumerate().map(|(index, column)| {
            if index == last { format!("minmax({}ch, 1fr)", column.width) } else { format!("{}ch", column.width) }
        });
        widths.collect::<Vec<_>>().join(" ")
    });
    let template = StoredValue::new(template);
    let measure = move || {
        if let Some(body) = body.get_untracked() {
            scroll.set(f64::from(body.scroll_top()));
            height.set(f64::from(body.client_height()));
        }
    };
    Effect::new(move |_| {
        if body.get().is_some() {
            measure();
        }
    });
    let keys = move |event: KeyboardEvent| {
        let count = shown.with(Vec::len);
        if count == 0 {
            return;
        }
        let now = selected.get_untracked();
        let page = (height.get_untracked() / ROW_HEIGHT) as usize;
        let next = match event.key().as_str() {
            "ArrowDown" => now.map_or(0, |now| now + 1),
            "ArrowUp" => now.map_or(0, |now| now.saturating_sub(1)),
            "PageDown" => now.unwrap_or(0) + page,
            "PageUp" => now.unwrap_or(0).saturating_sub(page),
            "Home" => 0,
            "End" => count - 1,
            "Enter" => {
                if let (Some(row), Some(chosen)) =
                    (now.and_then(|now| shown.with(|shown| shown.get(now).copied())), chosen)
                {
                    chosen.run(row.index);
                }
                return;
            }
            _ => return,
        };
        event.prevent_default();
        let next = next.min(count - 1);
        selected.set(Some(next));
        if let Some(body) = body.get_untracked() {
            // The row is kept clear of the heading, which floats over the first row's height.
            let top = next as f64 * ROW_HEIGHT;
            if top < scroll.get_untracked() {
                body.set_scroll_top(top as i32);
            } else if top + 2.0 * ROW_HEIGHT > scroll.get_untracked() + height.get_untracked() {
                body.set_scroll_top((top + 2.0 * ROW_HEIGHT - height.get_untracked()) as i32);
            }
        }
    };
    let headings = move || {
        columns.with_value(|columns| columns.iter().enumerate().map(|(index, column)| {
            let title = column.title;
            let state = move || match sort.get() {
                Some(Sort { column, descending }) if column == index => if descending { "descending" } else { "ascending" },
                _ => "none",
            };
            view! {
                <div role="columnheader" aria-sort=state>
                    <button on:click=move |_| sort.update(|sort| *sort = Sort::clicked(*sort, index))>
                        {title}
                        <span class="arrow" aria-hidden="true">{move || match state() { "ascending" => " ▲", "descending" => " ▼", _ => "" }}</span>
                    </button>
                </div>
            }
        }).collect_view())
    };
    let visible = move || {
        let shown = shown.get();
        let (first, last) = in_sight(scroll.get(), height.get(), ROW_HEIGHT, shown.len());
        shown.get(first..last).unwrap_or_default().iter().enumerate().map(|(step, row)| {
            let (position, dimmed, row) = (first + step, row.dimmed, row.index);
            let depth = in_tree().then(|| depths.with_value(|depths| depths.get(row).copied().unwrap_or(0)));
            let mark = marked.with_value(|marked| marked.as_ref().is_some_and(|marked| marked(row)));
            let cells = rows.with(|rows| rows.get(row).cloned().unwrap_or_default());
            let cells = columns.with_value(|columns| columns.iter().zip(cells).enumerate().map(|(at, (column, text))| {
                let indent = depth.filter(|depth| at == 0 && *depth > 0).map(|depth| view! {
                    <span class="indent" aria-hidden="true" style:width=format!("{}px", depth as f64 * INDENT)></span>
                });
                let text = crate::views::safe(&text);
                let tip = text.clone();
                let note = mark_title.filter(|_| at == 0 && mark).map(|note| view! { " "<span class="badge medium">{note}</span> });
                view! { <div role="cell" class:mono=column.mono title=tip>{indent}{text}{note}</div> }
            }).collect_view());
            view! {
                <div role="row" class="row" class:marked=mark class:dimmed=dimmed class:odd=position % 2 == 1
                    class:picked=move || picked.is_some_and(|picked| picked.get() == Some(row)) {..custom_attribute("aria-level", depth.map(|depth| (depth + 1).to_string()))}
                    aria-selected=move || (selected.get() == Some(position)).then_some("true") class:selected=move || selected.get() == Some(position)
                    class:clickable=chosen.is_some()
                    style:transform=format!("translateY({}px)", position as f64 * ROW_HEIGHT)
                    style:grid-template-columns=template.get_value()
                    on:click=move |_| {
                        selected.set(Some(position));
                        if let Some(chosen) = chosen {
                            chosen.run(row);
                        }
                    }>
                    {cells}
                </div>
            }
        }).collect_view()
    };
    view! {
        <div class="table" data-testid=name>
            <div class="tools">
                <input type="search" placeholder="Filter" aria-label="Filter rows" data-testid=format!("{name}-filter")
                    on:input=move |event| {
                        filter.set(event_target_value(&event));
                        selected.set(None);
                        if let Some(body) = body.get_untracked() {
                            body.set_scroll_top(0);
                        }
                    }/>
                {is_tree.then(|| view! {
                    <button aria-pressed=move || in_tree().to_string() data-testid=format!("{name}-tree")
                        title="Order by who created whom" on:click=move |_| sort.set(None)>"Tree"</button>
                })}
                <span class="count" role="status" data-testid=format!("{name}-count")>
                    {move || format!("{} of {}", shown.with(|shown| shown.iter().filter(|row| !row.dimmed).count()), total())}
                </span>
            </div>
            <div class="grid" role=if is_tree { "treegrid" } else { "table" } tabindex="0" aria-label=name aria-rowcount=total node_ref=body on:keydown=keys
                on:scroll=move |event| {
                    if let Some(body) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) {
                        scroll.set(f64::from(body.scroll_top()));
                        height.set(f64::from(body.client_height()));
                    }
                }>
                <div class="head" role="row" style:grid-template-columns=template.get_value()>{headings}</div>
                <div class="rows" style:height=move || format!("{}px", shown.with(Vec::len) as f64 * ROW_HEIGHT)>{visible}</div>
            </div>
        </div>
    }
}
