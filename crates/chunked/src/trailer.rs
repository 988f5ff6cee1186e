//! Fields that are not allowed in trailers.

use tidewire_grammar::eq_ignore_case;

/// Fields that frame or route a message, or say what happens to the connection. When they arrive,
/// the body is already read. A recipient that uses them now could be deceived, or has already read
/// the body wrongly.
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

/// Returns whether a field of this name is refused in the trailer section: a field that says how
/// the message is framed or routed, or what happens to the connection (RFC 9110 §6.5.1). Ignores
/// case.
///
/// Other fields that make no sense there (`Authorization`, `Cache-Control`, `Content-Type`) are
/// yielded. They do no harm as long as trailers are kept apart from the header fields, which
/// RFC 9110 §6.5.1 demands.
///
/// ```
/// use tidewire_chunked::is_forbidden_trailer;
///
/// assert!(is_forbidden_trailer(b"content-length"));
/// assert!(!is_forbidden_trailer(b"Digest"));
/// ```
#[must_use]
pub fn is_forbidden_trailer(name: &[u8]) -> bool {
    FORBIDDEN.iter().any(|forbidden| eq_ignore_case(name, forbidden))
}
