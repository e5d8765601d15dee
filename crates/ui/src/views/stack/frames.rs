//! The frames of a stack, each with how it was found.

use dumplens_report::{
    Hex,
    model::{Frame, Stack, Trust},
    text::{location, trust_label},
};
use leptos::prelude::*;

use super::wanted::WantedFiles;
use crate::{
    app::{App, memory_link},
    state::{
        frames::{Row, rows, source},
        width::Width,
    },
    views::safe,
};

/// The frames of a stack, why it ends, and what to be wary of.
#[component]
pub(crate) fn Frames(stack: Stack) -> impl IntoView {
    let app = expect_context::<App>();
    let width = app.width();
    let none = stack.frames.is_empty();
    let with_arguments = stack.frames.iter().any(|frame| !frame.arguments.is_empty());
    let columns = if with_arguments { "5" } else { "4" };
    let body = rows(&stack.frames)
        .into_iter()
        .map(|row| {
            match row {
        Row::Border(text) => view! { <tr class="border"><td colspan=columns><span>{text}</span></td></tr> }.into_any(),
        Row::Frame { index, folded, repeated, note } => stack.frames.get(index).map(|frame| view! {
            <tr class:inline=frame.inline class:folded=folded>
                <td class="mono dim">{format!("{index:02x}")}</td>
                <td class="mono"><a href=memory_link(frame.address)>{width.address(frame.address)}</a></td>
                <td>{found_by(frame.trust)}</td>
                <td class="call">{call(frame, repeated, note)}</td>
                {with_arguments.then(|| view! { <td class="mono words">{arguments(&frame.arguments, width)}</td> })}
            </tr>
        }).into_any(),
    }
        })
        .collect_view();
    view! {
        <p class="dim">"From the " {safe(&stack.context)} "."</p>
        {stack.warnings.iter().map(|warning| view! { <p class="warning">"Warning: " {safe(warning)} "."</p> }).collect_view()}
        {(!stack.wanted.is_empty()).then(|| view! { <WantedFiles files=stack.wanted.clone()/> })}
        {with_arguments.then(|| view! { <p class="dim" data-testid="arguments-caveat">{caveat(width)}</p> })}
        <div class="scroll" class:hidden=none>
            <table class="frames" data-testid="frames">
                <thead><tr><th>"#"</th><th>"Address"</th><th>"Found by"</th><th>"Location"</th>
                    {with_arguments.then(|| view! { <th>"Arguments, perhaps"</th> })}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
        <p class="dim">{safe(&stack.stop)}</p>
    }
}

fn found_by(trust: Trust) -> impl IntoView {
    let class = match trust {
        Trust::Context | Trust::Inline => "badge high",
        Trust::Unwind | Trust::FramePointer => "badge medium",
        Trust::Scan => "badge low",
    };
    view! { <span class=class title=trust.description()>{trust_label(trust)}</span> }
}

/// What is called, and below it the source line.
fn call(frame: &Frame, repeated: Option<String>, note: Option<String>) -> impl IntoView + use<> {
    let line = source(frame).map(|(folder, line)| {
        view! { <div class="source mono"><span class="dim">{folder}</span>{line}</div> }
    });
    view! {
        <span class="mono">{safe(&location(frame))}</span>
        {repeated.map(|text| view! { " "<span class="badge medium">{text}</span> })}
        {note.map(|note| view! { <span class="dim">" "{safe(&note)}</span> })}
        {line}
    }
}

fn arguments(words: &[Hex], width: Width) -> Vec<impl IntoView + use<>> {
    let link = |word: &Hex| view! { <a href=memory_link(*word)>{width.address(*word)}</a>" " };
    words.iter().map(link).collect()
}

/// What the words of arguments are worth.
const fn caveat(width: Width) -> &'static str {
    match width {
        Width::Bits32 => {
            "Arguments: the four words above each return address, where functions find what they are called with. A function \
             may take fewer, take some in registers, or have changed them since."
        }
        Width::Bits64 => {
            "Arguments: the four words above each return address. The first four arguments are passed in registers on x64; \
             these words are where a function may have stored them, and often it stored something else. They are not certain."
        }
    }
}
