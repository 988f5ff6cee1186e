//! Where a message ends: RFC 9112 §6.3 as one `match`.

use crate::error::{ErrorKind, Fault, Limit, Rule};
use crate::head_info::{Body, HeadInfo};
use crate::known_fields::KnownFields;
use crate::limits::Limits;
use crate::message::{BodyLength, Version};

/// The properties of a message that RFC 9112 §6.3 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    /// `bodiless`: the response answers a HEAD, or is a 2xx to CONNECT.
    Response {
        status: u16,
        bodiless: bool,
    },
}

/// Decides how the body of a complete head is delimited.
#[inline]
pub(crate) fn decide_body(info: &mut HeadInfo, message: Message, limits: &Limits) -> Result<(), Fault> {
    let known = &info.known;
    let body = body_length(message, info.version, known)
        .map_err(|rule| (ErrorKind::Rule(rule), usize::from(known.coding_at.max(known.length_at))))?;
    if matches!(body, BodyLength::Length(n) if n > limits.max_body) {
        return Err((ErrorKind::Limit(Limit::Body), known.length_at.into()));
    }
    info.body = match body {
        BodyLength::Empty => Body::Empty,
        BodyLength::Length(_) => Body::Length,
        BodyLength::Chunked => Body::Chunked,
        BodyLength::UntilClose => Body::UntilClose,
    };
    Ok(())
}

/// The length of a message's body: RFC 9112 §6.3, in the RFC's order, for both roles.
///
/// Where the RFC allows a recipient to repair a message, we refuse it. Attackers smuggle requests
/// where two recipients repair a message differently.
fn body_length(message: Message, version: Version, known: &KnownFields) -> Result<BodyLength, Rule> {
    match (message, known.chunked(), known.length()) {
        // (1) no body follows, whatever the fields say; (2) the connection becomes a tunnel
        (Message::Response { status: 100..=199 | 204 | 304, .. }, _, _) => Ok(BodyLength::Empty),
        (Message::Response { bodiless: true, .. }, _, _) => Ok(BodyLength::Empty),
        // §6.1: an HTTP/1.0 message with Transfer-Encoding has faulty framing
        (_, true, _) if version == Version::Http10 => Err(Rule::CodingInHttp10),
        // (3) "ought to be handled as an error"
        (_, true, Some(_)) => Err(Rule::LengthAndCoding),
        // (4) chunked is the last coding. Here it is the only one: other codings were refused
        // before
        (_, true, None) => Ok(BodyLength::Chunked),
        // (5) an invalid Content-Length was refused before; (6) a valid one
        (_, false, Some(length)) => Ok(BodyLength::Length(length)),
        // (7) and (8)
        (Message::Request, false, None) => Ok(BodyLength::Empty),
        (Message::Response { .. }, false, None) => Ok(BodyLength::UntilClose),
    }
}
