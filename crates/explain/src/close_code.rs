//! What the close codes of WebSocket mean.

use tidewire_ws::close;

/// What a close code means.
pub(crate) const fn meaning(code: u16) -> &'static str {
    match code {
        close::NORMAL => "the purpose is fulfilled",
        close::GOING_AWAY => "going away: a server stops, a page is left",
        close::PROTOCOL_ERROR => "protocol error",
        close::UNSUPPORTED_DATA => "a kind of data that it cannot take",
        close::INVALID_PAYLOAD => "data that does not fit its type",
        close::POLICY => "a policy was broken",
        close::TOO_BIG => "a message too big",
        close::EXTENSION_MISSING => "the server did not take a needed extension",
        close::INTERNAL_ERROR => "internal error",
        close::RESTART => "the server restarts: come back after a random wait",
        close::TRY_AGAIN_LATER => "overloaded: come back later",
        close::BAD_GATEWAY => "the gateway's upstream failed",
        3000..=3999 => "registered by a library or framework",
        4000..=4999 => "private to the application",
        _ => "reserved",
    }
}
