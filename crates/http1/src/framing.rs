//! Where a message ends: RFC 9112 §6.3 as one `match`.

use crate::error::{ErrorKind, Fault, Limit, Rule};
use crate::head_info::{Body, HeadInfo};
use crate::known_fields::KnownFields;
use crate::limits::Limits;
use crate::message::{BodyLength, Version};

/// A message, as far as RFC 9112 §6.3 asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request,
    /// `bodiless`: it answers a HEAD, or is a 2xx to a CONNECT.
    Response {
        status: u16,
        bodiless: bool,
    },
}

/// Decides the length of the body, once the head is complete.
#[inline]
pub(crate) fn frame(info: &mut HeadInfo, message: Message, limits: &Limits) -> Result<(), Fault> {
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
/// Where the RFC leaves a recipient the choice to repair, we refuse. What two recipients repair differently is how a request is
/// smuggled past one of them.
fn body_length(message: Message, version: Version, known: &KnownFields) -> Result<BodyLength, Rule> {
    match (message, known.chunked(), known.length()) {
        // (1) no body follows, whatever the fields say; (2) the connection becomes a tunnel
        (Message::Response { status: 100..=199 | 204 | 304, .. }, _, _) => Ok(BodyLength::Empty),
        (Message::Response { bodiless: true, .. }, _, _) => Ok(BodyLength::Empty),
        // §6.1: an HTTP/1.0 message with Transfer-Encoding has faulty framing
        (_, true, _) if version == Version::Http10 => Err(Rule::CodingInHttp10),
        // (3) "ought to be handled as an error"
        (_, true, Some(_)) => Err(Rule::LengthAndCoding),
        // (4) chunked is the last coding, and here the only one: others were refused with their field line
        (_, true, None) => Ok(BodyLength::Chunked),
        // (5) an invalid Content-Length was refused with its field line; (6) a valid one
        (_, false, Some(length)) => Ok(BodyLength::Length(length)),
        // (7) and (8)
        (Message::Request, false, None) => Ok(BodyLength::Empty),
        (Message::Response { .. }, false, None) => Ok(BodyLength::UntilClose),
    }
}
