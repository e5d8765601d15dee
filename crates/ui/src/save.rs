//! Text as a file that the visitor's browser saves.

use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use crate::app::App;

/// Saves text under a name, as a download.
pub(crate) fn save_text(app: App, name: &str, kind: &str, text: &str) {
    let saved = (|| {
        let properties = BlobPropertyBag::new();
        properties.set_type(kind);
        let parts = js_sys::Array::of(&[JsValue::from_str(text)]);
        let blob = Blob::new_with_str_sequence_and_options(&parts, &properties)?;
        let url = Url::create_object_url_with_blob(&blob)?;
        let link: HtmlAnchorElement = document().create_element("a")?.dyn_into()?;
        link.set_href(&url);
        link.set_download(name);
        link.click();
        Url::revoke_object_url(&url)
    })();
    if let Err(error) = saved {
        app.toast.set(Some(format!("{name} cannot be saved: {error:?}")));
    }
}
