//! What the view of symbols is used with: buttons to add files, what is kept, what came of it, how far it is.

use dumplens_report::text::size;
use leptos::{attr::custom::custom_attribute, prelude::*};

use crate::{
    app::App,
    state::outcome::{Fate, Outcome, list as sentence_list},
    symbols::{
        folder::Folder,
        take::{Origin, files},
    },
    views::safe,
};

/// A button that picks symbol files. The input is hidden; the button is what keyboards reach.
#[component]
pub(crate) fn PickSymbols(
    #[prop(into)] label: String,
    name: &'static str,
    #[prop(into)] title: String,
) -> impl IntoView {
    let app = expect_context::<App>();
    let input = NodeRef::<leptos::html::Input>::new();
    let picked = move |_| {
        if let Some(element) = input.get_untracked() {
            app.take(files(element.files()), Origin::SymbolsButton);
            // The same file can be picked again.
            element.set_value("");
        }
    };
    view! {
        <input type="file" multiple class="hidden" node_ref=input on:change=picked data-testid=format!("{name}-input") tabindex="-1" aria-hidden="true"/>
        <button on:click=move |_| click(input) data-testid=format!("add-{name}") title=title>{label}</button>
    }
}

fn click(input: NodeRef<leptos::html::Input>) {
    if let Some(element) = input.get_untracked() {
        element.click();
    }
}

/// Buttons that add files and folders.
#[component]
pub(crate) fn AddButtons() -> impl IntoView {
    let app = expect_context::<App>();
    let folder = NodeRef::<leptos::html::Input>::new();
    let folder_picked = move |_| {
        if let Some(element) = folder.get_untracked() {
            if let Some(list) = element.files().filter(|list| list.length() > 0) {
                app.add_folder(Folder::from_list(&list));
            }
            element.set_value("");
        }
    };
    let pick_folder = move |_| {
        if !app.pick_folder() {
            click(folder);
        }
    };
    view! {
        <span class="group add-symbols">
            <input type="file" class="hidden" {..custom_attribute("webkitdirectory", "")} node_ref=folder on:change=folder_picked data-testid="symbols-folder-input" tabindex="-1" aria-hidden="true"/>
            <PickSymbols label="Add symbol files…" name="symbols" title="PDBs, images, tables of kernel symbols, archives of them"/>
            <button on:click=pick_folder data-testid="add-folder" title="A folder of files or a symbol store; only what this dump wants is read">"Add a folder…"</button>
        </span>
    }
}

/// The switch that keeps files, what they take, and the folder that is remembered.
#[component]
pub(crate) fn Kept() -> impl IntoView {
    let app = expect_context::<App>();
    let keeping = app.symbols.keeping;
    let trouble = move || keeping.with(|keeping| keeping.trouble.clone());
    let held = move || keeping.with(|keeping| (keeping.files > 0).then_some((keeping.files, keeping.bytes)));
    view! {
        <div class="tools kept">
            <label>
                <input type="checkbox" role="switch" data-testid="keep-symbols" disabled=move || trouble().is_some()
                    prop:checked=move || keeping.with(|keeping| keeping.is_on && keeping.trouble.is_none())
                    on:change=move |event| app.keep_symbols(event_target_checked(&event))/>
                " Keep symbol files in this browser"
            </label>
            {move || trouble().map(|why| view! { <span class="dim" data-testid="keep-trouble">"Not possible: " {why} "."</span> })}
            {move || held().map(|(files, bytes)| {
                let files = if files == 1 { "1 file".to_string() } else { format!("{files} files") };
                view! {
                    <span class="dim" data-testid="kept">{files} ", " {size(bytes)} ", on this computer only"</span>
                    <button class="quiet" on:click=move |_| app.forget_kept() data-testid="forget-kept">"Forget all"</button>
                }
            })}
            {move || app.symbols.remembered.get().map(|name| view! {
                <span class="group">
                    <button on:click=move |_| app.search_remembered() data-testid="search-remembered">"Search the folder " {safe(&name)} " again"</button>
                    <button class="quiet" on:click=move |_| app.forget_folder() aria-label="Forget the folder">"Forget it"</button>
                </span>
            })}
        </div>
    }
}

/// What came of the files that were offered.
#[component]
pub(crate) fn Results() -> impl IntoView {
    let app = expect_context::<App>();
    let results = app.symbols.results;
    move || {
        let rows = results.get();
        let of_use = rows.iter().filter(|row| matches!(row.result, Fate::Named(..))).count();
        (!rows.is_empty()).then(|| {
            view! {
                <details class="results" data-testid="symbol-results">
                    <summary>{format!("Files offered: {}, of use: {of_use}", rows.len())}</summary>
                    <ul>{rows.into_iter().map(result).collect_view()}</ul>
                </details>
            }
        })
    }
}

fn result(row: Outcome) -> impl IntoView {
    let (word, class, text) = match row.result {
        Fate::Named(modules, identity) => {
            ("added", "badge high", format!("{}: names for {} ({identity})", row.name, sentence_list(&modules)))
        }
        Fate::Again(identity) => {
            ("kept once", "badge medium", format!("{}: the same file was there already ({identity})", row.name))
        }
        Fate::Unmatched(why) => ("no match", "badge low", why),
        Fate::Absent(why) => ("not there", "badge medium", why),
        Fate::Refused(why) => ("not usable", "badge low", why),
    };
    view! { <li><span class=class>{word}</span> " " {safe(&text)}</li> }
}

/// How far adding is, and files that wait for a dump.
#[component]
pub(crate) fn SymbolStrips() -> impl IntoView {
    let app = expect_context::<App>();
    let symbols = app.symbols;
    view! {
        {move || symbols.busy.get().map(|busy| {
            let is_bytes = ["unpacking", "fetching"].iter().any(|word| busy.text.starts_with(word));
            let amount = move |number: u64| if is_bytes { size(number) } else { number.to_string() };
            let far = (busy.total > 1).then(|| format!(" – {} of {}", amount(busy.done), amount(busy.total)));
            view! {
                <div class="strip late" role="status" data-testid="symbols-busy">
                    <span class="break">{safe(&busy.text)} {far}</span>
                    <progress max=busy.total.max(1) value=(busy.total > 0).then_some(busy.done) aria-label="Adding symbols"></progress>
                    <button on:click=move |_| symbols.cancel() data-testid="symbols-cancel">"Cancel"</button>
                </div>
            }
        })}
        {move || Some(symbols.waiting.get()).filter(|names| !names.is_empty()).map(|names| view! {
            <div class="strip" role="status" data-testid="symbols-waiting">
                <span class="break">{safe(&sentence_list(&names))} {if names.len() == 1 { " waits" } else { " wait" }} " for a dump: open one, and symbols are added to it."</span>
                <button class="quiet" on:click=move |_| symbols.drop_waiting()>"Forget"</button>
            </div>
        })}
    }
}
