//! What holds for every input.

#[allow(unreachable_pub)] // `subject` is a library of its own to the fuzz targets
mod subject;

use proptest::collection::vec;
use proptest::prelude::*;
use subject::Chunked;
use tidewire_chunked::{ChunkHead, Limits, encode_trailers, is_forbidden_trailer};
use tidewire_testkit::{Event, Outcome, Rng, linear, mutate, split};

fn subject() -> Chunked {
    Chunked::new(Limits::default())
}

/// A body and, beside it, which of its bytes are framing, and where in it a space changes nothing.
#[derive(Clone, Debug, Default)]
struct Body {
    wire: Vec<u8>,
    framing: Vec<usize>,
    space_is_fine: Vec<bool>,
}

impl Body {
    fn framing(&mut self, bytes: &[u8], space_is_fine: bool) {
        self.framing.extend(self.wire.len()..self.wire.len() + bytes.len());
        self.space_is_fine.extend(bytes.iter().map(|_| space_is_fine));
        self.wire.extend_from_slice(bytes);
    }
}

/// Bodies in all the shapes that the grammar has.
fn body() -> impl Strategy<Value = Body> {
    let chunk = ("0{0,3}", vec(any::<u8>(), 1..40), extension());
    let trailer = ("[a-z!#$%&'*+.^_`|~-]{1,8}", "[!-~\u{e9}]{0,8}")
        .prop_filter("framing", |(name, _)| !is_forbidden_trailer(name.as_bytes()));
    (vec(chunk, 0..4), "0{1,4}", extension(), vec(trailer, 0..3)).prop_map(
        |(chunks, zeros, extension, trailers)| {
            let mut body = Body::default();
            for (zeros, content, extension) in chunks {
                body.framing(format!("{zeros}{:x}", content.len()).as_bytes(), false);
                body.framing(extension.as_bytes(), true);
                body.framing(b"\r\n", false);
                body.wire.extend_from_slice(&content);
                body.framing(b"\r\n", false);
            }
            body.framing(zeros.as_bytes(), false);
            body.framing(extension.as_bytes(), true);
            body.framing(b"\r\n", false);
            for (name, value) in trailers {
                body.framing(format!("{name}:").as_bytes(), false);
                // A space before the CR is as good as one before the value: it belongs to neither.
                body.framing(format!(" {value}\r").as_bytes(), true);
                body.framing(b"\n", false);
            }
            body.framing(b"\r\n", false);
            body
        },
    )
}

/// None, a flag, a token, a quoted-string. The CR after it counts to the line, so no space at its end is tried.
fn extension() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(";a".into()), Just(";a=b;c".into()), Just(";a=\"b;\\\"\"".into())]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(
        pieces in vec(vec(any::<u8>(), 0..300), 0..8),
        trailers in vec(("[a-z]{1,8}-x", "[!-~]([ -~]{0,8}[!-~])?"), 0..4),
        seed: u64,
    ) {
        let mut wire = Vec::new();
        for piece in &pieces {
            if let Some(head) = ChunkHead::new(piece.len() as u64) {
                head.encode_to(&mut wire);
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
        }
        let fields = trailers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        prop_assert_eq!(encode_trailers(fields, &mut wire), Ok(()));
        let cuts = Rng::new(seed).cuts(wire.len(), 5);
        let outcome = split::drive(subject(), &wire, &cuts);
        prop_assert_eq!(&outcome.failure, &None);
        prop_assert_eq!(outcome.data(), pieces.concat());
        let got: Vec<String> = outcome.events.iter().map(|(_, event)| event.to_string()).collect();
        let mut want = vec![String::from("chunk size=0")];
        want.extend(trailers.iter().map(|(name, value)| {
            format!("trailer {name}: {}", tidewire_testkit::show(value.as_bytes()))
        }));
        want.push("end".into());
        prop_assert!(got.ends_with(&want), "{got:?}");
    }

    /// A body that is accepted, with CR, LF, NUL or a space put into its framing, is refused.
    #[test]
    fn a_byte_too_many_in_the_framing_is_refused(body in body()) {
        let whole = split::drive(subject(), &body.wire, &[]);
        prop_assert_eq!(&whole.failure, &None, "{}", body.wire.escape_ascii());
        for (place, byte, changed) in mutate::insertions(&body.wire, &body.framing, b"\r\n\0 ") {
            let at = body.framing.iter().position(|framing| *framing == place);
            if byte == b' ' && at.is_some_and(|at| body.space_is_fine[at] || (at > 0 && body.space_is_fine[at - 1])) {
                continue;
            }
            if byte == b'\n' && place == body.wire.len() - 1 {
                continue; // two LF at the end: the second one lies behind the body
            }
            let outcome = split::drive(subject(), &changed, &[]);
            prop_assert!(outcome.failure.is_some(), "{:?} at {place}: {}", char::from(byte), changed.escape_ascii());
        }
    }

    /// And with a CR or LF taken out of it.
    #[test]
    fn a_missing_line_end_is_refused(body in body()) {
        let ends: Vec<usize> = body.framing.iter().copied().filter(|at| matches!(body.wire[*at], b'\r' | b'\n')).collect();
        for (place, changed) in mutate::deletions(&body.wire, &ends) {
            let outcome = split::drive(subject(), &changed, &[]);
            prop_assert!(outcome.failure.is_some(), "without {place}: {}", changed.escape_ascii());
        }
    }

    /// Bytes that are often nearly a body: the decoder and the naive one agree, at every split.
    #[test]
    fn the_naive_decoder_agrees(input in "([0-3]\r\n|[a-c]|\r\n|0\r\n\r\n|;[ab]=?|\"|[ :\t\r\n]|2\r\nab\r\n){0,12}") {
        let outcome = split::quick(subject, input.as_bytes());
        let naive = naive(input.as_bytes());
        prop_assert_eq!(naive.is_some(), outcome.failure.is_none(), "{}\n{:?}", input.escape_debug(), outcome);
        if let Some((content, trailers, left)) = naive {
            prop_assert_eq!(content, outcome.data());
            prop_assert_eq!(trailers, trailer_count(&outcome));
            prop_assert_eq!(left as u64, outcome.left);
        }
    }
}

fn trailer_count(outcome: &Outcome) -> usize {
    let trailer = |event: &Event| event.to_string().starts_with("trailer");
    outcome.events.iter().filter(|(_, event)| trailer(event)).count()
}

/// RFC 9112 §7.1.3, read line by line from a whole input: content, number of trailers, bytes left.
fn naive(mut rest: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let mut content = Vec::new();
    loop {
        let line = line(&mut rest)?;
        let digits = line.split(|b| !b.is_ascii_hexdigit()).next()?;
        if digits.is_empty() || digits.len() > 16 || !naive_extensions(&line[digits.len()..]) {
            return None;
        }
        let size = usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        content.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    for trailers in 0.. {
        let line = line(&mut rest)?;
        if line.is_empty() {
            return Some((content, trailers, rest.len()));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        if colon == 0 || !line[..colon].iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
    }
    None
}

/// Up to the first CRLF; no other CR or LF stands in a line.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    (!line.iter().any(|byte| matches!(byte, b'\r' | b'\n'))).then_some(line)
}

/// The rule of RFC 9112 §7.1.1, without escapes (the strategy makes none): quotes come in pairs, so every second part
/// is quoted text; the rest, quotes replaced by a word, is names and values between `;` and `=`.
fn naive_extensions(raw: &[u8]) -> bool {
    if raw.is_empty() {
        return true;
    }
    let text = String::from_utf8_lossy(raw);
    let mut plain = String::new();
    let parts: Vec<&str> = text.split('"').collect();
    if parts.len().is_multiple_of(2) {
        return false;
    }
    for (index, part) in parts.iter().enumerate() {
        plain += if index % 2 == 0 { part } else { "\u{1}" };
    }
    let blank = |c| c == ' ' || c == '\t';
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    // No whitespace at the end of the line: nothing follows that it could belong to.
    if plain.ends_with(blank) || !plain.trim_start_matches(blank).starts_with(';') {
        return false;
    }
    plain.trim_start_matches(blank).split(';').skip(1).all(|extension| match extension.split_once('=') {
        None => word(extension.trim_matches(blank)),
        Some((name, value)) => {
            let value = value.trim_matches(blank);
            word(name.trim_matches(blank)) && (word(value) || value == "\u{1}")
        }
    })
}

#[test]
fn one_byte_reads_take_linear_time() {
    let extension = |len: usize| [b"1;".to_vec(), vec![b'a'; len], b"\r\n".to_vec()].concat();
    linear::check(subject, &extension(1000), &extension(16_000));
    let trailer = |len: usize| [b"0\r\na:".to_vec(), vec![b'a'; len], b"\r\n\r\n".to_vec()].concat();
    linear::check(subject, &trailer(1000), &trailer(16_000));
    let chunks = |count: usize| b"1\r\na\r\n".repeat(count);
    linear::check(subject, &chunks(200), &chunks(4000));
}
