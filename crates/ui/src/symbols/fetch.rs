//! Symbol files from a server, if whoever hosts the page chose one: then the page's policy allows it to be asked, and its
//! address stands in the page's head. Nothing is fetched unless the visitor asks for it. What comes is taken in as files are
//! that were dropped: recognised by content, matched by identity.

use std::{cell::Cell, rc::Rc};

use dumplens_report::symbols::WantedFile;
use js_sys::{Array, Reflect, Uint8Array};
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Blob, File, ReadableStreamDefaultReader, ReferrerPolicy, RequestCredentials, RequestInit, Response,
};

/// Where `cargo xtask dist --symbol-server` writes the address.
const PLACE: &str = "meta[name=dumplens-symbol-server]";
/// Most bytes of one file. The largest PDBs of Windows have a few hundred megabytes, those of browsers some gigabytes.
const MOST: u64 = 4 << 30;
/// So many bytes are handed to the browser at once, which may put them on the disk.
const PART: u64 = 16 << 20;

/// The address of the server, which ends in `/`; `None` if this site has none.
pub(crate) fn server() -> Option<String> {
    let place = document().query_selector(PLACE).ok().flatten()?;
    place.get_attribute("content").filter(|address| address.ends_with('/'))
}

/// The part of an address that people know a server by.
pub(crate) fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Why there is no file.
pub(crate) enum Trouble {
    /// The server does not have it.
    Absent,
    /// The visitor thought better of it.
    Cancelled,
    /// The file cannot be had: why, for people.
    File(String),
    /// The server cannot be asked for anything: why, for people.
    Server(String),
}

/// Fetches one file, as it is or packed. `told` hears how many bytes came, and of how many if that is known.
pub(crate) async fn fetch(
    server: &str,
    wanted: &WantedFile,
    abort: &AbortController,
    stop: &Rc<Cell<bool>>,
    told: &dyn Fn(u64, u64),
) -> Result<File, Trouble> {
    for (url, name) in wanted.urls(server) {
        match get(server, &url, &name, abort, told).await {
            _ if stop.get() => return Err(Trouble::Cancelled),
            Err(Trouble::Absent) => {}
            other => return other,
        }
    }
    Err(Trouble::Absent)
}

async fn get(
    server: &str,
    url: &str,
    name: &str,
    abort: &AbortController,
    told: &dyn Fn(u64, u64),
) -> Result<File, Trouble> {
    let host = host(server);
    let options = RequestInit::new();
    // The server learns which file is wanted, and nothing of the visitor.
    options.set_credentials(RequestCredentials::Omit);
    options.set_referrer_policy(ReferrerPolicy::NoReferrer);
    options.set_signal(Some(&abort.signal()));
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, &options)).await;
    // Browsers do not tell pages why: neither a server that is off nor one that sends no CORS headers has a message.
    let response: Response = answer.and_then(|answer| answer.dyn_into()).map_err(|_| {
        Trouble::Server(format!(
            "{host} did not answer, or does not allow this site to read its answers (it must send CORS headers, and not \
             redirect to other servers)"
        ))
    })?;
    match response.status() {
        404 | 410 => return Err(Trouble::Absent),
        _ if response.ok() => {}
        status @ (401 | 403) => {
            return Err(Trouble::Server(format!("{host} refuses to give {name} (status {status})")));
        }
        status => return Err(Trouble::File(format!("{host} failed on {name} (status {status})"))),
    }
    let too_large = || Trouble::File(format!("{name} on {host} is larger than a page can take (4 GiB)"));
    // 0 where the server does not say. What it says is for the progress; what comes is counted.
    let length = response.headers().get("content-length").ok().flatten();
    let total = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if total > MOST {
        return Err(too_large());
    }
    let broken = || Trouble::File(format!("{host} broke off in the middle of {name}"));
    let body = response.body().ok_or_else(broken)?;
    let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into().map_err(|_| broken())?;
    let parts = Array::new();
    let (mut now, mut held, mut done) = (Array::new(), 0_u64, 0_u64);
    loop {
        let piece = JsFuture::from(reader.read()).await.map_err(|_| broken())?;
        if Reflect::get(&piece, &"done".into()).is_ok_and(|done| done.is_truthy()) {
            break;
        }
        let bytes = Reflect::get(&piece, &"value".into()).and_then(|value| value.dyn_into::<Uint8Array>());
        let bytes = bytes.map_err(|_| broken())?;
        let count = u64::from(bytes.length());
        (held, done) = (held.saturating_add(count), done.saturating_add(count));
        if done > MOST {
            drop(reader.cancel());
            return Err(too_large());
        }
        now.push(&bytes);
        if held >= PART {
            parts.push(&blob(&now).ok_or_else(broken)?);
            (now, held) = (Array::new(), 0);
        }
        told(done, total);
    }
    parts.push(&blob(&now).ok_or_else(broken)?);
    File::new_with_blob_sequence(&parts, name).map_err(|_| broken())
}

fn blob(parts: &Array) -> Option<JsValue> {
    Blob::new_with_u8_array_sequence(parts).ok().map(JsValue::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_host() {
        assert_eq!(host("https://symbols.example:8443/store/"), "symbols.example:8443");
        assert_eq!(host("http://127.0.0.1/"), "127.0.0.1");
    }
}
