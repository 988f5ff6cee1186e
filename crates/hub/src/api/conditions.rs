//! Conditional requests (RFC 9110 §13): the comparison of entity tags.

use tidewire_grammar::list;
use tidewire_http1::RequestHead;

use crate::request_fields::RequestField;

/// Whether `If-None-Match` names this tag, or `*`: then a GET is answered with 304
/// (RFC 9110 §13.1.2).
///
/// `opaque_tag` is what stands between the quotation marks of the `ETag`. The comparison is weak,
/// because proxies that compress weaken a strong tag.
pub fn matches_etag(head: &RequestHead<'_>, opaque_tag: &str) -> bool {
    let matches = |tag: &[u8]| {
        let unquoted = strip_weak(tag).strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        unquoted == Some(opaque_tag.as_bytes())
    };
    RequestField::IfNoneMatch.get_all(head).any(|tags| any_tag(tags, matches))
}

/// Whether a list of entity tags is `*`, or has a tag that matches.
pub fn any_tag(tags: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    list(tags).any(|tag| tag == b"*" || matches(tag))
}

/// An entity tag without the mark of a weak one: weak comparison (RFC 9110 §8.8.3.2) compares
/// these.
pub fn strip_weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}
