//! Stacks, each frame with how it was found.

use dumplens_report::{
    model::{Frame, Stack, Trust},
    protocol::{Reply, Request, StackOf, ThreadStack},
    text::{location, trust_label},
};
use leptos::prelude::*;

use crate::{
    app::{App, memory_link},
    client::CallError,
    state::{route::Route, width::Width},
    views::safe,
};

/// Most threads that are offered in a choice.
const MOST_CHOICES: u32 = 1_000;

/// The stack of the crash, or of one thread.
#[component]
pub(crate) fn StackView(thread: Option<u64>) -> impl IntoView {
    let app = expect_context::<App>();
    let stack = RwSignal::new(None::<Result<ThreadStack, String>>);
    let crashed = app.summary.with_untracked(|summary| summary.as_ref().and_then(|summary| summary.crashing_thread));
    // Symbols that are added name frames: the stack is taken anew then, and stays in sight until it is there.
    Effect::new(move |_| match thread {
        Some(thread) => {
            app.symbols.generation.track();
            // A thread that did not run at the crash is looked for in every process.
            app.ask(Request::Stack { of: StackOf::Thread { id: thread }, arguments: false }, move |result| {
                let result = match result {
                    Ok(Reply::Stack(found)) => Ok(found),
                    Err(CallError::Failed(message, _)) => Err(message),
                    Err(CallError::Cancelled) => Err("Looking for the thread was cancelled.".into()),
                    _ => return,
                };
                stack.try_set(Some(result));
            });
        }
        None => stack.set(app.summary.with(|summary| {
            let summary = summary.as_ref()?;
            let stack = summary
                .stack
                .clone()
                .ok_or_else(|| "The dump holds no registers of the crash: no stack can be shown.".to_string());
            Some(stack.map(|stack| ThreadStack { context: summary.context.clone(), stack }))
        })),
    });
    // Where threads are many, listing them all is not worth a choice of them: the table of threads is the place to choose.
    let few = app.summary.with_untracked(|summary| {
        summary.as_ref().and_then(|summary| summary.counts.threads).is_some_and(|count| count <= MOST_CHOICES)
    });
    if few {
        app.load_threads();
    }
    let choices = move || {
        let rows = app.threads.rows.get().unwrap_or_default();
        if rows.len() > MOST_CHOICES as usize { Vec::new() } else { rows }
    };
    let choose = move |event| {
        let value = event_target_value(&event);
        app.go(Route::Stack(value.parse().ok()));
    };
    view! {
        <section data-testid="stack">
            <div class="tools">
                <label>"Thread "
                    <select on:change=choose data-testid="stack-thread">
                        <option value="" selected=thread.is_none()>"of the crash"{crashed.map(|id| format!(" ({id})"))}</option>
                        {move || thread.filter(|id| choices().iter().all(|row| row.id != *id)).map(|id| view! {
                            <option value=id.to_string() selected=true>{id}</option>
                        })}
                        {move || choices().into_iter().map(|row| {
                            let name = row.name.map(|name| format!(" {}", safe(&name))).unwrap_or_default();
                            view! { <option value=row.id.to_string() selected=thread == Some(row.id)>{row.id}{name}</option> }
                        }).collect_view()}
                    </select>
                </label>
                <a href=Route::Threads.hash()>"All threads"</a>
            </div>
            {move || stack.get().map(|stack| match stack {
                Ok(found) => view! {
                    {thread.is_none().then(|| view! { <super::symbols::NamesHint/> })}
                    <Frames stack=found.stack/>
                    {found.context.map(|context| view! { <super::registers::Grid context/> })}
                }.into_any(),
                Err(message) => view! { <p class="panel warn" role="alert">{safe(&message)}</p> }.into_any(),
            })}
        </section>
    }
}

/// The frames of a stack, why it ends, and what to be wary of.
#[component]
pub(crate) fn Frames(stack: Stack) -> impl IntoView {
    let width = expect_context::<App>().width();
    let rows = stack.frames.iter().enumerate().map(|(index, frame)| row(index, frame, width)).collect_view();
    let none = stack.frames.is_empty();
    view! {
        <p class="dim">"From the " {safe(&stack.context)} "."</p>
        <div class="scroll" class:hidden=none>
            <table class="frames" data-testid="frames">
                <thead><tr><th>"#"</th><th>"Address"</th><th>"Found by"</th><th>"Location"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <p class="dim">{safe(&stack.stop)}</p>
        {stack.warnings.iter().map(|warning| view! { <p class="warning">"Warning: " {safe(warning)} "."</p> }).collect_view()}
    }
}

fn row(index: usize, frame: &Frame, width: Width) -> impl IntoView + use<> {
    let class = match frame.trust {
        Trust::Context | Trust::Inline => "badge high",
        Trust::Unwind | Trust::FramePointer => "badge medium",
        Trust::Scan => "badge low",
    };
    let source = match (&frame.file, frame.line) {
        (Some(file), Some(line)) => Some(format!(" {}:{line}", safe(file))),
        _ => None,
    };
    view! {
        <tr>
            <td class="mono dim">{format!("{index:02x}")}</td>
            <td class="mono"><a href=memory_link(frame.address)>{width.address(frame.address)}</a></td>
            <td><span class=class title=frame.trust.description()>{trust_label(frame.trust)}</span></td>
            <td class="mono">{safe(&location(frame))}{source}{frame.note.clone().map(|note| view! { <span class="dim prose">" "{note}</span> })}</td>
        </tr>
    }
}
