//! The head of an answer, and why an answer is refused.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tidewire_grammar::{dec_u64, eq_ignore_case};
use tidewire_http1::ResponseHead;

use crate::error::Protocol;
use crate::http::{Body, Http};
use crate::item::Item;
use crate::object::Object;
use crate::{Error, Problem};

/// The part of a response head that decides what happens next.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    reason: String,
    /// In lower case, without parameters.
    media_type: String,
    /// The codings of the content, if it is compressed.
    coding: Option<String>,
    retry_after: Option<Duration>,
}

/// Why an answer cannot be used.
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The gap or reset that a 410 reports.
    pub(crate) gone: Option<Item>,
}

impl AnswerHead {
    pub(crate) fn of(head: &ResponseHead<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let media_type = head.get("content-type").unwrap_or_default().split(|&b| b == b';').next();
        Self {
            status: head.status(),
            reason: text(head.reason()),
            media_type: text(media_type.unwrap_or_default()).to_ascii_lowercase(),
            coding: coding(head),
            retry_after: head.get("retry-after").and_then(|value| retry_after(value, SystemTime::now())),
        }
    }

    /// Checks that the answer has this media type and is not compressed. A captive portal answers
    /// 200 too, with a page.
    pub(crate) fn require(&self, media_type: &str) -> Result<(), Error> {
        if !eq_ignore_case(self.media_type.as_bytes(), media_type.as_bytes()) {
            return Err(Protocol::MediaType(self.media_type.clone()).into());
        }
        match &self.coding {
            None => Ok(()),
            Some(coding) => Err(Protocol::ContentCoding(coding.clone()).into()),
        }
    }

    /// Reads the body of a refusal. If it cannot be read, the status still says enough.
    pub(crate) async fn failure(self, http: &mut Http) -> Failure {
        if let (200 | 410, Some(coding)) = (self.status, &self.coding) {
            // The answer would be good if it were not compressed.
            return Error::from(Protocol::ContentCoding(coding.clone())).into();
        }
        let mut body = Vec::new();
        while body.len() < MAX_PROBLEM && matches!(http.body(&mut body).await, Ok(Body::More)) {}
        let is_document = self.media_type == "application/problem+json" && self.coding.is_none();
        let document: Document =
            if is_document { serde_json::from_slice(&body).unwrap_or_default() } else { Document::default() };
        let earliest = document.earliest.and_then(|text| text.parse().ok());
        let gone = match (self.status, document.gap.map(Object::into_item)) {
            (410, Some(Ok(Some(item @ (Item::Gap { .. } | Item::Reset { .. }))))) => Some(item),
            (410, _) => earliest
                .clone()
                .map(|cursor| Item::Reset { reason: document.reason.clone().unwrap_or_default(), cursor }),
            _ => None,
        };
        let cursor = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let error = match (self.status, document.reason.as_deref()) {
            (404, Some("deleted")) => Error::Deleted { channel: document.channel },
            (409, Some("closed")) => Error::ChannelClosed { end: cursor(document.end) },
            (403, Some("producer-fenced")) => Error::Fenced { epoch: document.epoch },
            (409, Some("producer-gap")) => Error::ProducerGap { expected: document.expected },
            _ => Error::Refused(Problem {
                status: self.status,
                title: document.title.unwrap_or(self.reason),
                detail: document.detail.unwrap_or_default(),
                retry_after: self.retry_after,
                reason: document.reason,
                earliest,
                is_unknown: document.outcome.map(|outcome| outcome != "failed"),
                is_document,
            }),
        };
        Failure { error, gone }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, gone: None }
    }
}

/// A problem document (RFC 9457) with the members of a 410 and of a refused publish.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    title: Option<String>,
    detail: Option<String>,
    earliest: Option<String>,
    reason: Option<String>,
    gap: Option<Object>,
    channel: Option<String>,
    end: Option<String>,
    epoch: Option<u64>,
    expected: Option<u64>,
    outcome: Option<String>,
}

/// The largest number of bytes of a refusal that are read. A problem document has a few hundred.
const MAX_PROBLEM: usize = 64 * 1024;

/// The codings of the content (RFC 9110 §8.4), if there is a coding other than `identity`. Empty
/// elements of the list do not count.
fn coding(head: &ResponseHead<'_>) -> Option<String> {
    let lines: Vec<_> = head.get_all("content-encoding").map(String::from_utf8_lossy).collect();
    let codings = lines.join(", ");
    let is_plain = |coding: &str| coding.is_empty() || coding.eq_ignore_ascii_case("identity");
    (!codings.split(',').map(str::trim).all(is_plain)).then_some(codings)
}

/// The wait of a `Retry-After`, which is a number of seconds or a date (RFC 9110 §10.2.3).
fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        // A number with too many digits is a long wait, not a missing one.
        return Some(Duration::from_secs(dec_u64(value).unwrap_or(u64::MAX)));
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
        assert_eq!(retry_after(&[b'9'; 40], now), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:07 GMT", now), Some(Duration::ZERO), "in the past");
        for bad in ["", "+5", "-5", "1.5", "soon"] {
            assert_eq!(retry_after(bad.as_bytes(), now), None, "{bad}");
        }
    }
}
