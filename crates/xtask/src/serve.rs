//! A small static server for trying the site.

use std::{fs, path::Path};

use tiny_http::{Header, Response, Server};

use crate::{Result, dist, root};

/// The policy that the page has in its head.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";

/// Builds the site and serves it on 127.0.0.1 until interrupted.
pub(crate) fn serve(port: u16) -> Result {
    let folder = root().join("dist");
    dist::dist(&folder, None)?;
    // The port may be taken: the next ones will do.
    let server = (port..port.saturating_add(20)).find_map(|port| Server::http(("127.0.0.1", port)).ok());
    let server = server.ok_or_else(|| format!("no free port from {port} on; name one with --port"))?;
    let address = server.server_addr();
    println!("\nDumplens is ready: http://{address}/   (Ctrl+C stops it)");
    for request in server.incoming_requests() {
        let response = answer(&folder, request.url());
        // A browser that closed the connection is no reason to stop.
        let _ = request.respond(response);
    }
    Ok(())
}

fn answer(folder: &Path, url: &str) -> Response<std::io::Cursor<Vec<u8>>> {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    // Nothing outside the folder is served.
    let inside = path.split('/').all(|part| !part.is_empty() && part != ".." && !part.contains(['\\', ':', '%']));
    match inside.then(|| fs::read(folder.join(path)).ok()).flatten() {
        Some(bytes) => {
            let header = |name: &str, value: &str| Header::from_bytes(name, value).ok();
            let mut response = Response::from_data(bytes);
            let headers = [
                header("Content-Type", mime(path)),
                header("Cache-Control", "no-cache"),
                // The policy in the page does not bind its worker; as a header it binds both.
                header("Content-Security-Policy", POLICY),
            ];
            for header in headers.into_iter().flatten() {
                response.add_header(header);
            }
            response
        }
        None => Response::from_data(b"not found".to_vec()).with_status_code(404),
    }
}

fn mime(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
