//! How the address under the cursor is translated, entry by entry.

use dumplens_report::{
    Hex,
    protocol::{Reply, Request, Space, Translation, TranslationStep},
};
use leptos::prelude::*;

use super::Place;
use crate::{
    app::App,
    client::{self, CallError},
    state::{
        route::Route,
        width::Width,
        words::{FLAGS, flags},
    },
    views::safe,
};

/// Longest meaning that stands in the column of meanings.
const SHORT: usize = 30;

#[component]
pub(super) fn Panel() -> impl IntoView {
    let app = expect_context::<App>();
    let place = expect_context::<Place>();
    let answer = RwSignal::new(None::<Result<Translation, String>>);
    // One question at a time: a cursor that moves fast is followed as fast as answers come.
    let busy = StoredValue::new(false);
    let asked = Memo::new(move |_| (place.space(), place.cursor.get()));
    Effect::new(move |_| {
        let _ = asked.get();
        follow(asked, busy, answer);
    });
    view! {
        <aside class="translation" aria-label="Address translation" data-testid="translation">
            {move || answer.get().map(|answer| match answer {
                Ok(translation) => show(app, translation).into_any(),
                Err(message) => view! { <p class="warning">{safe(&message)}</p> }.into_any(),
            })}
        </aside>
    }
}

fn follow(asked: Memo<(Space, Hex)>, busy: StoredValue<bool>, answer: RwSignal<Option<Result<Translation, String>>>) {
    let Some((space, address)) = asked.try_get_untracked() else { return };
    if busy.try_update_value(|busy| std::mem::replace(busy, true)) != Some(false) {
        return;
    }
    client::call(Request::Translate { space, address }, move |result| {
        busy.try_update_value(|busy| *busy = false);
        match result {
            Ok(Reply::Translation(translation)) => answer.try_set(Some(Ok(translation))),
            Err(CallError::Failed(message, _)) => answer.try_set(Some(Err(message))),
            _ => None,
        };
        if asked.try_get_untracked().is_some_and(|now| now != (space, address)) {
            follow(asked, busy, answer);
        }
    });
}

fn show(app: App, translation: Translation) -> impl IntoView {
    let is_physical = translation.steps.is_empty() && translation.physical == Some(translation.address);
    let space = if is_physical { Space::Physical } else { Space::Current };
    let physical = translation.physical.filter(|_| !is_physical).map(|address| view! {
        <div><dt>"Physical"</dt><dd><a class="mono" data-testid="physical-link" href=Route::Memory(Space::Physical, Some(address)).hash()>
            {Place::address(app, Space::Physical, address)}
        </a></dd></div>
    });
    let offset = translation.file_offset.map(|offset| {
        view! {
            <div><dt>"In the file"</dt><dd class="mono" data-testid="file-offset">{offset.to_string()}</dd></div>
        }
    });
    let page = translation
        .page_size
        .map(|bytes| view! { <div><dt>"Page"</dt><dd>{dumplens_report::text::size(bytes)}</dd></div> });
    // Entries have 64 bits, but for the oldest paging.
    let width = if translation.mode.starts_with("x86, 2") { Width::Bits32 } else { Width::Bits64 };
    let steps = (!translation.steps.is_empty()).then(|| view! { <Steps steps=translation.steps width/> });
    view! {
        <h2>"Translation of " <span class="mono" data-testid="translated">{Place::address(app, space, translation.address)}</span></h2>
        <p class="dim">{safe(&translation.space)} {(!is_physical).then(|| format!(" · {}", safe(&translation.mode)))}</p>
        <p class="outcome" role="status" data-testid="outcome">{safe(&translation.outcome)}</p>
        <dl class="facts">{physical}{page}{offset}</dl>
        {steps}
    }
}

#[component]
fn Steps(steps: Vec<TranslationStep>, width: Width) -> impl IntoView {
    let app = expect_context::<App>();
    let link = move |space: Space, address: Hex, text: String| {
        view! {
            <a href=Route::Memory(space, Some(address)).hash()>{text}</a>
        }
    };
    let letters = steps.iter().any(|step| !flags(&step.flags).is_empty());
    let rows = steps.into_iter().map(|step| {
        let at = match (step.at, step.virtual_address) {
            // A prototype entry has an address of its own in the kernel.
            (_, Some(address)) => Some(link(Space::Current, address, app.width().address(address)).into_any()),
            (Some(at), None) => Some(link(Space::Physical, at, Place::address(app, Space::Physical, at)).into_any()),
            (None, None) => None,
        };
        let frame = step.frame.map(|frame| link(Space::Physical, Hex(frame.0 << 12), format!("{:x}", frame.0)));
        // Long meanings get a line of their own.
        let long = step.meaning.len() > SHORT;
        let (meaning, more) = if long { (None, Some(safe(&step.meaning))) } else { (Some(safe(&step.meaning)), None) };
        let words = flags(&step.flags);
        let tip = (!words.is_empty()).then_some(words);
        view! {
            <tr>
                <th scope="row">{step.level}</th>
                <td class="mono">{at}</td>
                <td class="mono">{width.address(step.entry)}</td>
                <td class="mono frame">{frame}</td>
                <td class="mono flags" title=tip>{step.flags}</td>
                <td class="meaning">{meaning}</td>
            </tr>
            {more.map(|more| view! { <tr class="more"><td></td><td class="meaning" colspan="5">{more}</td></tr> })}
        }
    });
    view! {
        <div class="scroll">
            <table class="frames steps" data-testid="translation-steps">
                <thead><tr><th>"Level"</th><th>"At"</th><th>"Contains"</th><th>"PFN"</th><th>"Flags"</th><th>"Meaning"</th></tr></thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
        {letters.then(|| view! {
            <details class="legend">
                <summary>"What the letters mean"</summary>
                <dl>
                    {FLAGS.iter().map(|(letter, words)| view! { <div><dt class="mono">{letter.to_string()}</dt><dd>{*words}</dd></div> }).collect_view()}
                </dl>
            </details>
        })}
    }
}
