//! Files that a walk lacked, and the way to add them.

use leptos::prelude::*;

use crate::views::{safe, symbol_tools::PickSymbols};

/// A button that takes the images and PDBs without which frames may be wrong.
#[component]
pub(super) fn WantedFiles(files: Vec<String>) -> impl IntoView {
    let (label, which) = match files.as_slice() {
        [one] => (format!("Add {}…", safe(one)), "it"),
        _ => ("Add these files…".into(), "them"),
    };
    let title = format!("Of the same version as on that machine: {}", safe(&files.join(", ")));
    view! {
        <p class="tools" data-testid="unwind-hint">
            <PickSymbols label name="wanted" title/>
            <span class="dim">"or drop " {which} " on this page"</span>
        </p>
    }
}
