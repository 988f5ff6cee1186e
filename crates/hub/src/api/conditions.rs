//! Conditional requests (RFC 9110 §13): the comparison of entity tags.

use tidewire_grammar::list;
use tidewire_http1::RequestHead;

use crate::request_fields::RequestField;

/// Whether `If-None-Match` contains this tag, or `*`. Then answer a GET with 304 (RFC 9110
/// §13.1.2).
///
/// `opaque_tag` is the text between the quotation marks of the `ETag`. The comparison is weak,
/// because proxies that compress make a strong tag weak.
pub fn matches_etag(head: &RequestHead<'_>, opaque_tag: &str) -> bool {
    let matches = |tag: &[u8]| {
        let unquoted = strip_weak(tag).strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        unquoted == Some(opaque_tag.as_bytes())
    };
    RequestField::IfNoneMatch.get_all(head).any(|tags| any_tag(tags, matches))
}

/// Whether a list of entity tags is `*`, or contains a tag that matches.
pub fn any_tag(tags: &[u8], matches: impl Fn(&[u8]) -> bool) -> bool {
    list(tags).any(|tag| tag == b"*" || matches(tag))
}

/// An entity tag without the prefix `W/` of a weak tag, as weak comparison needs it (RFC 9110
/// §8.8.3.2).
pub fn strip_weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}
