//! What a proxy or gateway passes on of a head (RFC 9110 §7.6).

use crate::fields::{FieldIter, Fields};
use tidewire_grammar::{eq_ignore_case, trim_ows};

/// Returns the fields of a head that are passed on: all but those about one connection, and those
/// that the next connection writes itself.
pub(crate) fn forwarded_fields<'a>(
    head: &'a [u8],
    table: &'a Fields,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
    let all = FieldIter::new(head, table.spans());
    // Most heads have no such field. Then the names need not be searched for among its options.
    let has_options = all.clone().any(|(name, _)| eq_ignore_case(name, b"connection"));
    all.clone()
        .filter(move |(name, _)| !(is_about_connection(name) || has_options && is_option(name, all.clone())))
}

/// Returns whether a field is about one connection or its framing, or is written by the next
/// connection.
fn is_about_connection(name: &[u8]) -> bool {
    NOT_FORWARDED.iter().any(|other| eq_ignore_case(name, other))
}

/// RFC 9110 §7.6.1 (3): returns whether a `Connection` field names this field.
fn is_option(name: &[u8], fields: FieldIter<'_>) -> bool {
    fields
        .filter(|(name, _)| eq_ignore_case(name, b"connection"))
        .flat_map(|(_, value)| value.split(|&b| b == b','))
        .any(|option| eq_ignore_case(trim_ows(option), name))
}

/// RFC 9110 §7.6.1 lists the fields that are about one connection, also where `Connection` does not
/// name them. The next connection writes the last two, and the framing.
const NOT_FORWARDED: [&[u8]; 8] = [
    b"connection",
    b"proxy-connection",
    b"keep-alive",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"host",
    b"content-length",
];

#[cfg(test)]
mod tests {
    use crate::{BodyLength, Fields, Limits, Method, RequestHead, ResponseHead};
    use alloc::format;
    use alloc::vec::Vec;

    #[test]
    fn fields_about_the_connection_are_not_passed_on() {
        let input =
            b"POST / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nCONNECTION: close, , X-Mine\r\nKeep-Alive: 5\r\n\
            x-mine: 1\r\nTE: trailers\r\nProxy-Connection: close\r\nUpgrade: b\r\nCookie: c\r\n\
            Connection:cookie2 ,\tVia\r\nVia: 1.1 x\r\nTransfer-Encoding: chunked\r\nX-Mine-Too: 2\r\n\r\n";
        let mut fields = Fields::new();
        let (_, head) = RequestHead::parse(input, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        let passed: Vec<_> = head.forwarded_fields().collect();
        assert_eq!(passed, [(&b"Accept"[..], &b"a"[..]), (b"Cookie", b"c"), (b"X-Mine-Too", b"2")]);
        let input = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nA: b\r\n\r\n";
        let (_, head) = RequestHead::parse(input, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        assert!(head.forwarded_fields().eq([(&b"A"[..], &b"b"[..])]));
    }

    #[test]
    fn a_forwarded_response_keeps_what_its_head_says_of_the_body() {
        let mut fields = Fields::new();
        for (method, status, framing, expected) in [
            (Method::Get, 200, "Content-Length: 5", BodyLength::Length(5)),
            (Method::Get, 200, "Transfer-Encoding: chunked", BodyLength::Chunked),
            (Method::Get, 200, "A: b", BodyLength::Chunked),
            (Method::Get, 204, "A: b", BodyLength::Empty),
            (Method::Get, 204, "Content-Length: 0", BodyLength::Empty),
            (Method::Get, 304, "Content-Length: 5", BodyLength::Length(5)),
            (Method::Get, 304, "A: b", BodyLength::Empty),
            (Method::Get, 205, "Content-Length: 0", BodyLength::Empty),
            (Method::Get, 205, "Transfer-Encoding: chunked", BodyLength::Empty),
            (Method::Head, 205, "A: b", BodyLength::Empty),
            (Method::Head, 201, "A: b", BodyLength::UntilClose),
            (Method::Head, 200, "Content-Length: 5", BodyLength::Length(5)),
            (Method::Head, 200, "Transfer-Encoding: chunked", BodyLength::Chunked),
            (Method::Head, 200, "A: b", BodyLength::UntilClose),
        ] {
            let input = format!("HTTP/1.1 {status} \r\n{framing}\r\n\r\n");
            let parsed = ResponseHead::parse(input.as_bytes(), method, &Limits::DEFAULT, &mut fields);
            let (_, head) = parsed.unwrap().unwrap();
            assert_eq!(head.forwarded_body(), expected, "{method} {status} {framing}");
        }
    }
}
