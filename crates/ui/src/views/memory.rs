//! Memory as a hex dump that is read as it is scrolled.

use dumplens_report::{
    Hex,
    protocol::{Reply, Request},
};
use leptos::prelude::*;
use wasm_bindgen::JsCast as _;
use web_sys::HtmlElement;

use crate::{
    app::App,
    client,
    state::{
        grid::in_sight,
        hexview::{Cache, PAGE, ROW, ROWS, pages, window_start},
        route::Route,
    },
    views::safe,
};

/// Height of a row in CSS pixels; the style sheet says the same.
const ROW_HEIGHT: f64 = 20.0;

/// Memory from an address on; without one, from the stack pointer on.
#[component]
pub(crate) fn MemoryView(address: Option<Hex>) -> impl IntoView {
    let app = expect_context::<App>();
    let stack_pointer = || {
        app.summary.with_untracked(|summary| {
            let frames = &summary.as_ref()?.stack.as_ref()?.frames;
            frames.first()?.stack_pointer
        })
    };
    let target = address.or_else(stack_pointer).unwrap_or_default();
    let start = window_start(target);
    let row_of_target = (target.0 & !(ROW - 1)).saturating_sub(start.0) / ROW;
    let cache = RwSignal::new(Cache::default());
    let asked = StoredValue::new(std::collections::BTreeSet::<u64>::new());
    let scroll = RwSignal::new(row_of_target as f64 * ROW_HEIGHT);
    let height = RwSignal::new(600.0_f64);
    let wrong = RwSignal::new(false);
    let body = NodeRef::<leptos::html::Div>::new();

    // Pages in sight that are neither known nor on their way are asked for.
    let rows_in_sight = move || in_sight(scroll.get(), height.get(), ROW_HEIGHT, ROWS as usize);
    Effect::new(move |_| {
        let (first, last) = rows_in_sight();
        for page in pages(start, first as u64, last as u64) {
            let known = cache.with_untracked(|cache| cache.has(page));
            if !known && asked.try_update_value(|asked| asked.insert(page)) == Some(true) {
                let request = Request::Memory {
                    space: dumplens_report::protocol::Space::Current,
                    address: Hex(page),
                    length: PAGE as u32,
                };
                client::call(request, move |result| {
                    // The view may be gone by the time the answer comes.
                    asked.try_update_value(|asked| asked.remove(&page));
                    if let Ok(Reply::Memory(chunks)) = result {
                        cache.try_update(|cache| cache.insert(page, chunks));
                    }
                });
            }
        }
    });
    Effect::new(move |_| {
        if let Some(body) = body.get() {
            body.set_scroll_top((row_of_target as f64 * ROW_HEIGHT) as i32);
            height.set(f64::from(body.client_height()));
        }
    });

    let go = move |text: String| match Hex::parse(&text) {
        Some(address) => {
            wrong.set(false);
            app.go(Route::Memory(Some(address)));
        }
        None => wrong.set(true),
    };
    let region = move |forward: bool| {
        let from = if forward { target } else { Hex(0) };
        client::call(
            Request::Regions { space: dumplens_report::protocol::Space::Current, from, count: 1_000 },
            move |result| {
                let Ok(Reply::Regions(regions)) = result else { return };
                let found = if forward {
                    regions.regions.iter().find(|region| region.start > target)
                } else {
                    regions.regions.iter().rev().find(|region| region.start < target)
                };
                match found {
                    Some(region) => app.go(Route::Memory(Some(region.start))),
                    None => app.toast.set(Some("There is no further captured memory in that direction.".into())),
                }
            },
        );
    };
    let rows = move || {
        let (first, last) = rows_in_sight();
        let mut told = None;
        (first..last)
            .map(|index| {
                let address = start.0.saturating_add(index as u64 * ROW);
                let row = cache.with(|cache| cache.row(address));
                let (hex, text) = if row.waiting { ("…".into(), String::new()) } else { (row.hex, row.text) };
                // The reason stands beside the first row of a hole in sight.
                let reason = row.reason.filter(|reason| told.as_ref() != Some(reason));
                if reason.is_some() {
                    told.clone_from(&reason);
                }
                let absent = hex.starts_with("??") && !hex.contains(|c: char| c.is_ascii_hexdigit());
                view! {
                    <div class="hexrow" class:target=address == target.0 & !(ROW - 1) class:absent=absent
                        style:transform=format!("translateY({}px)", index as f64 * ROW_HEIGHT)>
                        <span class="address">{format!("{address:016x}")}</span>
                        <span class="bytes">{hex}</span>
                        <span class="text">{text}</span>
                        {reason.map(|reason| view! { <span class="reason">{safe(&reason)}</span> })}
                    </div>
                }
            })
            .collect_view()
    };
    view! {
        <section class="memory" data-testid="memory">
            <form class="tools" on:submit=move |event| {
                event.prevent_default();
                let input = document().get_element_by_id("memory-address").and_then(|it| it.dyn_into::<web_sys::HtmlInputElement>().ok());
                go(input.map(|input| input.value()).unwrap_or_default());
            }>
                <label for="memory-address">"Address"</label>
                <input id="memory-address" class="mono" data-testid="memory-address" value=target.to_string() spellcheck="false"
                    autocomplete="off" aria-invalid=move || wrong.get().to_string()/>
                <button type="submit">"Go"</button>
                <button type="button" class="quiet" on:click=move |_| region(false) data-testid="previous-region">"Previous captured"</button>
                <button type="button" class="quiet" on:click=move |_| region(true) data-testid="next-region">"Next captured"</button>
                {move || wrong.get().then(|| view! { <span class="warning" role="alert">"An address is hexadecimal, such as fffff804`8b58334c."</span> })}
            </form>
            <div class="hexdump mono" tabindex="0" role="region" aria-label="Memory" data-testid="hexdump" node_ref=body
                on:scroll=move |event| {
                    if let Some(body) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) {
                        scroll.set(f64::from(body.scroll_top()));
                        height.set(f64::from(body.client_height()));
                    }
                }>
                <div class="hexrows" style:height=format!("{}px", ROWS as f64 * ROW_HEIGHT)>{rows}</div>
            </div>
        </section>
    }
}
