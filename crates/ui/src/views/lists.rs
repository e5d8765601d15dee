//! The long lists: modules, unloaded modules, threads, processes.

use dumplens_report::{
    model::{Module, Process, SymbolStatus, Thread, UnloadedModule},
    protocol::{Reply, Request},
};
use leptos::prelude::*;

use crate::{
    app::App,
    state::route::Route,
    table::{Column, Table, mono, words},
    views::cell,
};

/// A list that is asked for when it is first shown, and the table made of it.
fn list<T: Clone + Send + Sync + 'static>(
    app: App,
    signal: RwSignal<Option<Vec<T>>>,
    request: Request,
    take: impl Fn(Reply) -> Option<Vec<T>> + 'static,
    table: impl Fn(Vec<T>) -> AnyView + Send + 'static,
    empty: &'static str,
) -> impl IntoView {
    app.load(signal, request, take);
    move || match signal.get() {
        None => view! { <p class="busy" role="status">"Reading…"</p> }.into_any(),
        Some(rows) if rows.is_empty() => view! { <p class="panel">{empty}</p> }.into_any(),
        Some(rows) => table(rows),
    }
}

#[component]
pub(crate) fn ModulesView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 10] = [
        words("Name", 20),
        mono("Base", 20),
        mono("Size", 12),
        words("Version", 18),
        mono("Timestamp", 12),
        mono("Checksum", 12),
        words("Symbols", 10),
        words("Debug file", 24),
        mono("Debug id", 38),
        words("Image", 48),
    ];
    let row = |module: Module| {
        let symbols = match module.symbols {
            SymbolStatus::Loaded => "loaded",
            SymbolStatus::Forced => "forced",
            SymbolStatus::Exports => "exports",
            SymbolStatus::Missing => "missing",
            SymbolStatus::Mismatched => "mismatched",
        };
        let file = module.debug_file.as_deref().map(|path| path.rsplit(['\\', '/']).next().unwrap_or(path).to_string());
        vec![
            module.name,
            module.base.to_string(),
            format!("{:#x}", module.size),
            cell(module.version),
            cell(module.timestamp),
            cell(module.checksum),
            symbols.into(),
            cell(file),
            cell(module.debug_id),
            module.image,
        ]
    };
    let take = |reply| if let Reply::Modules(rows) = reply { Some(rows) } else { None };
    let table = move |modules: Vec<Module>| {
        let bases: Vec<_> = modules.iter().map(|module| module.base).collect();
        let chosen = Callback::new(move |index: usize| {
            if let Some(base) = bases.get(index) {
                app.go(Route::Memory(Some(*base)));
            }
        });
        view! { <Table name="modules" columns=COLUMNS.to_vec() rows=modules.into_iter().map(row).collect() chosen/> }
            .into_any()
    };
    list(app, app.modules, Request::Modules, take, table, "The dump lists no modules.")
}

#[component]
pub(crate) fn UnloadedView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 5] =
        [words("Name", 28), mono("Base", 20), mono("Size", 12), mono("Timestamp", 12), mono("Checksum", 12)];
    let row = |module: UnloadedModule| {
        vec![
            module.name,
            module.base.to_string(),
            format!("{:#x}", module.size),
            cell(module.timestamp),
            cell(module.checksum),
        ]
    };
    let take = |reply| if let Reply::UnloadedModules(rows) = reply { Some(rows) } else { None };
    let table = move |rows: Vec<UnloadedModule>| {
        view! { <Table name="unloaded" columns=COLUMNS.to_vec() rows=rows.into_iter().map(row).collect()/> }.into_any()
    };
    list(app, app.unloaded, Request::UnloadedModules, take, table, "The dump lists no unloaded modules.")
}

#[component]
pub(crate) fn ThreadsView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 10] = [
        mono("Id", 9),
        words("Name", 22),
        words("State", 12),
        words("Waits for", 16),
        mono("Priority", 10),
        mono("TEB", 20),
        mono("Instruction", 20),
        mono("Start", 20),
        words("Created", 24),
        words("At", 32),
    ];
    let row = |thread: Thread| {
        vec![
            thread.id.to_string(),
            cell(thread.name),
            cell(thread.state),
            cell(thread.wait_reason),
            cell(thread.priority),
            cell(thread.teb),
            cell(thread.instruction_pointer),
            cell(thread.start_address),
            cell(thread.create_time),
            cell(thread.location),
        ]
    };
    let take = |reply| if let Reply::Threads(rows) = reply { Some(rows) } else { None };
    let table = move |threads: Vec<Thread>| {
        let ids: Vec<_> = threads.iter().map(|thread| thread.id).collect();
        let crashed: Vec<_> = threads.iter().map(|thread| thread.crashed).collect();
        let chosen = Callback::new(move |index: usize| app.go(Route::Stack(ids.get(index).copied())));
        let marked: Box<dyn Fn(usize) -> bool + Send + Sync> = Box::new(move |index| crashed.get(index) == Some(&true));
        view! { <Table name="threads" columns=COLUMNS.to_vec() rows=threads.into_iter().map(row).collect() chosen marked/> }.into_any()
    };
    list(app, app.threads, Request::Threads, take, table, "The dump lists no threads.")
}

#[component]
pub(crate) fn ProcessesView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 9] = [
        mono("Id", 9),
        words("Name", 20),
        mono("Parent", 9),
        mono("Session", 9),
        mono("Threads", 9),
        words("Created", 24),
        mono("Object", 20),
        mono("PEB", 20),
        mono("Directory base", 20),
    ];
    let row = |process: Process| {
        vec![
            cell(process.id),
            cell(process.name),
            cell(process.parent_id),
            cell(process.session),
            cell(process.threads),
            cell(process.create_time),
            cell(process.object),
            cell(process.peb),
            cell(process.directory_table_base),
        ]
    };
    let take = |reply| if let Reply::Processes(rows) = reply { Some(rows) } else { None };
    let table = move |rows: Vec<Process>| {
        view! { <Table name="processes" columns=COLUMNS.to_vec() rows=rows.into_iter().map(row).collect()/> }.into_any()
    };
    list(app, app.processes, Request::Processes, take, table, "The dump names no process.")
}
