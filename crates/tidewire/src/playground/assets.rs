//! The assets of the playground: the page, and the files that it loads. They are served as they are
//! in `web/playground`: no build, no framework.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use tidewire_hub::conditions::matches_etag;
use tidewire_server::{Request, Response};

macro_rules! asset {
    ($name:literal, $media:expr) => {
        Asset { name: $name, media: $media, text: include_str!(concat!("../../web/playground/", $name)) }
    };
}

/// The page itself.
const PAGE: Asset = asset!("index.html", HTML);

/// The files that the page loads. A file that is not in this list is not served.
const ASSETS: [Asset; 24] = [
    asset!("page.css", CSS),
    asset!("lanes.css", CSS),
    asset!("icon.svg", SVG),
    asset!("bytes.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("frames.js", SCRIPT),
    asset!("http.js", SCRIPT),
    asset!("journal.js", SCRIPT),
    asset!("lane-view.js", SCRIPT),
    asset!("lane.js", SCRIPT),
    asset!("log-view.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("polls.js", SCRIPT),
    asset!("publish-box.js", SCRIPT),
    asset!("publisher.js", SCRIPT),
    asset!("ring.js", SCRIPT),
    asset!("settings.js", SCRIPT),
    asset!("streams.js", SCRIPT),
    asset!("summary.js", SCRIPT),
    asset!("techniques.js", SCRIPT),
    asset!("timeline.js", SCRIPT),
    asset!("trace.js", SCRIPT),
    asset!("websocket.js", SCRIPT),
    asset!("wire.js", SCRIPT),
];

/// Scripts and styles come only from this server, as files. No other page may show this one in a
/// frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                                       img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct Asset {
    name: &'static str,
    media: &'static str,
    text: &'static str,
}

/// Returns the page, for a client that accepts HTML.
pub(super) fn page(request: &Request<'_>) -> Response {
    answer(request, &PAGE).with("Vary", "Accept")
}

/// Returns the asset of this name.
pub(super) fn find(request: &Request<'_>, name: &[u8]) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.name.as_bytes() == name).map(|asset| answer(request, asset))
}

/// Returns an asset. All assets share one entity tag, because they change together.
fn answer(request: &Request<'_>, asset: &Asset) -> Response {
    let tag = OPAQUE_TAG.as_str();
    let is_known = matches_etag(request.head, tag);
    let response = Response::new(if is_known { 304 } else { 200 })
        .with("ETag", format!("\"{tag}\""))
        .with("Cache-Control", "no-cache")
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("Cross-Origin-Resource-Policy", "same-origin");
    if is_known { response } else { response.with("Content-Type", asset.media).body(asset.text) }
}

/// The entity tag of the assets of this build.
static OPAQUE_TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    for asset in ASSETS.iter().chain([&PAGE]) {
        asset.text.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
});
