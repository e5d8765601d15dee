//! One table for all long lists: filter, sort, keyboard, and only the rows in sight in the document.

use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, KeyboardEvent};

use crate::state::grid::{Sort, arrange, in_sight};

/// Height of a row in CSS pixels; the style sheet says the same.
const ROW_HEIGHT: f64 = 24.0;

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

/// A list of rows of text. `chosen` is called with a row's number in the list when it is clicked or Enter is pressed.
#[component]
pub(crate) fn Table(
    name: &'static str,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    #[prop(optional)] chosen: Option<Callback<usize>>,
    #[prop(optional)] marked: Option<Box<dyn Fn(usize) -> bool + Send + Sync>>,
) -> impl IntoView {
    let total = rows.len();
    let rows = StoredValue::new(rows);
    let columns = StoredValue::new(columns);
    let marked = StoredValue::new(marked);
    let filter = RwSignal::new(String::new());
    let sort = RwSignal::new(None::<Sort>);
    let scroll = RwSignal::new(0.0_f64);
    let height = RwSignal::new(600.0_f64);
    let selected = RwSignal::new(None::<usize>);
    let body = NodeRef::<leptos::html::Div>::new();
    let shown = Memo::new(move |_| rows.with_value(|rows| arrange(rows, &filter.get(), sort.get())));
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
                    chosen.run(row);
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
            let (position, row) = (first + step, *row);
            let cells = rows.with_value(|rows| rows.get(row).cloned().unwrap_or_default());
            let cells = columns.with_value(|columns| columns.iter().zip(cells).map(|(column, text)| {
                let text = crate::views::safe(&text);
                let tip = text.clone();
                view! { <div role="cell" class:mono=column.mono title=tip>{text}</div> }
            }).collect_view());
            let mark = marked.with_value(|marked| marked.as_ref().is_some_and(|marked| marked(row)));
            view! {
                <div role="row" class="row" class:marked=mark class:selected=move || selected.get() == Some(position)
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
                <span class="count" role="status" data-testid=format!("{name}-count")>
                    {move || format!("{} of {total}", shown.with(Vec::len))}
                </span>
            </div>
            <div class="grid" role="table" tabindex="0" aria-label=name aria-rowcount=total node_ref=body on:keydown=keys
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
