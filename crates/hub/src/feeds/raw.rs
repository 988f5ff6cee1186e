//! Raw bytes: the payloads alone, one after another, as one body with the publisher's media type.
//! What is uploaded with PUT comes out as it went in, while it is still going in: a player plays
//! what is not complete yet.
//!
//! Between bytes there is no place to report anything, so the end of the body does it. It ends in
//! good order where the upload did (the last chunk comes, the connection goes on), and in no other
//! case. An upload that was aborted, a gap, a server that stops: the body is cut, without its last
//! chunk, and every HTTP/1.1 client sees that it is not complete.
//!
//! Quirk: a player takes the media type for the truth, so the head waits for the first piece, which
//! has it.

use bytes::{Bytes, BytesMut};
use tidewire_server::{BodyCut, Response};

use crate::message::Message;

/// Adds the media type of a message, if a head can hold it. Payloads have the types that their
/// publishers gave them: as a document, none of them may act for this origin.
pub(crate) fn head(response: Response, first: Option<&Message>) -> Response {
    let media = first.and_then(Message::content_type).unwrap_or(UNKNOWN);
    let is_good = Response::new(200).try_with("Content-Type", media).is_ok();
    response
        .with("Content-Type", if is_good { media } else { UNKNOWN })
        .with("Content-Security-Policy", "sandbox")
        .with("Accept-Ranges", "none")
}

/// For bytes without a media type.
const UNKNOWN: &str = "application/octet-stream";

/// Bytes of small messages that are joined for one write.
pub(crate) const MAX_JOINED: usize = 64 * 1024;

/// Appends a payload. A large one passes as it is; small ones are joined, so that each is not a
/// chunk and a write of its own.
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

// Why a body is not complete. None of it is a fault of the server, and each may happen to every
// reader of a channel.
pub(crate) const ABORTED: BodyCut = BodyCut("the upload was aborted");
pub(crate) const LOST: BodyCut = BodyCut("the reader was too slow: its next bytes are no longer kept");
pub(crate) const STOPPING: BodyCut = BodyCut("the server stops");
