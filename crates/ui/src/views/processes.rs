//! Processes as the tree of who created whom, and one of them in detail.

use dumplens_report::{Hex, model::Process, process_tree};
use leptos::prelude::*;

use crate::{
    app::App,
    state::{route::Route, width::Width, words::time},
    table::{Column, Table, mono, without_empty, words},
    views::{cell, lists::list, process::Details},
};

const COLUMNS: [Column; 9] = [
    words("Name", 30),
    mono("PID", 9),
    mono("Parent", 9),
    mono("Session", 9),
    mono("Threads", 9),
    words("Created (UTC)", 20),
    mono("Object", 20),
    mono("Directory base", 20),
    mono("PEB", 20),
];

fn row(process: &Process, width: Width) -> Vec<String> {
    vec![
        process.name.clone().unwrap_or_else(|| "(no name)".into()),
        cell(process.id),
        cell(process.parent_id),
        cell(process.session),
        cell(process.threads),
        cell(process.create_time.as_deref().map(time)),
        width.cell(process.object),
        width.cell(process.directory_table_base),
        width.cell(process.peb),
    ]
}

#[component]
pub(crate) fn ProcessesView() -> impl IntoView {
    let app = expect_context::<App>();
    let load = move || app.load_processes();
    load();
    let object = Memo::new(move |_| match app.route.get() {
        Route::Processes(object) => object,
        _ => None,
    });
    let table = move |processes: Signal<Vec<Process>>| {
        let processes = processes.get();
        let tree = process_tree(&processes);
        let depths: Vec<usize> = tree.iter().map(|branch| branch.depth).collect();
        // The table's rows stand in the order of the tree.
        let processes: Vec<Process> = tree.iter().filter_map(|branch| processes.get(branch.index)).cloned().collect();
        let objects: Vec<Option<Hex>> = processes.iter().map(|process| process.object).collect();
        let current: Vec<bool> = processes.iter().map(|process| process.current).collect();
        let listed = objects.clone();
        let picked = Signal::derive(move || {
            let object = object.get()?;
            listed.iter().position(|listed| *listed == Some(object))
        });
        let chosen = Callback::new(move |index: usize| {
            if let Some(object) = objects.get(index).copied().flatten() {
                app.go(Route::Processes(Some(object)));
            }
        });
        let marked: Box<dyn Fn(usize) -> bool + Send + Sync> = Box::new(move |index| current.get(index) == Some(&true));
        let rows = processes.iter().map(|process| row(process, app.width())).collect();
        let (columns, rows) = without_empty(&COLUMNS, rows);
        view! { <Table name="processes" columns rows chosen marked picked tree=depths mark_title="current at the crash"/> }
            .into_any()
    };
    let chosen = move || {
        let object = object.get()?;
        let found = app.processes.rows.with(|rows| {
            rows.as_ref().map(|rows| rows.iter().find(|process| process.object == Some(object)).cloned())
        })?;
        Some(match found {
            Some(process) => view! { <Details process object/> }.into_any(),
            None => view! {
                <p class="panel warn" role="alert">"This dump has no process whose object is at " {object.to_string()} "."</p>
            }
            .into_any(),
        })
    };
    view! {
        <div class="split">
            {list(app.processes, load, table, "The dump names no process.")}
            {chosen}
        </div>
    }
}
