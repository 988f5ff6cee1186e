//! Fields that may not stand in trailers.

use tidewire_grammar::eq_ignore_case;

/// Names that frame, route or hold open a message: who reads them after the body is fooled, or was already.
const FORBIDDEN: [&[u8]; 10] = [
    b"connection",
    b"content-length",
    b"expect",
    b"host",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

/// Whether a field of this name is refused in the trailer section: those that say how this message is framed or
/// routed, or what becomes of the connection (RFC 9110 §6.5.1). Case does not matter.
///
/// Other fields that make no sense there (`Authorization`, `Cache-Control`, `Content-Type`) are yielded: they do no harm
/// as long as trailers are kept apart from the header fields, which RFC 9110 §6.5.1 demands.
#[must_use]
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN.iter().any(|forbidden| eq_ignore_case(name, forbidden))
}
