//! Limits of every size: the error and its offset do not depend on how the input is split.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ClientSubject, ServerSubject, request_line, response_line};
use proptest::prelude::*;
use tidewire_http1::*;
use tidewire_testkit::split;

/// Small limits, so that short inputs exceed them, and the largest possible limits.
fn limits() -> impl Strategy<Value = Limits> {
    let sizes = (1u16..90, 0u16..12, 0u8..6, 0u16..4);
    (sizes, 0u64..6, 0u32..12, 0u16..3, 0u8..3).prop_map(
        |((head, target, method, fields), body, overhead, trailers, interim)| {
            let mut limits = Limits::DEFAULT;
            limits.max_head = if head > 80 { u16::MAX } else { head };
            limits.max_target = if target > 10 { u16::MAX } else { target };
            limits.max_method = if method == 0 { u8::MAX } else { method };
            limits.max_fields = fields.checked_sub(1).unwrap_or(u16::MAX);
            limits.max_body = if body == 5 { u64::MAX } else { body };
            limits.max_overhead = if overhead == 11 { u32::MAX } else { overhead };
            (limits.max_trailers, limits.max_interim_responses) = (trailers, interim);
            limits
        },
    )
}

/// Parts of messages in any order, and some invalid bytes.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(&[
            "GET / HTTP/1.1\r\n", "HEAD /a HTTP/1.1\r\n", "GET /b HTTP/1.0\r\n", "POST / HTTP/1.1\r\n",
            "CONNECT a:1 HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n", "GET http://a/ HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 \r\n", "HTTP/1.1 304 x\r\n", "HTTP/1.0 200 OK\r\n",
            "HTTP/1.1 101 S\r\n", "HTTP/1.1 204 \r\n", "Host: a\r\n", "Host: h\r\n",
            "Connection: keep-alive\r\n", "Connection: close\r\n", "Content-Length: 3\r\n",
            "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Upgrade: x\r\n",
            "Connection: upgrade\r\n", "Expect: 100-continue\r\n", "X:\r\n",
        ][..]).prop_map(|text| text.as_bytes().to_vec()),
        3 => Just(b"\r\n".to_vec()),
        2 => prop::sample::select(&["3\r\nabc\r\n", "0\r\n", "1;a=b\r\nx\r\n", "abc"][..])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(prop::sample::select(&b"\r\n\t :aZ\0\x7F\x80\xFF,5/"[..]), 1..3),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_limit_does_not_depend_on_the_split(limits in limits(), input in input()) {
        split::quick(|| ServerSubject::switching(limits), &input);
        split::quick(|| ServerSubject::new(limits), &input);
        for method in ["GET", "HEAD", "CONNECT"] {
            split::quick(|| ClientSubject::new(limits, method, true, u32::MAX), &input);
        }
    }

    /// A used table of fields gives the same results as a new one, whatever heads it held before.
    #[test]
    fn a_used_table_of_fields_acts_like_a_new_one(before in input(), input in input(), cut in 0usize..60) {
        let limits = Limits::DEFAULT;
        let (mut used, mut new) = (Fields::new(), Fields::new());
        let mut server = Connection::<Server>::new(limits);
        for shown in [cut.min(before.len()), before.len()] {
            let _ = server.decode(&before[..shown], &mut used).map(|_| ());
        }
        let _ = ResponseHead::parse(&before, Method::Get, &limits, &mut used).map(|_| ());
        let mut requests = [&mut used, &mut new].map(|fields| {
            RequestHead::parse(&input, &limits, fields)
                .map(|head| head.map(|(len, head)| (len, request_line(&head))))
        });
        let [one, other] = &mut requests;
        prop_assert_eq!(one, other);
        let responses = [&mut used, &mut new].map(|fields| {
            ResponseHead::parse(&input, Method::Get, &limits, fields)
                .map(|head| head.map(|(len, head)| (len, response_line(&head))))
        });
        prop_assert_eq!(&responses[0], &responses[1]);
    }
}

/// The longest possible head is accepted. One byte more is refused, at the same offset in all
/// cases.
#[test]
fn the_largest_limits_hold_to_the_byte() {
    let mut limits = Limits::DEFAULT;
    (limits.max_head, limits.max_target) = (u16::MAX, u16::MAX);
    (limits.max_method, limits.max_fields) = (u8::MAX, u16::MAX);
    for len in 65_533..=65_537 {
        let fill = |head: &str| head.replacen('~', &"v".repeat(len + 1 - head.len()), 1);
        let fields = "a:\r\n".repeat(16_000);
        for head in [
            fill("GET / HTTP/1.1\r\nHost: h\r\nX: ~\r\n\r\n"),
            fill("GET /~ HTTP/1.1\r\nHost: h\r\n\r\n"),
            fill(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}X: ~\r\n\r\n")),
        ] {
            assert_eq!(head.len(), len);
            let expected = if len <= 65_535 { Ok(len) } else { Err((431, 65_535)) };
            assert_eq!(read(limits, head.as_bytes()), [expected; 3], "{len} of {}", &head[..30]);
        }
    }
    assert_eq!(read(limits, &[b"GET /".as_slice(), &[b'v'; 70_000]].concat()), [Err((414, 65_535)); 3]);
    assert_eq!(read(limits, &[b'M'; 300]), [Err((501, 255)); 3]);
}

/// The result of a server for a head in one piece and in two: the length, or the status and the
/// offset.
fn read(limits: Limits, head: &[u8]) -> [Result<usize, (u16, u64)>; 3] {
    [head.len(), 65_535.min(head.len()), head.len() / 2].map(|first| {
        let (mut server, mut fields) = (Connection::<Server>::new(limits), Fields::new());
        for shown in [first, head.len()] {
            match server.decode(&head[..shown], &mut fields) {
                Ok((len, Some(Event::Request(_)))) => return Ok(len),
                Ok((0, None)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => return Err((error.status_hint(), error.offset())),
            }
        }
        panic!("no verdict on {} bytes", head.len())
    })
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-http1", &[&Limits::DEFAULT], &[]);
}
