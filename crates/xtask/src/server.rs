//! A server of symbols that a site may be built with.

use crate::Result;

/// Where the page's policy says whom it may ask.
const OWN: &str = "connect-src 'self';";
/// The line behind which the address is written.
const POLICY_LINE: &str = "http-equiv=\"Content-Security-Policy\"";

/// The address of a server of symbols: `https://host/path/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SymbolServer(String);

impl SymbolServer {
    /// Takes an address that can stand in a page's policy. Without encryption only this machine is asked: names of symbol
    /// files tell what a visitor looks at.
    pub(crate) fn new(address: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
        let local = ["http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:", "http://localhost/"];
        let rest = address.strip_prefix("https://").or_else(|| {
            local.iter().any(|start| format!("{address}/").starts_with(start)).then(|| &address["http://".len()..])
        });
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let dots = address.split('/').any(|part| part == "." || part == "..");
        if host.is_empty() || dots || !rest.is_some_and(|rest| rest.chars().all(plain)) {
            return Err(format!(
                "{address} cannot be a symbol server: name it as https://host/path, in plain letters, without a query"
            ));
        }
        Ok(Self(format!("{}/", address.trim_end_matches('/'))))
    }

    /// Allows the page to ask this server, and tells it where it is.
    pub(crate) fn widen(&self, page: &str) -> Result<String> {
        let Self(address) = self;
        let line = page.lines().find(|line| line.contains(POLICY_LINE) && line.contains(OWN));
        let line = line.ok_or("www/index.html has no policy with connect-src 'self'")?;
        let wider = line.replace(OWN, &format!("connect-src 'self' {address};"));
        let told = format!("{wider}\n  <meta name=\"dumplens-symbol-server\" content=\"{address}\">");
        Ok(page.replacen(line, &told, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::page;

    const CLOSED: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; \
        connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";

    #[test]
    fn without_a_server_the_policy_allows_nobody_else() {
        let page = page(None).unwrap();
        assert!(page.contains(&format!("content=\"{CLOSED}\"")), "{page}");
        assert!(!page.contains("symbol-server"), "{page}");
    }

    #[test]
    fn a_server_widens_what_may_be_asked_and_nothing_else() {
        let server = SymbolServer::new("https://symbols.example:8443/store").unwrap();
        let page = page(Some(&server)).unwrap();
        let open = CLOSED.replace("connect-src 'self'", "connect-src 'self' https://symbols.example:8443/store/");
        assert!(page.contains(&format!("content=\"{open}\"")), "{page}");
        assert!(
            page.contains("<meta name=\"dumplens-symbol-server\" content=\"https://symbols.example:8443/store/\">")
        );
    }

    #[test]
    fn an_address_that_would_say_more_than_one_server_is_refused() {
        for address in [
            "",
            "https://",
            "https:///path",
            "http://symbols.example/",
            "http://localhost.example/",
            "http://127.0.0.1.example/",
            "ftp://symbols.example/",
            "https://a.example/; script-src *",
            "https://a.example/ https://b.example/",
            "https://*.example/",
            "https://a.example/?q",
            "https://a.example/\"><script>",
            "https://user@a.example/",
            "https://a.example/../b",
        ] {
            assert!(SymbolServer::new(address).is_err(), "{address}");
        }
        for address in ["http://127.0.0.1:8080/symbols", "http://localhost/", "https://symbols.example"] {
            assert!(SymbolServer::new(address).is_ok(), "{address}");
        }
    }
}
