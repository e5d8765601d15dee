//! Registers at the crash.

use dumplens_report::model::Context;
use leptos::prelude::*;

use crate::{
    app::{App, memory_link},
    state::width::register,
    views::safe,
};

#[component]
pub(crate) fn RegistersView() -> impl IntoView {
    let app = expect_context::<App>();
    match app.summary.get().and_then(|summary| summary.context) {
        Some(context) => view! { <section data-testid="registers"><Grid context/></section> }.into_any(),
        None => view! { <p class="panel warn">"The dump holds no registers of the crash."</p> }.into_any(),
    }
}

/// Registers in the debugger's order; each value leads to memory.
#[component]
pub(crate) fn Grid(context: Context) -> impl IntoView {
    let width = expect_context::<App>().width();
    let cells = context.registers.0.into_iter().map(move |(name, value)| view! {
        <div class="register" class:zero=value.0 == 0><span class="dim">{safe(&name)}</span>" "<a class="mono" href=memory_link(value)>{register(width, &name, value)}</a></div>
    });
    view! {
        <p class="dim">"Registers from the " {safe(&context.source)} "."</p>
        <div class="registers">{cells.collect_view()}</div>
    }
}
