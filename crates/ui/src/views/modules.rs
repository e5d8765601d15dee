//! Loaded and unloaded modules.

use dumplens_report::{
    model::{Module, UnloadedModule},
    protocol::{Reply, Request, Space},
};
use leptos::prelude::*;

use crate::{
    app::App,
    state::route::Route,
    state::words::status_word,
    table::{Column, Table, mono, words},
    views::{cell, lists::list},
};

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
    let width = app.width();
    let row = move |module: Module| {
        let symbols = status_word(module.symbols);
        let file = module.debug_file.as_deref().map(|path| path.rsplit(['\\', '/']).next().unwrap_or(path).to_string());
        vec![
            module.name,
            width.address(module.base),
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
    let load = move || {
        app.modules.load(app, Request::Modules, |reply| match reply {
            Reply::Modules(rows) => Some(rows),
            _ => None,
        });
    };
    load();
    let table = move |modules: Signal<Vec<Module>>| {
        let chosen = Callback::new(move |index: usize| {
            if let Some(base) = modules.with(|modules| modules.get(index).map(|module| module.base)) {
                app.go(Route::Memory(Space::Current, Some(base)));
            }
        });
        let rows = Memo::new(move |_| modules.get().into_iter().map(row).collect::<Vec<_>>());
        view! { <Table name="modules" columns=COLUMNS.to_vec() rows chosen/> }.into_any()
    };
    list(app.modules, load, table, "The dump lists no modules.")
}

#[component]
pub(crate) fn UnloadedView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 5] =
        [words("Name", 28), mono("Base", 20), mono("Size", 12), mono("Timestamp", 12), mono("Checksum", 12)];
    let width = app.width();
    let row = move |module: UnloadedModule| {
        vec![
            module.name,
            width.address(module.base),
            format!("{:#x}", module.size),
            cell(module.timestamp),
            cell(module.checksum),
        ]
    };
    let load = move || {
        app.unloaded.load(app, Request::UnloadedModules, |reply| match reply {
            Reply::UnloadedModules(rows) => Some(rows),
            _ => None,
        });
    };
    load();
    let table = move |rows: Signal<Vec<UnloadedModule>>| {
        let rows = Memo::new(move |_| rows.get().into_iter().map(row).collect::<Vec<_>>());
        view! { <Table name="unloaded" columns=COLUMNS.to_vec() rows/> }.into_any()
    };
    list(app.unloaded, load, table, "The dump lists no unloaded modules.")
}
