//! The WebSocket handshake as a response of the HTTP engine.

use tidewire_http1::{RequestHead, Version};
use tidewire_server::{Problem, Response};
use tidewire_ws::handshake::Origins;
use tidewire_ws::handshake::server::{Accept, Options, accept};

use crate::refusal::sentence;

/// The 101 response to a WebSocket handshake (RFC 6455 §4.2), and what was agreed on: subprotocol
/// and compression, as `options` allow.
///
/// This does not check the origin, whatever `options` say. Call
/// [`Access::require`](crate::Access::require) before you send the response.
///
/// # Errors
/// The response that refuses the handshake, such as 400 or 426, with the fields that it needs.
pub fn switch<'a>(head: &RequestHead<'_>, options: Options<'a>) -> Result<(Response, Accept<'a>), Response> {
    let options = options.with_origins(Origins::Any);
    let version = if head.version() == Version::Http11 { (1, 1) } else { (1, 0) };
    match accept(head.method().as_str().as_bytes(), version, head.fields(), &options) {
        Ok(accepted) => {
            let add = |response: Response, (name, value)| response.with(name, value);
            Ok((accepted.response_fields().fold(Response::new(101), add), accepted))
        }
        Err(refusal) => {
            let problem = Problem::new(refusal.status(), sentence(refusal.detail()));
            let add = |response: Response, &(name, value): &(&str, &str)| response.with(name, value);
            Err(refusal.fields().iter().fold(problem.into_response(), add))
        }
    }
}
