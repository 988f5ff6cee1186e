//! JSON for output: each value is one line, whichever characters a reader takes for a line end.
//!
//! JSON escapes the line ends of ASCII. Three more characters end a line in Unicode and may stand
//! in a string as they are: U+0085, U+2028 and U+2029. Readers of lines in several languages cut
//! there (`splitlines` of Python, `Scanner` of Java, `newlines` of Swift), and get two halves that
//! are no JSON. An escape means the same, so they are always escaped.

use serde::Serialize;

/// Appends a value as one line of JSON, without the line end.
///
/// ```
/// let mut out = Vec::new();
/// tidewire_server::json::write(&"a\u{2028}b", &mut out);
/// assert_eq!(out, br#""a\u2028b""#);
/// ```
///
/// # Panics
/// If JSON has no such value, such as a map whose keys are not strings.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    serde_json::to_writer(&mut *out, value).expect("the value is one of JSON's, and a Vec takes every byte");
    escape(out, start);
}

/// Escapes the three characters in what was written from `start` on. Nearly always there is none;
/// then only the search costs time.
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

/// The index of the first of the three.
///
/// Few texts have a byte with which one of them begins; those cost one search. A text of quotation
/// marks, arrows or boxes has such a byte at every third place. From the first one on, a fold
/// compares every place of a block and branches once a block, so that the compiler makes vector
/// instructions of it.
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

/// What [`line_end`] says, slowly.
fn naive(json: &[u8]) -> Option<usize> {
    (0..json.len()).find(|&at| matches!(json[at..], [0xc2, 0x85, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..]))
}

/// Places in a block.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use tidewire_testkit::Rng;

    use super::*;

    #[test]
    fn the_first_one_is_found_wherever_it_stands() {
        for end in ["\u{85}", "\u{2028}", "\u{2029}"] {
            // Behind bytes of which some begin like it, at each place of a block and across two.
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

    /// What [`write`] does, slowly.
    fn escaped(text: &str) -> String {
        let json = serde_json::to_string(text).unwrap();
        json.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
    }

    #[test]
    fn it_does_what_the_naive_twin_does() {
        // Those that are meant, and those that share a byte or two with them.
        let letters: Vec<char> =
            "\u{85}\u{2028}\u{2029}\u{84}\u{86}\u{a0}\u{2027}\u{202a}\u{2068}\u{20ac}\u{e285}\u{10a8}a\"\\\n\r\0".chars().collect();
        let mut rng = Rng::new(10);
        for _ in 0..10_000 {
            let len = rng.below(200);
            let text: String = (0..len).map(|_| letters[rng.below(letters.len())]).collect();
            // Behind what stands there already, of which nothing is touched.
            let mut out = "\u{2028}".as_bytes().to_vec();
            write(&text, &mut out);
            let json = std::str::from_utf8(&out).unwrap().strip_prefix('\u{2028}').unwrap();
            assert_eq!(json, escaped(&text));
            assert_eq!(serde_json::from_str::<String>(json).unwrap(), text, "it means the same");
            assert!(!json.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "{json:?}");
        }
    }
}
