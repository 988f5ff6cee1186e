//! One HTTP message: the notes of its head, and what follows it.

use tidewire_http1::reason_phrase as reason;
use tidewire_http1::{BodyLength, RequestHead, ResponseHead};
use tidewire_ws::deflate::Params;
use tidewire_ws::handshake::accept_key;
use tidewire_ws::handshake::client::VerifyError;

use crate::body::Body;
use crate::head;
use crate::limits::Limits;
use crate::note::{NoteKind, Notes};
use crate::refusal::Refusal;
use crate::request_context::RequestContext;
use crate::text::{brief, byte_count};
use crate::upgrade::{NewProtocol, UpgradeOffer, handshake_refusal};

/// What follows the head of a response.
pub(crate) enum AfterResponse {
    Body(Body),
    /// Another head, for the same request.
    Head,
    Protocol(NewProtocol),
}

/// Adds the notes of a request's head, which starts at the offset `at`. Returns the body, and what
/// the response depends on.
pub(crate) fn request(
    at: u64,
    head: &RequestHead<'_>,
    limits: &Limits,
    notes: &mut Notes,
) -> (Body, RequestContext) {
    let request = RequestContext::new(head);
    let (next, section) = match head.body() {
        _ if request.upgrade.is_some() => ("what follows depends on the answer".to_owned(), "RFC 9110 §7.8"),
        BodyLength::Empty | BodyLength::UntilClose => {
            ("the request has no body".to_owned(), "RFC 9112 §6.3 (7)")
        }
        BodyLength::Length(length) => body_of_length(length),
        BodyLength::Chunked => chunked_body(),
    };
    head::whole(at, head.as_bytes(), "", &next, section, notes);
    let end = at + head.as_bytes().len() as u64;
    if let Some(UpgradeOffer::WebSocket { key: Some(_), .. }) = &request.upgrade {
        let proof = accept_key(head.get("Sec-WebSocket-Key").unwrap_or_default());
        let meaning = format!("16 random bytes in base64; the right answer to them is {}", brief(&proof, 28));
        notes.amend(at + line_of(head.as_bytes(), "sec-websocket-key"), meaning);
    }
    if let Some(refusal) = handshake_refusal(head) {
        let meaning = format!("a WebSocket server answers {} {}", refusal.status(), reason(refusal.status()));
        notes.add((end, end), 0, NoteKind::Warning, "RFC 6455 §4.2.1", refusal.detail(), meaning);
    }
    (Body::new(end, head.body(), head.get("Content-Type"), limits), request)
}

/// Adds the notes of a response's head, which starts at the offset `at`. Returns what follows it.
pub(crate) fn response(
    at: u64,
    head: &ResponseHead<'_>,
    request: &RequestContext,
    limits: &Limits,
    notes: &mut Notes,
) -> Result<AfterResponse, Refusal> {
    let answered = match &request.line {
        Some(line) => format!("answers {line}"),
        None => "the request was not seen: treated as the answer to a GET".into(),
    };
    let status = head.status();
    let is_tunnel = request.is_connect && matches!(status, 200..=299);
    let (next, section) = match head.body() {
        _ if status == 101 || is_tunnel => ("another protocol begins".to_owned(), "RFC 9110 §15.2.2"),
        _ if head.is_interim() => ("another head follows, for the same request".to_owned(), "RFC 9110 §15.2"),
        _ if request.is_head => {
            ("no body follows, because it answers a HEAD".to_owned(), "RFC 9112 §6.3 (1)")
        }
        BodyLength::Empty => (format!("a {status} has no body"), "RFC 9112 §6.3 (1)"),
        BodyLength::Length(length) => body_of_length(length),
        BodyLength::Chunked => chunked_body(),
        BodyLength::UntilClose => {
            ("the body lasts until the connection closes".to_owned(), "RFC 9112 §6.3 (8)")
        }
    };
    head::whole(at, head.as_bytes(), &answered, &next, section, notes);
    if status == 101 {
        return switching_protocols(at, head, request, notes).map(AfterResponse::Protocol);
    }
    if is_tunnel {
        return Ok(AfterResponse::Protocol(NewProtocol::Other));
    }
    if head.is_interim() {
        return Ok(AfterResponse::Head);
    }
    let end = at + head.as_bytes().len() as u64;
    Ok(AfterResponse::Body(Body::new(end, head.body(), head.get("Content-Type"), limits)))
}

fn body_of_length(length: u64) -> (String, &'static str) {
    (format!("{} of body follow", byte_count(length)), "RFC 9112 §6.3 (6)")
}

fn chunked_body() -> (String, &'static str) {
    ("chunks follow".to_owned(), "RFC 9112 §6.3 (4)")
}

/// Returns what a 101 agrees on. Also adds details to the notes of its fields if the connection is
/// a WebSocket now.
fn switching_protocols(
    at: u64,
    head: &ResponseHead<'_>,
    request: &RequestContext,
    notes: &mut Notes,
) -> Result<NewProtocol, Refusal> {
    let Some(offer) = &request.upgrade else { return Ok(NewProtocol::Other) };
    let protocol = offer.accepted(head).map_err(|error| {
        // The offset is that of the wrong field, or of the end of the head if the field is missing.
        Refusal::handshake(at + line_of(head.as_bytes(), wrong_field(error)), error)
    })?;
    if let (NewProtocol::WebSocket(negotiated), UpgradeOffer::WebSocket { key: Some(_), .. }) =
        (protocol, offer)
    {
        let proof = "base64 of the SHA-1 of the client's key and a fixed text; \
                     it is right, so the server speaks WebSocket";
        notes.amend(at + line_of(head.as_bytes(), "sec-websocket-accept"), proof.into());
        if let Some(params) = negotiated.deflate {
            let extensions = line_of(head.as_bytes(), "sec-websocket-extensions");
            notes.amend(at + extensions, compression(&params));
        }
    }
    Ok(protocol)
}

const fn wrong_field(error: VerifyError) -> &'static str {
    match error {
        VerifyError::Upgrade => "upgrade",
        VerifyError::Connection => "connection",
        VerifyError::Accept => "sec-websocket-accept",
        VerifyError::Subprotocol => "sec-websocket-protocol",
        VerifyError::Extension => "sec-websocket-extensions",
        _ => "",
    }
}

/// Returns where the first field of this name begins in a head, or where the empty line begins.
fn line_of(head: &[u8], name: &str) -> u64 {
    let mut at = 0;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let is_it =
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_it || line == b"\r\n" {
            break;
        }
        at += line.len() as u64;
    }
    at
}

/// Returns the agreed compression, in words.
fn compression(params: &Params) -> String {
    let side =
        |alone: bool| if alone { "each message by itself" } else { "with earlier messages as context" };
    format!(
        "messages may be compressed: by the server {}, by the client {}",
        side(params.server_no_context_takeover),
        side(params.client_no_context_takeover)
    )
}
