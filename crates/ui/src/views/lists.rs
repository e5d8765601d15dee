//! What every long list shows while it is read, when it is empty, and when it could not be read.

use leptos::prelude::*;

use crate::{load::List, views::safe};

/// The table of a list that is being read, or what there is to say instead. `again` reads it once more.
pub(crate) fn list<T: Clone + Send + Sync + 'static>(
    list: List<T>,
    again: impl Fn() + Copy + Send + Sync + 'static,
    table: impl Fn(Vec<T>) -> AnyView + Send + 'static,
    empty: &'static str,
) -> impl IntoView {
    move || match (list.rows.get(), list.trouble()) {
        (Some(rows), _) if rows.is_empty() => view! { <p class="panel">{empty}</p> }.into_any(),
        (Some(rows), _) => table(rows),
        (None, Some(trouble)) => view! { <Trouble trouble again=Callback::new(move |()| again())/> }.into_any(),
        (None, None) => view! { <p class="busy" role="status">"Reading…"</p> }.into_any(),
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
