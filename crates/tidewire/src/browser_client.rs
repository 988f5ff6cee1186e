//! The client for browsers. It is built from `web/src` and committed as `web/dist`, so that running
//! the server needs no JavaScript tools.

use tidewire_server::Response;

/// The scripts and their paths.
const SCRIPTS: [(&[u8], &str); 2] = [
    (b"/tidewire.js", include_str!("../web/dist/tidewire.js")),
    (b"/tidewire.script.js", include_str!("../web/dist/tidewire.script.js")),
];

/// Returns the script at this path.
pub(crate) fn script(path: &[u8]) -> Option<Response> {
    let (_, text) = SCRIPTS.iter().find(|(known, _)| *known == path)?;
    let response = Response::new(200)
        .with("Content-Type", "text/javascript; charset=utf-8")
        .with("Cache-Control", "no-cache")
        .with("X-Content-Type-Options", "nosniff")
        // Pages of any origin may load the client. The channels decide what each page may do.
        .with("Access-Control-Allow-Origin", "*")
        .body(*text);
    Some(response)
}
