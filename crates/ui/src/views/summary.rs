//! What crashed: the verdict first, then what it rests on.

use dumplens_report::{
    model::{BugCheck, Confidence, DumpInfo, Exception, NoteKind, Verdict},
    protocol::{ExportFormat, Reply, Request, StackOf},
    text::{duration, size},
};
use leptos::prelude::*;

use crate::{
    app::App,
    client::{self, CallError},
    save::save_text,
    state::{route::Route, width::Width},
    views::{safe, stack::Frames, symbols::NamesHint},
};

/// Frames that the summary shows of the stack.
const TOP: usize = 12;

#[component]
pub(crate) fn SummaryView() -> impl IntoView {
    let app = expect_context::<App>();
    let Some(summary) = app.summary.get() else { return ().into_any() };
    let stack = summary.stack.clone();
    let more = stack.as_ref().is_some_and(|stack| stack.frames.len() > TOP);
    let troubles: Vec<_> = summary.notes.iter().filter(|note| note.kind != NoteKind::Info).cloned().collect();
    view! {
        <article class="summary" data-testid="summary">
            <section class="verdict">
                <h1 data-testid="verdict">{safe(&summary.verdict.title)}</h1>
                {blame(&summary.verdict)}
                <div class="actions">
                    <button on:click=move |_| export(app, ExportFormat::Text) data-testid="copy-report">"Copy report"</button>
                    <button on:click=move |_| export(app, ExportFormat::Json) data-testid="save-json">"Save JSON"</button>
                </div>
            </section>
            {(!troubles.is_empty()).then(|| view! {
                <section class="panel warn" data-testid="troubles">
                    <h2>"This result is partial"</h2>
                    <ul>{troubles.into_iter().map(|note| view! { <li>{safe(&note.text)}</li> }).collect_view()}</ul>
                </section>
            })}
            <div class="columns">
                <div>
                    {summary.bugcheck.as_ref().map(|bugcheck| bug_check(bugcheck, app.width()))}
                    {summary.exception.as_ref().map(|found| exception(found, app.width()))}
                    {stack.map(|mut stack| {
                        let frames = stack.frames.clone();
                        stack.frames.truncate(TOP);
                        view! {
                            <section class="panel">
                                <h2>"Stack" {more.then_some(", top")}</h2>
                                <NamesHint frames/>
                                <Frames stack/>
                                <p><a href=Route::Stack(StackOf::Crash).hash()>"Whole stack"</a></p>
                            </section>
                        }
                    })}
                </div>
                <div>
                    {machine(&summary.dump)}
                    {facts(&summary.verdict)}
                </div>
            </div>
        </article>
    }
    .into_any()
}

fn blame(verdict: &Verdict) -> impl IntoView + use<> {
    verdict.blamed.clone().map(|blame| {
        let who = blame.image.unwrap_or(blame.module);
        let (sure, class) = match blame.confidence {
            Confidence::High => ("high confidence", "badge high"),
            Confidence::Medium => ("medium confidence", "badge medium"),
            Confidence::Low => ("low confidence", "badge low"),
        };
        view! {
            <p class="blame" data-testid="blame">
                "Points to " <strong>{safe(&who)}</strong> " " <span class=class>{sure}</span> " " {safe(&blame.reason)} "."
            </p>
        }
    })
}

fn bug_check(bugcheck: &BugCheck, width: Width) -> impl IntoView + use<> {
    let code = format!("{:x}", bugcheck.code.0);
    let rows = bugcheck.parameters.iter().zip(&bugcheck.meaning).enumerate().map(|(index, (value, meaning))| {
        view! {
            <tr>
                <th scope="row">{index + 1}</th>
                <td class="mono"><a href=crate::app::memory_link(*value)>{width.address(*value)}</a></td>
                <td>{meaning.clone().unwrap_or_default()}</td>
            </tr>
        }
    });
    view! {
        <section class="panel" data-testid="bugcheck">
            <h2>{bugcheck.name.clone().unwrap_or_else(|| "Unknown bug check".into())} " " <span class="mono dim">{code}</span></h2>
            {bugcheck.description.clone().map(|text| view! { <p>{text}</p> })}
            <table class="plain"><tbody>{rows.collect_view()}</tbody></table>
        </section>
    }
}

fn exception(exception: &Exception, width: Width) -> impl IntoView + use<> {
    let parameters = exception.parameters.iter().enumerate().map(|(index, value)| {
        view! {
            <tr><th scope="row">"Parameter " {index}</th><td class="mono">{width.address(*value)}</td></tr>
        }
    });
    view! {
        <section class="panel" data-testid="exception">
            <h2>{exception.name.clone().unwrap_or_else(|| "Exception".into())} " " <span class="mono dim">{format!("{:x}", exception.code.0)}</span></h2>
            {exception.description.clone().map(|text| view! { <p>{text}</p> })}
            <table class="plain"><tbody>
                <tr><th scope="row">"Address"</th><td class="mono"><a href=crate::app::memory_link(exception.address)>{width.address(exception.address)}</a></td></tr>
                {parameters.collect_view()}
                <tr><th scope="row">"From"</th><td>{exception.source.clone()}</td></tr>
            </tbody></table>
        </section>
    }
}

fn machine(dump: &DumpInfo) -> impl IntoView + use<> {
    let processors = dump.processors.map(|count| count.to_string());
    let process = match (&dump.process, dump.process_id) {
        (Some(name), Some(id)) => Some(format!("{name} ({id})")),
        (name, id) => name.clone().or(id.map(|id| id.to_string())),
    };
    let build = match (&dump.build_string, dump.build) {
        (Some(text), _) => Some(text.clone()),
        (None, build) => build.map(|build| build.to_string()),
    };
    let rows = [
        ("Kind", Some(dump.description.clone())),
        ("File size", Some(size(dump.file_size))),
        ("System", dump.os.clone()),
        ("Build", build),
        ("Architecture", dump.architecture.clone()),
        ("Processors", processors),
        ("Processor", dump.processor.clone()),
        ("Machine", dump.machine.clone()),
        ("Firmware", dump.firmware.clone()),
        ("Time", dump.time.as_ref().map(|time| time.replace('T', " ").replace('Z', " UTC"))),
        ("System up", dump.uptime_seconds.map(duration)),
        ("Process", process),
        ("Process up", dump.process_uptime_seconds.map(duration)),
        ("Comment", dump.comment.clone()),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| {
        value.map(|value| {
            view! {
                <tr><th scope="row">{name}</th><td>{safe(&value)}</td></tr>
            }
        })
    });
    view! {
        <section class="panel" data-testid="machine">
            <h2>"Where and when"</h2>
            <table class="plain"><tbody>{rows.collect_view()}</tbody></table>
        </section>
    }
}

fn facts(verdict: &Verdict) -> impl IntoView + use<> {
    let list = |title: &'static str, items: Vec<String>| {
        (!items.is_empty()).then(|| {
            view! {
                <section class="panel">
                    <h2>{title}</h2>
                    <ul>{items.into_iter().map(|item| view! { <li>{safe(&item)}</li> }).collect_view()}</ul>
                </section>
            }
        })
    };
    let evidence = verdict.evidence.iter().map(|fact| format!("{} ({})", fact.statement, fact.source)).collect();
    let bucket = verdict.bucket.clone().map(|bucket| {
        view! {
            <section class="panel">
                <h2>"Bucket"</h2>
                <p class="mono break">{safe(&bucket)}</p>
                <p class="mono dim break">{verdict.bucket_hash.clone().unwrap_or_default()}</p>
            </section>
        }
    });
    view! {
        {list("What to do next", verdict.next_steps.clone())}
        {list("Evidence", evidence)}
        {list("What would make this surer", verdict.missing.clone())}
        {bucket}
    }
}

/// Asks for the whole report, with progress and cancel, and copies or saves it.
fn export(app: App, format: ExportFormat) {
    let told = std::rc::Rc::new(std::cell::Cell::new(0));
    let number = std::rc::Rc::clone(&told);
    let id = client::call_long(
        Request::Export { format },
        move |progress| app.progress.set(Some((number.get(), progress))),
        move |result| {
            app.progress.set(None);
            match result {
                Ok(Reply::Export(text)) if format == ExportFormat::Text => {
                    let _ = window().navigator().clipboard().write_text(&text);
                    app.toast.set(Some("The report was copied.".into()));
                }
                Ok(Reply::Export(text)) => save(app, &text),
                Err(CallError::Failed(message, _)) => app.toast.set(Some(message)),
                Err(CallError::Cancelled) => app.toast.set(Some("Cancelled.".into())),
                _ => {}
            }
        },
    );
    told.set(id);
}

fn save(app: App, text: &str) {
    let name = app.summary.with(|summary| summary.as_ref().and_then(|summary| summary.dump.file_name.clone()));
    let name = format!("{}.json", name.unwrap_or_else(|| "dump".into()));
    save_text(app, &name, "application/json", text);
}
