//! Lists that are read when they are first shown. Reading may take long: it shows how far it is and can be cancelled.

use std::{cell::Cell, rc::Rc};

use dumplens_report::protocol::{Reply, Request, RequestId};
use leptos::prelude::*;

use crate::{
    app::App,
    client::{self, CallError},
};

/// How far a list is.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Nobody asked for it.
    Idle,
    /// It is being read.
    Reading,
    /// It was read, or it was not, and this is why.
    Ended(Option<String>),
}

/// A list of the open dump.
pub(crate) struct List<T: 'static> {
    pub(crate) rows: RwSignal<Option<Vec<T>>>,
    stage: RwSignal<Stage>,
    /// How often it was asked for: answers to all but the last are not heard.
    asked: StoredValue<u32>,
    request: StoredValue<Option<RequestId>>,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<T> {}

impl<T: Clone + Send + Sync + 'static> List<T> {
    pub(crate) fn new() -> Self {
        let (asked, request) = (StoredValue::new(0), StoredValue::new(None));
        Self { rows: RwSignal::new(None), stage: RwSignal::new(Stage::Idle), asked, request }
    }

    /// Forgets the rows of the dump before.
    pub(crate) fn clear(self) {
        self.give_up();
        self.rows.set(None);
        self.stage.set(Stage::Idle);
    }

    /// Puts other rows in the place of those that are there.
    pub(crate) fn replace(self, rows: Vec<T>) {
        self.rows.set(Some(rows));
        self.stage.set(Stage::Ended(None));
    }

    /// Number of rows, once they are known.
    pub(crate) fn count(self) -> Option<usize> {
        self.rows.with(|rows| rows.as_ref().map(Vec::len))
    }

    /// Whether reading ended, with the rows or without.
    pub(crate) fn ended(self) -> bool {
        self.rows.with(Option::is_some) || matches!(self.stage.get(), Stage::Ended(_))
    }

    /// Why reading ended without rows.
    pub(crate) fn trouble(self) -> Option<String> {
        match self.stage.get() {
            Stage::Ended(trouble) => trouble,
            _ => None,
        }
    }

    /// Asks for the rows unless they are there or on their way.
    pub(crate) fn load(self, app: App, request: Request, take: impl Fn(Reply) -> Option<Vec<T>> + 'static) {
        if self.rows.with_untracked(Option::is_some) || self.stage.get_untracked() == Stage::Reading {
            return;
        }
        self.read(app, request, take);
    }

    /// Asks for the rows anew, if they are there or on their way; those that are there stay in sight meanwhile.
    pub(crate) fn reload(self, app: App, request: Request, take: impl Fn(Reply) -> Option<Vec<T>> + 'static) {
        if self.rows.with_untracked(Option::is_some) || self.stage.get_untracked() == Stage::Reading {
            self.give_up();
            self.read(app, request, take);
        }
    }

    /// Lets go of what is being read.
    fn give_up(self) {
        self.asked.update_value(|asked| *asked = asked.wrapping_add(1));
        if let Some(id) = self.request.get_value() {
            client::cancel(id);
        }
    }

    fn read(self, app: App, request: Request, take: impl Fn(Reply) -> Option<Vec<T>> + 'static) {
        self.stage.set(Stage::Reading);
        let number = self.asked.get_value();
        let id = app.ask(request, move |result| {
            if self.asked.get_value() != number {
                return;
            }
            let end = match result {
                Ok(reply) => {
                    self.rows.set(take(reply));
                    None
                }
                Err(CallError::Failed(message, _)) => Some(message),
                Err(CallError::Cancelled) => Some("Reading was cancelled.".into()),
                Err(CallError::Crashed) => Some("The engine stopped before the list was read.".into()),
            };
            self.stage.set(Stage::Ended(end));
        });
        self.request.set_value(Some(id));
    }
}

impl App {
    /// Asks for something that may take long: the bar below the header shows how far it is, with a button to cancel.
    pub(crate) fn ask(self, request: Request, answer: impl FnOnce(Result<Reply, CallError>) + 'static) -> RequestId {
        let number: Rc<Cell<RequestId>> = Rc::default();
        let told = Rc::clone(&number);
        let ended = Rc::clone(&number);
        let id = client::call_long(
            request,
            move |progress| self.progress.set(Some((told.get(), progress))),
            move |result| {
                // Another request may have taken the bar over.
                self.progress.update(|shown| {
                    if shown.as_ref().is_some_and(|(id, _)| *id == ended.get()) {
                        *shown = None;
                    }
                });
                answer(result);
            },
        );
        number.set(id);
        id
    }

    /// Reads the processes, if that was not done yet.
    pub(crate) fn load_processes(self) {
        self.processes.load(self, Request::Processes, |reply| match reply {
            Reply::Processes(rows) => Some(rows),
            _ => None,
        });
    }

    /// Reads the threads, if that was not done yet.
    pub(crate) fn load_threads(self) {
        self.threads.load(self, Request::Threads, |reply| match reply {
            Reply::Threads(rows) => Some(rows),
            _ => None,
        });
    }

    /// Reads the places where registers were saved, if that was not done yet.
    pub(crate) fn load_contexts(self) {
        self.contexts.load(self, Request::Contexts, |reply| match reply {
            Reply::Contexts(rows) => Some(rows),
            _ => None,
        });
    }
}
