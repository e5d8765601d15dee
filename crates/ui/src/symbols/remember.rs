//! The folder of symbols that was picked last, remembered from visit to visit. A handle can only be kept in IndexedDB; it
//! gives no access by itself: the browser asks the visitor again.

use js_sys::{Function, Object, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{FileSystemDirectoryHandle, IdbDatabase, IdbObjectStore, IdbRequest, IdbTransactionMode};

const DATABASE: &str = "dumplens";
const STORE: &str = "folders";
const KEY: &str = "symbols";

/// What a request of the database comes to.
async fn result(request: &IdbRequest) -> Result<JsValue, JsValue> {
    let asked = request.clone();
    let promise = Promise::new(&mut |done: Function, failed: Function| {
        let (request, error) = (asked.clone(), asked.clone());
        let done = Closure::once_into_js(move || {
            let _ = done.call1(&JsValue::NULL, &request.result().unwrap_or_default());
        });
        let failed = Closure::once_into_js(move || {
            let why = error.error().ok().flatten().map_or(JsValue::NULL, JsValue::from);
            let _ = failed.call1(&JsValue::NULL, &why);
        });
        asked.set_onsuccess(Some(done.unchecked_ref()));
        asked.set_onerror(Some(failed.unchecked_ref()));
    });
    JsFuture::from(promise).await
}

async fn database() -> Result<IdbDatabase, JsValue> {
    let factory = window().indexed_db()?.ok_or("no database")?;
    let request = factory.open_with_u32(DATABASE, 1)?;
    let upgraded = request.clone();
    let upgrade = Closure::once_into_js(move || {
        if let Ok(database) = upgraded.result().and_then(|database| database.dyn_into::<IdbDatabase>()) {
            let _ = database.create_object_store(STORE);
        }
    });
    request.set_onupgradeneeded(Some(upgrade.unchecked_ref()));
    result(&request).await?.dyn_into()
}

async fn store(mode: IdbTransactionMode) -> Result<IdbObjectStore, JsValue> {
    database().await?.transaction_with_str_and_mode(STORE, mode)?.object_store(STORE)
}

/// Remembers a folder. Where the browser refuses, it is picked again next time.
pub(crate) async fn put(folder: &FileSystemDirectoryHandle) -> Result<(), JsValue> {
    let store = store(IdbTransactionMode::Readwrite).await?;
    result(&store.put_with_key(folder, &KEY.into())?).await.map(drop)
}

/// Forgets the folder.
pub(crate) async fn clear() -> Result<(), JsValue> {
    let store = store(IdbTransactionMode::Readwrite).await?;
    result(&store.delete(&KEY.into())?).await.map(drop)
}

/// The remembered folder.
pub(crate) async fn get() -> Option<FileSystemDirectoryHandle> {
    let store = store(IdbTransactionMode::Readonly).await.ok()?;
    result(&store.get(&KEY.into()).ok()?).await.ok()?.dyn_into().ok()
}

/// Asks for permission to read it. A browser only asks the visitor within a click.
pub(crate) async fn allowed(folder: &FileSystemDirectoryHandle) -> bool {
    for question in ["queryPermission", "requestPermission"] {
        let mode = Object::new();
        let answer = Reflect::set(&mode, &"mode".into(), &"read".into())
            .and_then(|_| Reflect::get(folder, &question.into()))
            .and_then(|ask| ask.dyn_into::<Function>())
            .and_then(|ask| ask.call1(folder, &mode))
            .and_then(|answer| answer.dyn_into::<Promise>());
        let Ok(answer) = answer else { continue };
        if JsFuture::from(answer).await.is_ok_and(|answer| answer == "granted") {
            return true;
        }
    }
    false
}
