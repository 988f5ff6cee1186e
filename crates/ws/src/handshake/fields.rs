//! The header fields that both sides of a handshake write and read.

use tidewire_grammar::{eq_ignore_case, is_token, list};

/// The fields of a handshake: those of both sides, the side's `own`, and the optional ones.
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

/// Whether `name` is the name `field`, in any case. `field` must be lower case.
pub(super) fn is_field(name: &[u8], field: &str) -> bool {
    eq_ignore_case(name, field.as_bytes())
}

/// Whether one of the elements of a list is this token, in any case.
pub(super) fn has_token(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|element| eq_ignore_case(element, token))
}

/// Whether `name` can be a subprotocol's: a token, whose case matters (RFC 6455 §4.1 (10), §11.5).
pub(super) fn is_subprotocol(name: &[u8]) -> bool {
    is_token(name)
}
