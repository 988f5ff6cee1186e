//! The fast parser: complete heads, 64 bytes at once, without errors.
//!
//! It returns a result only for a complete head without anything unusual. Then `parse.rs` would
//! return the same spans and the same information. In all other cases (an incomplete, malformed or
//! unusual head) it returns nothing, and `parse.rs` parses the head. So all errors come from one
//! place. A property test and a fuzz target check that both parsers agree.
//!
//! ```text
//! odd bytes of a block    . . . . . 1 1 . . . . . . . . 1 1 . .       (see scan.rs)
//!                                   │ └ must be LF, and is skipped
//!                                   └ must be CR: the end of the line
//! ```
//! The start of the next line follows from the mask alone, and not from what is found in the line.
//! So the processor can search for colons in several lines at once.

use crate::fields::Fields;
use crate::head_info::HeadInfo;
use crate::known_fields::{KnownFields, is, may_be_known};
use crate::limits::Limits;
use crate::message::{KnownMethod, TargetForm, Version};
use crate::scan::{Find, Lanes, LongInput, Portable, ShortInput};
use crate::span::{Span, offset};
use crate::start_line::{StartLine, method_end, status_code};
use tidewire_grammar::class::is_field_content;

/// Parses a complete head at the start of `input`, which is cut at the limit of heads. `Some` holds
/// its length; the rest is in `fields`. After `None`, `fields` holds nothing of use.
#[inline(never)]
pub(crate) fn parse(first: StartLine, input: &[u8], limits: &Limits, fields: &mut Fields) -> Option<usize> {
    parse_with(Portable, first, input, limits, fields)
}

/// Parses with the instructions of `lanes`.
#[inline(always)]
pub(crate) fn parse_with<L: Lanes>(
    lanes: L,
    first: StartLine,
    input: &[u8],
    limits: &Limits,
    fields: &mut Fields,
) -> Option<usize> {
    if let Some(short) = ShortInput::new(lanes, input) {
        return parse_from(&short, first, input, limits, fields);
    }
    parse_from(&LongInput { lanes, input }, first, input, limits, fields)
}

#[inline(always)]
fn parse_from<F: Find>(
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

/// Parses a request line in origin form. Returns its end.
#[inline(always)]
fn request_line<F: Find>(find: &F, input: &[u8], limits: &Limits, info: &mut HeadInfo) -> Option<usize> {
    let (method, start) = match input.first_chunk().map(|m| u32::from_le_bytes(*m)) {
        Some(GET) if limits.max_method >= 3 => (Some(KnownMethod::Get), 4),
        _ => {
            let end = method_end(input, limits).ok()??;
            match KnownMethod::new(input.get(..end)?) {
                Some(KnownMethod::Connect) => return None,
                method => (method, end.wrapping_add(1)),
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

/// Parses a status line. Returns its end.
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
    info.status = status_code([*a, *b, *c]);
    let len = reason.iter().position(|&b| !is_field_content(b))?;
    if !reason.get(len..)?.starts_with(b"\r\n") {
        return None;
    }
    let end = len.wrapping_add(13);
    (info.start, info.end) = (13, offset(end));
    Some(end.wrapping_add(2))
}

/// Parses the field lines from `line` on. Returns the end of the head.
#[inline(always)]
fn field_lines<F: Find>(
    find: &F,
    input: &[u8],
    mut line: usize,
    limits: &Limits,
    fields: &mut Fields,
) -> Option<usize> {
    // Nothing here can wrap: these are offsets in a head, or at most one block behind it.
    //
    // Blocks have fixed offsets, so the first one can be loaded before the end of the start line is
    // known. The block is chosen by a branch, not by arithmetic: a processor can predict a branch,
    // but must wait for the result of arithmetic.
    let mut at = if line < 64 { 0 } else { block_of(line) };
    // The bytes of the block that belong to earlier lines: in the first block those of the start
    // line, in later blocks at most the LF after a CR at the end of the block before.
    let mut passed = (1_u64 << (line & 63)).wrapping_sub(1);
    while at < input.len() {
        let mut odd = find.odd64(at) & !passed;
        let plain = odd == 0;
        while odd != 0 {
            let end = at.wrapping_add(odd.trailing_zeros() as usize);
            odd &= odd.wrapping_sub(1);
            if input.get(end..)?.first_chunk().map(|crlf| u16::from_le_bytes(*crlf)) != Some(CRLF) {
                // HTAB and bytes over 0x7F are odd, but allowed.
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

/// The start of the block that holds `line`.
#[cold]
#[inline(never)]
fn block_of(line: usize) -> usize {
    line & !63
}

/// Parses one line, which ends at `end` and has no control byte.
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
    if may_be_known(colon.wrapping_sub(line), input.get(line))
        && !read_common(find, input, input.get(line..colon)?, (colon, end), &mut fields.info.known)
    {
        fields.info.known.read_line(input, span).ok()?;
    }
    fields.push(span);
    Some(())
}

/// Reads `Host` and `Connection` in their usual form. All else is left to
/// [`KnownFields::read_line`].
#[inline(always)]
fn read_common<F: Find>(
    find: &F,
    input: &[u8],
    name: &[u8],
    (colon, end): (usize, usize),
    known: &mut KnownFields,
) -> bool {
    // Exactly one space before the value. With more whitespace, the value is not a plain host or
    // option here, and this function returns `false`.
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

/// Returns whether all bytes are `0` to `9`: the high half of such a byte is 3, and stays 3 if 6 is
/// added. (A byte whose sum carries into the next byte is at least 0xF9, so it is no digit, and the
/// result is false in any case.)
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

    /// The result of one parser: the length and the table of fields.
    type Read = Option<(usize, Fields)>;

    fn portable(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        let mut fields = Fields::new();
        parse(first, input, limits, &mut fields).map(|end| (end, fields))
    }

    /// The parser in AVX2, if the machine has it.
    fn vector(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        #[cfg(target_arch = "x86_64")]
        {
            let mut fields = Fields::new();
            if let Some(read) = crate::simd::parse(first, input, limits, &mut fields) {
                return read.map(|end| (end, fields));
            }
        }
        portable(first, input, limits)
    }

    fn exact(first: StartLine, input: &[u8], limits: &Limits) -> Read {
        let (mut fields, mut parser) = (Fields::new(), HeadParser::new());
        let end = parser.parse_head(first, input, limits, &mut fields).ok()??;
        fields.info = *parser.info();
        Some((end, fields))
    }

    /// Checks that the fast parsers agree, and that a result of theirs equals that of the exact
    /// parser. Returns whether there is a result.
    fn agree(first: StartLine, input: &[u8], limits: &Limits) -> bool {
        let (fast, exact) = (portable(first, input, limits), exact(first, input, limits));
        assert_eq!(fast, vector(first, input, limits), "{}", input.escape_ascii());
        if fast.is_some() {
            assert_eq!(fast, exact, "{}", input.escape_ascii());
        }
        fast.is_some()
    }

    /// Every byte at every place, next to digits and next to bytes whose sum could carry.
    #[test]
    fn four_digits_accepts_only_decimal_digits() {
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
    fn common_heads_take_the_fast_path() {
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

    /// Each limit that is exceeded by one leaves the head to the exact parser.
    #[test]
    fn the_fast_parser_respects_all_limits() {
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

    /// A line end at each place of a block, and also the end of the head.
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

    /// Heads of many lengths, at every alignment, cut at every byte.
    #[test]
    fn heads_of_every_alignment_may_be_cut_anywhere() {
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

    /// A byte of each value, replaced and inserted at each place.
    #[test]
    fn the_parsers_agree_on_each_byte_at_each_place() {
        let limits = Limits::DEFAULT;
        let head = b"PUT /there HTTP/1.1\r\nHost: example.org\r\nAccept: text/html, */*\r\n\
            Connection: close\r\nX: a\r\n\r\n";
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

    /// Valid and invalid pieces of heads.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => prop::sample::select(&[
                "Host: a.example\r\n", "Connection: keep-alive\r\n", "Connection: close, x\r\n",
                "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Upgrade: x\r\n",
                "Expect: 100-continue\r\n", "Accept: */*\r\n", "X:\r\n",
            ][..]).prop_map(|s| s.as_bytes().to_vec()),
            4 => ("[A-Za-z0-9-]{1,40}", "[ -~\t]{0,90}")
                .prop_map(|(n, v)| alloc::format!("{n}: {v}\r\n").into_bytes()),
            2 => Just(b"\r\n".to_vec()),
            1 => prop::collection::vec(prop::sample::select(&b"\r\n\t :aZ\0\x7F\x80\xFF,5/"[..]), 1..4),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_parsers_agree_on_requests(
            line in "(GET|POST|CONNECT|X) (/|/[!-~]{1,50}|\\*|http://a/) HTTP/1.[01]\r\n",
            rest in pieces(), max_fields in 0u16..6,
        ) {
            let mut limits = Limits::DEFAULT;
            limits.max_fields = max_fields;
            agree(StartLine::Request, &[line.as_bytes(), &rest].concat(), &limits);
        }

        #[test]
        fn the_parsers_agree_on_responses(
            line in "HTTP/1.[01] [0-9]{3} [ -~\t]{0,20}\r\n", rest in pieces(),
        ) {
            agree(StartLine::Status, &[line.as_bytes(), &rest].concat(), &Limits::DEFAULT);
        }

        #[test]
        fn the_parsers_agree_on_any_bytes(input: Vec<u8>) {
            agree(StartLine::Request, &input, &Limits::DEFAULT);
            agree(StartLine::Status, &input, &Limits::DEFAULT);
        }
    }
}
