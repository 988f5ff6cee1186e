//! Text of others, made safe for a terminal.
//!
//! A terminal carries out what it is sent: it can move the cursor over other text, change its
//! title, and with some terminals set the clipboard (OSC 52). So a publisher could control the
//! terminal of a reader. Everything that this program prints of a peer's words on a terminal goes
//! through one of these functions.

use std::fmt::Write;

/// Whether a terminal or an editor would carry out this character instead of showing it: controls
/// (C0, DEL and C1), ends of lines, and those that change the direction of text, with which a peer
/// could make one text look like another.
#[must_use]
pub fn is_obeyed(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns
}

/// One line: each character that would be obeyed becomes a `·`.
#[must_use]
pub fn line(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// Text of several lines. Line ends (LF, CR LF) and tabs stay; other characters that would be obeyed become a `·`, and what is
/// not UTF-8 becomes U+FFFD.
#[must_use]
pub fn lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        let stays = match c {
            '\n' | '\t' => true,
            // Alone, it would let the rest of a line overwrite its start.
            '\r' => chars.peek() == Some(&'\n'),
            _ => false,
        };
        out.push(if stays { c } else { shown(c) });
    }
    out
}

/// JSON text with an escape for each character that would be obeyed. It means the same.
///
/// JSON escapes C0 by itself. Of the rest, U+0085, U+2028 and U+2029 are also where line readers of several languages would cut.
#[must_use]
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes every character");
        } else {
            out.push(c);
        }
    }
    out
}

fn shown(c: char) -> char {
    if is_obeyed(c) { '·' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_shown_and_not_obeyed() {
        for c in (0..=char::MAX.into()).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert!(!line(&text).contains(is_obeyed), "{c:?}");
            assert!(!lines(text.as_bytes()).contains(|c| is_obeyed(c) && !matches!(c, '\n' | '\t')), "{c:?}");
            if is_obeyed(c) {
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
    fn json_means_the_same() {
        let text = "\u{1b}[2J \u{7f} \u{85} \u{9b} \u{2028} \u{202e} é 🌊 \\ \"";
        let plain = serde_json::to_string(text).unwrap();
        let escaped = json(&plain);
        assert!(!escaped.contains(is_obeyed), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
    }
}
