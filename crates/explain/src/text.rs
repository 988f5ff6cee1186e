//! Bytes and numbers as people read them.

use crate::terminal::{self, acts_on_terminal};

/// Returns bytes as quoted text if they are text, else in hexadecimal, shortened to about 60
/// characters. `whole` is the full length; `bytes` may be only the start.
pub(crate) fn quote(bytes: &[u8], whole: u64) -> String {
    let cut = if whole > bytes.len() as u64 || bytes.len() > MAX_QUOTED { "…" } else { "" };
    let shown = &bytes[..bytes.len().min(MAX_QUOTED)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        // The cut is within a character. The bytes before that character are text.
        Err(error) if error.error_len().is_none() && !cut.is_empty() => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let is_text = |text: &&str| text.chars().all(|c| !acts_on_terminal(c) || matches!(c, '\r' | '\n' | '\t'));
    match text.filter(is_text) {
        Some(text) => {
            let escaped: String = text
                .chars()
                .map(|c| match c {
                    '\r' => "\\r".to_owned(),
                    '\n' => "\\n".to_owned(),
                    '\t' => "\\t".to_owned(),
                    c => c.to_string(),
                })
                .collect();
            format!("\"{escaped}\"{cut}")
        }
        None => {
            let cut = if shown.len() > MAX_HEX { "…" } else { cut };
            format!("{}{cut}", hex(shown))
        }
    }
}

/// Returns the first bytes in hexadecimal: `81 05 48`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().take(MAX_HEX).map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// Returns the peer's text for a label: safe for a terminal, and at most `max` characters.
pub(crate) fn brief(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let mut brief = terminal::line(&text[..end.unwrap_or(text.len())]);
    if end.is_some() {
        brief.push('…');
    }
    brief
}

/// Appends the start of `bytes`, so that at most `max` bytes are kept.
pub(crate) fn keep_start(kept: &mut Vec<u8>, bytes: &[u8], max: usize) {
    let room = max.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// `1 byte`, `2 bytes`, `65,536 bytes`.
pub(crate) fn byte_count(count: u64) -> String {
    format!("{} byte{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `65,536`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The number of bytes of content that are quoted as text.
pub(crate) const MAX_QUOTED: usize = 60;
/// The number of bytes shown in hexadecimal, where each takes three columns.
const MAX_HEX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_text_or_shown_in_hexadecimal() {
        assert_eq!(quote(b"a\r\nb", 4), "\"a\\r\\nb\"");
        assert_eq!(quote("höhe".as_bytes(), 5), "\"höhe\"");
        assert_eq!(quote(&[0xff, 0, 7], 3), "ff 00 07");
        assert_eq!(quote(&[b'x'; MAX_QUOTED + 1], 61), format!("\"{}\"…", "x".repeat(MAX_QUOTED)));
        assert_eq!(quote(b"ab\xc3", 100), "\"ab\"…");
        assert_eq!(quote(b"", 0), "\"\"");
        assert_eq!(quote("a\u{202e}b".as_bytes(), 5), "61 e2 80 ae 62");
    }

    #[test]
    fn characters_that_act_on_a_terminal_are_replaced() {
        let text = "a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}\u{2066}\u{2028}b";
        assert_eq!(brief(text.as_bytes(), 30), "a·[31m·2J······b");
        assert_eq!(
            brief("e\u{301} \u{1f468}\u{200d}\u{1f469}".as_bytes(), 30),
            "e\u{301} \u{1f468}\u{200d}\u{1f469}"
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            (byte_count(1), byte_count(0), byte_count(65_536)),
            ("1 byte".into(), "0 bytes".into(), "65,536 bytes".into())
        );
    }
}
