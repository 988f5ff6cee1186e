//! Conditional requests (RFC 9110 §13).

use tidewire_grammar::list;
use tidewire_http1::RequestHead;

use crate::request_fields::RequestField;

/// Whether `If-None-Match` names this tag, or `*`: then a GET is answered with 304 (RFC 9110 §13.1.2).
///
/// `opaque_tag` is what stands between the quotation marks of the `ETag`. The comparison is weak,
/// because proxies that compress weaken a strong tag.
pub fn matches_etag(head: &RequestHead<'_>, opaque_tag: &str) -> bool {
    RequestField::IfNoneMatch.get_all(head).flat_map(list).any(|tag| {
        let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
        let opaque = tag.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        tag == b"*" || opaque == Some(opaque_tag.as_bytes())
    })
}
