//! Properties of all inputs: round trips, strictness, linear time.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ClientSubject, ServerSubject, request_line};
use proptest::prelude::*;
use tidewire_http1::*;
use tidewire_testkit::{linear, mutate, split};

/// A field that a caller may send.
fn field() -> impl Strategy<Value = (String, Vec<u8>)> {
    let value =
        prop::collection::vec(prop_oneof![0x21u8..0x7F, 0x80u8..=0xFF, Just(b' '), Just(b'\t')], 0..24);
    ("X-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", value).prop_map(|(name, value)| {
        let ends = |b: &u8| *b == b' ' || *b == b'\t';
        let start = value.iter().position(|b| !ends(b)).unwrap_or(value.len());
        let end = value.iter().rposition(|b| !ends(b)).map_or(start, |at| at + 1);
        (name, value[start..end].to_vec())
    })
}

fn fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec(field(), 0..6)
}

/// A body in pieces, and whether it is chunked.
fn body() -> impl Strategy<Value = (Vec<Vec<u8>>, bool)> {
    (prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), any::<bool>())
}

fn length(pieces: &[Vec<u8>], chunked: bool) -> BodyLength {
    if chunked {
        BodyLength::Chunked
    } else {
        BodyLength::Length(pieces.iter().map(|p| p.len() as u64).sum())
    }
}

proptest! {
    /// A server receives what a client sends, however it is split.
    #[test]
    fn requests_round_trip(
        method in "[A-Z]{1,12}", path in "/[!$-;=?-~]{0,30}",
        host in "[a-z0-9.-]{1,20}(:[0-9]{1,5})?", sent in fields(), (pieces, chunked) in body(),
        trailers in fields(),
    ) {
        prop_assume!(method != "CONNECT");
        let mut client = Connection::<Client>::new(Limits::DEFAULT);
        let (block, trailer) = (block_of(&sent), block_of(&trailers));
        let mut wire = Vec::new();
        let blocks = [&block];
        let request = Request::new(&method, &path, &host).with_fields(&blocks);
        client.send_request(&request, length(&pieces, chunked), &mut wire).unwrap();
        for piece in &pieces {
            client.send_data(piece, &mut wire).unwrap();
        }
        client.send_trailers(&trailer, &mut wire).unwrap();

        let mut fields = Fields::new();
        let (_, head) = RequestHead::parse(&wire, &Limits::DEFAULT, &mut fields).unwrap().unwrap();
        prop_assert_eq!(head.method().as_str(), &method);
        prop_assert_eq!(head.target(), path.as_bytes());
        prop_assert_eq!(head.host(), Some(host.as_bytes()));
        prop_assert_eq!(head.body(), length(&pieces, chunked));
        let received: Vec<_> = head.fields().filter(|(name, _)| name.starts_with(b"X-")).collect();
        let expected: Vec<_> = sent.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
        prop_assert_eq!(received, expected);

        let outcome = split::quick(|| ServerSubject::new(Limits::DEFAULT), &wire);
        prop_assert_eq!(outcome.data(), pieces.concat());
        let lines = outcome.lines();
        prop_assert_eq!(lines.last().map(|l| l.ends_with("end")), Some(true), "{:?}", lines);
        let got = lines.iter().filter(|l| l.contains("trailer ")).count();
        prop_assert_eq!(got, if chunked { trailers.len() } else { 0 });
    }

    /// A client receives what a server sends.
    #[test]
    fn responses_round_trip(
        status in prop_oneof![200u16..204, 206u16..304, 305u16..=999],
        reason in "[!-~]([ -~\t]{0,20}[!-~])?", sent in fields(),
        (pieces, chunked) in body(), head in any::<bool>(),
    ) {
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        let mut client = Connection::<Client>::new(Limits::DEFAULT);
        let (mut up, mut wire, mut fields) = (Vec::new(), Vec::new(), Fields::new());
        let request = Request::new(if head { "HEAD" } else { "GET" }, "/", "h");
        client.send_request(&request, BodyLength::Empty, &mut up).unwrap();
        let (used, _) = server.decode(&up, &mut fields).unwrap();
        server.decode(&up[used..], &mut fields).unwrap();
        let block = block_of(&sent);
        let blocks = [&block];
        let response = Response::new(status).with_reason(&reason).with_fields(&blocks);
        server.send_head(&response, length(&pieces, chunked), &mut wire).unwrap();
        for piece in &pieces {
            server.send_data(piece, &mut wire).unwrap();
        }
        server.send_end(&mut wire).unwrap();

        let (mut at, mut data, mut ended) = (0, Vec::new(), false);
        while let (used, Some(event)) = client.decode(&wire[at..], &mut fields).unwrap() {
            at += used;
            match event {
                Event::Response(got) => {
                    prop_assert_eq!((got.status(), got.reason()), (status, reason.as_bytes()));
                    let received: Vec<_> = got.fields().filter(|(name, _)| name.starts_with(b"X-")).collect();
                    let expected: Vec<_> = sent.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())).collect();
                    prop_assert_eq!(received, expected);
                }
                Event::Data(part) => data.extend_from_slice(part),
                Event::End => ended = true,
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(ended);
        prop_assert_eq!(at, wire.len());
        prop_assert_eq!(data, if head { Vec::new() } else { pieces.concat() });
        prop_assert_eq!((server.next_exchange(), client.next_exchange()), (Ok(()), Ok(())));
    }

    /// Any bytes: no panic, and the same result however they are split, in both roles.
    #[test]
    fn any_bytes_give_the_same_events_at_every_split(input: Vec<u8>) {
        split::quick(|| ServerSubject::switching(Limits::DEFAULT), &input);
        split::quick(|| ClientSubject::new(Limits::DEFAULT, "GET", true, u32::MAX), &input);
    }

    /// If one byte of a valid head changes, the head is refused or means something else.
    #[test]
    fn each_byte_of_a_head_has_a_meaning(
        name in "[A-Z][a-z-]{0,8}", value in "[!-~]{1,12}", at in any::<prop::sample::Index>(), b: u8,
    ) {
        let text = format!("GET /a HTTP/1.1\r\nHost: h\r\nX-{name}: {value}\r\n\r\n").into_bytes();
        let line = |bytes: &[u8]| {
            let mut fields = Fields::new();
            match RequestHead::parse(bytes, &Limits::DEFAULT, &mut fields) {
                Ok(Some((used, head))) if used == bytes.len() => Some(request_line(&head)),
                _ => None,
            }
        };
        let whole = line(&text).unwrap();
        let at = at.index(text.len());
        let mut changed = text.clone();
        changed[at] = b;
        // HTAB may stand for SP around a value.
        prop_assume!(b != text[at] && !(text[at] == b' ' && b == b'\t'));
        prop_assert_ne!(line(&changed), Some(whole));
    }
}

fn block_of(fields: &[(String, Vec<u8>)]) -> FieldBlock {
    FieldBlock::from_pairs(fields.iter().map(|(name, value)| (name, value))).unwrap()
}

/// CR, LF, NUL or SP, inserted at any place of the framing of a valid message: the result is
/// refused or incomplete, and never the same message.
#[test]
fn a_byte_inserted_into_the_framing_is_refused() {
    let good: &[&[u8]] = &[
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nhello, world",
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n",
    ];
    for input in good {
        let whole = split::drive(ServerSubject::new(Limits::DEFAULT), input, &[]);
        let head = input.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let places: Vec<usize> = (1..head).collect();
        for (at, byte, changed) in mutate::insertions(input, &places, b"\r\n\0 ") {
            let outcome = split::drive(ServerSubject::new(Limits::DEFAULT), &changed, &[]);
            // A space around a value is whitespace. Every other byte must change the result.
            let around =
                byte == b' ' && (matches!(input[at - 1], b':' | b' ') || matches!(input[at], b'\r' | b' '));
            let value = around && input[..at].windows(2).any(|w| w == b"\r\n");
            assert!(
                value || outcome.failure.is_some(),
                "{:?} at {at} of {}: {outcome:?}",
                byte as char,
                input.escape_ascii()
            );
            if value && outcome.failure.is_none() {
                assert_eq!(outcome.data(), whole.data(), "{at}");
            }
        }
        for (at, changed) in mutate::deletions(input, &places) {
            let outcome = split::drive(ServerSubject::new(Limits::DEFAULT), &changed, &[]);
            let same = outcome
                .events
                .iter()
                .map(|(_, e)| e.to_string())
                .eq(whole.events.iter().map(|(_, e)| e.to_string()));
            assert!(!same || input[at] == b' ', "without byte {at} of {}: {outcome:?}", input.escape_ascii());
        }
    }
}

/// The same for responses. A space in the reason phrase is a part of it, and not framing.
#[test]
fn a_byte_inserted_into_the_framing_of_a_response_is_refused() {
    let good: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ];
    let subject = || ClientSubject::new(Limits::DEFAULT, "GET", false, 0);
    for input in good {
        let whole = split::drive(subject(), input, &[]);
        assert!(whole.failure.is_none(), "{whole:?}");
        let content = input.windows(12).position(|w| w == b"hello, world");
        let framing: Vec<usize> = (1..input.len())
            .filter(|at| {
                content != Some(*at) && !content.is_some_and(|start| (start..start + 12).contains(at))
            })
            .collect();
        for (at, byte, changed) in mutate::insertions(input, &framing, b"\r\n\0 ") {
            let outcome = split::drive(subject(), &changed, &[]);
            let line = input[..at].rsplit(|&b| b == b'\n').next().unwrap_or_default();
            let reason = line.starts_with(b"HTTP/1.") && line.len() >= 12;
            let around = line.contains(&b':')
                && (matches!(input[at - 1], b':' | b' ') || matches!(input[at], b'\r' | b' '));
            if byte == b' ' && input[at] != b'\n' && (reason || around || line.contains(&b'<')) {
                assert!(outcome.failure.is_none(), "{at} of {}: {outcome:?}", input.escape_ascii());
                assert_eq!(outcome.data(), whole.data());
            } else {
                let shown = outcome.failure.is_some() || outcome.left > whole.left;
                assert!(shown, "{:?} at {at} of {}: {outcome:?}", byte as char, input.escape_ascii());
            }
        }
    }
}

/// One-byte reads: a long field, many fields, a long target.
#[test]
fn time_is_linear() {
    let server = || ServerSubject::new(Limits::DEFAULT);
    let value = |n: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "v".repeat(n)).into_bytes();
    linear::check(server, &value(900), &value(9000));
    let name = |n: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}: v\r\n\r\n", "n".repeat(n)).into_bytes();
    linear::check(server, &name(900), &name(9000));
    let lines = |n: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(n)).into_bytes();
    linear::check(server, &lines(8), &lines(98));
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "t".repeat(n)).into_bytes();
    linear::check(server, &target(700), &target(7000));
    let reason =
        |n: usize| format!("HTTP/1.1 200 {}\r\nContent-Length: 0\r\n\r\n", "r".repeat(n)).into_bytes();
    linear::check(|| ClientSubject::new(Limits::DEFAULT, "GET", false, 0), &reason(900), &reason(9000));
}
