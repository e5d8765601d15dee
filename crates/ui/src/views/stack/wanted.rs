//! Images that a walk lacked, and the way to add them.

use leptos::prelude::*;

use crate::views::{safe, symbol_tools::PickSymbols};

/// A button that takes the images whose unwind data is missing.
#[component]
pub(super) fn WantedImages(files: Vec<String>) -> impl IntoView {
    let (label, which) = match files.as_slice() {
        [one] => (format!("Add {}…", safe(one)), "it"),
        _ => ("Add images…".into(), "them"),
    };
    view! {
        <p class="tools" data-testid="unwind-hint">
            <PickSymbols label name="images" title="The files themselves, of the same version as on that machine: they hold the unwind data"/>
            <span class="dim">"or drop " {which} " on this page"</span>
        </p>
    }
}
