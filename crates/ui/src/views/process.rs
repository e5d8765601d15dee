//! One process: what is known of it, its threads, and the way to its memory.

use std::collections::BTreeMap;

use dumplens_report::{
    Hex,
    model::{Process, Thread},
    protocol::{Reply, Request, Space},
};
use leptos::prelude::*;

use crate::{
    app::App,
    client::CallError,
    state::{
        route::Route,
        width::Width,
        words::{process_name, time},
    },
    views::{lists::Trouble, memory::ask_physical, safe, threads},
};

#[component]
pub(crate) fn Details(process: Process, object: Hex) -> impl IntoView {
    let app = expect_context::<App>();
    let width = app.width();
    ask_physical(app);
    let threads = RwSignal::new(None::<Result<Vec<Thread>, String>>);
    let load = move || {
        threads.set(None);
        app.ask(Request::ProcessThreads { object }, move |result| {
            let result = match result {
                Ok(Reply::Threads(rows)) => Ok(rows),
                Err(CallError::Failed(message, _)) => Err(message),
                _ => Err("The threads were not read.".into()),
            };
            // Another process may have been chosen meanwhile.
            threads.try_set(Some(result));
        });
    };
    load();
    let space = Space::Process { object };
    let creator = process.parent_id.map(|id| {
        // Ids are used again: a younger process is not the creator.
        let creates = |other: &&Process| {
            let younger =
                other.create_time.is_some() && process.create_time.is_some() && other.create_time > process.create_time;
            other.id == Some(id) && other.object != Some(object) && !younger
        };
        let found = app.processes.rows.with_untracked(|rows| rows.iter().flatten().find(creates).cloned());
        match found {
            Some(Process { object: Some(object), ref name, .. }) => {
                let name = name.as_deref().map_or_else(|| id.to_string(), |name| format!("{} ({id})", safe(name)));
                view! { <a href=Route::Processes(Some(object)).hash()>{name}</a> }.into_any()
            }
            _ => view! { {id} <span class="dim">" (ended before)"</span> }.into_any(),
        }
    });
    let link = move |space: Space, address: Hex| {
        view! {
            <a class="mono" href=Route::Memory(space, Some(address)).hash()>{width.address(address)}</a>
        }
    };
    let fact = |name: &'static str, value: Option<AnyView>| {
        value.map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    };
    let plain = |text: Option<String>| text.map(|text| view! { <span>{safe(&text)}</span> }.into_any());
    let physical = move || app.physical.get() == Some(true);
    // The low bits of a table base are not part of the address.
    let low_bits: u64 = if width == Width::Bits32 { !0x1f } else { !0xfff };
    let table_base = process.directory_table_base.map(|base| view! {
        {move || if physical() {
            view! { <a class="mono" href=Route::Memory(Space::Physical, Some(Hex(base.0 & low_bits))).hash()>{width.address(base)}</a> }.into_any()
        } else {
            view! { <span class="mono">{width.address(base)}</span> }.into_any()
        }}
    }.into_any());
    let peb = process.peb.map(|peb| view! {
        {move || if physical() { link(space, peb).into_any() } else { view! { <span class="mono">{width.address(peb)}</span> }.into_any() }}
    }.into_any());
    view! {
        <section class="details" data-testid="process" aria-label="Process">
            <div class="tools">
                <h2>{safe(&process_name(&process))}</h2>
                {process.current.then(|| view! { <span class="badge medium">"current at the crash"</span> })}
                {move || physical().then(|| view! {
                    <a class="button" href=Route::Memory(space, None).hash() data-testid="view-memory">"View its memory"</a>
                })}
                <button class="quiet" on:click=move |_| app.go(Route::Processes(None)) data-testid="close-process">"Close"</button>
            </div>
            <dl class="facts">
                {fact("Created by", creator)}
                {fact("Created", plain(process.create_time.as_deref().map(|time_stamp| format!("{} UTC", time(time_stamp)))))}
                {fact("Session", plain(process.session.map(|session| session.to_string())))}
                {fact("Object", Some(link(Space::Current, object).into_any()))}
                {fact("Directory base", table_base)}
                {fact("PEB", peb)}
            </dl>
            {move || match threads.get() {
                None => view! { <p class="busy" role="status">"Reading its threads…"</p> }.into_any(),
                Some(Err(trouble)) => view! { <Trouble trouble again=Callback::new(move |()| load())/> }.into_any(),
                Some(Ok(rows)) if rows.is_empty() => view! { <p class="dim">"It has no threads any more, or they cannot be read."</p> }.into_any(),
                Some(Ok(mut rows)) => {
                    // Which process they belong to stands above.
                    rows.iter_mut().for_each(|thread| thread.process_id = None);
                    threads::table(app, "process-threads", rows, &BTreeMap::new())
                }
            }}
        </section>
    }
}
