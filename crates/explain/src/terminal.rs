//! Makes a peer's text safe for a terminal.
//!
//! A terminal acts on control characters: they can move the cursor over other text, change the
//! title, and in some terminals set the clipboard (OSC 52). So a peer could control the terminal of
//! the person who reads its text. The labels and meanings of notes are already safe. Print all
//! other text of a peer through one of these functions.

use std::fmt::Write;

/// Returns whether a terminal or an editor acts on this character instead of showing it: controls
/// (C0, DEL and C1), line ends, and characters that change the direction of text. A peer could use
/// the latter to make one text look like another.
#[must_use]
pub fn acts_on_terminal(c: char) -> bool {
    let changes_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || changes_direction
}

/// Returns one line. Each character that acts on a terminal becomes a `·`.
#[must_use]
pub fn line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Returns text of several lines. Line ends (LF, CR LF) and tabs stay. Other characters that act on
/// a terminal become a `·`. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        let stays = match c {
            '\n' | '\t' => true,
            // A CR alone would let the rest of a line overwrite its start.
            '\r' => chars.peek() == Some(&'\n'),
            _ => false,
        };
        out.push(if stays { c } else { visible(c) });
    }
    out
}

/// Returns JSON text with an escape for each character that acts on a terminal. Its value stays the
/// same.
///
/// JSON itself escapes only C0. Line readers of several languages would also split at U+0085,
/// U+2028 and U+2029.
#[must_use]
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if acts_on_terminal(c) {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes every character");
        } else {
            out.push(c);
        }
    }
    out
}

fn visible(c: char) -> char {
    if acts_on_terminal(c) { '·' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_does_not_act_on_a_terminal() {
        for c in (0..=char::MAX.into()).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert!(!line(&text).contains(acts_on_terminal), "{c:?}");
            assert!(
                !lines(text.as_bytes()).contains(|c| acts_on_terminal(c) && !matches!(c, '\n' | '\t')),
                "{c:?}"
            );
            if acts_on_terminal(c) {
                assert!(c <= '\u{ffff}', "{c:?} has an escape of four digits");
            } else {
                assert_eq!((line(&text), lines(text.as_bytes())), (text.clone(), text));
            }
        }
        for byte in 0x80..=0xff {
            assert_eq!(lines(&[b'a', byte, b'[']), "a\u{fffd}[", "a C1 control without UTF-8");
        }
    }

    #[test]
    fn line_ends_and_tabs_stay_in_a_payload() {
        assert_eq!(lines(b"a\tb\nc\r\nd\re\r\r\n\x1b[2J"), "a\tb\nc\r\nd·e·\r\n·[2J");
        assert_eq!(line("a\tb\nc\r\n"), "a·b·c··");
    }

    #[test]
    fn json_keeps_its_value() {
        let text = "\u{1b}[2J \u{7f} \u{85} \u{9b} \u{2028} \u{202e} é 🌊 \\ \"";
        let plain = serde_json::to_string(text).unwrap();
        let escaped = json(&plain);
        assert!(!escaped.contains(acts_on_terminal), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
