//! The stacks of all threads, those that are alike together, the most common first.

use std::collections::{BTreeMap, BTreeSet};

use dumplens_report::{
    StackGroup,
    model::{Process, Thread},
    protocol::{Reply, Request, StackOf},
};
use leptos::prelude::*;

use super::{Frames, Switch};
use crate::{
    app::App,
    load::List,
    state::{
        groups::{Line, Searched, brief, count, counted, matching, members},
        route::Route,
    },
    views::{
        lists::{Trouble, list},
        safe,
    },
};

/// Stacks that are drawn at first, and more at each request.
const PAGE: usize = 50;
/// Threads of one stack that are drawn at first, and more at each request.
const MOST_THREADS: usize = 100;

fn take(reply: Reply) -> Option<Vec<StackGroup>> {
    if let Reply::Stacks(groups) = reply { Some(groups) } else { None }
}

#[component]
pub(crate) fn AllView() -> impl IntoView {
    let app = expect_context::<App>();
    let load = move || app.stacks.load(app, Request::Stacks, take);
    // Symbols that are added name frames, and images change what is found: all is walked anew, and stays in sight meanwhile.
    Effect::new(move |before: Option<()>| {
        app.symbols.generation.track();
        match before {
            None => load(),
            Some(()) => app.stacks.reload(app, Request::Stacks, take),
        }
    });
    let stale = move || app.stacks.trouble().filter(|_| app.stacks.rows.with(Option::is_some));
    view! {
        <section class="stacks" data-testid="stacks">
            <div class="tools"><Switch/></div>
            {move || stale().map(|trouble| view! {
                <Trouble trouble again=Callback::new(move |()| app.stacks.reload(app, Request::Stacks, take))/>
            })}
            {list(app.stacks, load, move |groups| view! { <Groups groups/> }.into_any(), "The dump lists no threads.")}
        </section>
    }
}

/// Stacks that are shown whole, by id and object of their first thread: after a new walk they may stand elsewhere.
type Opened = RwSignal<BTreeSet<(u64, u64)>>;

#[component]
fn Groups(groups: Signal<Vec<StackGroup>>) -> impl IntoView {
    let app = expect_context::<App>();
    let opened = Opened::new(BTreeSet::new());
    let (filter, most) = (RwSignal::new(String::new()), RwSignal::new(PAGE));
    let searched = Memo::new(move |_| groups.with(|groups| groups.iter().map(Searched::of).collect::<Vec<_>>()));
    // What is searched is put together for the first filter: of very many stacks that takes a while.
    let shown = Memo::new(move |_| {
        let filter = filter.get();
        if filter.trim().is_empty() {
            return groups.with(|groups| (0..groups.len()).collect());
        }
        searched.with(|searched| matching(searched, &filter))
    });
    // The engine read processes and threads to walk the stacks: who owns a thread costs nothing more.
    app.load_processes();
    app.load_threads();
    let owners = Memo::new(move |_| owners(app.threads, app.processes));
    let rows = move || {
        let shown = shown.get();
        groups.with(|groups| {
            let rows = shown.iter().take(most.get()).filter_map(|index| groups.get(*index));
            rows.map(|group| view! { <Group group=group.clone() opened owners/> }).collect_view()
        })
    };
    let left = move || shown.with(Vec::len).saturating_sub(most.get());
    view! {
        <div class="tools">
            <input type="search" placeholder="Module, function or thread id" aria-label="Filter stacks" data-testid="stacks-filter"
                on:input=move |event| { filter.set(event_target_value(&event)); most.set(PAGE); }/>
            <span class="count" role="status" data-testid="stacks-count">
                {move || groups.with(|groups| shown.with(|shown| count(groups, shown)))}
            </span>
        </div>
        <ol class="groups" data-testid="stack-groups">{rows}</ol>
        {move || (left() > 0).then(|| view! {
            <p><button data-testid="more-stacks" on:click=move |_| most.update(|most| *most += PAGE)>
                {format!("Show {} of {} more", left().min(PAGE), left())}
            </button></p>
        })}
    }
}

/// Names of processes by the ids of their threads, as far as they were read.
fn owners(threads: List<Thread>, processes: List<Process>) -> BTreeMap<u64, String> {
    let names: BTreeMap<u64, String> = processes
        .rows
        .with(|rows| rows.iter().flatten().filter_map(|process| Some((process.id?, process.name.clone()?))).collect());
    let owner = |thread: &Thread| {
        let process = thread.process_id.and_then(|id| names.get(&id));
        Some((thread.id, thread.name.as_ref().or(process)?.clone()))
    };
    threads.rows.with(|rows| rows.iter().flatten().filter(|thread| thread.id != 0).filter_map(owner).collect())
}

/// One stack and the threads that have it.
#[component]
fn Group(group: StackGroup, opened: Opened, owners: Memo<BTreeMap<u64, String>>) -> impl IntoView {
    let key =
        members(&group).first().map_or((0, 0), |(id, _)| (*id, group.objects.first().map_or(0, |object| object.0)));
    let is_open = Memo::new(move |_| opened.with(|opened| opened.contains(&key)));
    let toggle = move |_| {
        opened.update(|opened| {
            if !opened.remove(&key) {
                opened.insert(key);
            }
        });
    };
    let lines = brief(&group.stack).into_iter().map(|line| match line {
        Line::Frame(text) => view! { <span class="line mono">{safe(&text)}</span> }.into_any(),
        Line::Gap(frames) => {
            view! { <span class="line dim">{format!("… {}", counted(frames, "frame"))}</span> }.into_any()
        }
    });
    let lines = lines.collect_view();
    let none = group.stack.frames.is_empty().then(|| view! { <span class="line dim">{safe(&group.stack.stop)}</span> });
    let size = group.threads.len();
    let group = StoredValue::new(group);
    view! {
        <li class="group-of">
            <button class="brief" aria-expanded=move || is_open.get().to_string() on:click=toggle>
                <span class="size">{counted(size, "thread")}</span>
                <span class="lines">{lines}{none}</span>
            </button>
            {move || is_open.get().then(|| view! {
                <div class="whole">
                    {(size > 1).then(|| view! { <p class="dim">{format!("Saved registers and stack addresses are those of thread {}.", key.0)}</p> })}
                    {group.with_value(|group| view! { <Members members=members(group) owners/> <Frames stack=group.stack.clone()/> })}
                </div>
            })}
        </li>
    }
}

/// The threads of a stack, each leading to its own.
#[component]
fn Members(members: Vec<(u64, StackOf)>, owners: Memo<BTreeMap<u64, String>>) -> impl IntoView {
    let most = RwSignal::new(MOST_THREADS);
    let total = members.len();
    let links = move || {
        owners.with(|owners| {
            let link = |(id, of): &(u64, _)| {
                let owner = owners.get(id).map(|name| view! { <span class="dim">" "{safe(name)}</span> });
                view! { <li><a class="mono" href=Route::Stack(*of).hash()>{*id}</a>{owner}</li> }
            };
            members.iter().take(most.get()).map(link).collect_view()
        })
    };
    let left = move || total.saturating_sub(most.get());
    view! {
        <ul class="members-of" aria-label="Threads" data-testid="stack-members">
            {links}
            {move || (left() > 0).then(|| view! {
                <li><button class="quiet" on:click=move |_| most.update(|most| *most += MOST_THREADS)>{left()} " more"</button></li>
            })}
        </ul>
    }
}
