//! The response to a publish or an upload.

use serde::Serialize;
use tidewire_server::{Response, json};

use crate::cors::Access;

/// The response. It has the cursor after what was published, as a field and in one line of JSON.
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

/// Capacity that is enough for nearly every such body.
const USUAL_LEN: usize = 96;
