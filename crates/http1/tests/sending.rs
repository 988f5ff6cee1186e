//! The exact bytes that a server sends.

#![allow(clippy::unwrap_used)]

use tidewire_http1::*;

/// A server that has read `request`, which is a complete message.
fn server(request: &str) -> Connection<Server> {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    let (mut fields, mut at) = (Fields::new(), 0);
    loop {
        let (used, event) = connection.decode(&request.as_bytes()[at..], &mut fields).unwrap();
        at += used;
        match event {
            Some(Event::End) => break,
            Some(_) => {}
            None => panic!("an incomplete request: {request}"),
        }
    }
    assert_eq!(at, request.len());
    connection
}

fn get() -> Connection<Server> {
    server("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn get_10() -> Connection<Server> {
    server("GET / HTTP/1.0\r\n\r\n")
}

fn block(pairs: &[(&str, &str)]) -> FieldBlock {
    FieldBlock::from_pairs(pairs.iter().copied()).unwrap()
}

/// The complete response with these pieces of content.
fn answer(
    connection: &mut Connection<Server>,
    status: u16,
    body: BodyLength,
    pieces: &[&str],
) -> Result<String, EncodeErrorKind> {
    let mut out = Vec::new();
    kind(connection.send_head(&Response::new(status), body, &mut out))?;
    for piece in pieces {
        kind(connection.send_data(piece.as_bytes(), &mut out))?;
    }
    kind(connection.send_end(&mut out))?;
    Ok(String::from_utf8(out).unwrap())
}

/// The kind of an error, where its offset does not matter.
fn kind<T>(result: Result<T, EncodeError>) -> Result<T, EncodeErrorKind> {
    result.map_err(|error| error.kind())
}

#[test]
fn a_declared_length_is_sent_and_enforced() {
    assert_eq!(
        answer(&mut get(), 200, BodyLength::Length(5), &["he", "", "llo"]).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert_eq!(answer(&mut get(), 200, BodyLength::Length(5), &["hell"]), Err(EncodeErrorKind::BodyTooShort));
    assert_eq!(
        answer(&mut get(), 200, BodyLength::Length(5), &["hello", "!"]),
        Err(EncodeErrorKind::BodyTooLong)
    );
    assert_eq!(answer(&mut get(), 200, BodyLength::Empty, &["!"]), Err(EncodeErrorKind::BodyTooLong));
    let (mut connection, mut out) = (get(), Vec::new());
    connection.send_head(&Response::new(200), BodyLength::Length(3), &mut out).unwrap();
    assert_eq!(connection.send_data(b"hello", &mut out).unwrap_err().offset(), 3);
    assert_eq!(
        answer(&mut get(), 404, BodyLength::Empty, &[]).unwrap(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn an_empty_piece_of_content_does_not_end_a_chunked_body() {
    assert_eq!(
        answer(&mut get(), 200, BodyLength::Chunked, &["hello, world", "", "!"]).unwrap(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n1\r\n!\r\n0\r\n\r\n"
    );
}

#[test]
fn an_http_10_client_gets_no_chunks() {
    let mut connection = get_10();
    assert_eq!(
        answer(&mut connection, 200, BodyLength::Chunked, &["a", "b"]).unwrap(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab"
    );
    let closing = Err(NextExchangeError::Closing(CloseReason::Peer));
    assert_eq!((connection.must_close(), connection.next_exchange()), (true, closing));

    // Not even a client that asked to keep the connection open.
    let mut connection = server("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(
        answer(&mut connection, 200, BodyLength::Chunked, &[]).unwrap(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn an_http_10_client_may_keep_the_connection_open() {
    let mut connection = server("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(
        answer(&mut connection, 200, BodyLength::Length(1), &["x"]).unwrap(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"
    );
    connection.next_exchange().unwrap();
}

#[test]
fn a_server_that_closes_sends_close() {
    for request in ["GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut connection = server(request);
        assert_eq!(
            answer(&mut connection, 200, BodyLength::Length(0), &[]).unwrap(),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let closing = Err(NextExchangeError::Closing(CloseReason::Peer));
        assert_eq!((connection.must_close(), connection.next_exchange()), (true, closing));
    }
    let mut connection = get();
    connection.close();
    assert!(
        answer(&mut connection, 200, BodyLength::Length(0), &[]).unwrap().contains("Connection: close\r\n")
    );
    assert_eq!(connection.next_exchange(), Err(NextExchangeError::Closing(CloseReason::Local)));

    let (mut connection, mut out) = (get(), Vec::new());
    let fields = block(&[("Connection", "close")]);
    connection.send_head(&Response::new(200).with_fields(&[&fields]), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(connection.must_close());
}

#[test]
fn a_body_until_close_closes_the_connection() {
    let mut connection = get();
    assert_eq!(
        answer(&mut connection, 200, BodyLength::UntilClose, &["a"]).unwrap(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na"
    );
    assert_eq!(connection.close_reason(), Some(CloseReason::UntilClose));
}

#[test]
fn a_response_to_head_has_the_fields_and_no_content() {
    let head = || server("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (body, field) in [
        (BodyLength::Length(5), "Content-Length: 5\r\n"),
        (BodyLength::Chunked, "Transfer-Encoding: chunked\r\n"),
    ] {
        let mut connection = head();
        let sent = answer(&mut connection, 200, body, &["hello"]).unwrap();
        assert_eq!(sent, format!("HTTP/1.1 200 OK\r\n{field}\r\n"));
        connection.next_exchange().unwrap();
    }
    let (mut connection, mut out) = (head(), Vec::new());
    connection.send_head(&Response::new(200), BodyLength::Length(5), &mut out).unwrap();
    assert_eq!(connection.send_data_head(5, &mut out), Ok(ContentAction::Omit));
    assert_eq!((connection.sending(), connection.is_sent()), (None, true));
}

#[test]
fn a_204_has_no_framing_field() {
    for body in [BodyLength::Empty, BodyLength::Length(0)] {
        assert_eq!(answer(&mut get(), 204, body, &[]).unwrap(), "HTTP/1.1 204 No Content\r\n\r\n");
    }
    for body in [BodyLength::Length(1), BodyLength::Chunked, BodyLength::UntilClose] {
        assert_eq!(answer(&mut get(), 204, body, &[]), Err(EncodeErrorKind::Body));
        assert_eq!(answer(&mut get(), 205, body, &[]), Err(EncodeErrorKind::Body));
    }
}

#[test]
fn a_205_has_a_content_length_of_0() {
    assert_eq!(
        answer(&mut get(), 205, BodyLength::Empty, &[]).unwrap(),
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_304_has_no_content() {
    assert_eq!(answer(&mut get(), 304, BodyLength::Empty, &[]).unwrap(), "HTTP/1.1 304 Not Modified\r\n\r\n");
    assert_eq!(
        answer(&mut get(), 304, BodyLength::Length(7), &["content"]).unwrap(),
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
    );
    assert_eq!(
        answer(&mut get(), 304, BodyLength::Chunked, &["x"]).unwrap(),
        "HTTP/1.1 304 Not Modified\r\n\r\n"
    );
}

#[test]
fn a_100_is_sent_once_to_a_client_that_waits_for_it() {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    let (mut fields, mut out) = (Fields::new(), Vec::new());
    let head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    connection.send_continue(&mut out);
    connection.decode(head, &mut fields).unwrap();
    connection.send_continue(&mut out);
    connection.send_continue(&mut out);
    assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");
    out.clear();
    connection.send_head(&Response::new(417), BodyLength::Empty, &mut out).unwrap();
    out.clear();
    connection.send_continue(&mut out);
    get().send_continue(&mut out);
    assert_eq!(out, b"");
}

#[test]
fn interim_responses_come_before_the_final_one_and_not_for_http_10() {
    let (mut connection, mut out) = (get(), Vec::new());
    let hints = block(&[("Link", "</a.css>")]);
    connection.send_interim(&Response::new(103).with_fields(&[&hints]), &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    for status in [99, 100, 101, 200] {
        assert_eq!(
            kind(connection.send_interim(&Response::new(status), &mut out)),
            Err(EncodeErrorKind::Status)
        );
    }
    connection.send_head(&Response::new(200), BodyLength::Empty, &mut out).unwrap();
    let mut late = |connection: &mut Connection<Server>| {
        kind(connection.send_interim(&Response::new(103), &mut out)).unwrap_err()
    };
    assert_eq!(late(&mut connection), EncodeErrorKind::HeadAlreadySent);
    assert_eq!(late(&mut get_10()), EncodeErrorKind::InterimToHttp10);
    for status in [0, 99, 100, 102, 199, 1000] {
        assert_eq!(answer(&mut get(), status, BodyLength::Empty, &[]), Err(EncodeErrorKind::Status));
    }
}

#[test]
fn a_101_needs_an_offer_and_names_the_protocol() {
    let offer = || server("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a, b\r\n\r\n");
    let (mut connection, mut out) = (offer(), Vec::new());
    let upgrade = block(&[("Upgrade", "a"), ("Connection", "Upgrade")]);
    let switching = Response::new(101);
    assert_eq!(
        kind(connection.send_head(&switching, BodyLength::Empty, &mut out)),
        Err(EncodeErrorKind::Upgrade)
    );
    let blocks = [&upgrade];
    let switching = switching.with_fields(&blocks);
    assert_eq!(
        kind(connection.send_head(&switching, BodyLength::Length(1), &mut out)),
        Err(EncodeErrorKind::Body)
    );
    assert_eq!(out, b"");
    connection.send_head(&switching, BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n");
    assert!(connection.is_switched() && !connection.must_close());
    assert!(matches!(connection.decode(b"\x81\x00", &mut Fields::new()), Ok((0, None))));
    assert_eq!(kind(connection.send_data(b"x", &mut out)), Err(EncodeErrorKind::Switched));
    assert_eq!(kind(connection.send_end(&mut out)), Err(EncodeErrorKind::Switched));
    assert_eq!(connection.next_exchange(), Err(NextExchangeError::Switched));

    for request in [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: a\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: ,\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut out = Vec::new();
        assert_eq!(
            kind(server(request).send_head(&switching, BodyLength::Empty, &mut out)),
            Err(EncodeErrorKind::Upgrade),
            "{request}"
        );
        assert_eq!(out, b"");
    }
}

/// Older Envoy, Mojo and others send `Content-Length: 0` with their offer. Without a byte of body,
/// recipients cannot disagree about where the other protocol starts.
#[test]
fn a_content_length_of_0_allows_a_switch() {
    let upgrade = block(&[("Upgrade", "a")]);
    let blocks = [&upgrade];
    let switching = Response::new(101).with_fields(&blocks);
    for length in ["0", "00"] {
        let offer = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: a\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let (mut connection, mut out) = (server(&offer), Vec::new());
        connection.send_head(&switching, BodyLength::Empty, &mut out).unwrap();
        assert!(out.starts_with(b"HTTP/1.1 101 ") && connection.is_switched(), "{length}");
    }
    let (mut connection, mut out) =
        (server("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n"), Vec::new());
    connection.send_head(&Response::new(200), BodyLength::Empty, &mut out).unwrap();
    assert!(connection.is_switched());

    // The client role understands the answer to such a request.
    let (mut client, mut out) = (Connection::<Client>::new(Limits::DEFAULT), Vec::new());
    let request = Request::new("GET", "/", "h").with_fields(&blocks);
    client.send_request(&request, BodyLength::Length(0), &mut out).unwrap();
    assert!(out.ends_with(b"\r\n\r\n"), "{}", out.escape_ascii());
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: a\r\n\r\n";
    client.decode(answer, &mut Fields::new()).unwrap();
    assert!(client.is_switched());
}

/// RFC 9110 §7.8: a sender of `Upgrade` also sends the option.
#[test]
fn an_upgrade_field_brings_its_connection_option() {
    let (mut connection, mut out) = (get(), Vec::new());
    let upgrade = block(&[("Upgrade", "websocket")]);
    connection.send_head(&Response::new(426).with_fields(&[&upgrade]), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(
        out,
        b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\
          Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
}

/// Some peers compare the option with case. They expect it as RFC 6455 §1.3 writes it, in both
/// roles and next to other options.
#[test]
fn the_upgrade_option_is_written_as_in_rfc_6455() {
    let upgrade = block(&[("Upgrade", "websocket")]);
    let closing = block(&[("Upgrade", "websocket"), ("Connection", "close, upgrade")]);
    let answer = |mut connection: Connection<Server>, fields: &FieldBlock| {
        let mut out = Vec::new();
        connection
            .send_head(&Response::new(426).with_fields(&[fields]), BodyLength::Empty, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    let stays = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for (head, option) in [
        (answer(get(), &upgrade), "Upgrade"),
        (answer(get(), &closing), "close, Upgrade"),
        (answer(server(stays), &upgrade), "keep-alive, Upgrade"),
    ] {
        assert!(head.contains(&format!("\r\nConnection: {option}\r\nUpgrade: websocket\r\n")), "{head}");
    }
    for (fields, option) in [(&upgrade, "Upgrade"), (&closing, "close, Upgrade")] {
        let (mut client, mut out) = (Connection::<Client>::new(Limits::DEFAULT), Vec::new());
        let blocks = [fields];
        let request = Request::new("GET", "/", "h").with_fields(&blocks);
        client.send_request(&request, BodyLength::Empty, &mut out).unwrap();
        let head = String::from_utf8(out).unwrap();
        assert!(head.contains(&format!("\r\nConnection: {option}\r\nUpgrade: websocket\r\n")), "{head}");
    }
}

/// Also in an interim response. A `close` in an interim response is sent with the final one.
#[test]
fn an_interim_response_has_the_option_of_its_upgrade_field() {
    let (mut connection, mut out) = (get(), Vec::new());
    let fields = block(&[("Upgrade", "websocket"), ("Link", "</a.css>")]);
    connection.send_interim(&Response::new(103).with_fields(&[&fields]), &mut out).unwrap();
    assert_eq!(
        out,
        b"HTTP/1.1 103 Early Hints\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nLink: </a.css>\r\n\r\n"
    );
    assert!(!connection.must_close());
    out.clear();
    let fields = block(&[("Connection", "close")]);
    connection.send_interim(&Response::new(103).with_fields(&[&fields]), &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(
        answer(&mut connection, 200, BodyLength::Empty, &[]).unwrap().contains("\r\nConnection: close\r\n")
    );
}

#[test]
fn a_tunnel_has_no_framing_field_but_its_refusal_has_one() {
    let connect = || server("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
    let (mut connection, mut out) = (connect(), Vec::new());
    assert_eq!(
        kind(connection.send_head(&Response::new(200), BodyLength::Length(0), &mut out)),
        Err(EncodeErrorKind::Body)
    );
    connection.send_head(&Response::new(200), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(connection.is_switched());
    let mut connection = connect();
    assert_eq!(
        answer(&mut connection, 405, BodyLength::Empty, &[]).unwrap(),
        "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
    );
    connection.next_exchange().unwrap();
}

#[test]
fn an_answer_may_begin_before_the_request_is_complete() {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    let (mut fields, mut out) = (Fields::new(), Vec::new());
    let (used, _) =
        connection.decode(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", &mut fields).unwrap();
    connection.send_head(&Response::new(403), BodyLength::Empty, &mut out).unwrap();
    // The body is still to be read, or the connection to be closed (RFC 9112 §9.3).
    assert!(connection.is_sent() && !connection.is_paused());
    assert_eq!(connection.next_exchange(), Err(NextExchangeError::NotRead));
    let (more, _) = connection.decode(&b"hi"[..], &mut fields).unwrap();
    assert_eq!((used, more), (46, 2));
    connection.decode(b"", &mut fields).unwrap();
    connection.next_exchange().unwrap();
}

#[test]
fn a_request_that_was_cut_off_is_answered_and_the_connection_closes() {
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    connection
        .decode(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n", &mut Fields::new())
        .unwrap();
    assert!(connection.finish().is_err());
    let sent = answer(&mut connection, 400, BodyLength::Empty, &[]).unwrap();
    assert!(sent.contains("Connection: close\r\n"));
    assert!(connection.must_close());
}

/// RFC 9112 §9.6: a client that has closed its side still gets the response.
#[test]
fn a_half_closed_connection_gets_its_response() {
    let mut connection = get();
    assert!(matches!(connection.finish(), Ok(None)));
    let sent = answer(&mut connection, 200, BodyLength::Length(2), &["hi"]).unwrap();
    assert_eq!(sent, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert_eq!(connection.close_reason(), Some(CloseReason::EndOfInput));
}

#[test]
fn calls_in_the_wrong_state_write_nothing_and_say_what_is_missing() {
    let mut out = Vec::new();
    let head = |connection: &mut Connection<Server>, out: &mut Vec<u8>| {
        kind(connection.send_head(&Response::new(200), BodyLength::Length(1), out))
    };
    let not_due = Err(EncodeErrorKind::BodyNotDue);
    let mut connection = Connection::<Server>::new(Limits::DEFAULT);
    assert_eq!(head(&mut connection, &mut out), Err(EncodeErrorKind::NoRequest));
    for mut connection in [connection, get()] {
        assert_eq!(kind(connection.send_data(b"x", &mut out)), not_due);
        assert_eq!(kind(connection.send_end(&mut out)), not_due);
    }
    let mut connection = get();
    answer(&mut connection, 200, BodyLength::Length(1), &["x"]).unwrap();
    assert_eq!(head(&mut connection, &mut out), Err(EncodeErrorKind::HeadAlreadySent));
    assert_eq!(kind(connection.send_data(b"", &mut out)), not_due);
    assert_eq!(kind(connection.send_end(&mut out)), not_due);
    let bad = Response::new(200).with_reason("a\r\nb");
    let error = get().send_head(&bad, BodyLength::Empty, &mut out).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (EncodeErrorKind::ReasonPhrase, 1));
    assert_eq!(out, b"");
}

/// A caller may make the same calls for every response: they write nothing after the head.
#[test]
fn a_head_that_says_that_its_body_is_empty_completes_the_response() {
    let head = || server("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    let old = || server("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    for (mut connection, status, body) in [
        (get(), 200, BodyLength::Empty),
        (get(), 404, BodyLength::Length(0)),
        (get_10(), 200, BodyLength::Empty),
        (get(), 204, BodyLength::Empty),
        (get(), 205, BodyLength::Length(0)),
        (get(), 304, BodyLength::Empty),
        (get(), 304, BodyLength::Length(5)),
        (get(), 304, BodyLength::Chunked),
        (head(), 200, BodyLength::Length(5)),
        (head(), 200, BodyLength::Chunked),
        (head(), 200, BodyLength::UntilClose),
        (old(), 200, BodyLength::Chunked),
    ] {
        let mut out = Vec::new();
        connection.send_head(&Response::new(status), body, &mut out).unwrap();
        assert_eq!((connection.is_sent(), connection.sending()), (true, None), "{status} {body:?}");
        let sent = out.len();
        connection.send_data(b"", &mut out).unwrap();
        let content = kind(connection.send_data(b"hello", &mut out));
        let dropped =
            !matches!(body, BodyLength::Empty | BodyLength::Length(0)) || status != 404 && status != 200;
        let expected = if dropped { Ok(()) } else { Err(EncodeErrorKind::BodyTooLong) };
        assert_eq!(content, expected, "{status} {body:?}");
        connection.send_end(&mut out).unwrap();
        connection.send_trailers(&block(&[("Digest", "x")]), &mut out).unwrap();
        assert_eq!(out.len(), sent, "{status} {body:?}");
        if !connection.must_close() {
            connection.next_exchange().unwrap();
        }
        assert_eq!(
            kind(connection.send_end(&mut out)).is_ok(),
            connection.must_close(),
            "of the next message"
        );
    }
    for body in [BodyLength::Length(1), BodyLength::Chunked, BodyLength::UntilClose] {
        let (mut connection, mut out) = (get(), Vec::new());
        connection.send_head(&Response::new(200), body, &mut out).unwrap();
        assert!(!connection.is_sent() && connection.sending() == Some(body), "{body:?}");
        assert_eq!(connection.next_exchange(), Err(NextExchangeError::NotSent));
    }
}

#[test]
fn content_may_be_sent_apart_from_its_framing() {
    let (mut connection, mut out) = (get(), Vec::new());
    connection.send_head(&Response::new(200), BodyLength::Chunked, &mut out).unwrap();
    out.clear();
    assert_eq!(connection.send_data_head(300, &mut out), Ok(ContentAction::SendThen(b"\r\n")));
    assert_eq!(out, b"12c\r\n");
    let (mut connection, mut out) = (get(), Vec::new());
    connection.send_head(&Response::new(200), BodyLength::Length(300), &mut out).unwrap();
    out.clear();
    assert_eq!(connection.send_data_head(299, &mut out), Ok(ContentAction::SendThen(b"")));
    assert_eq!((out.as_slice(), connection.sending()), (b"".as_slice(), Some(BodyLength::Length(1))));
}

#[test]
fn only_a_chunked_body_gets_trailers() {
    let trailers = block(&[("Digest", "x")]);
    for (body, end) in [(BodyLength::Chunked, "0\r\nDigest: x\r\n\r\n"), (BodyLength::Length(0), "")] {
        let (mut connection, mut out) = (get(), Vec::new());
        connection.send_head(&Response::new(200), body, &mut out).unwrap();
        out.clear();
        assert_eq!(
            kind(connection.send_trailers(&block(&[("Upgrade", "x")]), &mut out)),
            Err(EncodeErrorKind::ForbiddenTrailer)
        );
        connection.send_trailers(&trailers, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), end);
    }
}

/// RFC 9110 §7.6.1 (4): `Connection` names the field.
#[test]
fn an_idle_timeout_is_sent_if_the_connection_stays_open() {
    let upgrade = FieldBlock::from_pairs([("Upgrade", "x")]).unwrap();
    let close = FieldBlock::from_pairs([("Connection", "close")]).unwrap();
    let told = "Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n";
    for (request, fields, body, expected) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None, BodyLength::Chunked, told),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", None, BodyLength::Length(0), told),
        ("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", None, BodyLength::Length(0), told),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
            None,
            BodyLength::Length(0),
            "Connection: close\r\n",
        ),
        ("GET / HTTP/1.0\r\n\r\n", None, BodyLength::Length(0), "Connection: close\r\n"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None, BodyLength::UntilClose, "Connection: close\r\n"),
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", Some(&close), BodyLength::Length(0), "Connection: close\r\n"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            Some(&upgrade),
            BodyLength::Length(0),
            "Keep-Alive: timeout=75\r\nUpgrade: x\r\n",
        ),
    ] {
        let (mut connection, mut out) = (server(request), Vec::new());
        let blocks: Vec<&FieldBlock> = fields.into_iter().collect();
        let head = Response::new(200).with_fields(&blocks).with_idle_timeout(75);
        connection.send_head(&head, body, &mut out).unwrap();
        let head = String::from_utf8(out).unwrap();
        assert!(head.contains(expected), "{request}: {head}");
        assert_eq!(head.contains("Keep-Alive"), !expected.contains("close"), "{request}: {head}");
        assert_eq!(head.matches("\r\nConnection: ").count(), 1, "{request}: {head}");
    }
}
