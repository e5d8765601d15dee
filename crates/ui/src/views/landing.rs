//! What a visitor sees before a dump is open.

use leptos::prelude::*;
use serde::Deserialize;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, File, Response};

use crate::app::App;

/// One bundled dump.
#[derive(Clone, Debug, Deserialize)]
struct Sample {
    file: String,
    title: String,
    story: String,
}

async fn fetch(url: &str) -> Result<Response, JsValue> {
    let response: Response = JsFuture::from(window().fetch_with_str(url)).await?.dyn_into()?;
    if response.ok() { Ok(response) } else { Err(format!("{url}: {}", response.status()).into()) }
}

async fn samples() -> Result<Vec<Sample>, JsValue> {
    let text = JsFuture::from(fetch("samples/index.json").await?.text()?).await?;
    serde_json::from_str(&text.as_string().unwrap_or_default()).map_err(|error| error.to_string().into())
}

async fn sample_file(name: &str) -> Result<File, JsValue> {
    let blob: Blob = JsFuture::from(fetch(&format!("samples/{name}")).await?.blob()?).await?.dyn_into()?;
    File::new_with_blob_sequence(&js_sys::Array::of(&[JsValue::from(blob)]), name)
}

/// The invitation, the samples and the promise.
#[component]
pub(crate) fn Landing() -> impl IntoView {
    let app = expect_context::<App>();
    let list = RwSignal::new(Vec::<Sample>::new());
    spawn_local(async move {
        // A site without samples is still a site.
        list.set(samples().await.unwrap_or_default());
    });
    let open = move |name: String| {
        spawn_local(async move {
            match sample_file(&name).await {
                Ok(file) => app.open(file),
                Err(error) => app.toast.set(Some(format!("the sample cannot be loaded: {error:?}"))),
            }
        });
    };
    view! {
        <section class="landing" data-testid="landing">
            <h1>"What crashed, and why"</h1>
            <p class="lead">"Drop a Windows crash dump anywhere on this page, or open one with the button above."</p>
            <p class="promise">
                <strong>"The file never leaves this computer. "</strong>
                "It is read in this tab, slice by slice; nothing is uploaded, and the page is not allowed to talk to any other site."
            </p>
            <div class="cards">
                {move || list.get().into_iter().map(|sample| {
                    let name = sample.file.clone();
                    view! {
                        <button class="card" data-testid=format!("sample-{}", sample.file) on:click=move |_| open(name.clone())>
                            <strong>{sample.title}</strong>
                            <span>{sample.story}</span>
                        </button>
                    }
                }).collect_view()}
            </div>
            <h2>"What it opens"</h2>
            <ul>
                <li>"User minidumps ("<code>".dmp"</code>", "<code>".mdmp"</code>") of Windows programs, and Breakpad and Crashpad dumps of Linux and macOS, for x86, x64 and ARM."</li>
                <li>"Small kernel dumps, the files in "<code>"C:\\Windows\\Minidump"</code>"."</li>
                <li>"Kernel dumps of every other kind and any size ("<code>"MEMORY.DMP"</code>"), raw images of memory, and cores of virtual machines."</li>
                <li>"Both in "<code>".zip"</code>", "<code>".gz"</code>", "<code>".zst"</code>" and "<code>".cab"</code>" files: unpacked here, into this browser's own storage, and removed again."</li>
            </ul>
            <p>
                "Drop symbols on an open dump to name its functions: PDBs, images, tables of kernel symbols, folders and archives of them. "
                "The Symbols view says which ones it wants."
            </p>
            <h2>"Where dumps are"</h2>
            <ul>
                <li>"After a blue screen: "<code>"C:\\Windows\\Minidump"</code>" and "<code>"C:\\Windows\\MEMORY.DMP"</code>"."</li>
                <li>"After a program crashed: "<code>"%LOCALAPPDATA%\\CrashDumps"</code>", or where the program keeps its own."</li>
            </ul>
        </section>
    }
}
