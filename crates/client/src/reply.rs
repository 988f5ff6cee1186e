//! What the head of an answer says, and refusals.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tidewire_grammar::{dec_u64, eq_ignore_case};
use tidewire_http1::ResponseHead;

use crate::Error;
use crate::Problem;
use crate::error::Protocol;
use crate::feeds::Item;
use crate::http::{Body, Http};
use crate::object::Object;

/// The part of a response head that decides what happens next.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    reason: String,
    /// In lower case, without parameters.
    media_type: String,
    retry_after: Option<Duration>,
}

/// A refusal, and the gap or reset that it tells if it is a 410 of a poll.
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    pub(crate) gone: Option<Item>,
}

impl Reply {
    pub(crate) fn of(head: &ResponseHead<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let media_type = head.get("content-type").unwrap_or_default().split(|&b| b == b';').next();
        Self {
            status: head.status(),
            reason: text(head.reason()),
            media_type: text(media_type.unwrap_or_default()).to_ascii_lowercase(),
            retry_after: head.get("retry-after").and_then(|value| retry_after(value, SystemTime::now())),
        }
    }

    /// Whether the answer is of this media type. A captive portal answers 200 too, with a page.
    pub(crate) fn require(&self, media_type: &str) -> Result<(), Error> {
        if eq_ignore_case(self.media_type.as_bytes(), media_type.as_bytes()) {
            return Ok(());
        }
        Err(Protocol::MediaType(self.media_type.clone()).into())
    }

    /// Reads the body of a refusal. One that cannot be read is a refusal all the same.
    pub(crate) async fn refusal(self, http: &mut Http) -> Refusal {
        let mut body = Vec::new();
        while body.len() < MAX_PROBLEM && matches!(http.body(&mut body).await, Ok(Body::More)) {}
        let is_document = self.media_type == "application/problem+json";
        let document: Document =
            if is_document { serde_json::from_slice(&body).unwrap_or_default() } else { Document::default() };
        let earliest = document.earliest.and_then(|text| text.parse().ok());
        let gone = match (self.status, document.gap.map(Object::into_item)) {
            (410, Some(Ok(Some(item @ (Item::Gap { .. } | Item::Reset { .. }))))) => Some(item),
            (410, _) => earliest
                .clone()
                .map(|cursor| Item::Reset { reason: document.reason.unwrap_or_default(), cursor }),
            _ => None,
        };
        let problem = Problem {
            status: self.status,
            title: document.title.unwrap_or(self.reason),
            detail: document.detail.unwrap_or_default(),
            retry_after: self.retry_after,
            earliest,
            is_document,
        };
        Refusal { problem, gone }
    }
}

/// RFC 9457, with the members of a 410.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    earliest: Option<String>,
    reason: Option<String>,
    gap: Option<Object>,
}

/// Bytes of a refusal that are read: a problem document is a few hundred.
const MAX_PROBLEM: usize = 64 * 1024;

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = dec_u64(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(b"120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:07 GMT", now), Some(Duration::ZERO), "in the past");
        for bad in ["", "+5", "-5", "1.5", "soon"] {
            assert_eq!(retry_after(bad.as_bytes(), now), None, "{bad}");
        }
    }
}
