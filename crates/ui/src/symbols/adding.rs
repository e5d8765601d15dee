//! One job of adding symbols: files, a folder, or what was kept.

use std::{cell::Cell, rc::Rc};

use dumplens_report::{
    model::SymbolStatus,
    protocol::{FailureKind, Progress, Reply},
    symbols::{SymbolNeed, WantedFile},
};
use leptos::prelude::*;
use web_sys::{AbortController, File};

use super::{
    Job,
    fetch::{self, Trouble},
    folder::{Folder, Walk},
    keep, keep_file, needs,
};
use crate::{
    app::{App, Stage},
    client::{self, CallError},
    state::{
        outcome::{Fate, Outcome, sentence, unmatched},
        wanted::Wanted,
    },
};

/// Files of a folder are looked for anew after images were added: an image names its PDB.
const MOST_ROUNDS: usize = 3;
/// Files that one wish fetches.
const MOST_FETCHED: usize = 100;
/// Results that the view lists.
const MOST_RESULTS: usize = 200;

/// One job at work.
pub(super) struct Adding {
    app: App,
    stop: Rc<Cell<bool>>,
    outcomes: Vec<Outcome>,
    /// Why a file could not be kept.
    trouble: Option<String>,
}

impl Adding {
    pub(super) const fn new(app: App, stop: Rc<Cell<bool>>) -> Self {
        Self { app, stop, outcomes: Vec::new(), trouble: None }
    }

    pub(super) async fn run(mut self, job: Job) {
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
            Job::Fetch(only) => self.fetch(only).await,
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

    /// Fetches one file, or what names the stack of the crash: for each module its files in turn, until it has all names.
    async fn fetch(&mut self, only: Option<WantedFile>) {
        let Some(server) = fetch::server() else { return };
        if let Some(file) = only {
            self.fetch_one(&server, &file).await;
            return;
        }
        let mut asked: Vec<String> = Vec::new();
        while asked.len() < MOST_FETCHED && !self.stop.get() {
            // Anew after each: an image names its PDB, and with a PDB the image is of no more use.
            let Some(needs) = self.needs().await else { return };
            let open = needs.iter().filter(|need| need.matters.is_some() && need.symbols != SymbolStatus::Loaded);
            let next = open.flat_map(|need| &need.files).find(|file| !asked.contains(&file.path));
            let Some(file) = next else { break };
            asked.push(file.path.clone());
            if !self.fetch_one(&server, file).await {
                break;
            }
        }
        if asked.is_empty() {
            self.app.toast.set(Some("There is nothing to fetch: what matters to this crash has its names.".into()));
        }
    }

    /// Fetches one file and adds it. Whether the server can be asked for more.
    async fn fetch_one(&mut self, server: &str, file: &WantedFile) -> bool {
        let Ok(abort) = AbortController::new() else { return false };
        let symbols = self.app.symbols;
        symbols.abort.set_value(Some(abort.clone()));
        let host = fetch::host(server);
        let told = |done, total| symbols.tell(format!("fetching {} from {host}", file.name), done, total);
        told(0, 0);
        let fetched = fetch::fetch(server, file, &abort, &self.stop, &told).await;
        symbols.abort.set_value(None);
        match fetched {
            Ok(fetched) => drop(self.add(&fetched, true).await),
            Err(Trouble::Absent) => self.told(&file.name, Fate::Absent(format!("{host} does not have {}", file.path))),
            Err(Trouble::File(why)) => self.told(&file.name, Fate::Refused(why)),
            Err(Trouble::Server(why)) => {
                self.told(&file.name, Fate::Refused(why));
                return false;
            }
            Err(Trouble::Cancelled) => return false,
        }
        true
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
            // What is kept in the browser or in this visit's list stays there.
            Ok(Reply::SymbolsAdded(added)) if added.again => {
                self.told(&name, Fate::Again(added.identity));
                Added::Yes
            }
            Ok(Reply::SymbolsAdded(added)) if added.modules.is_empty() => {
                self.told(&name, Fate::Unmatched(added.identity));
                Added::Yes
            }
            Ok(Reply::SymbolsAdded(added)) => {
                let module = added.modules.first().cloned();
                self.told(&name, Fate::Named(added.modules, added.identity));
                if let Some(module) = module.filter(|_| may_keep) {
                    if symbols.keeping.with_untracked(|keeping| keeping.is_on) {
                        self.trouble = keep_file(self.app, file, &module).await.err().or(self.trouble.take());
                    }
                    symbols.added.update_value(|added| added.push((file.clone(), module)));
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

    /// What the dump wants now.
    async fn needs(&self) -> Option<Vec<SymbolNeed>> {
        needs(self.app).await
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
