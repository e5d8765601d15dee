//! All threads, and the threads of one process.

use std::collections::BTreeMap;

use dumplens_report::model::{Process, Thread};
use leptos::prelude::*;

use crate::{
    app::App,
    state::{places, route::Route, width::Width, words::time},
    table::{Column, Table, mono, without_empty, words},
    views::{
        cell,
        lists::{Trouble, list},
        stack::Switch,
    },
};

const COLUMNS: [Column; 15] = [
    mono("Id", 9),
    words("Name", 22),
    mono("Process", 9),
    words("Process name", 18),
    words("State", 11),
    words("Waits for", 16),
    mono("Priority", 9),
    mono("Instruction", 20),
    words("At", 24),
    mono("Start", 20),
    mono("Stack limit", 20),
    mono("Stack base", 20),
    mono("TEB", 20),
    words("Created (UTC)", 20),
    mono("Object", 20),
];

fn row(thread: Thread, width: Width, process: Option<&String>) -> Vec<String> {
    vec![
        thread.id.to_string(),
        cell(thread.name),
        cell(thread.process_id),
        cell(process),
        cell(thread.state),
        cell(thread.wait_reason),
        cell(thread.priority),
        width.cell(thread.instruction_pointer),
        cell(thread.location),
        width.cell(thread.start_address),
        width.cell(thread.stack_limit),
        width.cell(thread.stack_base),
        width.cell(thread.teb),
        cell(thread.create_time.as_deref().map(time)),
        width.cell(thread.object),
    ]
}

/// A table of threads; a row leads to the thread's stack. Columns of which the dump knows nothing are left out.
pub(crate) fn table(app: App, name: &'static str, threads: Vec<Thread>, processes: &BTreeMap<u64, String>) -> AnyView {
    let width = app.width();
    let places: Vec<_> = threads.iter().map(places::of_thread).collect();
    let crashed: Vec<_> = threads.iter().map(|thread| thread.crashed).collect();
    let chosen =
        Callback::new(move |index: usize| app.go(Route::Stack(places.get(index).copied().unwrap_or_default())));
    let marked: Box<dyn Fn(usize) -> bool + Send + Sync> = Box::new(move |index| crashed.get(index) == Some(&true));
    let rows = threads.into_iter().map(|thread| {
        let process = thread.process_id.and_then(|id| processes.get(&id));
        row(thread, width, process)
    });
    let (columns, rows) = without_empty(&COLUMNS, rows.collect());
    view! { <Table name columns rows chosen marked/> }.into_any()
}

#[component]
pub(crate) fn ThreadsView() -> impl IntoView {
    let app = expect_context::<App>();
    // The processes come first: threads need them anyway, and two lists at once would fight for the bar of progress.
    let read = move || {
        app.load_processes();
        if app.processes.rows.with_untracked(Option::is_some) {
            app.load_threads();
        }
    };
    read();
    Effect::new(move |_| {
        if app.processes.rows.with(Option::is_some) {
            app.load_threads();
        }
    });
    let names = move || {
        let name = |process: &Process| Some((process.id?, process.name.clone()?));
        app.processes.rows.with_untracked(|rows| rows.iter().flatten().filter_map(name).collect())
    };
    let threads = list(
        app.threads,
        read,
        // Made anew when the rows change: which columns there are depends on them.
        move |rows| (move || table(app, "threads", rows.get(), &names())).into_any(),
        "The dump lists no threads.",
    );
    let stopped = move || match app.threads.ended() {
        true => None,
        false => app.processes.trouble(),
    };
    view! {
        <div class="tools"><Switch/></div>
        {move || stopped().map(|trouble| view! { <Trouble trouble again=Callback::new(move |()| read())/> })}
        <div class="table" class:hidden=move || stopped().is_some()>{threads}</div>
    }
}
