//! The answer to what was published: a message, or an upload.

use serde::Serialize;
use tidewire_server::{Response, json};

use crate::cors::Access;

/// An answer with the cursor after what was published, as a field and in a line of JSON.
pub(crate) fn published(status: u16, cursor: &str, object: &impl Serialize, access: &Access) -> Response {
    let mut body = Vec::with_capacity(USUAL_LEN);
    json::write(object, &mut body);
    body.push(b'\n');
    let response = Response::new(status)
        .with("Content-Type", "application/json")
        .with("Cache-Control", "no-store")
        .with("Tidewire-Cursor", cursor)
        .body(body);
    access.apply(response.with("Vary", "Origin"))
}

/// Bytes that nearly every such body has room in.
const USUAL_LEN: usize = 96;
