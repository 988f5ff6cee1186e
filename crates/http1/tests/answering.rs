//! Responses of a connection that has not read the request itself.

#![allow(clippy::unwrap_used)]

use tidewire_http1::*;

/// A connection that has read a GET.
fn reader() -> Connection<Server> {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    let mut fields = Fields::new();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(matches!(connection.decode(request, &mut fields), Ok((27, Some(Event::Request(_))))));
    assert!(matches!(connection.decode(b"", &mut fields), Ok((0, Some(Event::End)))));
    connection
}

/// What the connection writes, whether it closes, and whether it starts the next exchange.
fn answer(
    mut connection: Connection<Server>,
    response: &Response<'_>,
    body: BodyLength,
) -> Result<(String, bool, bool), EncodeError> {
    let mut out = Vec::new();
    connection.send_head(response, body, &mut out)?;
    if matches!(body, BodyLength::Length(1..) | BodyLength::Chunked | BodyLength::UntilClose) {
        connection.send_data(b"hello", &mut out)?;
    }
    connection.send_end(&mut out)?;
    let closes = connection.must_close();
    Ok((String::from_utf8(out).unwrap(), closes, connection.next_exchange().is_ok()))
}

#[test]
fn a_response_does_not_depend_on_which_connection_read_the_request() {
    let close = FieldBlock::from_pairs([("Connection", "close"), ("A", "b")]).unwrap();
    let upgrade = FieldBlock::from_pairs([("Upgrade", "websocket")]).unwrap();
    let bodies = [
        BodyLength::Empty,
        BodyLength::Length(0),
        BodyLength::Length(5),
        BodyLength::Length(6),
        BodyLength::Chunked,
        BodyLength::UntilClose,
    ];
    for status in [99, 100, 101, 200, 204, 205, 304, 404, 999, 1000] {
        for (body, idle) in bodies.into_iter().flat_map(|body| [(body, 0), (body, 75)]) {
            for blocks in [&[][..], &[&close], &[&upgrade]] {
                let response = Response::new(status).with_fields(blocks).with_idle_timeout(idle);
                for closed in [false, true] {
                    let (mut read, mut unread) =
                        (reader(), Connection::<Server>::answering_get(Limits::DEFAULT));
                    if closed {
                        read.close();
                        unread.close();
                    }
                    let expected = answer(read, &response, body);
                    assert_eq!(answer(unread, &response, body), expected, "{response:?} {body:?}");
                }
            }
        }
    }
}

#[test]
fn after_the_response_the_next_request_is_read() {
    let mut connection = Connection::<Server>::answering_get(Limits::DEFAULT);
    let (mut fields, mut out) = (Fields::new(), Vec::new());
    let request = b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(matches!(connection.decode(request, &mut fields), Ok((0, None))), "not before the response");
    connection.send_head(&Response::new(200), BodyLength::Empty, &mut out).unwrap();
    connection.next_exchange().unwrap();
    assert!(matches!(connection.decode(request, &mut fields), Ok((31, Some(Event::Request(_))))));
}

#[test]
fn first_fields_come_before_the_framing_fields() {
    let date = FieldBlock::from_pairs([("Date", "now")]).unwrap();
    let other = FieldBlock::from_pairs([("A", "b")]).unwrap();
    let blocks = [&other];
    let response = Response::new(200).with_first_fields(&date).with_fields(&blocks).with_idle_timeout(9);
    let (text, closes, _) = answer(reader(), &response, BodyLength::Length(5)).unwrap();
    assert_eq!(
        (&text[..], closes),
        (
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\
             Keep-Alive: timeout=9\r\nA: b\r\n\r\nhello",
            false
        )
    );
    let close = FieldBlock::from_pairs([("Connection", "close")]).unwrap();
    let upgrade = FieldBlock::from_pairs([("Upgrade", "x")]).unwrap();
    let response = Response::new(426).with_first_fields(&close).with_fields(&[]);
    let (text, closes, _) = answer(reader(), &response, BodyLength::Empty).unwrap();
    assert!(closes && text.contains("\r\nConnection: close\r\n"), "{text}");
    let response = Response::new(426).with_first_fields(&upgrade);
    let (text, ..) = answer(reader(), &response, BodyLength::Empty).unwrap();
    assert!(text.contains("\r\nUpgrade: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\n"), "{text}");
}
