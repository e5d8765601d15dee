//! The hex dump: read as it is scrolled, with a cursor that keys and clicks move.

use std::collections::BTreeSet;

use dumplens_report::{
    Hex,
    protocol::{Reply, Request, Space},
};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::{Element, HtmlElement, KeyboardEvent, MouseEvent};

use super::Place;
use crate::{
    app::App,
    client::{self, CallError},
    state::{
        grid::in_sight,
        hexview::{PAGE, ROW, ROWS, Row, moved, pages, window_start},
        route::Route,
        width::Width,
        words::without_address,
    },
    views::safe,
};

/// Height of a row in CSS pixels; the style sheet says the same.
const ROW_HEIGHT: f64 = 20.0;
/// Rows shown above the address that was asked for.
const CONTEXT: u64 = 3;
/// Rows over which a long reason may be drawn.
const REASON_ROWS: usize = 5;

/// Where the reason of a hole is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Beside the bytes of the row that are there.
    Beside,
    /// Over a row whose bytes are all absent.
    Line,
    /// Over several such rows.
    Rows,
}

#[component]
pub(super) fn Dump(space: Space, target: Hex) -> impl IntoView {
    let app = expect_context::<App>();
    let place = expect_context::<Place>();
    let Place { cache, cursor, .. } = place;
    let top = Place::top(app, space);
    let start = window_start(target, top);
    let row_of_target = (target.0 & !(ROW - 1)).saturating_sub(start.0) / ROW;
    let first_scroll = row_of_target.saturating_sub(CONTEXT) as f64 * ROW_HEIGHT;
    let short = app.width() == Width::Bits32;
    let asked = StoredValue::new(BTreeSet::<u64>::new());
    let scroll = RwSignal::new(first_scroll);
    let height = RwSignal::new(600.0_f64);
    let body = NodeRef::<leptos::html::Div>::new();

    // Pages in sight that are neither known nor on their way are asked for.
    let range = Memo::new(move |_| in_sight(scroll.get(), height.get(), ROW_HEIGHT, ROWS as usize));
    Effect::new(move |_| {
        let (first, last) = range.get();
        for page in pages(start, first as u64, last as u64) {
            let known = cache.with_untracked(|cache| cache.has(page));
            if !known && asked.try_update_value(|asked| asked.insert(page)) == Some(true) {
                let request = Request::Memory { space, address: Hex(page), length: PAGE as u32 };
                client::call(request, move |result| {
                    // The view may be gone by the time the answer comes, or show another space.
                    asked.try_update_value(|asked| asked.remove(&page));
                    if place.wanted.try_get_untracked().is_none_or(|(now, _)| now != space) {
                        return;
                    }
                    match result {
                        Ok(Reply::Memory(chunks)) => {
                            cache.try_update(|cache| cache.insert(page, chunks));
                        }
                        Err(CallError::Failed(message, _)) => {
                            place.target.try_set(Some(Err(message)));
                        }
                        _ => {}
                    }
                });
            }
        }
    });
    Effect::new(move |_| {
        if let Some(body) = body.get() {
            body.set_scroll_top(first_scroll as i32);
            height.set(f64::from(body.client_height()));
            if place.focus.try_update_value(std::mem::take) == Some(true) {
                let _ = body.focus();
            }
        }
    });
    let keys = move |event: KeyboardEvent| {
        if event.ctrl_key() || event.alt_key() || event.meta_key() {
            return;
        }
        let page = (height.get_untracked() / ROW_HEIGHT) as u64;
        let Some(to) = moved(cursor.get_untracked(), &event.key(), page.saturating_sub(1), top) else { return };
        event.prevent_default();
        let row = (to.0 & !(ROW - 1)).checked_sub(start.0).map(|bytes| bytes / ROW).filter(|row| *row < ROWS);
        let Some(row) = row else {
            // Out of the window: another one, and the focus goes along.
            place.focus.set_value(true);
            return app.go(Route::Memory(space, Some(to)));
        };
        cursor.set(to);
        if let Some(body) = body.get_untracked() {
            let above = row as f64 * ROW_HEIGHT;
            // The scroll bar at the bottom takes part of the height.
            let below = above + ROW_HEIGHT - f64::from(body.client_height());
            if above < f64::from(body.scroll_top()) {
                body.set_scroll_top(above as i32);
            } else if below > f64::from(body.scroll_top()) {
                body.set_scroll_top(below.ceil() as i32);
            }
        }
    };
    let rows = move || {
        let (first, last) = range.get();
        let seen = (scroll.get() / ROW_HEIGHT).ceil() as usize;
        let rows: Vec<Row> = (first..last)
            .map(|index| {
                let address = start.0.saturating_add(index as u64 * ROW);
                cache.with(|cache| cache.row(address))
            })
            .collect();
        let mut told = None;
        let absent = |row: &Row| !row.waiting && row.text == "?".repeat(ROW as usize);
        rows.iter()
            .enumerate()
            .map(|(step, row)| {
                // The reason stands in the first row of a hole in sight.
                let reason = row.reason.clone().filter(|reason| first + step >= seen && told.as_ref() != Some(reason));
                if reason.is_some() {
                    told.clone_from(&reason);
                }
                let place = reason.as_ref().map(|reason| {
                    let below = rows.iter().skip(step).take(REASON_ROWS);
                    let same = below.filter(|row| absent(row) && row.reason.as_ref() == Some(reason)).count();
                    match same {
                        0 => Room::Beside,
                        REASON_ROWS => Room::Rows,
                        _ => Room::Line,
                    }
                });
                let mark = target.0 & !(ROW - 1) == row.address;
                line(app, space, cursor, row, first + step, mark, absent(row), reason.zip(place))
            })
            .collect_view()
    };
    view! {
        <div class="dump">
            <div class="hexdump mono" class:short=short tabindex="0" role="region" aria-label="Memory" aria-describedby="at-cursor" data-testid="hexdump"
                node_ref=body on:keydown=keys
                on:scroll=move |event| {
                    if let Some(body) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) {
                        scroll.set(f64::from(body.scroll_top()));
                        height.set(f64::from(body.client_height()));
                    }
                }>
                <div class="hexrows" style:height=format!("{}px", ROWS as f64 * ROW_HEIGHT)>{rows}</div>
            </div>
            <AtCursor space/>
        </div>
    }
}

/// One row. The byte under the cursor is marked both as number and as letter.
#[expect(clippy::too_many_arguments, reason = "all of it is about one row")]
fn line(
    app: App,
    space: Space,
    cursor: RwSignal<Hex>,
    row: &Row,
    index: usize,
    target: bool,
    absent: bool,
    reason: Option<(String, Room)>,
) -> impl IntoView + use<> {
    let address = row.address;
    let at = move || {
        let cursor = cursor.get().0;
        cursor.checked_sub(address).filter(|step| *step < ROW).and_then(|step| usize::try_from(step).ok())
    };
    // A row of text with one piece of it marked.
    let marked = |text: String, width: usize, each: usize| {
        move || {
            let range = at().map(|step| (step * each, step * each + width));
            let parts = range.and_then(|(from, to)| Some((text.get(..from)?, text.get(from..to)?, text.get(to..)?)));
            match parts {
                Some((before, under, after)) => {
                    let (before, under, after) = (before.to_string(), under.to_string(), after.to_string());
                    view! { {before}<mark>{under}</mark>{after} }.into_any()
                }
                None => text.clone().into_any(),
            }
        }
    };
    let click = move |event: MouseEvent, each: usize| {
        let bytes = event.current_target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(bytes) = bytes else { return };
        let area = bytes.get_bounding_client_rect();
        let letters = if each == 1 { ROW as f64 } else { ROW as f64 * each as f64 - 1.0 };
        let letter = (f64::from(event.client_x()) - area.left()) / (area.width().max(1.0) / letters);
        let step = (letter.max(0.0) as u64 / each as u64).min(ROW - 1);
        cursor.set(Hex(address.saturating_add(step)));
    };
    let (hex, text) = if row.waiting { ("…".into(), String::new()) } else { (row.hex.clone(), row.text.clone()) };
    let told = reason.is_some();
    view! {
        <div class="hexrow" class:target=target class:absent=absent class:told=told
            style:transform=format!("translateY({}px)", index as f64 * ROW_HEIGHT)>
            <span class="address" on:click=move |_| cursor.set(Hex(address))>{Place::address(app, space, Hex(address))}</span>
            <span class="bytes" on:click=move |event| click(event, 3)>{marked(hex, 2, 3)}</span>
            <span class="text" on:click=move |event| click(event, 1)>{marked(text, 1, 1)}</span>
            {reason.map(|(reason, room)| {
                let reason = safe(without_address(&reason));
                let tip = reason.clone();
                view! { <span class="reason" class:over=room != Room::Beside class:cut=room == Room::Line title=tip>{reason}</span> }
            })}
        </div>
    }
}

/// What stands at the cursor: a number that may be an address, or why nothing is there.
#[component]
fn AtCursor(space: Space) -> impl IntoView {
    let app = expect_context::<App>();
    let Place { cache, cursor, .. } = expect_context::<Place>();
    let what = move || {
        let at = cursor.get();
        cache.with(|cache| match cache.byte(at.0) {
            None => ().into_any(),
            Some(Err(reason)) => {
                let reason = safe(without_address(reason.unwrap_or("cannot be read")));
                view! { <span class="reason">{reason}</span> }.into_any()
            }
            Some(Ok(_)) => match cache.number(at.0, app.width().pointer()) {
                Some(number) if space != Space::Physical => view! {
                    <a class="mono" title="Show the memory at this address" href=Route::Memory(space, Some(Hex(number))).hash()>
                        {app.width().address(Hex(number))}
                    </a>
                }
                .into_any(),
                Some(number) => view! { <span class="mono">{app.width().address(Hex(number))}</span> }.into_any(),
                None => view! { <span class="dim">"the next page is not there"</span> }.into_any(),
            },
        })
    };
    let absent = move || cache.with(|cache| matches!(cache.byte(cursor.get().0), Some(Err(_))));
    view! {
        <p class="at-cursor" id="at-cursor" data-testid="at-cursor">
            <span class="mono dim">{move || Place::address(app, space, cursor.get())}</span> {move || if absent() { ": " } else { " = " }} {what}
        </p>
    }
}
