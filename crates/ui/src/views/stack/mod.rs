//! Stacks: one, from any place where registers were saved, or those of all threads.

pub(crate) mod all;
mod at_address;
mod choice;
mod frames;
mod processors;
mod wanted;

use dumplens_report::{
    model::Stack,
    protocol::{Reply, Request, StackOf, ThreadStack},
};
use leptos::prelude::*;

use crate::{
    app::App,
    client::CallError,
    state::{places, route::Route},
    views::{registers, safe, symbols::NamesHint},
};

pub(crate) use frames::Frames;

/// What is shown of a place.
type Shown = Option<Result<ThreadStack, String>>;

/// One stack, from the place that the address bar names.
#[component]
pub(crate) fn StackView() -> impl IntoView {
    let app = expect_context::<App>();
    let of = Memo::new(move |before: Option<&StackOf>| match app.route.get() {
        Route::Stack(of) => of,
        _ => before.copied().unwrap_or_default(),
    });
    let shown = RwSignal::new(Shown::None);
    walk(app, of, shown);
    let at_address = RwSignal::new(matches!(of.get_untracked(), StackOf::Context { .. } | StackOf::TrapFrame { .. }));
    let frames = Signal::derive(move || match shown.get() {
        Some(Ok(found)) => found.stack.frames,
        _ => Vec::new(),
    });
    view! {
        <section data-testid="stack">
            <div class="tools">
                <Switch/>
                <choice::Choice of/>
                <Arguments/>
                <button aria-expanded=move || at_address.get().to_string() aria-controls="at-address" data-testid="at-address-toggle"
                    title="For experts: registers that stand somewhere in memory" on:click=move |_| at_address.update(|open| *open = !*open)>
                    "Registers at an address…"
                </button>
            </div>
            {move || at_address.get().then(|| view! { <at_address::Form of/> })}
            <processors::Processors of/>
            <NamesHint frames/>
            {move || match shown.get() {
                None => view! { <p class="busy" role="status">"Walking the stack…"</p> }.into_any(),
                Some(Ok(found)) => view! {
                    <h2 class="of" data-testid="stack-title">{title(of.get_untracked(), &found.stack)}</h2>
                    <Frames stack=found.stack/>
                    {found.context.map(|context| view! { <registers::Grid context/> })}
                }.into_any(),
                Some(Err(message)) => view! {
                    <div class="panel warn" role="alert" data-testid="stack-trouble">
                        <p>{format!("No stack of {}: {}", places::title(of.get_untracked()), safe(&message))}</p>
                    </div>
                }.into_any(),
            }}
        </section>
    }
}

/// Whose stack is shown, and in which thread it is.
fn title(of: StackOf, stack: &Stack) -> String {
    let place = places::title(of);
    match (of, stack.thread) {
        (StackOf::Thread { .. }, _) | (_, None) => format!("Stack of {place}"),
        (StackOf::ThreadObject { .. }, Some(id)) => format!("Stack of thread {id}"),
        (_, Some(id)) => format!("Stack of {place}, in thread {id}"),
    }
}

/// Asks for the stack whenever its place, what is shown of it, or what names it changes. A stack that is only taken anew
/// stays in sight until it is there.
fn walk(app: App, of: Memo<StackOf>, shown: RwSignal<Shown>) {
    let latest = StoredValue::new(0_u32);
    Effect::new(move |before: Option<StackOf>| {
        let (of, arguments) = (of.get(), app.arguments.get());
        if before != Some(of) {
            shown.set(None);
        }
        latest.update_value(|latest| *latest += 1);
        if of == StackOf::Crash && !arguments {
            // It is there already.
            shown.set(app.summary.with(|summary| {
                let summary = summary.as_ref()?;
                let stack = summary.stack.clone().ok_or_else(|| "the dump holds no registers of it".to_string());
                Some(stack.map(|stack| ThreadStack { context: summary.context.clone(), stack }))
            }));
            return of;
        }
        app.symbols.generation.track();
        let number = latest.get_value();
        // A thread that did not run at the crash is looked for in every process.
        app.ask(Request::Stack { of, arguments }, move |result| {
            let result = match result {
                Ok(Reply::Stack(found)) => Ok(found),
                Err(CallError::Failed(message, _)) => Err(message),
                Err(CallError::Cancelled) => Err("looking for it was cancelled".into()),
                _ => return,
            };
            // The view may be gone, or show another place.
            if latest.try_get_value() == Some(number) {
                shown.try_set(Some(result));
            }
        });
        of
    });
}

/// The way between one stack, all stacks and the threads.
#[component]
pub(crate) fn Switch() -> impl IntoView {
    let app = expect_context::<App>();
    const WAYS: [(Route, &str); 3] =
        [(Route::Stack(StackOf::Crash), "One stack"), (Route::Stacks, "All stacks"), (Route::Threads, "Threads")];
    view! {
        <nav class="switch" aria-label="Stacks and threads">
            {WAYS.into_iter().map(|(route, title)| {
                let current = move || app.route.with(|now| now.frame() == route).then_some("page");
                view! { <a href=route.hash() aria-current=current>{title}</a> }
            }).collect_view()}
        </nav>
    }
}

/// Whether the words of arguments are shown, on machines where they stand on the stack.
#[component]
fn Arguments() -> impl IntoView {
    let app = expect_context::<App>();
    let architecture = app.summary.with_untracked(|summary| summary.as_ref()?.dump.architecture.clone());
    let on_stack = matches!(architecture.as_deref(), Some("x86" | "x64"));
    on_stack.then(|| view! {
        <button aria-pressed=move || app.arguments.get().to_string() data-testid="arguments"
            title="Four words of each frame, where its arguments may stand" on:click=move |_| app.arguments.update(|on| *on = !*on)>
            "Arguments"
        </button>
    })
}
