//! The header fields that both sides of a handshake write and read.

use tidewire_grammar::{eq_ignore_case, is_token, list};

/// The fields that make a head one of a handshake, with the side's `own` among them.
pub(super) fn upgrade_fields<'a, const N: usize>(
    own: [(&'static str, &'a str); N],
    subprotocol: Option<&'a str>,
    extensions: Option<&'a str>,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        .into_iter()
        .chain(own)
        .chain(subprotocol.map(|value| ("Sec-WebSocket-Protocol", value)))
        .chain(extensions.map(|value| ("Sec-WebSocket-Extensions", value)))
}

/// Whether `name` is this field's, which is given in lower case.
pub(super) fn is_field(name: &[u8], field: &str) -> bool {
    eq_ignore_case(name, field.as_bytes())
}

/// Whether one of the elements of a list is this token, in any case.
pub(super) fn has_token(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|element| eq_ignore_case(element, token))
}

/// A subprotocol's name is a token; names differ in case (RFC 6455 §4.1 (10), §11.5).
pub(super) fn is_subprotocol(name: &[u8]) -> bool {
    is_token(name)
}
