//! Whose memory is shown: what was current, physical memory, or one process.

use dumplens_report::{Hex, protocol::Space};
use leptos::prelude::*;

use super::Place;
use crate::{
    app::App,
    state::{
        route::Route,
        words::{process_name, space_from, space_value},
    },
    views::safe,
};

#[component]
pub(super) fn Choice() -> impl IntoView {
    let app = expect_context::<App>();
    let place = expect_context::<Place>();
    app.load_processes();
    let choose = move |event| {
        let space = space_from(&event_target_value(&event));
        // The same address in another process is worth comparing; physical addresses are another matter.
        let virtual_both = space != Space::Physical && place.space() != Space::Physical;
        app.go(Route::Memory(space, virtual_both.then(|| place.cursor.get_untracked())));
    };
    let current = app.summary.with_untracked(|summary| {
        let dump = &summary.as_ref()?.dump;
        dump.process.as_ref().map(|name| match dump.process_id {
            Some(id) => format!("Current: {} ({id})", safe(name)),
            None => format!("Current: {}", safe(name)),
        })
    });
    let current = StoredValue::new(current.unwrap_or_else(|| "Current".into()));
    let chosen = Memo::new(move |_| place.space());
    let processes = move || {
        let chosen = chosen.get();
        let listed = app.processes.rows.with(|rows| {
            let named = |object: Hex, name: String| {
                let space = Space::Process { object };
                view! { <option value=space_value(space) selected=chosen == space>{safe(&name)}</option> }
            };
            let listed =
                rows.iter().flatten().filter_map(|process| Some(named(process.object?, process_name(process))));
            // A link may name a process that is not listed, or not yet.
            let known = |object| rows.iter().flatten().any(|process| process.object == Some(object));
            let other = match chosen {
                Space::Process { object } if !known(object) => Some(named(object, format!("process at {object}"))),
                _ => None,
            };
            other.into_iter().chain(listed).collect_view()
        });
        view! {
            <option value="current" selected=chosen == Space::Current>{current.get_value()}</option>
            <option value="physical" selected=chosen == Space::Physical>"Physical memory"</option>
            <optgroup label="Processes">{listed}</optgroup>
        }
    };
    view! {
        <label class="space">"Space "
            <select on:change=choose data-testid="space">{processes}</select>
        </label>
    }
}
