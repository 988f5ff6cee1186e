//! The client for browsers. It is built from `web/src` and committed as `web/dist`, so that running
//! the server needs no JavaScript tools.

use tidewire_server::Response;

/// The path of the client as a module.
pub(crate) const MODULE: &str = "/tidewire.js";

/// The path of the client as a classic script.
pub(crate) const SCRIPT: &str = "/tidewire.script.js";

/// Returns the script at this path.
pub(crate) fn script(path: &[u8]) -> Option<Response> {
    let text = match std::str::from_utf8(path) {
        Ok(MODULE) => include_str!("../web/dist/tidewire.js"),
        Ok(SCRIPT) => include_str!("../web/dist/tidewire.script.js"),
        _ => return None,
    };
    let response = Response::new(200)
        .with("Content-Type", "text/javascript; charset=utf-8")
        .with("Cache-Control", "no-cache")
        .with("X-Content-Type-Options", "nosniff")
        // Pages of any origin may load the client. The channels decide what each page may do.
        .with("Access-Control-Allow-Origin", "*")
        .body(text);
    Some(response)
}
