//! The files of the page, as they stand in `web/playground`: no build, no framework.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use tidewire_hub::matches_etag;
use tidewire_server::{Request, Response};

macro_rules! file {
    ($name:literal, $media:expr) => {
        File { name: $name, media: $media, text: include_str!(concat!("../../web/playground/", $name)) }
    };
}

/// The page itself.
const PAGE: File = file!("index.html", HTML);

/// What the page loads. A module that is not in this list is not served.
const FILES: [File; 24] = [
    file!("page.css", CSS),
    file!("lanes.css", CSS),
    file!("icon.svg", SVG),
    file!("bytes.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("frames.js", SCRIPT),
    file!("http.js", SCRIPT),
    file!("journal.js", SCRIPT),
    file!("lane-view.js", SCRIPT),
    file!("lane.js", SCRIPT),
    file!("log-view.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("polls.js", SCRIPT),
    file!("publish-box.js", SCRIPT),
    file!("publisher.js", SCRIPT),
    file!("ring.js", SCRIPT),
    file!("settings.js", SCRIPT),
    file!("streams.js", SCRIPT),
    file!("summary.js", SCRIPT),
    file!("techniques.js", SCRIPT),
    file!("timeline.js", SCRIPT),
    file!("trace.js", SCRIPT),
    file!("websocket.js", SCRIPT),
    file!("wire.js", SCRIPT),
];

/// Scripts and styles are files of this server; there is nothing inline, nothing foreign, and nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct File {
    name: &'static str,
    media: &'static str,
    text: &'static str,
}

/// The page, for a client that asked for HTML.
pub(super) fn page(request: &Request<'_>) -> Response {
    answer(request, &PAGE).with("Vary", "Accept")
}

/// The file of this name.
pub(super) fn find(request: &Request<'_>, name: &[u8]) -> Option<Response> {
    FILES.iter().find(|file| file.name.as_bytes() == name).map(|file| answer(request, file))
}

/// All files have one tag: they belong together, and change together.
fn answer(request: &Request<'_>, file: &File) -> Response {
    let tag = TAG.as_str();
    let same = matches_etag(request.head, tag);
    let response = Response::new(if same { 304 } else { 200 })
        .with("ETag", format!("\"{tag}\""))
        .with("Cache-Control", "no-cache")
        .with("Content-Security-Policy", POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Cross-Origin-Resource-Policy", "same-origin");
    if same { response } else { response.with("Content-Type", file.media).body(file.text) }
}

/// Tells this build's files from those of another.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    for file in FILES.iter().chain([&PAGE]) {
        file.text.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
});
