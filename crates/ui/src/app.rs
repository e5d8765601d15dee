//! The page as a whole: landing, rail of views, bars for progress and errors.

use dumplens_report::{
    Hex, StackGroup,
    model::{Module, Process, Thread, UnloadedModule},
    protocol::{ContextChoice, Progress, RequestId, Space, StackOf, Stream, Summary},
};
use gloo::{
    events::EventListener,
    storage::{LocalStorage, Storage as _},
};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{DragEvent, File, HtmlElement, KeyboardEvent};

use crate::{
    client,
    load::List,
    state::{route::Route, width::Width},
    symbols::{
        Symbols,
        take::{Origin, files},
    },
    views::{self, symbol_tools::SymbolStrips},
};

/// What is going on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// No dump yet.
    Landing,
    /// A file is being opened.
    Opening(String),
    /// A member of an archive must be chosen.
    Listing,
    /// A dump is open.
    Open,
    /// A file could not be opened: its name, and why.
    Refused(String, String),
}

/// Everything the views share.
#[derive(Clone, Copy)]
pub(crate) struct App {
    pub(crate) stage: RwSignal<Stage>,
    pub(crate) route: RwSignal<Route>,
    pub(crate) summary: RwSignal<Option<Summary>>,
    pub(crate) modules: List<Module>,
    pub(crate) unloaded: List<UnloadedModule>,
    pub(crate) threads: List<Thread>,
    pub(crate) processes: List<Process>,
    pub(crate) streams: List<Stream>,
    /// Places where registers were saved.
    pub(crate) contexts: List<ContextChoice>,
    /// The stacks of all threads.
    pub(crate) stacks: List<StackGroup>,
    /// Whether frames show the words of their arguments.
    pub(crate) arguments: RwSignal<bool>,
    /// Symbol files: what is wanted, added, kept.
    pub(crate) symbols: Symbols,
    /// Whether the dump holds physical memory; `None` until it was asked.
    pub(crate) physical: RwSignal<Option<bool>>,
    /// What is being opened, and the archive it is in.
    pub(crate) opener: views::archive::Opener,
    /// A long request: its number and how far it is.
    pub(crate) progress: RwSignal<Option<(RequestId, Progress)>>,
    /// What the engine said when it died.
    pub(crate) crash: RwSignal<Option<String>>,
    /// A short message, such as "copied".
    pub(crate) toast: RwSignal<Option<String>>,
    /// The open file, to open it again after the engine was restarted.
    file: StoredValue<Option<File>, LocalStorage_>,
}

/// Leptos's name for values that stay on this thread clashes with the browser storage's.
type LocalStorage_ = leptos::prelude::LocalStorage;

impl App {
    fn new() -> Self {
        Self {
            stage: RwSignal::new(Stage::Landing),
            route: RwSignal::new(Route::parse(&location_hash())),
            summary: RwSignal::new(None),
            modules: List::new(),
            unloaded: List::new(),
            threads: List::new(),
            processes: List::new(),
            streams: List::new(),
            contexts: List::new(),
            stacks: List::new(),
            arguments: RwSignal::new(false),
            symbols: Symbols::new(),
            physical: RwSignal::new(None),
            opener: views::archive::Opener::new(),
            progress: RwSignal::new(None),
            crash: RwSignal::new(None),
            toast: RwSignal::new(None),
            file: StoredValue::new_local(None),
        }
    }

    /// Opens a file and shows its summary.
    pub(crate) fn open(self, file: File) {
        self.opener.archive.set(None);
        self.file.set_value(Some(file.clone()));
        views::archive::open(self, file.name(), move |progress, answer| client::open(&file, progress, answer));
    }

    /// Opens the same file again.
    pub(crate) fn open_again(self) {
        if let Some(file) = self.file.get_value() {
            self.open(file);
        }
    }

    /// Drops what belonged to the dump before.
    pub(crate) fn forget(self) {
        self.summary.set(None);
        self.modules.clear();
        self.unloaded.clear();
        self.threads.clear();
        self.processes.clear();
        self.streams.clear();
        self.contexts.clear();
        self.stacks.clear();
        self.symbols.forget();
        self.physical.set(None);
        self.progress.set(None);
    }

    /// Shows a view and puts it into the address bar.
    pub(crate) fn go(self, route: Route) {
        let _ = window().location().set_hash(&route.hash());
        self.route.set(route);
    }

    /// How wide the dump's addresses are.
    pub(crate) fn width(self) -> Width {
        self.summary.with_untracked(|summary| {
            Width::of(summary.as_ref().and_then(|summary| summary.dump.architecture.as_deref()))
        })
    }
}

fn location_hash() -> String {
    window().location().hash().unwrap_or_default()
}

/// The page.
#[component]
pub(crate) fn Page() -> impl IntoView {
    let app = App::new();
    provide_context(app);
    client::on_crash(move |message| {
        // The archive was open in the worker that died.
        app.opener.archive.set(None);
        app.crash.set(Some(message));
    });
    client::warm_up();
    app.look_for_kept();
    listen(app);
    apply_theme(LocalStorage::get::<String>(THEME).ok());
    view! {
        <header class="bar">
            <a class="brand" href="#/summary">"Dumplens"</a>
            <span class="filename" data-testid="file-name">{move || views::safe(&file_name(app))}</span>
            <span class="spacer"></span>
            <views::archive::BackToArchive/>
            <FilePicker/>
            <button class="quiet" title="Switch between dark and light" on:click=move |_| toggle_theme() data-testid="theme">"Theme"</button>
        </header>
        <Bars/>
        <main>
            {move || match app.stage.get() {
                Stage::Landing => views::landing::Landing().into_any(),
                Stage::Opening(name) => view! { <views::archive::Opening name/> }.into_any(),
                Stage::Listing => views::archive::Listing().into_any(),
                Stage::Refused(name, message) => view! {
                    <section class="panel refused" role="alert" data-testid="refused">
                        <h1>{views::safe(&name)} " cannot be opened"</h1>
                        <p>{views::safe(&message)}</p>
                    </section>
                    <views::landing::Landing/>
                }.into_any(),
                Stage::Open => view! { <Workbench/> }.into_any(),
            }}
        </main>
        <div class="drop-hint" aria-hidden="true">
            {move || if app.stage.get() == Stage::Open { "Drop a dump to open it, symbols to add them" } else { "Drop to open" }}
        </div>
    }
}

fn file_name(app: App) -> String {
    app.summary.with(|summary| summary.as_ref().and_then(|summary| summary.dump.file_name.clone())).unwrap_or_default()
}

/// Progress, crash and short messages.
#[component]
fn Bars() -> impl IntoView {
    let app = expect_context::<App>();
    view! {
        {move || app.crash.get().map(|message| view! {
            <div class="strip error" role="alert" data-testid="crashed">
                <span>"The engine stopped on an internal error and was restarted: " {views::safe(&message)}</span>
                <button on:click=move |_| app.open_again() data-testid="open-again">"Open the dump again"</button>
                <button class="quiet" on:click=move |_| app.crash.set(None)>"Dismiss"</button>
            </div>
        })}
        {move || app.progress.get().map(|(id, progress)| view! {
            <div class="strip" role="status" data-testid="progress">
                <span>{progress.phase.clone()} " " {progress.done} " of " {progress.total}</span>
                <progress max=progress.total value=progress.done></progress>
                <button on:click=move |_| client::cancel(id) data-testid="cancel">"Cancel"</button>
            </div>
        })}
        <SymbolStrips/>
        {move || app.toast.get().map(|text| view! {
            <div class="strip" role="status" data-testid="toast">
                <span class="said">{views::safe(&text)}</span>
                <button class="quiet" on:click=move |_| app.toast.set(None)>"Dismiss"</button>
            </div>
        })}
    }
}

/// The button that picks a file. The input itself is hidden; the button is what keyboards reach.
#[component]
fn FilePicker() -> impl IntoView {
    let app = expect_context::<App>();
    let input = NodeRef::<leptos::html::Input>::new();
    let picked = move |_| {
        let Some(element) = input.get() else { return };
        app.take(files(element.files()), Origin::OpenButton);
        // The same file can be picked again.
        element.set_value("");
    };
    let pick = move |_| {
        if let Some(element) = input.get() {
            element.click();
        }
    };
    view! {
        <input type="file" multiple class="hidden" node_ref=input on:change=picked data-testid="file-input" tabindex="-1" aria-hidden="true"/>
        <button class="primary" on:click=pick id="open-file" data-testid="open-file" title="Ctrl+O">"Open a dump…"</button>
    }
}

/// The rail of views and the view itself.
#[component]
fn Workbench() -> impl IntoView {
    let app = expect_context::<App>();
    let counts = app.summary.with_untracked(|summary| summary.as_ref().map(|summary| summary.counts));
    let counts = counts.unwrap_or_default();
    // Symbols that are added change what there is to note.
    let notes = Signal::derive(move || app.summary.with(|summary| summary.as_ref().map(|summary| summary.notes.len())));
    let kernel =
        app.summary.with_untracked(|summary| summary.as_ref().is_some_and(|summary| summary.bugcheck.is_some()));
    // Threads and processes of large dumps are counted when they were read.
    let threads = Signal::derive(move || counts.threads.map(|count| count as usize).or(app.threads.count()));
    let processes = Signal::derive(move || counts.processes.map(|count| count as usize).or(app.processes.count()));
    let fixed = |count: usize| Signal::stored(Some(count));
    let none = Signal::stored(None);
    let tabs: [(Route, &'static str, Signal<Option<usize>>); 11] = [
        (Route::Summary, "Summary", none),
        (Route::Stack(StackOf::Crash), "Stack", none),
        (Route::Registers, "Registers", none),
        (Route::Modules, "Modules", fixed(counts.modules as usize)),
        (Route::Unloaded, "Unloaded", fixed(counts.unloaded_modules as usize)),
        (Route::Symbols, "Symbols", none),
        (Route::Threads, "Threads", threads),
        (Route::Processes(None), "Processes", processes),
        (Route::Parts(None), if kernel { "Parts" } else { "Streams" }, fixed(counts.streams as usize)),
        (Route::Memory(Space::Current, None), "Memory", none),
        (Route::Notes, "Notes", notes),
    ];
    let same = move |route: Route| app.route.with(|now| now.name() == route.name());
    let links = tabs.into_iter().map(|(route, title, count)| view! {
        <a role="tab" href=route.hash() class:current=move || same(route) aria-selected=move || same(route).to_string()
            data-testid=format!("tab-{}", route.name())>
            <span>{title}</span>
            {move || count.get().map(|count| view! { <span class="count">{count}</span> })}
        </a>
    }).collect_view();
    let shown = Memo::new(move |_| app.route.get().frame());
    view! {
        <div class="workbench">
            <nav class="rail" role="tablist" aria-label="Views" aria-orientation="vertical" on:keydown=move_between_tabs>{links}</nav>
            <div class="view" role="tabpanel" data-testid="view">
                {move || match shown.get() {
                    Route::Summary => views::summary::SummaryView().into_any(),
                    Route::Stack(_) => views::stack::StackView().into_any(),
                    Route::Stacks => views::stack::all::AllView().into_any(),
                    Route::Registers => views::registers::RegistersView().into_any(),
                    Route::Modules => views::modules::ModulesView().into_any(),
                    Route::Unloaded => views::modules::UnloadedView().into_any(),
                    Route::Symbols => views::symbols::SymbolsView().into_any(),
                    Route::Threads => views::threads::ThreadsView().into_any(),
                    Route::Processes(_) => views::processes::ProcessesView().into_any(),
                    Route::Parts(part) => view! { <views::parts::PartsView part/> }.into_any(),
                    Route::Memory(..) => views::memory::MemoryView().into_any(),
                    Route::Notes => views::notes::NotesView().into_any(),
                }}
            </div>
        </div>
    }
}

/// Arrow keys go from tab to tab.
fn move_between_tabs(event: KeyboardEvent) {
    let step = match event.key().as_str() {
        "ArrowDown" | "ArrowRight" => "nextElementSibling",
        "ArrowUp" | "ArrowLeft" => "previousElementSibling",
        _ => return,
    };
    let Some(tab) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let next = if step == "nextElementSibling" { tab.next_element_sibling() } else { tab.previous_element_sibling() };
    if let Some(next) = next.and_then(|next| next.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        let _ = next.focus();
        next.click();
    }
}

/// Listeners on the window live as long as the page.
fn listen(app: App) {
    let target = window();
    EventListener::new(&target, "hashchange", move |_| app.route.set(Route::parse(&location_hash()))).forget();
    let options = gloo::events::EventListenerOptions::enable_prevent_default();
    for name in ["dragover", "drop", "dragleave"] {
        EventListener::new_with_options(&target, name, options, move |event| {
            event.prevent_default();
            let body = document().body();
            let hover = event.type_() == "dragover";
            if let Some(body) = body {
                let _ = body.class_list().toggle_with_force("dragging", hover);
            }
            let Some(event) = event.dyn_ref::<DragEvent>().filter(|event| event.type_() == "drop") else { return };
            if let Some(data) = event.data_transfer() {
                app.take_dropped(&data);
            }
        })
        .forget();
    }
    EventListener::new_with_options(&target, "keydown", options, move |event| {
        let Some(event) = event.dyn_ref::<KeyboardEvent>() else { return };
        if (event.ctrl_key() || event.meta_key()) && event.key() == "o" {
            event.prevent_default();
            if let Some(button) =
                document().get_element_by_id("open-file").and_then(|it| it.dyn_into::<HtmlElement>().ok())
            {
                button.click();
            }
        }
        const VIEWS: [Route; 10] = [
            Route::Summary,
            Route::Stack(StackOf::Crash),
            Route::Registers,
            Route::Modules,
            Route::Unloaded,
            Route::Threads,
            Route::Processes(None),
            Route::Parts(None),
            Route::Memory(Space::Current, None),
            Route::Notes,
        ];
        if event.alt_key()
            && app.stage.get_untracked() == Stage::Open
            && let Some(digit) = event.key().parse::<usize>().ok()
            && let Some(route) = VIEWS.get((digit + 9) % 10)
        {
            event.prevent_default();
            app.go(*route);
        }
    })
    .forget();
}

const THEME: &str = "dumplens.theme";

/// `dark`, `light`, or what the system prefers.
fn apply_theme(theme: Option<String>) {
    let Some(root) = document().document_element() else { return };
    let _ = match theme {
        Some(theme) => root.set_attribute("data-theme", &theme),
        None => root.remove_attribute("data-theme"),
    };
}

fn toggle_theme() {
    let system_dark =
        window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches());
    let now = document().document_element().and_then(|root| root.get_attribute("data-theme"));
    let dark = now.map_or(system_dark, |theme| theme == "dark");
    let theme = if dark { "light" } else { "dark" };
    let _ = LocalStorage::set(THEME, theme);
    apply_theme(Some(theme.into()));
}

/// Shows memory from an address on.
pub(crate) fn memory_link(address: Hex) -> String {
    Route::Memory(Space::Current, Some(address)).hash()
}
