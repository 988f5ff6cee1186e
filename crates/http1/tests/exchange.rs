//! Complete exchanges, in both roles.

#![allow(clippy::unwrap_used)]

mod common;
mod observer;

use tidewire_http1::*;

/// The events of a server for `input`, one line per event, until it is paused or fails.
fn events(connection: &mut Connection<Server>, input: &mut Vec<u8>) -> Vec<String> {
    let (mut fields, mut log) = (Fields::new(), Vec::new());
    loop {
        match connection.decode(input, &mut fields) {
            Ok((used, event)) => {
                let more = event.is_some();
                match event {
                    Some(Event::Request(head)) => {
                        log.push(format!("{} {}", head.method(), head.target().escape_ascii()))
                    }
                    Some(Event::Data(data)) => log.push(format!("data {}", data.escape_ascii())),
                    Some(Event::Trailer { name, value }) => {
                        log.push(format!("trailer {}={}", name.escape_ascii(), value.escape_ascii()));
                    }
                    Some(Event::End) => log.push("end".into()),
                    Some(Event::Response(_)) => unreachable!("a server gets no responses"),
                    None => {}
                }
                input.drain(..used);
                if !more {
                    return log;
                }
            }
            Err(error) => {
                log.push(format!("{} {error}", error.status_hint()));
                return log;
            }
        }
    }
}

#[test]
fn pipelined_requests_are_answered_one_by_one() {
    let mut input =
        b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiX"
            .to_vec();
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let mut out = Vec::new();
    assert_eq!(events(&mut server, &mut input), ["HEAD /a", "end"]);
    assert_eq!(server.next_exchange(), Err(NextExchangeError::NotSent));
    server.send_head(&Response::new(200), BodyLength::Length(5), &mut out).unwrap();
    server.send_data(b"hello", &mut out).unwrap();
    server.send_end(&mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    server.next_exchange().unwrap();
    assert_eq!(events(&mut server, &mut input), ["POST /b", "data hi", "end"]);
    server.send_head(&Response::new(204), BodyLength::Empty, &mut out).unwrap();
    server.next_exchange().unwrap();
    assert_eq!(events(&mut server, &mut input), [] as [&str; 0]);
    assert!(server.finish().is_err());
    out.clear();
    server.send_head(&Response::new(400), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(server.close_reason(), Some(CloseReason::Failed));
    assert!(matches!(server.next_exchange(), Err(NextExchangeError::Failed(_))));
}

#[test]
fn a_client_reads_what_a_server_writes() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut server = Connection::<Server>::new(Limits::DEFAULT);
    let (mut up, mut down, mut fields) = (Vec::new(), Vec::new(), Fields::new());
    client.send_request(&Request::new("POST", "/", "h"), BodyLength::Length(2), &mut up).unwrap();
    client.send_data(b"hi", &mut up).unwrap();
    client.send_end(&mut up).unwrap();
    assert_eq!(up, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(events(&mut server, &mut up), ["POST /", "data hi", "end"]);
    server.send_head(&Response::new(200), BodyLength::Length(3), &mut down).unwrap();
    server.send_data(b"yes", &mut down).unwrap();
    server.send_end(&mut down).unwrap();
    let (used, event) = client.decode(&down, &mut fields).unwrap();
    let Some(Event::Response(head)) = event else { panic!("no response") };
    assert_eq!((head.status(), head.reason(), head.body()), (200, b"OK".as_slice(), BodyLength::Length(3)));
    down.drain(..used);
    let (used, event) = client.decode(&down, &mut fields).unwrap();
    assert!(matches!(event, Some(Event::Data(b"yes"))));
    down.drain(..used);
    assert!(matches!(client.decode(&down, &mut fields), Ok((0, Some(Event::End)))));
    client.next_exchange().unwrap();
    server.next_exchange().unwrap();
}

/// `Event::End` follows such a head as well, but nobody need wait for it.
#[test]
fn a_head_that_says_that_its_body_is_empty_completes_the_received_message() {
    let requests =
        ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"];
    let responses = [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ];
    for reads_end in [false, true] {
        let (mut fields, mut out) = (Fields::new(), Vec::new());
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        for request in requests {
            let (used, event) = server.decode(request.as_bytes(), &mut fields).unwrap();
            assert!(
                matches!(event, Some(Event::Request(head)) if head.body().is_empty() && used == request.len())
            );
            assert_eq!(
                (server.is_paused(), server.next_exchange()),
                (false, Err(NextExchangeError::NotSent))
            );
            if reads_end {
                assert!(matches!(server.decode(b"GET", &mut fields), Ok((0, Some(Event::End)))));
                assert!(server.is_paused() && matches!(server.decode(b"GET", &mut fields), Ok((0, None))));
            }
            server.send_head(&Response::new(200), BodyLength::Empty, &mut out).unwrap();
            server.next_exchange().unwrap();
        }
        let mut client = Connection::<Client>::new(Limits::DEFAULT);
        for (method, response) in responses {
            client.send_request(&Request::new(method, "/", "h"), BodyLength::Empty, &mut out).unwrap();
            assert_eq!(client.next_exchange(), Err(NextExchangeError::NotRead));
            let (_, event) = client.decode(response.as_bytes(), &mut fields).unwrap();
            assert!(matches!(event, Some(Event::Response(head)) if head.body().is_empty()));
            assert!(!client.is_paused());
            if reads_end {
                assert!(matches!(client.decode(b"", &mut fields), Ok((0, Some(Event::End)))));
                assert!(client.is_paused());
            }
            client.next_exchange().unwrap();
        }
    }
}

#[test]
fn the_end_of_the_input_brings_the_end_of_a_message_without_a_body() {
    let (mut server, mut fields) = (Connection::<Server>::new(Limits::DEFAULT), Fields::new());
    server.decode(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", &mut fields).unwrap();
    assert!(matches!(server.finish(), Ok(Some(Event::End))));
    assert!(matches!(server.finish(), Ok(None)));
    assert_eq!(server.close_reason(), Some(CloseReason::EndOfInput));
}

/// A server may switch as soon as it has the head: nothing of the request can follow it.
#[test]
fn a_switch_skips_the_end_of_the_request() {
    let (mut server, mut fields) = (Connection::<Server>::new(Limits::DEFAULT), Fields::new());
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n";
    server.decode(request, &mut fields).unwrap();
    let upgrade = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
    let switching = Response::new(101);
    server.send_head(&switching.with_fields(&[&upgrade]), BodyLength::Empty, &mut Vec::new()).unwrap();
    assert!(matches!(server.decode(b"\x81\x00", &mut fields), Ok((0, None))));
    assert!(server.is_paused() && matches!(server.finish(), Ok(None)));
}

#[test]
fn a_body_can_be_bounded_when_its_head_is_known() {
    let head = |framing: &str| format!("PUT /a HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n");
    let limited = |framing: &str, max: u64, body: &str| {
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        let (mut fields, head) = (Fields::new(), head(framing));
        let (used, _) = server.decode(head.as_bytes(), &mut fields).unwrap();
        assert_eq!(used, head.len());
        if let Err(error) = server.limit_body(max) {
            assert_eq!(error.offset(), head.len() as u64);
            assert!(server.send_head(&Response::new(413), BodyLength::Length(0), &mut Vec::new()).is_ok());
            return vec![format!("{} {}", error.status_hint(), server.must_close())];
        }
        events(&mut server, &mut body.as_bytes().to_vec())
    };
    assert_eq!(limited("Content-Length: 3", 3, "abc"), ["data abc", "end"]);
    assert_eq!(limited("Content-Length: 3", 2, "abc"), ["413 true"]);
    let chunked = "Transfer-Encoding: chunked";
    assert_eq!(limited(chunked, 3, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), ["data ab", "data c", "end"]);
    let refused = limited(chunked, 2, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    assert_eq!(refused[0], "data ab");
    assert!(refused[1].starts_with("413 ") && refused.len() == 2, "{refused:?}");
}

/// RFC 9112 §3.2.2.
#[test]
fn the_authority_of_an_absolute_target_outweighs_the_host_field() {
    for (target, host) in [("http://a.example:80/b?c", "a.example:80"), ("/b?c", "other")] {
        let (mut server, mut fields) = (Connection::<Server>::new(Limits::DEFAULT), Fields::new());
        let request = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let (_, Some(Event::Request(head))) = server.decode(request.as_bytes(), &mut fields).unwrap() else {
            panic!("no request")
        };
        assert_eq!((head.host(), head.get("host")), (Some(host.as_bytes()), Some(b"other".as_slice())));
        assert_eq!((head.path(), head.query()), (b"/b".as_slice(), Some(b"c".as_slice())));
    }
}

/// RFC 9112 §4.
#[test]
fn an_unknown_status_has_an_empty_reason_and_its_space() {
    let (mut server, mut out) = (Connection::<Server>::new(Limits::DEFAULT), Vec::new());
    assert_eq!(events(&mut server, &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()), ["GET /", "end"]);
    server.send_head(&Response::new(299), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n");
}

/// The result of a client that gets a response before the end of its request: the consumed bytes,
/// and whether the client switched.
fn early_response(
    request: &Request<'_>,
    body: BodyLength,
    answer: &[u8],
) -> Result<(usize, bool), ErrorKind> {
    let (mut client, mut out, mut fields) =
        (Connection::<Client>::new(Limits::DEFAULT), Vec::new(), Fields::new());
    client.send_request(request, body, &mut out).unwrap();
    let used = client.decode(answer, &mut fields).map_err(|error| error.kind())?.0;
    Ok((used, client.is_switched()))
}

/// Otherwise the server would take the rest of the request for the other protocol.
#[test]
fn no_switch_happens_before_the_end_of_the_request() {
    let early = Err(ErrorKind::Rule(Rule::UnexpectedUpgrade));
    let upgrade = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
    let blocks = [&upgrade];
    let request = Request::new("GET", "/", "h").with_fields(&blocks);
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n\x81\x05hello";
    // A request without content is complete when its head is sent.
    assert_eq!(early_response(&request, BodyLength::Empty, answer), Ok((answer.len() - 7, true)));
    let tunnel = b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01";
    assert_eq!(early_response(&Request::new("CONNECT", "a:1", "a"), BodyLength::Length(2), tunnel), early);
    // Any other response may come early.
    let refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        early_response(&Request::new("PUT", "/", "h"), BodyLength::Length(9), refusal),
        Ok((refusal.len(), false))
    );
}

/// RFC 9110 §7.5: the client sends the rest of the request, and the connection stays open.
#[test]
fn a_request_may_continue_after_its_response() {
    let (mut client, mut out, mut fields) =
        (Connection::<Client>::new(Limits::DEFAULT), Vec::new(), Fields::new());
    let request = Request::new("PUT", "/", "h");
    client.send_request(&request, BodyLength::Length(4), &mut out).unwrap();
    client.send_data(b"on", &mut out).unwrap();
    client.decode(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", &mut fields).unwrap();
    assert!(matches!(client.decode(b"", &mut fields), Ok((0, Some(Event::End)))));
    assert_eq!((client.next_exchange(), client.must_close()), (Err(NextExchangeError::NotSent), false));
    client.send_data(b"ly", &mut out).unwrap();
    client.send_end(&mut out).unwrap();
    assert!(out.ends_with(b"\r\n\r\nonly") && client.next_exchange().is_ok());
}

/// RFC 9112 §9.2: a response, with its interim responses, belongs to the first unanswered request.
#[test]
fn responses_belong_to_the_requests_in_their_order() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let (mut out, mut fields) = (Vec::new(), Fields::new());
    let wire = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (mut at, mut got) = (0, Vec::new());
    for method in ["HEAD", "GET"] {
        client.send_request(&Request::new(method, "/", "h"), BodyLength::Empty, &mut out).unwrap();
        loop {
            let (used, event) = client.decode(&wire[at..], &mut fields).unwrap();
            at += used;
            match event {
                Some(Event::Response(head)) => got.push(format!("{method} {}", head.status())),
                Some(Event::Data(data)) => got.push(format!("{method} {}", data.escape_ascii())),
                Some(Event::End) => break,
                _ => panic!("cut at {at}"),
            }
        }
        client.next_exchange().unwrap();
    }
    assert_eq!(got, ["HEAD 103", "HEAD 200", "GET 200", "GET hello"]);
}

/// RFC 9112 §6.1: a client that has not declared HTTP/1.1 gets no chunks, also if its request is
/// refused.
#[test]
fn the_response_to_a_malformed_request_fits_what_is_known_of_it() {
    for (request, chunked) in [
        ("GET / HTTP/1.1\r\nHost : h\r\n", true),
        ("GET / HTTP/1.0\r\nHost : h\r\n", false),
        ("GET / HTTP/1.1\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nContent-Length: 9999999\r\n\r\n", false),
        ("GE(T", false),
        ("GET / HTTP/3.0\r\n", false),
        // Requests that are cut off.
        ("GET / HTTP/1.1\r\nHost: h", true),
        ("GET / HTTP/1.0\r\nHost: h", false),
        ("GET / HT", false),
    ] {
        for cut in [0, 3, request.len()] {
            let (mut server, mut fields, mut out) =
                (Connection::<Server>::new(Limits::DEFAULT), Fields::new(), Vec::new());
            let cut = cut.min(request.len());
            let first = server.decode(&request.as_bytes()[..cut], &mut fields).map(|_| ());
            let failed =
                first.and_then(|()| server.decode(request.as_bytes(), &mut Fields::new()).map(|_| ()));
            assert!(failed.is_err() || server.finish().is_err(), "{request:?}");
            server.send_head(&Response::new(400), BodyLength::Chunked, &mut out).unwrap();
            let sent = String::from_utf8(out).unwrap();
            assert_eq!(sent.contains("Transfer-Encoding"), chunked, "{request:?} cut at {cut}: {sent}");
            assert!(sent.contains("Connection: close"), "{sent}");
        }
        let head = request.replacen("GET", "HEAD", 1);
        let (mut server, mut out) = (Connection::<Server>::new(Limits::DEFAULT), Vec::new());
        if server.decode(head.as_bytes(), &mut Fields::new()).is_err() || server.finish().is_err() {
            server.send_head(&Response::new(400), BodyLength::Length(2), &mut out).unwrap();
            server.send_data(b"no", &mut out).unwrap();
            assert_eq!(out.ends_with(b"no"), !head.starts_with("HEAD /"), "{head:?}");
        }
    }
}

/// The recipient would refuse them.
#[test]
fn forbidden_trailers_are_not_sent() {
    for (name, value) in [("Trailer", "a"), ("TE", "trailers"), ("Connection", "x-mine"), ("Upgrade", "x")] {
        let (mut server, mut out) = (Connection::<Server>::new(Limits::DEFAULT), Vec::new());
        assert_eq!(events(&mut server, &mut b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()), ["GET /", "end"]);
        server.send_head(&Response::new(200), BodyLength::Chunked, &mut out).unwrap();
        out.clear();
        let trailers = FieldBlock::from_pairs([("X-Fine", "a:b"), (name, value)]).unwrap();
        let refused = tidewire_chunked::is_forbidden_trailer(name.as_bytes()) || name == "Upgrade";
        assert_eq!(server.send_trailers(&trailers, &mut out).is_err(), refused, "{name}");
        assert_eq!(out.is_empty(), refused, "{name}");
    }
}

/// A caller that passes fewer bytes than before gets no event, and no panic.
#[test]
fn missing_bytes_of_an_earlier_call_cause_no_panic() {
    let head = b"GET /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    for shown in 0..head.len() {
        for left in 0..shown {
            let (mut server, mut fields) = (Connection::<Server>::new(Limits::DEFAULT), Fields::new());
            assert!(matches!(server.decode(&head[..shown], &mut fields), Ok((0, None))));
            assert!(matches!(server.decode(&head[..left], &mut fields), Ok((0, None))));
            assert!(matches!(server.decode(head, &mut fields), Ok((_, Some(Event::Request(_))))));
        }
    }
}

#[test]
fn a_connection_is_small_and_holds_no_heap() {
    assert!(size_of::<Connection<Server>>() <= 128, "{}", size_of::<Connection<Server>>());
}

#[test]
fn an_early_end_has_the_offset_of_the_end_of_the_input() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in
        ["", "5", "5;ab", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r", "0\r\nA", "0\r\nA: b\r\n"]
    {
        let input = [head, body].concat();
        for cut in 1..input.len() {
            let mut connection = Connection::<Server>::new(Limits::DEFAULT);
            let mut received = input.as_bytes()[..cut].to_vec();
            events(&mut connection, &mut received);
            received.extend_from_slice(&input.as_bytes()[cut..]);
            events(&mut connection, &mut received);
            let error = connection.finish().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Syntax(Syntax::UnexpectedEnd));
            assert_eq!(error.offset(), input.len() as u64, "{body:?} cut at {cut}");
        }
    }
}
