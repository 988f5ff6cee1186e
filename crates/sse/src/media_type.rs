//! The media type of an event stream.

use crate::encode::CONTENT_TYPE;

/// Whether a `Content-Type` is that of an event stream: `text/event-stream`, with or without
/// parameters. The case does not matter (RFC 9110 §8.3.1).
///
/// Check it before you decode. Every sequence of bytes is a valid event stream, so an error page in
/// HTML decodes to no event and no error.
///
/// Parameters are ignored, also `charset`: the format is always UTF-8.
///
/// ```
/// use tidewire_sse::is_event_stream;
///
/// assert!(is_event_stream("text/event-stream; charset=utf-8"));
/// assert!(is_event_stream(b"Text/Event-Stream"));
/// assert!(!is_event_stream("text/html"));
/// assert!(!is_event_stream("application/json; note=\"text/event-stream\""));
/// ```
#[must_use]
pub fn is_event_stream(content_type: impl AsRef<[u8]>) -> bool {
    let value = content_type.as_ref();
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    // Spaces and tabs may stand around the value and before a semicolon (RFC 9110 §5.6.6).
    trim(essence).eq_ignore_ascii_case(CONTENT_TYPE.as_bytes())
}

/// Without the optional whitespace of RFC 9110 §5.6.3. Other whitespace is part of the value.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_and_subtype_decide() {
        for yes in [
            "text/event-stream",
            "TEXT/EVENT-STREAM",
            " \ttext/event-stream\t ",
            "text/event-stream;charset=utf-8",
            "text/event-stream \t; charset=\"utf-8\"; x=y",
            "text/event-stream;",
            "text/event-stream;;",
        ] {
            assert!(is_event_stream(yes), "{yes:?}");
        }
        for no in [
            "",
            ";",
            "text/event-stream2",
            "text/event-strea",
            "text / event-stream",
            "text/html",
            "text/html; text/event-stream",
            "text/html;x=text/event-stream",
            // A list of types: a client that takes the first and one that takes the last differ.
            "text/event-stream, text/html",
            "text/html, text/event-stream",
            "\u{b}text/event-stream",
            "text/event-stream\n",
            "text/event-stream charset=utf-8",
        ] {
            assert!(!is_event_stream(no), "{no:?}");
        }
        assert!(!is_event_stream(b"text/event-stream\xff"));
    }
}
