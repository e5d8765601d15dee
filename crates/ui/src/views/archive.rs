//! Opening a file: how far it is, and the members of an archive where one must be chosen.

use dumplens_report::{
    protocol::{ArchiveListing, ArchiveMember, Progress, Reply, RequestId},
    text,
};
use leptos::prelude::*;

use crate::{
    app::{App, Stage},
    client::{self, CallError, OnAnswer, OnProgress},
    views::safe,
};

/// Rows in the document at once; with more, the filter leads on.
const MOST_ROWS: usize = 200;
/// Members from which on a filter is of use.
const FILTER_FROM: usize = 12;

/// The archive that was opened last, where a member must be chosen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenedArchive {
    /// The file's name.
    name: String,
    listing: ArchiveListing,
    /// The member that could not be opened, and why.
    trouble: Option<(String, String)>,
}

/// What is being opened: the request, and how far it is once the engine has said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InProgress {
    id: RequestId,
    progress: Option<Progress>,
    /// Whether the engine has been asked to stop.
    cancelled: bool,
}

/// The page's hold on what is being opened.
#[derive(Clone, Copy)]
pub(crate) struct Opener {
    pub(crate) archive: RwSignal<Option<OpenedArchive>>,
    now: RwSignal<Option<InProgress>>,
    /// Counts what was asked to be opened: only the last of it decides what is shown.
    turn: StoredValue<u32>,
}

impl Opener {
    pub(crate) fn new() -> Self {
        Self { archive: RwSignal::new(None), now: RwSignal::new(None), turn: StoredValue::new(0) }
    }
}

/// Opens what `send` asks for and shows what comes of it.
pub(crate) fn open(app: App, name: String, send: impl FnOnce(OnProgress, OnAnswer) -> RequestId) {
    let Opener { archive, now, turn } = app.opener;
    turn.update_value(|turn| *turn = turn.wrapping_add(1));
    let mine = turn.get_value();
    app.crash.set(None);
    app.stage.set(Stage::Opening(name.clone()));
    let told = move |progress| {
        if turn.get_value() == mine {
            now.update(|now| {
                if let Some(now) = now {
                    now.progress = Some(progress);
                }
            });
        }
    };
    let answered = move |result| {
        if turn.get_value() != mine {
            return;
        }
        now.set(None);
        app.forget();
        match result {
            Ok(Reply::Summary(summary)) => {
                let title = summary.dump.file_name.as_deref().map_or_else(|| name.clone(), safe);
                document().set_title(&format!("{title} – Dumplens"));
                app.summary.set(Some(*summary));
                app.stage.set(Stage::Open);
                app.symbols_wanted();
            }
            Ok(Reply::Archive(listing)) => {
                archive.set(Some(OpenedArchive { name, listing, trouble: None }));
                app.stage.set(Stage::Listing);
            }
            Ok(_) => app.stage.set(Stage::Refused(name, "the engine gave another answer than was asked for".into())),
            Err(CallError::Failed(message, _)) if archive.with_untracked(Option::is_some) => {
                archive.update(|archive| {
                    if let Some(archive) = archive {
                        archive.trouble = Some((name, message));
                    }
                });
                app.stage.set(Stage::Listing);
            }
            Err(CallError::Failed(message, _)) => app.stage.set(Stage::Refused(name, message)),
            Err(CallError::Cancelled) if archive.with_untracked(Option::is_some) => app.stage.set(Stage::Listing),
            Err(CallError::Cancelled | CallError::Crashed) => app.stage.set(Stage::Landing),
        }
    };
    let id = send(Box::new(told), Box::new(answered));
    // If sending failed, the answer has been given.
    if app.stage.with_untracked(|stage| matches!(stage, Stage::Opening(_))) {
        now.set(Some(InProgress { id, progress: None, cancelled: false }));
    }
}

fn open_member(app: App, member: &ArchiveMember) {
    let number = member.index;
    app.opener.archive.update(|archive| {
        if let Some(archive) = archive {
            archive.trouble = None;
        }
    });
    open(app, member.name.clone(), move |progress, answer| client::open_member(number, progress, answer));
}

/// Unpacking goes in steps and hears a cancel. Before and after that, and if it was not heard, the only way to interrupt is
/// to end the worker, which forgets the archive with it.
fn give_up(app: App) {
    match app.opener.now.get_untracked() {
        Some(InProgress { id, progress: Some(_), cancelled: false }) => {
            app.opener.now.update(|now| {
                if let Some(now) = now {
                    now.cancelled = true;
                }
            });
            client::cancel(id);
        }
        _ => {
            app.opener.archive.set(None);
            client::abandon();
        }
    }
}

/// What is shown until the file is open.
#[component]
pub(crate) fn Opening(name: String) -> impl IntoView {
    let app = expect_context::<App>();
    let progress = Memo::new(move |_| app.opener.now.get().and_then(|now| now.progress));
    view! {
        <section class="opening">
            <p class="busy" role="status">
                "Opening " {safe(&name)} "… "
                <button on:click=move |_| give_up(app) data-testid="cancel-open">"Cancel"</button>
            </p>
            {move || progress.get().map(|Progress { phase, done, total }| {
                let of = if total > 0 { format!(" of {}", text::size(total)) } else { String::new() };
                // Without a total the bar only says that something goes on.
                let max = if total > 0 { total } else { 1 };
                view! {
                    <div class="strip" data-testid="unpacking">
                        <span class="break">{safe(&phase)} ": " {text::size(done)} {of}</span>
                        <progress max=max value=(total > 0).then_some(done) aria-label="Unpacking"></progress>
                    </div>
                }
            })}
        </section>
    }
}

/// The way from a dump back to the archive it came from.
#[component]
pub(crate) fn BackToArchive() -> impl IntoView {
    let app = expect_context::<App>();
    let shown = move || app.stage.get() == Stage::Open && app.opener.archive.with(Option::is_some);
    move || {
        shown().then(|| {
            view! {
                <button class="quiet" on:click=move |_| app.stage.set(Stage::Listing) data-testid="show-archive"
                    title="Show the other files in the archive">"Archive"</button>
            }
        })
    }
}

/// The members of an archive.
#[component]
pub(crate) fn Listing() -> impl IntoView {
    let app = expect_context::<App>();
    let Some(OpenedArchive { name, listing, trouble }) = app.opener.archive.get_untracked() else {
        return ().into_any();
    };
    let filter = RwSignal::new(String::new());
    let count = listing.members.len();
    let more = if listing.is_cut { ", and more that are not listed" } else { "" };
    let format = listing.format;
    let members = StoredValue::new(listing.members);
    let matching = move || {
        let wanted = filter.get().to_lowercase();
        members.with_value(|members| {
            let matching = |member: &&ArchiveMember| member.name.to_lowercase().contains(&wanted);
            members.iter().filter(matching).cloned().collect::<Vec<_>>()
        })
    };
    let rows = move || {
        let matching = matching();
        let omitted = matching.len().saturating_sub(MOST_ROWS);
        let rows = matching.into_iter().take(MOST_ROWS).map(row).collect_view();
        let omitted = (omitted > 0).then(|| {
            view! { <tr><td></td><td class="dim" colspan="4">{format!("and {omitted} more; filter to see them")}</td></tr> }
        });
        view! { {rows} {omitted} }
    };
    view! {
        <section class="archive" data-testid="archive">
            <h1 class="break">{safe(&name)}</h1>
            <p class="dim">
                {format!("This {format} holds {count} files{more}. Open the one you want to see; only that one is unpacked.")}
            </p>
            {trouble.map(|(member, message)| view! {
                <div class="panel warn" role="alert" data-testid="member-refused">
                    <h2 class="break">{safe(&member)} " cannot be opened"</h2>
                    <p class="break">{safe(&message)}</p>
                </div>
            })}
            <div class="tools">
                {(count >= FILTER_FROM).then(|| view! {
                    <input type="search" placeholder="Filter" aria-label="Filter files" data-testid="members-filter"
                        on:input=move |event| filter.set(event_target_value(&event))/>
                })}
                {app.summary.with_untracked(Option::is_some).then(|| view! {
                    <button on:click=move |_| app.stage.set(Stage::Open) data-testid="back-to-dump">"Back to the open dump"</button>
                })}
            </div>
            <div class="panel scroll">
                <table class="plain members" data-testid="members">
                    <thead><tr>
                        <th scope="col"><span class="unseen">"Action"</span></th>
                        <th scope="col">"Name"</th>
                        <th scope="col" class="number">"Size"</th>
                        <th scope="col" class="number">"Packed"</th>
                        <th scope="col">"Method"</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(member: ArchiveMember) -> impl IntoView {
    let app = expect_context::<App>();
    let name = if member.name.is_empty() { "(no name)".into() } else { safe(&member.name) };
    let size = member.size.map_or_else(|| "not known".into(), text::size);
    let packed = text::size(member.compressed_size);
    let method = safe(&member.method);
    let problem = member.problem.clone();
    let (label, id) = (format!("Open {name}"), format!("open-member-{}", member.index));
    view! {
        <tr>
            <td><button class="primary" aria-label=label data-testid=id disabled=problem.is_some()
                on:click=move |_| open_member(app, &member)>"Open"</button></td>
            <td class="break">{name} {problem.map(|problem| view! { <div class="warning">{safe(&problem)}</div> })}</td>
            <td class="number">{size}</td>
            <td class="number">{packed}</td>
            <td>{method}</td>
        </tr>
    }
}
