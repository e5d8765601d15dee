//! What the reader should know about the result.

use dumplens_report::{
    model::NoteKind,
    protocol::{Reply, Request},
    text::size,
};
use leptos::prelude::*;

use crate::{app::App, client, views::safe};

#[component]
pub(crate) fn NotesView() -> impl IntoView {
    let app = expect_context::<App>();
    let notes = app.summary.get().map(|summary| summary.notes).unwrap_or_default();
    let none = notes.is_empty();
    let statistics = RwSignal::new(None);
    client::call(Request::Statistics, move |result| {
        if let Ok(Reply::Statistics(found)) = result {
            statistics.set(Some(found));
        }
    });
    let rows = notes
        .into_iter()
        .map(|note| {
            let (kind, class) = match note.kind {
                NoteKind::Info => ("note", "badge high"),
                NoteKind::Missing => ("missing", "badge medium"),
                NoteKind::Damaged => ("damaged", "badge low"),
            };
            view! { <li><span class=class>{kind}</span> " " {safe(&note.text)}</li> }
        })
        .collect_view();
    view! {
        <section class="notes" data-testid="notes">
            {none.then(|| view! { <p>"Everything the file promises could be read."</p> })}
            <ul>{rows}</ul>
            {move || statistics.get().map(|cost| view! {
                <p class="dim" data-testid="statistics" data-file-bytes=cost.file_bytes.to_string() data-file-reads=cost.file_reads.to_string()
                    data-symbol-bytes=cost.symbol_bytes.to_string() data-symbol-reads=cost.symbol_reads.to_string()
                    data-engine-memory=cost.engine_memory.unwrap_or(0).to_string()>
                    "Read so far: " {size(cost.file_bytes)} " of the file in " {cost.file_reads} " reads. "
                    {(cost.symbol_reads > 0).then(|| format!("Of symbol files: {} in {} reads. ", size(cost.symbol_bytes), cost.symbol_reads))}
                    {cost.engine_memory.map(|bytes| format!("The engine uses {} of memory.", size(bytes)))}
                </p>
            })}
        </section>
    }
}
