//! Memory of a chosen space: the choice, the address, the hex dump, and how the address under the cursor is translated.

mod dump;
mod seek;
mod space;
mod translation;

use dumplens_report::{
    Hex,
    protocol::{Request, Space},
};
use gloo::storage::{LocalStorage, Storage as _};
use leptos::prelude::*;

use crate::{
    app::App,
    client::{self, CallError},
    state::{hexview::Cache, route::Route, search::Search, width::Width},
    views::safe,
};

const TRANSLATION: &str = "dumplens.translation";

/// A space and the address that is shown; or why nothing can be shown. `None` while an address is looked for.
type Target = RwSignal<Option<Result<(Space, Hex), String>>>;

/// What the parts of the view share.
#[derive(Clone, Copy)]
struct Place {
    /// Whose memory is shown, and the address that was asked for.
    wanted: Memo<(Space, Option<Hex>)>,
    /// The same with an address, once one is known.
    target: Target,
    /// The byte the reader looks at.
    cursor: RwSignal<Hex>,
    /// Pages that have been read of the space.
    cache: RwSignal<Cache>,
    /// Whether the dump takes the focus when it is drawn anew.
    focus: StoredValue<bool>,
}

impl Place {
    fn space(self) -> Space {
        self.wanted.get().0
    }

    /// The highest address of a space.
    fn top(app: App, space: Space) -> u64 {
        match space {
            // Processors have at most 52 bits of physical address.
            Space::Physical => (1 << 52) - 1,
            Space::Current | Space::Process { .. } => app.width().top(),
        }
    }

    /// An address of a space with its leading zeros.
    fn address(app: App, space: Space, address: Hex) -> String {
        match (space, app.width()) {
            (Space::Physical, Width::Bits64) => format!("{:012x}", address.0),
            (_, width) => width.address(address),
        }
    }
}

/// Finds out once whether the dump holds physical memory: only then are there spaces to choose from.
pub(crate) fn ask_physical(app: App) {
    if app.physical.with_untracked(Option::is_some) {
        return;
    }
    let request = Request::Translate { space: Space::Physical, address: Hex(0) };
    client::call(request, move |result| match result {
        Ok(_) => app.physical.set(Some(true)),
        Err(CallError::Failed(..)) => app.physical.set(Some(false)),
        Err(CallError::Cancelled | CallError::Crashed) => {}
    });
}

#[component]
pub(crate) fn MemoryView() -> impl IntoView {
    let app = expect_context::<App>();
    ask_physical(app);
    let wanted = Memo::new(move |last: Option<&(Space, Option<Hex>)>| match app.route.get() {
        Route::Memory(space, address) => (space, address),
        // The view is about to go.
        _ => last.copied().unwrap_or_default(),
    });
    let place = Place {
        wanted,
        target: RwSignal::new(None),
        cursor: RwSignal::new(Hex(0)),
        cache: RwSignal::new(Cache::default()),
        focus: StoredValue::new(false),
    };
    provide_context(place);
    let seeker = seek::Seeker::new(place.target);
    Effect::new(move |before: Option<Space>| {
        let (space, address) = wanted.get();
        if before != Some(space) {
            place.cache.set(Cache::default());
            place.target.set(None);
        }
        seeker.stop();
        show(app, place, seeker, space, address);
        space
    });
    let wrong = RwSignal::new(false);
    let go = move |text: String| match Hex::parse(&text) {
        Some(address) => {
            wrong.set(false);
            let (space, before) = wanted.get_untracked();
            app.go(Route::Memory(space, Some(address)));
            // The same address again: back to it, after scrolling away.
            if before == Some(address) {
                show(app, place, seeker, space, before);
            }
        }
        None => wrong.set(true),
    };
    let seek = move |forward: bool| {
        if let Some(Ok((space, target))) = place.target.get_untracked() {
            seeker.start(space, Search::new(target, forward), move |found| match found {
                Some(start) => app.go(Route::Memory(space, Some(start))),
                None => app.toast.set(Some("There is no further captured memory in that direction.".into())),
            });
        }
    };
    let panel = RwSignal::new(LocalStorage::get::<bool>(TRANSLATION).unwrap_or(true));
    let toggle = move |_| {
        panel.update(|open| *open = !*open);
        let _ = LocalStorage::set(TRANSLATION, panel.get_untracked());
    };
    let physical = move || app.physical.get() == Some(true);
    let with_panel = move || physical() && panel.get();
    let value = move || match place.target.get() {
        Some(Ok((_, address))) => address.to_string(),
        _ => String::new(),
    };
    view! {
        <section class="memory" data-testid="memory">
            <form class="tools" on:submit=move |event| {
                event.prevent_default();
                let input = document().get_element_by_id("memory-address");
                let input = input.and_then(|it| wasm_bindgen::JsCast::dyn_into::<web_sys::HtmlInputElement>(it).ok());
                go(input.map(|input| input.value()).unwrap_or_default());
            }>
                {move || physical().then(|| view! { <space::Choice/> })}
                <span class="group">
                <label for="memory-address">"Address"</label>
                <input id="memory-address" class="mono" data-testid="memory-address" prop:value=value spellcheck="false"
                    autocomplete="off" aria-invalid=move || wrong.get().to_string()/>
                <button type="submit">"Go"</button>
                </span>
                <span class="group">
                <button type="button" class="quiet" on:click=move |_| seek(false) data-testid="previous-region">"Previous captured"</button>
                <button type="button" class="quiet" on:click=move |_| seek(true) data-testid="next-region">"Next captured"</button>
                </span>
                {move || physical().then(|| view! {
                    <button type="button" aria-pressed=move || panel.get().to_string() on:click=toggle data-testid="translation-toggle">"Translation"</button>
                })}
                {move || wrong.get().then(|| view! { <span class="warning" role="alert">"An address is hexadecimal, such as fffff804`8b58334c."</span> })}
            </form>
            <seek::Bar seeker/>
            {move || place.target.get().map(|target| match target {
                Ok((space, target)) => view! {
                    <div class="memory-body" class:beside=with_panel>
                        <dump::Dump space target/>
                        {move || with_panel().then(|| view! { <translation::Panel/> })}
                    </div>
                }.into_any(),
                Err(message) => view! {
                    <div class="panel warn" role="alert" data-testid="memory-trouble">
                        <p>{safe(&message)}</p>
                        <a href=Route::Memory(Space::Current, None).hash()>"Show what was current at the crash"</a>
                    </div>
                }.into_any(),
            })}
        </section>
    }
}

/// Shows an address; without one, what is most telling: where the stack of the crash is, or the first captured memory.
fn show(app: App, place: Place, seeker: seek::Seeker, space: Space, address: Option<Hex>) {
    let set = move |address: Hex| {
        place.cursor.try_set(address);
        place.target.try_set(Some(Ok((space, address))));
    };
    let stack_pointer = || {
        app.summary.with_untracked(|summary| {
            let frames = &summary.as_ref()?.stack.as_ref()?.frames;
            frames.first()?.stack_pointer
        })
    };
    match address.or_else(|| stack_pointer().filter(|_| space == Space::Current)) {
        Some(address) => set(address),
        None => seeker.start(space, Search::first(), move |found| set(found.unwrap_or_default())),
    }
}
