//! Symbols: what is named, which files would help, and ways to add them.

use dumplens_report::{
    model::{Frame, SymbolStatus},
    protocol::{Reply, Request},
    symbols::{FileKind, Mismatch, ScriptKind, SymbolNeed, WantedFile},
};
use leptos::prelude::*;

use crate::{
    app::App,
    client::{self, CallError},
    save::save_text,
    state::{outcome::list as sentence_list, route::Route, words::status_word},
    symbols::{Job, fetch},
    table::{Column, Table, mono, words},
    views::{
        lists::list,
        safe,
        symbol_tools::{AddButtons, Kept, Results},
    },
};

/// Modules that the summary line and hints name.
const MOST_NAMED: usize = 4;

/// Whether a module has names of functions.
const fn is_named(status: SymbolStatus) -> bool {
    matches!(status, SymbolStatus::Loaded | SymbolStatus::Forced | SymbolStatus::Exports)
}

/// "3 of 151 modules have names. These matter most to this crash: …"
fn overview(needs: &[SymbolNeed]) -> String {
    let named = needs.iter().filter(|need| is_named(need.symbols)).count();
    let have = if named == 1 { "has" } else { "have" };
    let first = format!("{named} of {} modules {have} names of functions.", needs.len());
    let open: Vec<String> = needs
        .iter()
        .filter(|need| need.matters.is_some() && !matches!(need.symbols, SymbolStatus::Loaded | SymbolStatus::Forced))
        .take(MOST_NAMED)
        .map(|need| need.module.clone())
        .collect();
    match open.as_slice() {
        [] => format!("{first} All that matter to this crash are among them."),
        [one] => format!("{first} Files for {one} would help most with this crash."),
        _ => format!("{first} Files for these would help most with this crash: {}.", sentence_list(&open)),
    }
}

/// Where a module's names are from, and what was offered for it that does not fit.
fn known_from(reason: &Option<String>, status: SymbolStatus, mismatches: &[Mismatch]) -> String {
    let reason = reason.clone().filter(|_| status != SymbolStatus::Mismatched || mismatches.is_empty());
    reason.into_iter().chain(mismatches.iter().map(ToString::to_string)).collect::<Vec<_>>().join("; ")
}

#[component]
pub(crate) fn SymbolsView() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 5] = [
        words("Module", 18),
        words("Symbols", 12),
        words("Why it matters", 24),
        mono("Most useful file, as a store keeps it", 56),
        words("Known from, or why not", 60),
    ];
    let row = |need: SymbolNeed| {
        let path = need.files.first().map(|file| file.path.clone());
        vec![
            need.module,
            status_word(need.symbols).into(),
            need.matters.unwrap_or_default(),
            path.unwrap_or_default(),
            known_from(&need.reason, need.symbols, &need.mismatches),
        ]
    };
    // The module by name: after files were added it may stand elsewhere in the list.
    let picked = RwSignal::new(None::<String>);
    let load = move || app.load_needs();
    load();
    let table = move |needs: Signal<Vec<SymbolNeed>>| {
        let chosen = Callback::new(move |index: usize| {
            picked.set(needs.with_untracked(|needs| needs.get(index).map(|need| need.module.clone())));
        });
        let at = Signal::derive(move || {
            let picked = picked.get()?;
            needs.with(|needs| needs.iter().position(|need| need.module == picked))
        });
        let rows = Memo::new(move |_| needs.get().into_iter().map(row).collect::<Vec<_>>());
        view! { <Table name="symbols" columns=COLUMNS.to_vec() rows chosen picked=at/> }.into_any()
    };
    let shown = Memo::new(move |_| {
        let name = picked.get();
        app.symbols.needs.rows.with(|rows| {
            let rows = rows.as_ref()?;
            let named = rows.iter().find(|need| Some(&need.module) == name.as_ref());
            // Until a module is chosen, the one that matters most.
            named.or_else(|| rows.first()).cloned()
        })
    });
    let line = move || app.symbols.needs.rows.with(|rows| rows.as_deref().map(overview));
    view! {
        <section class="symbols" data-testid="symbols-view">
            <p class="overview" data-testid="symbols-overview" role="status">{move || line().map(|line| safe(&line))}</p>
            <div class="tools">
                <AddButtons/>
                <FetchButton/>
                <span class="spacer"></span>
                <Scripts/>
            </div>
            <Kept/>
            <Results/>
            <div class="split">
                {list(app.symbols.needs, load, table, "The dump lists no modules, so no symbols can be matched.")}
                {move || shown.get().map(|need| view! { <Details need/> })}
            </div>
        </section>
    }
}

/// Fetches what the crash's stack wants, on sites that were given a server.
#[component]
fn FetchButton() -> impl IntoView {
    let app = expect_context::<App>();
    fetch::server().map(|server| {
        let host = safe(fetch::host(&server));
        let title = format!("Asks {host} for the files that name this crash's stack; it learns which files these are, and nothing else of the dump");
        view! {
            <button on:click=move |_| app.add_symbols(Job::Fetch(None)) data-testid="fetch-all" title=title>"Fetch from " {host}</button>
        }
    })
}

/// The list of wanted files, to carry to a connected machine.
#[component]
fn Scripts() -> impl IntoView {
    let app = expect_context::<App>();
    let fetch = move |kind: ScriptKind, name: &'static str| {
        client::call(Request::SymbolScript { kind }, move |result| match result {
            Ok(Reply::Export(text)) => save_text(app, name, "text/plain", &text),
            Err(CallError::Failed(message, _)) => app.toast.set(Some(message)),
            _ => {}
        });
    };
    const SCRIPTS: [(ScriptKind, &str, &str, &str); 3] = [
        (ScriptKind::PowerShell, "PowerShell", "fetch-symbols.ps1", "script-powershell"),
        (ScriptKind::Shell, "sh", "fetch-symbols.sh", "script-shell"),
        (ScriptKind::SymChk, "SymChk manifest", "symbols.man", "script-symchk"),
    ];
    view! {
        <span class="group" role="group" aria-label="Download a script that fetches the public files">
            <span class="dim">"Fetch them elsewhere:"</span>
            {SCRIPTS.into_iter().map(|(kind, title, name, id)| view! {
                <button on:click=move |_| fetch(kind, name) data-testid=id title=format!("Download {name}: it fetches the files that Microsoft publishes")>{title}</button>
            }).collect_view()}
        </span>
    }
}

/// One module: its files, where they are found, and what to do with them.
#[component]
fn Details(need: SymbolNeed) -> impl IntoView {
    let app = expect_context::<App>();
    let class = match need.symbols {
        SymbolStatus::Loaded => "badge high",
        SymbolStatus::Exports => "badge medium",
        SymbolStatus::Forced | SymbolStatus::Missing | SymbolStatus::Mismatched => "badge low",
    };
    let none = need.files.is_empty() && need.reason.is_none();
    let forcing = forcing(app, &need);
    view! {
        <section class="details need" data-testid="need" aria-label="Module">
            <div class="tools">
                <h2>{safe(&need.module)} " " <span class="dim">{safe(&need.image)}</span></h2>
                {need.matters.as_ref().map(|why| view! { <span class="dim">{safe(why)}</span> })}
                <span class=class>{status_word(need.symbols)}</span>
                {forcing}
            </div>
            {need.reason.as_ref().filter(|_| need.symbols != SymbolStatus::Mismatched).map(|reason| view! { <p class="break">{safe(reason)}</p> })}
            {need.mismatches.iter().map(|mismatch| view! { <p class="break" data-testid="mismatch">{safe(&mismatch.to_string())}</p> }).collect_view()}
            {none.then(|| view! { <p class="dim">"The dump does not say which files these would be."</p> })}
            <ul class="wanted">{need.files.into_iter().map(wanted).collect_view()}</ul>
        </section>
    }
}

/// A button that uses a file although it does not match, or stops that.
fn forcing(app: App, need: &SymbolNeed) -> Option<AnyView> {
    let module = need.module.clone();
    match need.symbols {
        SymbolStatus::Forced => Some(
            view! {
                <button on:click=move |_| app.force_symbols(module.clone(), None) data-testid="unforce">"Stop using it"</button>
            }
            .into_any(),
        ),
        _ => {
            // The one that was offered last.
            let file = need.mismatches.last()?.file.clone();
            let title = format!("Names will be from {}, marked as forced: they may be wrong", safe(&file));
            Some(
                view! {
                    <button on:click=move |_| app.force_symbols(module.clone(), Some(file.clone())) data-testid="force" title=title>"Use it anyway"</button>
                }
                .into_any(),
            )
        }
    }
}

fn wanted(file: WantedFile) -> impl IntoView {
    let app = expect_context::<App>();
    let what = match file.kind {
        FileKind::Pdb => "PDB",
        FileKind::Image => "image",
    };
    let path = file.path.clone();
    let copy = move |_| {
        let _ = window().navigator().clipboard().write_text(&path);
        app.toast.set(Some(format!("{path} was copied.")));
    };
    let link = file.public.then(|| {
        view! {
            <a class="button" href=file.url() target="_blank" rel="noopener noreferrer"
                title="Opens Microsoft's symbol server in a new tab; this page itself does not ask it">"Get from Microsoft"</a>
        }
    });
    let own = file.clone();
    let fetch = fetch::server().map(|server| {
        let title = format!("Asks {} for this file", safe(fetch::host(&server)));
        view! { <button on:click=move |_| app.add_symbols(Job::Fetch(Some(own.clone()))) data-testid="fetch" title=title>"Fetch"</button> }
    });
    view! {
        <li>
            <span class="badge">{what}</span>
            <span class="mono break">{safe(&file.path)}</span>
            <span class="group">
                <button on:click=copy aria-label=format!("Copy the path of {}", safe(&file.name))>"Copy path"</button>
                {link}
                {fetch}
            </span>
            {(!file.public).then(|| view! { <span class="dim">"not one of Windows' own files: its maker has it"</span> })}
        </li>
    }
}

/// Below a stack: which files would name the frames that have no names.
#[component]
pub(crate) fn NamesHint(#[prop(into)] frames: Signal<Vec<Frame>>) -> impl IntoView {
    let app = expect_context::<App>();
    let lacking = Memo::new(move |_| {
        frames.with(|frames| {
            let nameless = frames.iter().filter(|frame| frame.function.is_none());
            nameless.filter_map(|frame| frame.module.clone()).collect::<std::collections::BTreeSet<_>>()
        })
    });
    Effect::new(move |_| {
        if lacking.with(|lacking| !lacking.is_empty()) {
            app.load_needs();
        }
    });
    let files = Memo::new(move |_| {
        app.symbols.needs.rows.with(|rows| {
            // Where a PDB is loaded, a frame without a name is in no function.
            let open = rows.iter().flatten().filter(|need| need.symbols != SymbolStatus::Loaded);
            let needs = open.filter(|need| lacking.with(|lacking| lacking.contains(&need.module)));
            needs.map(file_for).take(MOST_NAMED).collect::<Vec<String>>()
        })
    });
    move || {
        let files = files.get();
        (!files.is_empty()).then(|| {
            let last = files.len().saturating_sub(1);
            let names = files.into_iter().enumerate().map(|(at, file)| {
                let before = if at == 0 {
                    ""
                } else if at == last {
                    " and "
                } else {
                    ", "
                };
                view! { {before} <span class="mono">{safe(&file)}</span> }
            });
            view! {
                <div class="hint" data-testid="names-hint">
                    <span>"Frames without names: drop " {names.collect_view()} " on this page."</span>
                    <AddButtons/>
                    <a href=Route::Symbols.hash()>"All symbols"</a>
                </div>
            }
        })
    }
}

/// The file that helps most, by the name people look for.
fn file_for(need: &SymbolNeed) -> String {
    need.files.first().map_or_else(|| need.image.clone(), |file| file.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_names_what_matters_most() {
        let need = |module: &str, symbols, matters: bool| SymbolNeed {
            module: module.into(),
            image: String::new(),
            symbols,
            reason: None,
            mismatches: vec![],
            matters: matters.then(|| "frame 1 of the crash".into()),
            files: vec![],
        };
        let mut needs = vec![
            need("amdppm", SymbolStatus::Missing, true),
            need("nt", SymbolStatus::Exports, true),
            need("hal", SymbolStatus::Missing, false),
        ];
        assert_eq!(
            overview(&needs),
            "1 of 3 modules has names of functions. Files for these would help most with this crash: amdppm and nt."
        );
        needs.iter_mut().for_each(|need| need.symbols = SymbolStatus::Loaded);
        assert!(overview(&needs).ends_with("All that matter to this crash are among them."));
    }
}
