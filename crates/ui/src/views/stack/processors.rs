//! What each processor ran when the system stopped.

use dumplens_report::protocol::{ContextChoice, StackOf};
use leptos::prelude::*;

use crate::{
    app::App,
    state::{places, route::Route},
    views::{cell, safe},
};

/// Lists up to this long are shown without being asked for.
const SHORT: usize = 8;

/// A list of processors, each leading to its stack; nothing where the dump knows of one or none.
#[component]
pub(super) fn Processors(of: Memo<StackOf>) -> impl IntoView {
    let app = expect_context::<App>();
    let processors = Memo::new(move |_| {
        let is_processor = |choice: &&ContextChoice| matches!(choice.of, StackOf::Processor { .. });
        app.contexts.rows.with(|rows| rows.iter().flatten().filter(is_processor).cloned().collect::<Vec<_>>())
    });
    move || {
        let rows = processors.get();
        let count = rows.len();
        (count > 1).then(|| {
            view! {
                <details class="processors" data-testid="processors" open=count <= SHORT>
                    <summary>{count} " processors, and what each ran"</summary>
                    <div class="scroll">
                        <table class="frames">
                            <thead><tr><th>"CPU"</th><th>"Thread"</th><th>"At"</th></tr></thead>
                            <tbody>{rows.into_iter().map(|choice| row(choice, of)).collect_view()}</tbody>
                        </table>
                    </div>
                </details>
            }
        })
    }
}

fn row(choice: ContextChoice, now: Memo<StackOf>) -> impl IntoView {
    let of = choice.of;
    let at = choice.location.unwrap_or_else(|| choice.instruction_pointer.to_string());
    let current = move || (now.get() == of).then_some("true");
    // Idle threads have the id 0 and share it.
    let thread = if choice.thread == Some(0) { "0 (idle)".into() } else { cell(choice.thread) };
    view! {
        <tr class:picked=move || current().is_some()>
            <td><a href=Route::Stack(of).hash() aria-current=current>{places::title(of)}</a></td>
            <td class="mono">{thread}</td>
            <td class="mono">{safe(&at)}</td>
        </tr>
    }
}
