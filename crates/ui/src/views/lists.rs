//! What every long list shows while it is read, when it is empty, and when it could not be read.

use leptos::prelude::*;

use crate::{load::List, views::safe};

/// What there is to show of a list.
#[derive(Clone, PartialEq)]
enum Shown {
    Rows,
    Empty,
    Trouble(String),
    Nothing,
}

/// The table of a list that is being read, or what there is to say instead. `again` reads it once more. The table is made
/// once: rows that change later are for the table to show in place.
pub(crate) fn list<T: Clone + Send + Sync + 'static>(
    list: List<T>,
    again: impl Fn() + Copy + Send + Sync + 'static,
    table: impl Fn(Signal<Vec<T>>) -> AnyView + Send + 'static,
    empty: &'static str,
) -> impl IntoView {
    let rows = Signal::derive(move || list.rows.get().unwrap_or_default());
    let shown = Memo::new(move |_| match (list.rows.with(|rows| rows.as_ref().map(Vec::is_empty)), list.trouble()) {
        (Some(true), _) => Shown::Empty,
        (Some(false), _) => Shown::Rows,
        (None, Some(trouble)) => Shown::Trouble(trouble),
        (None, None) => Shown::Nothing,
    });
    move || match shown.get() {
        Shown::Empty => view! { <p class="panel">{empty}</p> }.into_any(),
        Shown::Rows => table(rows),
        Shown::Trouble(trouble) => view! { <Trouble trouble again=Callback::new(move |()| again())/> }.into_any(),
        Shown::Nothing => view! { <p class="busy" role="status">"Reading…"</p> }.into_any(),
    }
}

/// Why something was not read, and a way to try once more.
#[component]
pub(crate) fn Trouble(trouble: String, again: Callback<()>) -> impl IntoView {
    view! {
        <div class="panel warn trouble" role="alert" data-testid="trouble">
            <p>{safe(&trouble)}</p>
            <button on:click=move |_| again.run(())>"Read again"</button>
        </div>
    }
}
