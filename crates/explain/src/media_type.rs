//! Media types that decide how content is decoded.

/// Returns the media type without its parameters: `text/plain` from `text/plain; charset=utf-8`.
pub(crate) fn essence(media_type: &[u8]) -> &[u8] {
    media_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

/// The media type of Server-Sent Events.
pub(crate) const EVENT_STREAM: &[u8] = b"text/event-stream";
/// The media type of a JSON object on each line.
pub(crate) const JSON_LINES: &[u8] = b"application/x-ndjson";
