//! Decoding allocates nothing, and a declared length reserves no memory.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "bytes")]
use tidewire_http1::RequestHead;
use tidewire_http1::{Connection, Event, Fields, Limits, Method, ResponseHead, Server};
use tidewire_testkit::heap::{CountingAllocator, allocations};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Decodes one message, `step` bytes at a time. Returns the number of bytes of content.
fn decode(input: &[u8], step: usize, fields: &mut Fields) -> usize {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    let (mut start, mut end, mut content) = (0, 0, 0);
    loop {
        match connection.decode(&input[start..end], fields).unwrap() {
            (used, None) if end == input.len() => {
                assert_eq!(start + used, end);
                return content;
            }
            (used, None) => {
                start += used;
                end = (end + step).min(input.len());
            }
            (used, Some(event)) => {
                start += used;
                if let Event::Data(data) = event {
                    content += data.len();
                }
                if let Event::End = event {
                    return content;
                }
            }
        }
    }
}

#[test]
fn decoding_allocates_nothing() {
    let head = "POST /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nConnection: keep-alive, x\r\n\
        Expect: 100-continue\r\n";
    let length = format!("{head}Content-Length: 5\r\n\r\nhello");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n");
    for input in [length.as_bytes(), chunked.as_bytes()] {
        for step in [1, 7, input.len()] {
            let mut fields = Fields::with_capacity(8);
            assert_eq!(allocations(|| assert_eq!(decode(input, step, &mut fields), 5)), 0, "{step}");
        }
    }
}

#[test]
fn reading_a_response_allocates_nothing() {
    let input = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n";
    let (limits, mut fields) = (Limits::DEFAULT, Fields::with_capacity(8));
    let count = allocations(|| {
        let parsed = ResponseHead::parse(input, Method::Get, &limits, &mut fields);
        assert!(matches!(parsed, Ok(Some((length, _))) if length == input.len()));
    });
    assert_eq!(count, 0);
}

/// An owned head has room for as many fields as most heads have.
#[cfg(feature = "bytes")]
#[test]
fn an_owned_head_allocates_nothing_for_few_fields() {
    let head = |fields| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(fields));
    for (more, expected) in [(0, 0), (15, 0), (16, 1), (90, 1)] {
        let bytes = bytes::Bytes::from(head(more));
        let shared = bytes.clone();
        let (limits, mut fields) = (Limits::DEFAULT, Fields::with_capacity(100));
        let (_, head) = RequestHead::parse(&bytes, &limits, &mut fields).unwrap().unwrap();
        let count = allocations(|| assert_eq!(head.to_owned_head(shared).fields().len(), more + 1));
        assert_eq!(count, expected, "{more}");
    }
}

/// A new table has room for as many fields as most heads have.
#[test]
fn a_new_table_allocates_nothing_for_few_fields() {
    for (more, expected) in [(15, false), (16, true)] {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(more));
        let count = allocations(|| assert_eq!(decode(head.as_bytes(), head.len(), &mut Fields::new()), 0));
        assert_eq!(count > 0, expected, "{more}");
    }
}

#[test]
fn a_table_is_reused() {
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(90));
    let few = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut fields = Fields::new();
    assert!(allocations(|| assert_eq!(decode(many.as_bytes(), many.len(), &mut fields), 0)) > 0);
    for input in [many.as_bytes(), few] {
        assert_eq!(allocations(|| assert_eq!(decode(input, 13, &mut fields), 0)), 0);
    }
}

#[test]
fn an_error_allocates_nothing_and_a_length_reserves_nothing() {
    let mut limits = Limits::DEFAULT;
    limits.max_body = u64::MAX;
    let mut fields = Fields::with_capacity(8);
    let count = allocations(|| {
        let mut connection = Connection::<Server>::new(limits);
        assert!(connection.decode(b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n", &mut fields).is_err());
        let mut connection = Connection::<Server>::new(limits);
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n";
        assert!(connection.decode(head, &mut fields).is_ok());
    });
    assert_eq!(count, 0);
}
