//! Conditional requests (RFC 9110 §13).

use tidewire_grammar::list;
use tidewire_http1::RequestHead;

use crate::request_fields::RequestField;

/// `If-None-Match` (RFC 9110 §13.1.2), compared weakly: proxies that compress weaken a strong tag.
pub fn matches_etag(head: &RequestHead<'_>, opaque_tag: &str) -> bool {
    RequestField::IfNoneMatch.get_all(head).flat_map(list).any(|tag| {
        let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
        let opaque = tag.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        tag == b"*" || opaque == Some(opaque_tag.as_bytes())
    })
}
