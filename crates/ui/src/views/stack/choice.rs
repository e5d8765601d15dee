//! The choice of the place whose stack is shown.

use dumplens_report::{
    model::Thread,
    protocol::{ContextChoice, StackOf},
};
use leptos::prelude::*;

use crate::{
    app::App,
    state::{places, route::Route},
    views::safe,
};

/// Most threads that are offered in a choice.
const MOST_THREADS: u32 = 1_000;

/// A choice of places where registers were saved, and of threads.
#[component]
pub(super) fn Choice(of: Memo<StackOf>) -> impl IntoView {
    let app = expect_context::<App>();
    let crashed = app.summary.with_untracked(|summary| summary.as_ref().and_then(|summary| summary.crashing_thread));
    app.load_contexts();
    // Where threads are many, listing them all is not worth a choice of them: the table of threads is the place to choose.
    let few = app.summary.with_untracked(|summary| {
        summary.as_ref().and_then(|summary| summary.counts.threads).is_some_and(|count| count <= MOST_THREADS)
    });
    if few {
        app.load_threads();
    }
    let threads = move || {
        let rows = app.threads.rows.get().unwrap_or_default();
        if rows.len() > MOST_THREADS as usize { Vec::new() } else { rows }
    };
    let places = move || app.contexts.rows.get().unwrap_or_default();
    let choose = move |event| app.go(Route::Stack(places::place(&event_target_value(&event))));
    let crash = move || {
        let at = places().into_iter().find(|choice| choice.of == StackOf::Crash).and_then(|choice| choice.location);
        let thread = crashed.map(|id| format!(" (thread {id})")).unwrap_or_default();
        let at = at.map(|at| format!(" – {}", safe(&at))).unwrap_or_default();
        option(of, StackOf::Crash, format!("the crash{thread}{at}"))
    };
    // A link may name what is not listed, or not yet.
    let other = move || {
        let now = of.get();
        let is_listed = now == StackOf::Crash
            || places().iter().any(|choice| choice.of == now)
            || threads().iter().any(|thread| places::is_of(now, thread));
        (!is_listed).then(|| option(of, now, places::title(now)))
    };
    let of_kind = move |kind: fn(StackOf) -> bool| {
        let listed = places().into_iter().filter(move |choice| kind(choice.of));
        listed.map(|choice: ContextChoice| option(of, choice.of, places::label(&choice))).collect::<Vec<_>>()
    };
    let threads = move || threads().into_iter().map(|row| thread(of, &row)).collect::<Vec<_>>();
    view! {
        <label class="of">"Stack of "
            <select on:change=choose data-testid="stack-of">
                {crash}
                {other}
                {move || group("Processors", of_kind(|of| matches!(of, StackOf::Processor { .. })))}
                {move || group("Saved registers", of_kind(|of| matches!(of, StackOf::Header | StackOf::TrapFrame { .. })))}
                {move || group("Threads", threads())}
            </select>
        </label>
        {move || app.contexts.trouble().map(|trouble| view! { <span class="warning">{safe(&trouble)}</span> })}
    }
}

fn option(now: Memo<StackOf>, of: StackOf, text: String) -> AnyView {
    view! { <option value=places::word(of) prop:selected=move || now.get() == of>{text}</option> }.into_any()
}

fn thread(now: Memo<StackOf>, row: &Thread) -> AnyView {
    let name = row.name.as_deref().map(|name| format!(" {}", safe(name))).unwrap_or_default();
    let (text, of) = (format!("{}{name}", row.id), places::of_thread(row));
    let row = row.clone();
    let is_now = Memo::new(move |_| places::is_of(now.get(), &row));
    view! { <option value=places::word(of) prop:selected=move || is_now.get()>{text}</option> }.into_any()
}

/// Options under a heading, if there are any.
fn group(title: &'static str, options: Vec<AnyView>) -> Option<AnyView> {
    (!options.is_empty()).then(|| view! { <optgroup label=title>{options}</optgroup> }.into_any())
}
