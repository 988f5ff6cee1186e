//! Properties that hold for every input.

#[allow(unreachable_pub)] // the fuzz targets include this file
mod subject;

use proptest::collection::vec;
use proptest::prelude::*;
use subject::Chunked;
use tidewire_chunked::{ChunkHead, Decoder, Encoder, Limits, encode_trailers, is_forbidden_trailer};
use tidewire_testkit::{Event, Outcome, Rng, linear, mutate, split};

fn subject() -> Chunked {
    Chunked::new(Limits::default())
}

/// A body, the places of its framing bytes, and which of these may have a space beside them.
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

/// Bodies with all forms of the grammar.
fn body() -> impl Strategy<Value = Body> {
    body_with_zeros("0{0,3}")
}

/// Bodies whose chunk sizes have these leading zeros.
fn body_with_zeros(zeros: &'static str) -> impl Strategy<Value = Body> {
    let chunk = (zeros, vec(any::<u8>(), 1..40), extension());
    let trailer = ("[a-z!#$%&'*+.^_`|~-]{1,8}", "[!-~\u{e9}]{0,8}")
        .prop_filter("framing", |(name, _)| !is_forbidden_trailer(name.as_bytes()));
    (vec(chunk, 0..4), zeros, extension(), vec(trailer, 0..3)).prop_map(
        |(chunks, zeros, extension, trailers)| {
            let mut body = Body::default();
            for (zeros, content, extension) in chunks {
                body.framing(format!("{zeros}{:x}", content.len()).as_bytes(), false);
                body.framing(extension.as_bytes(), true);
                body.framing(b"\r\n", false);
                body.wire.extend_from_slice(&content);
                body.framing(b"\r\n", false);
            }
            body.framing(format!("{zeros}0").as_bytes(), false);
            body.framing(extension.as_bytes(), true);
            body.framing(b"\r\n", false);
            for (name, value) in trailers {
                body.framing(format!("{name}:").as_bytes(), false);
                // A space before the value or before the CR changes nothing.
                body.framing(format!(" {value}\r").as_bytes(), true);
                body.framing(b"\n", false);
            }
            body.framing(b"\r\n", false);
            body
        },
    )
}

/// No extension, a flag, a token, a quoted-string.
fn extension() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(";a".into()), Just(";a=b;c".into()), Just(";a=\"b;\\\"\"".into())]
}

/// Decodes a body that comes with these cuts, and writes each event again.
fn forward(wire: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut decoder, mut encoder) = (Decoder::new(Limits::default()), Encoder::new());
    let (mut out, mut at) = (Vec::new(), 0);
    for end in cuts.iter().copied().chain([wire.len()]) {
        loop {
            let (n, event) = decoder.decode(&wire[at..end]).expect("a good body");
            at += n;
            let Some(event) = event else { break };
            let len = encoder.encoded_len(event).expect("a decoded event can be written");
            let before = out.len();
            assert_eq!(encoder.clone().encode(event, &mut vec![0; len]), Ok(len));
            assert_eq!(encoder.encode_to(event, &mut out), Ok(()));
            assert_eq!(out.len() - before, len);
        }
    }
    assert!(decoder.is_done() && encoder.is_done());
    out
}

proptest! {
    #[test]
    fn a_forwarded_body_has_the_same_bytes(body in body_with_zeros(""), seed: u64) {
        let cuts = Rng::new(seed).cuts(body.wire.len(), 5);
        let forwarded = forward(&body.wire, &cuts);
        prop_assert!(forwarded == body.wire, "{}\n{}", forwarded.escape_ascii(), body.wire.escape_ascii());
    }

    #[test]
    fn a_forwarded_body_has_the_same_events(body in body()) {
        let forwarded = forward(&body.wire, &[]);
        let events = |wire| -> Vec<Event> {
            split::drive(subject(), wire, &[]).events.into_iter().map(|(_, event)| event).collect()
        };
        prop_assert_eq!(events(&forwarded), events(&body.wire));
    }

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

    /// CR, LF, NUL or a space is inserted into the framing of a good body.
    #[test]
    fn an_extra_byte_in_the_framing_is_refused(body in body()) {
        let whole = split::drive(subject(), &body.wire, &[]);
        prop_assert_eq!(&whole.failure, &None, "{}", body.wire.escape_ascii());
        for (place, byte, changed) in mutate::insertions(&body.wire, &body.framing, b"\r\n\0 ") {
            let at = body.framing.iter().position(|framing| *framing == place);
            let fine = |at: usize| body.space_is_fine[at] || (at > 0 && body.space_is_fine[at - 1]);
            if byte == b' ' && at.is_some_and(fine) {
                continue;
            }
            if byte == b'\n' && place == body.wire.len() - 1 {
                continue; // the second LF comes after the body
            }
            let outcome = split::drive(subject(), &changed, &[]);
            let (byte, changed) = (char::from(byte), changed.escape_ascii());
            prop_assert!(outcome.failure.is_some(), "{byte:?} at {place}: {changed}");
        }
    }

    /// CR or LF is removed from the framing of a good body.
    #[test]
    fn a_missing_line_end_is_refused(body in body()) {
        let is_end = |at: &usize| matches!(body.wire[*at], b'\r' | b'\n');
        let ends: Vec<usize> = body.framing.iter().copied().filter(is_end).collect();
        for (place, changed) in mutate::deletions(&body.wire, &ends) {
            let outcome = split::drive(subject(), &changed, &[]);
            prop_assert!(outcome.failure.is_some(), "without {place}: {}", changed.escape_ascii());
        }
    }

    /// The inputs are often nearly a body.
    #[test]
    fn the_naive_decoder_agrees(
        input in "([0-3]\r\n|[a-c]|\r\n|0\r\n\r\n|;[ab]=?|\"|[ :\t\r\n]|2\r\nab\r\n){0,12}",
    ) {
        let outcome = split::quick(subject, input.as_bytes());
        let naive = naive(input.as_bytes());
        let accepted = outcome.failure.is_none();
        prop_assert_eq!(naive.is_some(), accepted, "{}\n{:?}", input.escape_debug(), outcome);
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

/// Decodes a whole input line by line, as in RFC 9112 §7.1.3. Returns the content, the number of
/// trailers, and the bytes left.
fn naive(mut rest: &[u8]) -> Option<(Vec<u8>, usize, usize)> {
    let mut content = Vec::new();
    loop {
        let line = line(&mut rest)?;
        let digits = line.split(|b| !b.is_ascii_hexdigit()).next()?;
        if digits.is_empty() || digits.len() > 16 || !naive_extensions(&line[digits.len()..]) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
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

/// Takes a line up to the first CRLF. `None` if it has another CR or LF.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    (!line.iter().any(|byte| matches!(byte, b'\r' | b'\n'))).then_some(line)
}

/// The rule of RFC 9112 §7.1.1, without escapes, which the strategy does not make. Quotes come in
/// pairs, so every second part is quoted text. It is replaced by a word. The rest is names and
/// values between `;` and `=`.
fn naive_extensions(raw: &[u8]) -> bool {
    if raw.is_empty() {
        return true;
    }
    let text = String::from_utf8_lossy(raw);
    let mut plain = String::new();
    let parts: Vec<&str> = text.split('"').collect();
    if parts.len() % 2 == 0 {
        return false;
    }
    for (index, part) in parts.iter().enumerate() {
        plain += if index % 2 == 0 { part } else { "\u{1}" };
    }
    let blank = |c| c == ' ' || c == '\t';
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    // Whitespace is allowed only before or after `;` and `=`, so not at the end of the line.
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
