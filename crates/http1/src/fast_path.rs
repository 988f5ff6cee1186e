//! Whole heads, fast: 64 bytes at once, and no fault is told.
//!
//! What this reader accepts, `parse.rs` would accept, with the same spans and the same known; what it does not accept says nothing: the head
//! is incomplete, or wrong, or only unusual, and `parse.rs` reads it. So there is one place that judges, and this one may be quick. That the
//! two agree is a property test and a fuzz target.
//!
//! ```text
//! odd bytes of a block    . . . . . 1 1 . . . . . . . . 1 1 . .       (see scan.rs)
//!                                   │ └ and this one LF, which is passed over
//!                                   └ must be CR: the line ends here; its name starts behind the LF before
//! ```
//! The next line's start follows from the mask alone, not from what is found within the line. So the processor looks for colons in
//! several lines at once.

use crate::fields::Fields;
use crate::head_info::HeadInfo;
use crate::known_fields::{KnownFields, is, may_frame};
use crate::limits::Limits;
use crate::message::{KnownMethod, TargetForm, Version};
use crate::scan::{Find, Lanes, Long, Portable, Short};
use crate::span::{Span, offset};
use crate::start_line::{StartLine, method_end};
use tidewire_grammar::class::is_field_content;

/// Reads a whole head at the start of `input`, which is cut at the limit of heads. `Some` holds its length; `fields` then says the rest. After
/// `None` it holds nothing of use.
#[inline(never)]
pub(crate) fn read(first: StartLine, input: &[u8], limits: &Limits, fields: &mut Fields) -> Option<usize> {
    read_with(Portable, first, input, limits, fields)
}

/// The same, in the instructions of `lanes`.
#[inline(always)]
pub(crate) fn read_with<L: Lanes>(
    lanes: L,
    first: StartLine,
    input: &[u8],
    limits: &Limits,
    fields: &mut Fields,
) -> Option<usize> {
    if let Some(short) = Short::new(lanes, input) {
        return read_from(&short, first, input, limits, fields);
    }
    read_from(&Long { lanes, input }, first, input, limits, fields)
}

#[inline(always)]
fn read_from<F: Find>(
    find: &F,
    first: StartLine,
    input: &[u8],
    limits: &Limits,
    fields: &mut Fields,
) -> Option<usize> {
    let start = match first {
        StartLine::Request => request_line(find, input, limits, &mut fields.info)?,
        StartLine::Status => status_line(input, &mut fields.info)?,
    };
    fields.clear();
    fields.info.known = KnownFields::NONE;
    field_lines(find, input, start, limits, fields)
}

/// A request line in origin form. Returns where it ends.
#[inline(always)]
fn request_line<F: Find>(find: &F, input: &[u8], limits: &Limits, info: &mut HeadInfo) -> Option<usize> {
    let (method, start) = match input.first_chunk().map(|m| u32::from_le_bytes(*m)) {
        Some(GET) if limits.max_method >= 3 => (Some(KnownMethod::Get), 4),
        _ => {
            let end = method_end(input, limits).ok()??;
            match KnownMethod::new(input.get(..end)?) {
                Some(KnownMethod::Connect) => return None,
                method => (method, end + 1),
            }
        }
    };
    let end = find.target_end(start);
    let ([b' ', version @ ..], rest) = input.get(end..)?.split_first_chunk::<9>()? else { return None };
    let version = match u64::from_le_bytes(*version) {
        HTTP_1_1 => Version::Http11,
        HTTP_1_0 => Version::Http10,
        _ => return None,
    };
    let framed = rest.first_chunk().map(|crlf| u16::from_le_bytes(*crlf)) == Some(CRLF);
    let long = end.wrapping_sub(start) > usize::from(limits.max_target);
    if !framed || long || input.get(start) != Some(&b'/') {
        return None;
    }
    (info.method, info.form, info.version) = (method, TargetForm::Origin, version);
    (info.start, info.end) = (offset(start), offset(end));
    Some(end.wrapping_add(11))
}

/// A status line. Returns where it ends.
#[inline(always)]
fn status_line(input: &[u8], info: &mut HeadInfo) -> Option<usize> {
    let (version, rest) = input.split_first_chunk()?;
    info.version = match u64::from_le_bytes(*version) {
        HTTP_1_1 => Version::Http11,
        HTTP_1_0 => Version::Http10,
        _ => return None,
    };
    let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..] = rest else {
        return None;
    };
    let digit = |b: &u8| u16::from(b - b'0');
    info.status = 100 * digit(a) + 10 * digit(b) + digit(c);
    let len = reason.iter().position(|&b| !is_field_content(b))?;
    if !reason.get(len..)?.starts_with(b"\r\n") {
        return None;
    }
    (info.start, info.end) = (13, offset(13 + len));
    Some(13 + len + 2)
}

/// The field lines from `line` on. Returns where the head ends.
#[inline(always)]
fn field_lines<F: Find>(
    find: &F,
    input: &[u8],
    mut line: usize,
    limits: &Limits,
    fields: &mut Fields,
) -> Option<usize> {
    // Nothing here can wrap: all of these are offsets in a head, or at most a block behind it.
    // Blocks lie at fixed places, so that the first can be loaded before it is known where the first line ends: a branch says which it is, for
    // that is guessed, and a sum is waited for.
    let mut at = if line < 64 { 0 } else { block_of(line) };
    // The bytes of a block that belong to lines before: of the first block the first line, and then at most the LF of a CR that was
    // the last byte of its block.
    let mut passed = (1_u64 << (line - at)).wrapping_sub(1);
    while at < input.len() {
        let mut odd = find.odd64(at) & !passed;
        let plain = odd == 0;
        while odd != 0 {
            let end = at.wrapping_add(odd.trailing_zeros() as usize);
            odd &= odd.wrapping_sub(1);
            if input.get(end..)?.first_chunk().map(|crlf| u16::from_le_bytes(*crlf)) != Some(CRLF) {
                // HTAB and bytes over 0x7F are odd, and allowed.
                if is_field_content(*input.get(end)?) {
                    continue;
                }
                return None;
            }
            odd &= odd.wrapping_sub(1);
            if end == line {
                return Some(end.wrapping_add(2));
            }
            field_line(find, input, (line, end), limits, fields)?;
            line = end.wrapping_add(2);
        }
        at = at.wrapping_add(64);
        passed = u64::from(line > at);
        if plain {
            at = at.wrapping_add(find.plain_len(at));
        }
    }
    None
}

/// Where the block begins that `line` is in.
#[cold]
#[inline(never)]
fn block_of(line: usize) -> usize {
    line & !63
}

/// One line, which ends at `end` and holds no control byte.
#[inline(always)]
fn field_line<F: Find>(
    find: &F,
    input: &[u8],
    (line, end): (usize, usize),
    limits: &Limits,
    fields: &mut Fields,
) -> Option<()> {
    let colon = find.name_end(line);
    if colon == line || input.get(colon) != Some(&b':') || fields.len() >= usize::from(limits.max_fields) {
        return None;
    }
    let span = Span::new(line, colon, end);
    if may_frame(colon.wrapping_sub(line), input.get(line))
        && !frames(find, input, input.get(line..colon)?, (colon, end), &mut fields.info.known)
    {
        fields.info.known.note(input, span).ok()?;
    }
    fields.push(span);
    Some(())
}

/// The framing fields that nearly every head has, if they are as they nearly always are. Any other is left to [`KnownFields::note`].
#[inline(always)]
fn frames<F: Find>(
    find: &F,
    input: &[u8],
    name: &[u8],
    (colon, end): (usize, usize),
    known: &mut KnownFields,
) -> bool {
    // One space before the value. Others, and one behind it, are no part of a host or an option, and so are not taken here.
    let start = colon.wrapping_add(2);
    if input.get(start.wrapping_sub(1)) != Some(&b' ') {
        return false;
    }
    match name.len() {
        4 if is(name, b"host") => {
            let plain = match input.get(find.host_end(start)..end) {
                Some([]) => true,
                Some([b':', a, b, c, d]) => four_digits([*a, *b, *c, *d]),
                Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
                _ => false,
            };
            plain && known.set_host(start, end)
        }
        10 if is(name, b"connection") => input.get(start..end).is_some_and(|value| known.set_option(value)),
        _ => false,
    }
}

/// Are these `0` to `9`? All have the high half 3, and still have it with 6 added. (A sum that carries into the next byte is of a byte that has
/// not.)
#[inline(always)]
fn four_digits(bytes: [u8; 4]) -> bool {
    let word = u32::from_le_bytes(bytes);
    word & word.wrapping_add(0x0606_0606) & 0xF0F0_F0F0 == 0x3030_3030
}

const GET: u32 = u32::from_le_bytes(*b"GET ");
const CRLF: u16 = u16::from_le_bytes(*b"\r\n");
const HTTP_1_1: u64 = u64::from_le_bytes(*b"HTTP/1.1");
const HTTP_1_0: u64 = u64::from_le_bytes(*b"HTTP/1.0");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::HeadParser;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// What one reader says: the length, the spans, the known.
    type Read = Option<(usize, Fields)>;

    fn portable(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        let mut fields = Fields::new();
        read(first, input, limits, &mut fields).map(|end| (end, fields))
    }

    /// In AVX2, if the machine has it.
    fn vector(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        #[cfg(target_arch = "x86_64")]
        {
            let mut fields = Fields::new();
            if let Some(read) = crate::simd::read(first, input, limits, &mut fields) {
                return read.map(|end| (end, fields));
            }
        }
        portable(first, input, limits)
    }

    fn exact(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        let (mut fields, mut scan) = (Fields::new(), HeadParser::new());
        let end = scan.head(first, input, limits, &mut fields).ok()??;
        fields.info = *scan.info();
        Some((end, fields))
    }

    /// The fast readers agree with each other, and with the exact one where they say anything. Returns whether they do.
    fn agree(first: StartLine, input: &[u8], limits: &Limits) -> bool {
        let (fast, exact) = (portable(first, input, limits), exact(first, input, limits));
        assert_eq!(fast, vector(first, input, limits), "{}", input.escape_ascii());
        if fast.is_some() {
            assert_eq!(fast, exact, "{}", input.escape_ascii());
        }
        fast.is_some()
    }

    /// Every byte at every place, beside digits and beside the bytes that could carry.
    #[test]
    fn four_digits_are_four_digits() {
        for at in 0..4 {
            for b in 0..=255 {
                for beside in *b"09/:\xFF\xFA" {
                    let mut bytes = [beside; 4];
                    bytes[at] = b;
                    assert_eq!(four_digits(bytes), bytes.iter().all(u8::is_ascii_digit), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn common_heads_are_read_fast() {
        let limits = Limits::DEFAULT;
        for head in [
            "GET /a HTTP/1.1\r\nHost: example.org:8080\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.0\r\nX-Y: caf\u{e9}\tau lait\r\n\r\n",
            "POST /a?b HTTP/1.1\r\nContent-Length: 5\r\nHost: [::1]\r\n\r\nhello",
            "DELETE /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost:a\r\n\r\n0\r\n\r\n",
        ] {
            assert!(agree(StartLine::Request, head.as_bytes(), &limits), "{head}");
        }
        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nServer: x\r\n\r\n";
        assert!(agree(StartLine::Status, head.as_bytes(), &limits));
    }

    /// The limits hold here as they do there, whatever is smallest.
    #[test]
    fn limits_hold_for_what_is_read_fast() {
        let head = b"GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
        let mut limits = Limits::DEFAULT;
        (limits.max_head, limits.max_target, limits.max_method, limits.max_fields) =
            (head.len() as u16, 2, 3, 2);
        assert!(agree(StartLine::Request, head, &limits));
        for less in 0..4 {
            let mut limits = limits;
            match less {
                0 => limits.max_head -= 1,
                1 => limits.max_target -= 1,
                2 => limits.max_method -= 1,
                _ => limits.max_fields -= 1,
            }
            let head = &head[..head.len().min(limits.max_head.into())];
            assert!(!agree(StartLine::Request, head, &limits), "{less}");
        }
    }

    /// A line end at each place of a block, and the head's end too.
    #[test]
    fn lines_may_end_anywhere() {
        let limits = Limits::DEFAULT;
        for first in 0..130 {
            for second in 0..70 {
                let (a, b) = ("a".repeat(first), "b".repeat(second));
                let head = alloc::format!("GET / HTTP/1.1\r\nHost: h\r\nA: {a}\r\nB: {b}\r\n\r\nGET /");
                assert!(agree(StartLine::Request, head.as_bytes(), &limits), "{head}");
            }
        }
    }

    /// Heads of every length over some blocks, cut at every byte, at every alignment.
    #[test]
    fn a_head_may_be_cut_and_lie_anywhere() {
        let limits = Limits::DEFAULT;
        for length in 0..140 {
            let (value, at) = ("v".repeat(length), length % 64);
            let head = alloc::format!("GET / HTTP/1.1\r\nHost: h\r\nA: {value}\r\n\r\n");
            let bytes = ["\r".repeat(at).as_bytes(), head.as_bytes(), b"\r\n\r\n"].concat();
            for cut in 0..=head.len() {
                let whole = agree(StartLine::Request, &bytes[at..at + cut], &limits);
                assert!(!whole || cut == head.len(), "{length} cut at {cut}");
            }
        }
    }

    /// A byte of each value at each place.
    #[test]
    fn one_byte_anywhere() {
        let limits = Limits::DEFAULT;
        let head = b"PUT /there HTTP/1.1\r\nHost: example.org\r\nAccept: text/html, */*\r\nConnection: close\r\nX: a\r\n\r\n";
        for at in 0..head.len() {
            for b in 0..=255 {
                let mut changed = head.to_vec();
                changed[at] = b;
                agree(StartLine::Request, &changed, &limits);
                changed.insert(at, head[at]);
                agree(StartLine::Request, &changed, &limits);
            }
        }
    }

    /// Pieces that heads are made of, good and bad.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => prop::sample::select(&[
                "Host: a.example\r\n", "Connection: keep-alive\r\n", "Connection: close, x\r\n", "Content-Length: 3\r\n",
                "Transfer-Encoding: chunked\r\n", "Upgrade: x\r\n", "Expect: 100-continue\r\n", "Accept: */*\r\n", "X:\r\n",
            ][..]).prop_map(|s| s.as_bytes().to_vec()),
            4 => ("[A-Za-z0-9-]{1,40}", "[ -~\t]{0,90}").prop_map(|(n, v)| alloc::format!("{n}: {v}\r\n").into_bytes()),
            2 => Just(b"\r\n".to_vec()),
            1 => prop::collection::vec(prop::sample::select(&b"\r\n\t :aZ\0\x7F\x80\xFF,5/"[..]), 1..4),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_readers_agree_on_requests(
            line in "(GET|POST|CONNECT|X) (/|/[!-~]{1,50}|\\*|http://a/) HTTP/1.[01]\r\n", rest in pieces(), max_fields in 0u16..6,
        ) {
            let mut limits = Limits::DEFAULT;
            limits.max_fields = max_fields;
            agree(StartLine::Request, &[line.as_bytes(), &rest].concat(), &limits);
        }

        #[test]
        fn the_readers_agree_on_responses(line in "HTTP/1.[01] [0-9]{3} [ -~\t]{0,20}\r\n", rest in pieces()) {
            agree(StartLine::Status, &[line.as_bytes(), &rest].concat(), &Limits::DEFAULT);
        }

        #[test]
        fn the_readers_agree_on_anything(input: Vec<u8>) {
            agree(StartLine::Request, &input, &Limits::DEFAULT);
            agree(StartLine::Status, &input, &Limits::DEFAULT);
        }
    }
}
