//! The parts of the file: minidump streams, or the parts of a kernel dump; one of them field by field.

use dumplens_report::protocol::{Details, Reply, Request, Stream};
use leptos::prelude::*;

use crate::{
    app::App,
    client::{self, CallError},
    state::route::Route,
    table::{Column, Table, mono, words},
    views::{cell, safe},
};

#[component]
pub(crate) fn PartsView(part: Option<u32>) -> impl IntoView {
    match part {
        Some(index) => view! { <Part index/> }.into_any(),
        None => List().into_any(),
    }
}

#[component]
fn List() -> impl IntoView {
    let app = expect_context::<App>();
    const COLUMNS: [Column; 5] =
        [words("Name", 30), mono("Type", 12), mono("Offset", 14), mono("Size", 14), words("Holds", 40)];
    app.streams.load(app, Request::Streams, |reply| if let Reply::Streams(rows) = reply { Some(rows) } else { None });
    let row = |stream: Stream| {
        vec![stream.name, cell(stream.kind), stream.offset.to_string(), stream.size.to_string(), cell(stream.summary)]
    };
    let chosen = Callback::new(move |index: usize| app.go(Route::Parts(u32::try_from(index).ok())));
    move || {
        app.streams.rows.get().map(|rows| {
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            view! { <Table name="parts" columns=COLUMNS.to_vec() rows chosen/> }
        })
    }
}

#[component]
fn Part(index: u32) -> impl IntoView {
    let details = RwSignal::new(None::<Result<Details, String>>);
    client::call(Request::StreamDetails { index }, move |result| match result {
        Ok(Reply::StreamDetails(found)) => details.set(Some(Ok(found))),
        Err(CallError::Failed(message, _)) => details.set(Some(Err(message))),
        _ => {}
    });
    view! {
        <section class="part" data-testid="part">
            <p><a href=Route::Parts(None).hash()>"All parts"</a></p>
            {move || details.get().map(|details| match details {
                Ok(details) => show(details).into_any(),
                Err(message) => view! { <p class="panel warn" role="alert">{safe(&message)}</p> }.into_any(),
            })}
        </section>
    }
}

fn show(details: Details) -> impl IntoView {
    let fields = details.fields.into_iter().map(|field| view! {
        <tr><th scope="row">{field.name}</th><td class="mono">{safe(&field.value)}</td><td class="dim">{field.meaning.unwrap_or_default()}</td></tr>
    }).collect_view();
    let tables = details.tables.into_iter().map(|table| {
        let head = table.columns.into_iter().map(|title| view! { <th>{title}</th> }).collect_view();
        let rows = table.rows.into_iter().map(|row| view! {
            <tr>{row.into_iter().map(|cell| view! { <td class="mono">{safe(&cell)}</td> }).collect_view()}</tr>
        }).collect_view();
        let omitted = (table.omitted > 0).then(|| view! { <p class="dim">{table.omitted} " more rows are not shown."</p> });
        view! {
            <h2>{table.title}</h2>
            <div class="scroll"><table class="frames"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>
            {omitted}
        }
    }).collect_view();
    let notes =
        details.notes.into_iter().map(|note| view! { <p class="warning">{safe(&note.text)}</p> }).collect_view();
    view! {
        <h1>{safe(&details.title)}</h1>
        {notes}
        <table class="plain"><tbody>{fields}</tbody></table>
        {tables}
        {details.text.map(|text| view! { <pre class="mono">{text.lines().map(safe).collect::<Vec<_>>().join("\n")}</pre> })}
    }
}
