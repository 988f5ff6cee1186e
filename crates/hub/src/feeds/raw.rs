//! Raw bytes: only the payloads, one after another, as one body with the publisher's media type.
//! Readers get the bytes of a PUT unchanged, while the upload is still running. A player can play a
//! file that is not complete yet.
//!
//! Nothing can be reported between bytes, so the end of the body must report it. The body ends
//! normally (with its last chunk, on a connection that stays open) only if the upload was complete,
//! or if the channel has ended. After an aborted upload, a gap, a deletion, or a stop of the
//! server, the body is cut without its last chunk. Then every HTTP/1.1 client sees that it is not
//! complete.
//!
//! Quirk: a player trusts the media type, so the head waits for the first piece, which has it.

use bytes::{Bytes, BytesMut};
use tidewire_server::{BodyCut, Response};
use tidewire_store::Message;

/// Adds the media type of a message, if a head can carry it. Publishers choose media types. With
/// `sandbox`, no payload can act for this origin if it is opened as a document.
pub(crate) fn head(response: Response, first: Option<&Message>) -> Response {
    let media = first.and_then(Message::content_type).unwrap_or(UNKNOWN);
    let is_good = Response::new(200).try_with("Content-Type", media).is_ok();
    response
        .with("Content-Type", if is_good { media } else { UNKNOWN })
        .with("Content-Security-Policy", "sandbox")
        .with("Accept-Ranges", "none")
}

/// The media type of bytes that have none.
const UNKNOWN: &str = "application/octet-stream";

/// Bytes of small messages that are joined for one write.
pub(crate) const MAX_JOINED: usize = 64 * 1024;

/// Appends a payload. A large one is passed on uncopied. Small ones are joined. Otherwise each
/// would be a chunk and a write of its own.
pub(crate) fn join(bytes: Bytes, payload: &Bytes) -> Bytes {
    if bytes.is_empty() {
        return payload.clone();
    }
    let mut joined = bytes.try_into_mut().unwrap_or_else(|bytes| {
        let mut joined = BytesMut::with_capacity(MAX_JOINED);
        joined.extend_from_slice(&bytes);
        joined
    });
    joined.extend_from_slice(payload);
    joined.freeze()
}

// Reasons for an incomplete body. None of them is an error of the server, and each may affect every
// reader of a channel.
pub(crate) const ABORTED: BodyCut = BodyCut("the upload was aborted");
pub(crate) const LOST: BodyCut = BodyCut("the next bytes of the reader are no longer kept");
pub(crate) const DELETED: BodyCut = BodyCut("the channel was deleted");
pub(crate) const STOPPING: BodyCut = BodyCut("the server is stopping");
