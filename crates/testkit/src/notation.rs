//! How wire documents write bytes: [`show`] writes the notation, and `parse` reads it.
//!
//! - Printable ASCII stands for itself, and so do the UTF-8 bytes of other characters.
//! - The escapes are `\r \n \t \0 \\ \" \' \xNN`.
//! - `\{N*TEXT}` is N times TEXT. `\}` is a brace in TEXT.
//!
//! A log shows every byte, also of long data: a hash would only say *that* something has changed.
//! What [`show`] writes has one meaning, so two logs are equal only if their bytes are.

use std::fmt::Write;

/// A byte that comes this many times in a row, or more often, is written as `\{N*TEXT}`. A reader
/// can count shorter runs.
const RUN: usize = 16;

/// Bytes as a quoted text, as in `"\{125*a}\x00"`: printable ASCII as it is, other bytes as
/// escapes, and a byte that is repeated 16 times or more as one run.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for run in bytes.chunk_by(|one, next| one == next) {
        let written = match run {
            [b'}', ..] if run.len() >= RUN => write!(out, r"\{{{}*\}}}}", run.len()),
            [first, ..] if run.len() >= RUN => write!(out, r"\{{{}*{}}}", run.len(), first.escape_ascii()),
            _ => write!(out, "{}", run.escape_ascii()),
        };
        written.expect("a String takes all text");
    }
    out.push('"');
    out
}

/// The bytes of a text in this notation. The error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&escape, tail) = rest.split_first().ok_or("a backslash at the end")?;
        rest = tail;
        match escape {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' | b'"' | b'\'' | b'}' => out.push(escape),
            b'x' => {
                let (hex, tail) = rest.split_at_checked(2).ok_or("two digits follow \\x")?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(hex[0]).zip(digit(hex[1])).ok_or("two digits follow \\x")?;
                out.push((value.0 * 16 + value.1) as u8);
                rest = tail;
            }
            b'{' => {
                let end = closing(rest).ok_or("\\{ has no }")?;
                let inner = str::from_utf8(&rest[..end]).map_err(|_| "a cut character in \\{}")?;
                let (count, what) = inner.split_once('*').ok_or("\\{N*TEXT} has no *")?;
                let count: usize = count.parse().map_err(|_| format!("{count} is not a count"))?;
                out.extend_from_slice(&parse(what)?.repeat(count));
                rest = &rest[end + 1..];
            }
            other => return Err(format!("\\{} is not an escape", char::from(other))),
        }
    }
    Ok(out)
}

/// The index of the first closing brace that is not escaped.
fn closing(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let found = !escaped && *byte == b'}';
        escaped = !escaped && *byte == b'\\';
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn long_runs_are_counted_and_other_bytes_are_shown() {
        assert_eq!(show(b"\x8a}\r\n\0 \"'\\"), r#""\x8a}\r\n\x00 \"\'\\""#);
        assert_eq!(show(&[b'a'; 15]), r#""aaaaaaaaaaaaaaa""#);
        assert_eq!(show(&[b'a'; 16]), r#""\{16*a}""#);
        assert_eq!(show(&[&[b'}'; 125][..], &[0; 99], b"ab"].concat()), r#""\{125*\}}\{99*\x00}ab""#);
        let different: Vec<u8> = (b'a'..=b'z').cycle().take(200).collect();
        assert_eq!(show(&different), format!("\"{}\"", different.escape_ascii()));
    }

    /// So two values with the same text are equal: the log of a case depends on every byte.
    #[test]
    fn a_shown_value_is_read_back_as_the_same_bytes() {
        let special = b"\\\"'{}*x0n19a \r\n\t\0\x7f\x80\xc3\xa9\xff";
        let lengths = [1, 1, 1, 2, RUN - 1, RUN, RUN + 1, 300];
        for seed in 0..20_000 {
            let mut rng = Rng::new(seed);
            let mut bytes = Vec::new();
            for _ in 0..rng.below(12) {
                let byte = if rng.chance(90) { *rng.pick(special) } else { rng.next_u64() as u8 };
                bytes.extend(std::iter::repeat_n(byte, *rng.pick(&lengths)));
            }
            let shown = show(&bytes);
            assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "seed {seed}: {shown}");
            let inner = shown.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
            assert_eq!(parse(inner), Ok(bytes), "seed {seed}: {shown}");
        }
    }

    #[test]
    fn a_wrong_escape_is_an_error() {
        assert_eq!(parse(r"\q"), Err("\\q is not an escape".into()));
        assert_eq!(parse(r"\x+1"), Err("two digits follow \\x".into()));
        assert_eq!(parse(r"\{3*a"), Err("\\{ has no }".into()));
        assert_eq!(parse(r"\{a*3}"), Err("a is not a count".into()));
    }
}
