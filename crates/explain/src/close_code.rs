//! The meaning of WebSocket close codes.

use tidewire_ws::close;

/// Returns the meaning of a close code.
pub(crate) const fn meaning(code: u16) -> &'static str {
    match code {
        close::NORMAL => "normal: the purpose is fulfilled",
        close::GOING_AWAY => "going away: the server stops, or the user leaves the page",
        close::PROTOCOL_ERROR => "protocol error",
        close::UNSUPPORTED_DATA => "a type of data that is not supported",
        close::INVALID_PAYLOAD => "data that does not match its type",
        close::POLICY => "a policy was violated",
        close::TOO_BIG => "the message is too big",
        close::EXTENSION_MISSING => "the server did not accept an extension that the client needs",
        close::INTERNAL_ERROR => "internal error",
        close::RESTART => "the server restarts: reconnect after a random delay",
        close::TRY_AGAIN_LATER => "overloaded: try again later",
        close::BAD_GATEWAY => "the gateway's upstream failed",
        3000..=3999 => "registered by a library or framework",
        4000..=4999 => "private to the application",
        _ => "reserved",
    }
}
