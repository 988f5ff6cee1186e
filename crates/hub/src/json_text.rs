//! The payload of a message as JSON: the last member of its object.
//!
//! A payload is text in `data`, or base64 in `data_b64`. Base64 has four bytes for three. As JSON
//! text, a control character has six bytes. So a text is also sent as base64 if its JSON would be
//! more than twice as long. Otherwise a publisher of 1 MiB could make each reader hold 6 MiB.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidewire_server::json;
use tidewire_store::Message;

use crate::feeds::{boundary, script};

/// A shorter payload is sent as text whenever it is UTF-8, even if it more than doubles. For
/// example, a key press in a terminal is `ESC [ A`, and a page expects text.
pub(crate) const MIN_DOUBLED: usize = 128;

/// Where the JSON stands, which decides what else must be escaped. The meaning stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Anywhere else.
    Line,
    /// In a script of a page.
    Script,
    /// In a part of a multipart body.
    Part,
}

/// Appends the payload, and ends the object: `,"data":"…"}` or `,"data_b64":"…"}`.
pub(crate) fn end_with_payload(message: &Message, place: Place, out: &mut Vec<u8>) {
    let start = out.len();
    if let Some(text) = message.text() {
        out.extend_from_slice(b",\"data\":");
        if push_text(text, place, out) {
            out.push(b'}');
            return;
        }
        out.truncate(start);
    }
    out.extend_from_slice(b",\"data_b64\":\"");
    push_base64(message.data(), out);
    out.extend_from_slice(b"\"}");
}

/// Whether JSON written for a line may also stand in this place. It is enough to look for bytes
/// that this place escapes: without them the JSON stays the same, and so does its length.
pub(crate) fn is_same_in(place: Place, json: &[u8]) -> bool {
    match place {
        Place::Line => true,
        // U+2028 and U+2029 are escaped everywhere.
        Place::Script => memchr::memchr3(b'<', b'>', b'&', json).is_none(),
        Place::Part => !boundary::is_in(json),
    }
}

/// Appends a text as a JSON string, piece by piece. Returns `false` as soon as the string is too
/// long; the caller then removes what was written.
fn push_text(text: &str, place: Place, out: &mut Vec<u8>) -> bool {
    let (start, limit) = (out.len(), longest(text.len()));
    if limit < usize::MAX && least_len(text) > limit {
        return false;
    }
    let mut rest = text;
    loop {
        let piece = first_piece(rest);
        rest = &rest[piece.len()..];
        let at = out.len();
        json::write(&piece, out);
        if at > start {
            // Remove the quote: all pieces make one string.
            out.remove(at);
        }
        match place {
            Place::Script => {
                let json = out.split_off(at);
                script::push_json(out, &json);
            }
            // A delimiter may lie across two pieces: see below.
            Place::Line | Place::Part => {}
        }
        if out.len() - start > limit {
            return false;
        }
        if rest.is_empty() {
            break;
        }
        out.pop();
    }
    match place {
        Place::Part => boundary::escape(out, start),
        Place::Line | Place::Script => {}
    }
    out.len() - start <= limit
}

/// The longest JSON string for a payload of this length.
fn longest(len: usize) -> usize {
    if len < MIN_DOUBLED { usize::MAX } else { 2 * len + "\"\"".len() }
}

/// A lower bound for the length of a JSON string: a control character without a short escape has
/// six bytes. It is fast to compute, and rules out most texts that are too long.
fn least_len(text: &str) -> usize {
    let is_long = |byte: u8| (byte < b' ') & (!(8..=b'\r').contains(&byte) | (byte == 11));
    let controls = text.bytes().filter(|&byte| is_long(byte)).count();
    text.len() + 5 * controls + "\"\"".len()
}

/// Bytes of text that are escaped at a time.
const PIECE: usize = 16 * 1024;

fn first_piece(text: &str) -> &str {
    let mut end = text.len().min(PIECE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn push_base64(data: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let len = base64::encoded_len(data.len(), true).expect("no payload fills the address space");
    out.resize(start + len, 0);
    STANDARD.encode_slice(data, &mut out[start..]).expect("the buffer has this length");
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use serde_json::Value;

    use super::*;

    fn object(data: &[u8], place: Place) -> String {
        let mut out = b"{\"type\":\"message\"".to_vec();
        end_with_payload(&Message::new(data.to_vec().into(), 0), place, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// A slow, simple version of [`end_with_payload`] for a text that stays text.
    fn naive(text: &str, place: Place) -> String {
        let mut json = serde_json::to_string(text).unwrap();
        for end in ["\u{85}", "\u{2028}", "\u{2029}"] {
            json = json.replace(end, &format!("\\u{:04x}", end.chars().next().unwrap() as u32));
        }
        match place {
            Place::Line => {}
            Place::Script => {
                json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            }
            Place::Part => json = json.replace("--tidewire", "\\u002d-tidewire"),
        }
        json
    }

    #[test]
    fn payloads_are_encoded_as_by_the_simple_encoder() {
        let pieces = [
            "a",
            "plain text ",
            "\"",
            "\\",
            "\n",
            "\u{1}",
            "é",
            "€",
            "\u{2028}",
            "\u{85}",
            "🌊",
            "<",
            "--tidewire",
        ];
        let mut rng = Rng::with_seed(12);
        for n in 0..600 {
            // Some texts have several pieces, cut at any byte of a character.
            let len = if n % 20 == 0 { PIECE + rng.usize(..40) } else { rng.usize(..1_500) };
            let mut text = String::new();
            let weights = 1 + rng.usize(..pieces.len());
            while text.len() < len {
                text.push_str(pieces[rng.usize(..weights)]);
            }
            for place in [Place::Line, Place::Script, Place::Part] {
                let string = naive(&text, place);
                let object = object(text.as_bytes(), place);
                let expected = if text.len() >= MIN_DOUBLED && string.len() - 2 > 2 * text.len() {
                    format!("{{\"type\":\"message\",\"data_b64\":\"{}\"}}", STANDARD.encode(&text))
                } else {
                    format!("{{\"type\":\"message\",\"data\":{string}}}")
                };
                assert_eq!(object, expected, "{place:?}");
                let line = self::object(text.as_bytes(), Place::Line);
                assert_eq!(is_same_in(place, line.as_bytes()), object == line, "{place:?}");
            }
        }
    }

    #[test]
    fn a_long_text_that_would_more_than_double_is_base64() {
        let is_base64 = |text: &str, place| {
            let object: Value = serde_json::from_str(&object(text.as_bytes(), place)).unwrap();
            assert_ne!(object["data"].is_string(), object["data_b64"].is_string(), "either data or data_b64");
            object["data_b64"].is_string()
        };
        for (text, place) in [("\u{1}", Place::Line), ("\u{85}", Place::Line), ("<", Place::Script)] {
            assert!(
                !is_base64(&text.repeat((MIN_DOUBLED - 1) / text.len()), place),
                "a short payload is text"
            );
            assert!(is_base64(&text.repeat(MIN_DOUBLED), place));
            assert!(is_base64(&text.repeat(1024 * 1024), place));
        }
        assert!(!is_base64(&"\n".repeat(MIN_DOUBLED), Place::Line), "exactly twice as long is text");
        assert!(is_base64(&("\n".repeat(MIN_DOUBLED - 1) + "\u{1}"), Place::Line));
        assert!(!is_base64(&"<".repeat(MIN_DOUBLED), Place::Line), "a line does not escape <");
    }

    #[test]
    fn a_delimiter_across_two_pieces_is_escaped() {
        for at in PIECE - 12..PIECE + 2 {
            let text = "x".repeat(at) + "--tidewire";
            assert!(!object(text.as_bytes(), Place::Part).contains("--tidewire"), "at {at}");
        }
    }

    #[test]
    fn a_text_that_becomes_too_long_is_given_up_early() {
        for (text, place) in [("\u{1}", Place::Line), ("\u{85}", Place::Line), ("<", Place::Script)] {
            let (mut out, text) = (Vec::new(), text.repeat(1024 * 1024));
            assert!(!push_text(&text, place, &mut out));
            assert!(out.len() <= 2 * text.len() + 6 * PIECE + 2, "{} bytes", out.len());
        }
    }

    #[test]
    fn the_lower_bound_counts_characters_of_six_bytes() {
        for byte in 0..=0x7f_u8 {
            let text = char::from(byte).to_string();
            let len = serde_json::to_string(&text).unwrap().len();
            assert_eq!(least_len(&text), if len == 8 { 8 } else { 3 }, "{text:?}");
        }
    }
}
