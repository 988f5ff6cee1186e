//! JSON for output. Each value is one line, even for readers that also end a line at Unicode line
//! ends.
//!
//! JSON escapes the line ends of ASCII. Unicode has three more line ends, which JSON allows in a
//! string without an escape: U+0085, U+2028 and U+2029. Line readers of several languages cut there
//! (`splitlines` of Python, `Scanner` of Java, `newlines` of Swift) and get two halves that are not
//! JSON. An escape means the same, so these three are always escaped.

use serde::Serialize;

/// Appends `value` as one line of JSON, without the line end.
///
/// ```
/// let mut out = Vec::new();
/// tidewire_server::json::write(&"a\u{2028}b", &mut out);
/// assert_eq!(out, br#""a\u2028b""#);
/// ```
///
/// # Panics
/// If JSON cannot hold the value, for example a map whose keys are not strings.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).expect("the value is one of JSON's, and a Vec takes every byte");
    escape(out, start);
}

/// Escapes the three characters in `out` from `start` on. There is nearly never one, and then only
/// the search costs time.
fn escape(out: &mut Vec<u8>, start: usize) {
    let Some(at) = line_end(&out[start..]) else { return };
    let tail = out.split_off(start + at);
    let mut rest = &tail[..];
    while let Some(at) = line_end(rest) {
        out.extend_from_slice(&rest[..at]);
        let (escape, len): (&[u8], _) = match rest[at..] {
            [0xc2, ..] => (b"\\u0085", 2),
            [_, _, 0xa8, ..] => (b"\\u2028", 3),
            _ => (b"\\u2029", 3),
        };
        out.extend_from_slice(escape);
        rest = &rest[at + len..];
    }
    out.extend_from_slice(rest);
}

/// The index of the first of the three characters.
///
/// Most texts have no byte that begins one of the three characters, and cost one search. A text of
/// quotation marks, arrows or boxes has such a byte at every third place. From the first such byte
/// on, a fold compares every place of a block and branches once per block, so that the compiler can
/// use vector instructions.
fn line_end(json: &[u8]) -> Option<usize> {
    let mut at = memchr::memchr2(0xc2, 0xe2, json)?;
    while let Some(block) = json[at..].first_chunk::<{ BLOCK + 2 }>() {
        let is_end = |i: usize| {
            let (first, second, third) = (block[i], block[i + 1], block[i + 2]);
            ((first == 0xe2) & (second == 0x80) & (third & 0xfe == 0xa8))
                | ((first == 0xc2) & (second == 0x85))
        };
        if (0..BLOCK).fold(false, |found, i| found | is_end(i)) {
            break;
        }
        at += BLOCK;
    }
    naive(&json[at..]).map(|n| at + n)
}

/// Finds the same index as [`line_end`], slowly.
fn naive(json: &[u8]) -> Option<usize> {
    (0..json.len()).find(|&at| matches!(json[at..], [0xc2, 0x85, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..]))
}

/// Places in a block.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn the_first_line_end_is_found_at_every_place() {
        for end in ["\u{85}", "\u{2028}", "\u{2029}"] {
            // After bytes of which some begin like it, at each place of a block and across two
            // blocks.
            for before in 0..200 {
                for filler in ["x", "€", "\u{80}", "\u{202a}"] {
                    let text = filler.repeat(before) + end + "x" + end;
                    let at = filler.len() * before;
                    assert_eq!(line_end(text.as_bytes()), Some(at), "{text:?}");
                    assert_eq!(line_end(&text.as_bytes()[..at + end.len() - 1]), None, "{text:?}");
                }
            }
        }
    }

    /// Escapes as [`write`] does, slowly.
    fn escaped(text: &str) -> String {
        let json = serde_json::to_string(text).unwrap();
        json.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    }

    #[test]
    fn write_gives_the_same_as_a_simple_version() {
        // The three characters, characters that share one or two bytes with them, and others.
        let letters: Vec<char> = "\u{85}\u{2028}\u{2029}\u{84}\u{86}\u{a0}\u{2027}\u{202a}\u{2068}\u{20ac}\
             \u{e285}\u{10a8}a\"\\\n\r\0"
            .chars()
            .collect();
        let mut rng = Rng::with_seed(10);
        for _ in 0..10_000 {
            let len = rng.usize(..200);
            let text: String = (0..len).map(|_| letters[rng.usize(..letters.len())]).collect();
            // The buffer has a text already, which stays as it is.
            let mut out = "\u{2028}".as_bytes().to_vec();
            write(&text, &mut out);
            let json = std::str::from_utf8(&out).unwrap().strip_prefix('\u{2028}').unwrap();
            assert_eq!(json, escaped(&text));
            assert_eq!(serde_json::from_str::<String>(json).unwrap(), text, "the escapes keep the value");
            assert!(!json.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{json:?}");
        }
    }
}
