//! The search for captured memory, request by request, with a pause when it takes long.

use dumplens_report::{
    Hex,
    protocol::{Reply, Request, Space},
};
use leptos::prelude::*;

use super::Target;
use crate::{
    client::{self, CallError},
    state::search::{Outcome, Search},
};

type OnFound = StoredValue<Option<Callback<Option<Hex>>>>;

/// How far a search is.
#[derive(Clone, Debug)]
enum State {
    Idle,
    Running,
    Paused(Space, Search, Hex),
}

/// At most one search at a time.
#[derive(Clone, Copy)]
pub(super) struct Seeker {
    target: Target,
    state: RwSignal<State>,
    /// Number of the latest search: answers to those before are not heard.
    latest: StoredValue<u32>,
    found: OnFound,
}

impl Seeker {
    /// `target` hears why a search cannot be made.
    pub(super) fn new(target: Target) -> Self {
        let (latest, found) = (StoredValue::new(0), StoredValue::new(None));
        Self { target, state: RwSignal::new(State::Idle), latest, found }
    }

    pub(super) fn stop(self) {
        self.latest.try_update_value(|latest| *latest += 1);
        self.state.try_set(State::Idle);
    }

    /// Searches; `found` hears where, or that there is nothing.
    pub(super) fn start(self, space: Space, search: Search, found: impl Fn(Option<Hex>) + Send + Sync + 'static) {
        self.stop();
        self.found.set_value(Some(Callback::new(found)));
        self.ask(space, search);
    }

    fn ask(self, space: Space, mut search: Search) {
        let Some(number) = self.latest.try_get_value() else { return };
        self.state.try_set(State::Running);
        let (from, count) = search.request();
        client::call(Request::Regions { space, from, count }, move |result| {
            // The view may be gone, or another search running.
            if self.latest.try_get_value() != Some(number) {
                return;
            }
            let outcome = match result {
                Ok(Reply::Regions(regions)) => search.take(&regions),
                Err(CallError::Failed(message, _)) => {
                    self.stop();
                    self.target.try_set(Some(Err(message)));
                    return;
                }
                _ => return self.stop(),
            };
            let end = match outcome {
                Outcome::Ask => return self.ask(space, search),
                Outcome::Pause(at) => {
                    self.state.try_set(State::Paused(space, search, at));
                    return;
                }
                Outcome::Found(start) => Some(start),
                Outcome::Nothing => None,
            };
            self.stop();
            if let Some(Some(found)) = self.found.try_get_value() {
                found.run(end);
            }
        });
    }
}

/// Says that a search takes long, and lets the reader go on or give up.
#[component]
pub(super) fn Bar(seeker: Seeker) -> impl IntoView {
    move || match seeker.state.get() {
        State::Idle => ().into_any(),
        State::Running => view! {
            <p class="seek late" role="status" data-testid="seeking">
                <span>"Searching…"</span>
                <button on:click=move |_| seeker.stop()>"Stop"</button>
            </p>
        }
        .into_any(),
        State::Paused(space, search, at) => view! {
            <p class="seek" role="status" data-testid="seek-paused">
                <span>"Nothing captured as far as " <span class="mono">{at.to_string()}</span> "."</span>
                <button on:click=move |_| seeker.ask(space, search.clone()) data-testid="seek-on">"Search on"</button>
                <button class="quiet" on:click=move |_| seeker.stop()>"Stop"</button>
            </p>
        }
        .into_any(),
    }
}
