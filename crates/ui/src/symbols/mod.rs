//! Symbol files on their way into the open dump: one thing after the other, with progress and cancel; afterwards all that
//! is shown is read anew, in place.

pub(crate) mod folder;
pub(crate) mod keep;
mod remember;
pub(crate) mod take;

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use dumplens_report::{
    model::SymbolStatus,
    protocol::{FailureKind, Progress, Reply, Request, RequestId},
    symbols::SymbolNeed,
};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

use crate::{
    app::{App, Stage},
    client::{self, CallError},
    load::List,
    state::{
        outcome::{Fate, Outcome, sentence, unmatched},
        wanted::Wanted,
    },
};

use folder::{Folder, Walk};

/// Files of a folder are looked for anew after images were added: an image names its PDB.
const MOST_ROUNDS: usize = 3;
/// Results that the view lists.
const MOST_RESULTS: usize = 200;

/// Something to be added.
#[derive(Clone)]
pub(crate) enum Job {
    /// Files; whether an archive without symbols may be a dump that was dropped.
    Files(Vec<File>, bool),
    /// What is wanted of a folder.
    Folder(Folder),
    /// What was kept for this dump.
    Kept,
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
    jobs: StoredValue<VecDeque<Job>, LocalStorage>,
    /// Set to end what is going on.
    stop: StoredValue<Rc<Cell<bool>>, LocalStorage>,
    request: StoredValue<Option<RequestId>>,
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
            jobs: StoredValue::new_local(VecDeque::new()),
            stop: StoredValue::new_local(Rc::default()),
            request: StoredValue::new(None),
        }
    }

    /// Drops what belonged to the dump before. Files that wait for the next one stay.
    pub(crate) fn forget(self) {
        self.cancel();
        self.needs.clear();
        self.results.set(Vec::new());
    }

    /// Ends what is going on; what was added stays.
    pub(crate) fn cancel(self) {
        self.jobs.update_value(VecDeque::clear);
        self.stop.with_value(|stop| stop.set(true));
        if let Some(id) = self.request.get_value() {
            client::cancel(id);
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
                Adding { app: self, stop, outcomes: Vec::new(), trouble: None }.run(job).await;
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

async fn ask(request: Request) -> Result<Reply, CallError> {
    client::answer(|answer| client::call(request, answer)).await
}

fn needs_of(reply: Reply) -> Option<Vec<SymbolNeed>> {
    if let Reply::Symbols(needs) = reply { Some(needs) } else { None }
}

/// One job at work.
struct Adding {
    app: App,
    stop: Rc<Cell<bool>>,
    outcomes: Vec<Outcome>,
    /// Why a file could not be kept.
    trouble: Option<String>,
}

impl Adding {
    async fn run(mut self, job: Job) {
        let quiet = matches!(job, Job::Kept);
        match job {
            Job::Files(files, may_be_dump) => {
                let count = files.len() as u64;
                for (number, file) in files.into_iter().enumerate() {
                    if self.stop.get() {
                        break;
                    }
                    self.app.symbols.tell(format!("Adding {}", file.name()), number as u64, count);
                    if self.add(&file, true).await == Added::NoSymbols && may_be_dump {
                        return self.app.open(file);
                    }
                }
            }
            Job::Folder(folder) => self.folder(&folder).await,
            Job::Kept => self.kept().await,
        }
        self.finish(quiet).await;
    }

    /// Adds what was kept; once more for what the added images want.
    async fn kept(&mut self) {
        let mut offered: Vec<(String, String)> = Vec::new();
        for _ in 0..MOST_ROUNDS {
            let Some(needs) = self.needs().await else { return };
            let before = offered.len();
            for (path, file) in keep::wanted(&needs).await {
                let key = (path, file.name());
                if self.stop.get() || offered.contains(&key) {
                    continue;
                }
                self.add(&file, false).await;
                offered.push(key);
            }
            if offered.len() == before {
                break;
            }
        }
    }

    /// Looks a folder through and adds what is wanted; once more for what the added images want.
    async fn folder(&mut self, folder: &Folder) {
        let mut offered: Vec<String> = Vec::new();
        let mut found_any = false;
        for _ in 0..MOST_ROUNDS {
            let Some(needs) = self.needs().await else { return };
            let symbols = self.app.symbols;
            let told = move |looked: u32| {
                symbols.tell(format!("Searching the folder: {looked} names seen"), 0, 0);
            };
            let walk = Walk::new(Wanted::of(&needs), Rc::clone(&self.stop));
            let found = match walk.run(folder, &told).await {
                Ok(found) => found,
                Err(message) => {
                    self.app.toast.set(Some(message));
                    return;
                }
            };
            let cut = found.cut;
            let new: Vec<_> = found.files.into_iter().filter(|file| !offered.contains(&file.path)).collect();
            if new.is_empty() || self.stop.get() {
                break;
            }
            found_any = true;
            let count = new.len() as u64;
            for (number, file) in new.into_iter().enumerate() {
                if self.stop.get() {
                    break;
                }
                symbols.tell(format!("Adding {}", file.path), number as u64, count);
                offered.push(file.path.clone());
                match file.open().await {
                    Ok(file) => drop(self.add(&file, true).await),
                    Err(why) => self.told(&file.path, Fate::Refused(why)),
                }
            }
            if cut {
                break;
            }
        }
        if !found_any && !self.stop.get() {
            self.app.toast.set(Some(format!("No file that this dump wants is in the folder {}.", folder.name())));
        }
    }

    fn told(&mut self, name: &str, result: Fate) {
        self.outcomes.push(Outcome { name: name.into(), result });
    }

    /// Adds one file, and keeps it if that is wished.
    async fn add(&mut self, file: &File, may_keep: bool) -> Added {
        let symbols = self.app.symbols;
        let told = move |progress: Progress| symbols.tell(progress.phase, progress.done, progress.total);
        let answer = client::answer(|answer| {
            let id = client::add_symbols(file, Box::new(told), answer);
            symbols.request.set_value(Some(id));
            id
        });
        let answer = answer.await;
        symbols.request.set_value(None);
        let name = file.name();
        match answer {
            Ok(Reply::SymbolsAdded(added)) if added.modules.is_empty() => {
                self.told(&name, Fate::Unmatched(added.identity));
                Added::Yes
            }
            Ok(Reply::SymbolsAdded(added)) => {
                let module = added.modules.first().cloned();
                self.told(&name, Fate::Named(added.modules, added.identity));
                let keeps = may_keep && symbols.keeping.with_untracked(|keeping| keeping.is_on);
                if let Some(module) = module.filter(|_| keeps) {
                    self.keep(file, &module).await;
                }
                Added::Yes
            }
            Err(CallError::Failed(message, kind)) => {
                self.told(&name, Fate::Refused(message));
                if kind == FailureKind::NotFound { Added::NoSymbols } else { Added::No }
            }
            Ok(_) => Added::No,
            Err(CallError::Cancelled | CallError::Crashed) => {
                self.stop.set(true);
                Added::No
            }
        }
    }

    async fn keep(&mut self, file: &File, module: &str) {
        let Some(needs) = self.needs().await else { return };
        let place = needs.iter().find(|need| need.module == module).and_then(|need| Wanted::place(need, &file.name()));
        let Some(place) = place else { return };
        if let Err(trouble) = keep::store(file, &place).await {
            self.trouble = Some(trouble);
        }
        self.app.symbols.keeping.set(keep::look().await);
    }

    /// What the dump wants now.
    async fn needs(&self) -> Option<Vec<SymbolNeed>> {
        let needs = needs_of(ask(Request::Symbols).await.ok()?)?;
        self.app.symbols.needs.replace(needs.clone());
        Some(needs)
    }

    /// Reads anew what is shown, and says what came of it.
    async fn finish(mut self, quiet: bool) {
        let app = self.app;
        if self.outcomes.is_empty() || app.stage.get_untracked() != Stage::Open {
            return;
        }
        let Some(needs) = self.needs().await else { return };
        app.refresh().await;
        // An image can make sense of a PDB that was added before: only now is it clear which files belong nowhere.
        let earlier = app.symbols.results.get_untracked();
        let is_named = |outcome: &&Outcome| matches!(outcome.result, Fate::Named(..));
        let named: Vec<String> =
            self.outcomes.iter().chain(&earlier).filter(is_named).map(|outcome| outcome.name.to_lowercase()).collect();
        for outcome in &mut self.outcomes {
            if let Fate::Unmatched(identity) = &outcome.result {
                let name = outcome.name.to_lowercase();
                // The engine says by name which file a module's names are from; of two that are called alike, the other is.
                let used = needs.iter().filter(|_| !named.contains(&name)).find(|need| {
                    need.symbols != SymbolStatus::Mismatched
                        && need.reason.as_ref().is_some_and(|reason| reason.to_lowercase().contains(&name))
                });
                outcome.result = match used {
                    Some(need) => Fate::Named(vec![need.module.clone()], identity.clone()),
                    None => Fate::Unmatched(unmatched(&outcome.name, identity, &needs)),
                };
            }
        }
        if !quiet || self.outcomes.iter().any(|outcome| matches!(outcome.result, Fate::Named(..))) {
            let said = [Some(sentence(&self.outcomes)), self.trouble.take()];
            app.toast.set(Some(said.into_iter().flatten().collect::<Vec<_>>().join(" ")));
        }
        app.symbols.results.update(|results| {
            results.splice(0..0, self.outcomes);
            results.truncate(MOST_RESULTS);
        });
    }
}

/// What came of one file, for who offered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    Yes,
    No,
    /// It is an archive in which there are no symbol files.
    NoSymbols,
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
