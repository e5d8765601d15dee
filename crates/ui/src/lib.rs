//! The Dumplens page: what a visitor sees. It knows the report's types and the messages to the worker, and nothing of how
//! dumps are read.
#![allow(missing_docs, unreachable_pub, reason = "what the component macro generates is public and undocumented")]

mod app;
mod client;
mod load;
mod save;
mod state;
mod symbols;
mod table;
mod views;

use wasm_bindgen::prelude::wasm_bindgen;

/// Shows the page.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
    leptos::mount::mount_to_body(app::Page);
}
