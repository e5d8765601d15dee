//! Symbol files on their way into the open dump: one thing after the other, with progress and cancel; afterwards all that
//! is shown is read anew, in place.

mod adding;
pub(crate) mod fetch;
pub(crate) mod folder;
pub(crate) mod keep;
mod remember;
pub(crate) mod take;

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use dumplens_report::{
    protocol::{Reply, Request, RequestId},
    symbols::{SymbolNeed, WantedFile},
};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{AbortController, File};

use crate::{
    app::App,
    client::{self, CallError},
    load::List,
    state::{outcome::Outcome, route::Route, wanted::Wanted},
};

use adding::Adding;
use folder::Folder;

/// Something to be added.
#[derive(Clone)]
pub(crate) enum Job {
    /// Files; whether an archive without symbols may be a dump that was dropped.
    Files(Vec<File>, bool),
    /// What is wanted of a folder.
    Folder(Folder),
    /// What was kept for this dump.
    Kept,
    /// From the server: this file, or all that the crash's stack wants.
    Fetch(Option<WantedFile>),
}

/// What is being done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Busy {
    pub(crate) text: String,
    pub(crate) done: u64,
    /// 0 if it is not known.
    pub(crate) total: u64,
}

/// What the page knows of symbols.
#[derive(Clone, Copy)]
pub(crate) struct Symbols {
    /// What the dump wants.
    pub(crate) needs: List<SymbolNeed>,
    /// Counts additions, for views that ask for themselves.
    pub(crate) generation: RwSignal<u32>,
    pub(crate) busy: RwSignal<Option<Busy>>,
    /// What came of the files that were offered, newest first.
    pub(crate) results: RwSignal<Vec<Outcome>>,
    /// Names of files that wait for a dump.
    pub(crate) waiting: RwSignal<Vec<String>>,
    pub(crate) keeping: RwSignal<keep::Keeping>,
    /// Name of the folder that is remembered from visit to visit.
    pub(crate) remembered: RwSignal<Option<String>>,
    files: StoredValue<Vec<File>, LocalStorage>,
    /// Files that named modules of this dump, each with one of them, to be kept if that is wished later.
    added: StoredValue<Vec<(File, String)>, LocalStorage>,
    jobs: StoredValue<VecDeque<Job>, LocalStorage>,
    /// Set to end what is going on.
    stop: StoredValue<Rc<Cell<bool>>, LocalStorage>,
    request: StoredValue<Option<RequestId>>,
    /// Ends what is being fetched.
    abort: StoredValue<Option<AbortController>, LocalStorage>,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        Self {
            needs: List::new(),
            generation: RwSignal::new(0),
            busy: RwSignal::new(None),
            results: RwSignal::new(Vec::new()),
            waiting: RwSignal::new(Vec::new()),
            keeping: RwSignal::new(keep::Keeping::default()),
            remembered: RwSignal::new(None),
            files: StoredValue::new_local(Vec::new()),
            added: StoredValue::new_local(Vec::new()),
            jobs: StoredValue::new_local(VecDeque::new()),
            stop: StoredValue::new_local(Rc::default()),
            request: StoredValue::new(None),
            abort: StoredValue::new_local(None),
        }
    }

    /// Drops what belonged to the dump before. Files that wait for the next one stay.
    pub(crate) fn forget(self) {
        self.cancel();
        self.needs.clear();
        self.results.set(Vec::new());
        self.added.set_value(Vec::new());
    }

    /// Ends what is going on; what was added stays.
    pub(crate) fn cancel(self) {
        self.jobs.update_value(VecDeque::clear);
        self.stop.with_value(|stop| stop.set(true));
        if let Some(id) = self.request.get_value() {
            client::cancel(id);
        }
        if let Some(abort) = self.abort.get_value() {
            abort.abort();
        }
    }

    /// Keeps files until a dump is open.
    pub(crate) fn wait(self, files: Vec<File>) {
        self.waiting.update(|names| names.extend(files.iter().map(File::name)));
        self.files.update_value(|waiting| waiting.extend(files));
    }

    /// Forgets the files that wait.
    pub(crate) fn drop_waiting(self) {
        self.waiting.set(Vec::new());
        self.files.set_value(Vec::new());
    }

    fn tell(self, text: impl Into<String>, done: u64, total: u64) {
        self.busy.set(Some(Busy { text: text.into(), done, total }));
    }
}

impl App {
    /// Reads what the dump wants, if that was not done yet.
    pub(crate) fn load_needs(self) {
        self.symbols.needs.load(self, Request::Symbols, needs_of);
    }

    /// A dump was opened: what waited for it, and what was kept for it, is added.
    pub(crate) fn symbols_wanted(self) {
        let files = self.symbols.files.get_value();
        self.symbols.drop_waiting();
        if self.symbols.keeping.with_untracked(|keeping| keeping.is_on) {
            self.add_symbols(Job::Kept);
        }
        if !files.is_empty() {
            self.add_symbols(Job::Files(files, false));
        }
    }

    /// Adds something behind what is being added.
    pub(crate) fn add_symbols(self, job: Job) {
        let symbols = self.symbols;
        symbols.jobs.update_value(|jobs| jobs.push_back(job));
        if symbols.busy.with_untracked(Option::is_some) {
            return;
        }
        symbols.tell("Adding symbols", 0, 0);
        spawn_local(async move {
            loop {
                let next = symbols.jobs.try_update_value(VecDeque::pop_front).flatten();
                let Some(job) = next else { break };
                let stop = Rc::<Cell<bool>>::default();
                symbols.stop.set_value(Rc::clone(&stop));
                Adding::new(self, stop).run(job).await;
            }
            symbols.busy.set(None);
        });
    }
}

impl App {
    /// Reads anew what is shown and depends on symbols; all of it changes in place.
    async fn refresh(self) {
        if let Ok(Reply::Summary(summary)) = ask(Request::Summary).await {
            keep_scroll();
            self.summary.set(Some(*summary));
        }
        if self.modules.rows.with_untracked(Option::is_some)
            && let Ok(Reply::Modules(rows)) = ask(Request::Modules).await
        {
            self.modules.replace(rows);
        }
        if self.threads.rows.with_untracked(Option::is_some)
            && let Ok(Reply::Threads(rows)) = ask(Request::Threads).await
        {
            self.threads.replace(rows);
        }
        if self.contexts.rows.with_untracked(Option::is_some)
            && let Ok(Reply::Contexts(rows)) = ask(Request::Contexts).await
        {
            self.contexts.replace(rows);
        }
        // Walking all stacks takes long: only what is in sight is worth it, and the view asks for that itself.
        if self.route.get_untracked() != Route::Stacks {
            self.stacks.clear();
        }
        self.symbols.generation.update(|count| *count = count.wrapping_add(1));
    }

    /// Uses a file for a module although it does not match, or stops doing so.
    pub(crate) fn force_symbols(self, module: String, file: Option<String>) {
        spawn_local(async move {
            // A need names its module; the engine goes by address.
            let base = match ask(Request::Modules).await {
                Ok(Reply::Modules(rows)) => rows.into_iter().find(|row| row.name == module).map(|row| row.base),
                _ => None,
            };
            let Some(base) = base else { return };
            match ask(Request::ForceSymbols { module: base, file }).await {
                Ok(Reply::Symbols(needs)) => {
                    self.symbols.needs.replace(needs);
                    self.refresh().await;
                }
                Err(CallError::Failed(message, _)) => self.toast.set(Some(message)),
                _ => {}
            }
        });
    }
}

/// What the dump wants now.
async fn needs(app: App) -> Option<Vec<SymbolNeed>> {
    let needs = needs_of(ask(Request::Symbols).await.ok()?)?;
    app.symbols.needs.replace(needs.clone());
    Some(needs)
}

/// Keeps a file where the next dump of that build looks for it.
async fn keep_file(app: App, file: &File, module: &str) -> Result<(), String> {
    let needs = needs(app).await.unwrap_or_default();
    let place = needs.iter().find(|need| need.module == module).and_then(|need| Wanted::place(need, &file.name()));
    let Some(place) = place else { return Ok(()) };
    let stored = keep::store(file, &place).await;
    app.symbols.keeping.set(keep::look().await);
    stored
}

/// Keeps what was added before that was wished.
async fn keep_added(app: App) {
    for (file, module) in app.symbols.added.get_value() {
        if let Err(trouble) = keep_file(app, &file, &module).await {
            app.toast.set(Some(trouble));
            return;
        }
    }
}

async fn ask(request: Request) -> Result<Reply, CallError> {
    client::answer(|answer| client::call(request, answer)).await
}

fn needs_of(reply: Reply) -> Option<Vec<SymbolNeed>> {
    if let Reply::Symbols(needs) = reply { Some(needs) } else { None }
}

/// Puts the view back to where it was scrolled, once it was drawn anew.
fn keep_scroll() {
    let view = || document().query_selector(".view").ok().flatten();
    let top = view().map_or(0, |view| view.scroll_top());
    request_animation_frame(move || {
        if let Some(view) = view().filter(|view| view.scroll_top() != top) {
            view.set_scroll_top(top);
        }
    });
}
