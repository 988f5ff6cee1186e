//! The exact bytes that a client sends.

#![allow(clippy::unwrap_used)]

use tidewire_http1::*;

fn request(method: &str, target: &str, host: &str, body: BodyLength) -> Result<String, EncodeErrorKind> {
    let mut out = Vec::new();
    let result = Connection::<Client>::new(Limits::DEFAULT).send_request(
        &Request::new(method, target, host),
        body,
        &mut out,
    );
    assert_eq!(result.is_err(), out.is_empty());
    result.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.kind())
}

#[test]
fn a_request_has_a_host_and_the_length_that_its_method_needs() {
    assert_eq!(request("GET", "/", "h", BodyLength::Empty).unwrap(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(
            request(method, "/", "h", BodyLength::Empty).unwrap(),
            format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        );
    }
    assert_eq!(
        request("PUT", "/a", "h:80", BodyLength::Chunked).unwrap(),
        "PUT /a HTTP/1.1\r\nHost: h:80\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!(request("PUT", "/a", "h", BodyLength::UntilClose), Err(EncodeErrorKind::Body));
}

#[test]
fn a_request_line_with_an_invalid_part_is_refused() {
    for method in ["", "G T", "GET\r\n", "G\0"] {
        assert_eq!(request(method, "/", "h", BodyLength::Empty), Err(EncodeErrorKind::Method), "{method:?}");
    }
    for target in ["", " /", "/a b", "/a\r\nX: y", "/a#b", "a", "*", "/caf\u{e9}"] {
        assert_eq!(
            request("GET", target, "h", BodyLength::Empty),
            Err(EncodeErrorKind::Target),
            "{target:?}"
        );
    }
    for host in ["h h", "h\r\nX: y", "u@h", "h/"] {
        assert_eq!(request("GET", "/", host, BodyLength::Empty), Err(EncodeErrorKind::Host), "{host:?}");
    }
}

#[test]
fn each_method_allows_its_forms_of_target() {
    assert!(request("OPTIONS", "*", "h", BodyLength::Empty).is_ok());
    assert!(request("CONNECT", "h:443", "h:443", BodyLength::Empty).is_ok());
    assert!(request("GET", "http://h/a", "h", BodyLength::Empty).is_ok());
    assert_eq!(request("CONNECT", "/", "h", BodyLength::Empty), Err(EncodeErrorKind::Target));
    assert_eq!(request("CONNECT", "h", "h", BodyLength::Empty), Err(EncodeErrorKind::Target));
}

/// RFC 9112 §3.2, RFC 9110 §9.3.8.
#[test]
fn target_and_host_must_agree_and_a_trace_has_no_content() {
    assert!(request("GET", "http://A.example:80/b", "a.example:80", BodyLength::Empty).is_ok());
    for host in ["b.example:80", "a.example", ""] {
        let sent = request("GET", "http://a.example:80/b", host, BodyLength::Empty);
        assert_eq!(sent, Err(EncodeErrorKind::Host), "{host:?}");
    }
    assert!(request("TRACE", "/", "h", BodyLength::Empty).is_ok());
    for body in [BodyLength::Length(0), BodyLength::Length(2), BodyLength::Chunked] {
        assert_eq!(request("TRACE", "/", "h", body), Err(EncodeErrorKind::Body), "{body:?}");
    }
}

#[test]
fn after_close_a_client_sends_no_request() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let mut out = Vec::new();
    client.close();
    client.send_request(&Request::new("GET", "/", "h"), BodyLength::Empty, &mut out).unwrap();
    assert_eq!(out, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    client.decode(response, &mut Fields::new()).unwrap();
    client.decode(b"", &mut Fields::new()).unwrap();
    assert_eq!(client.next_exchange(), Err(NextExchangeError::Closing(CloseReason::Local)));
    let again = client.send_request(&Request::new("GET", "/", "h"), BodyLength::Empty, &mut out);
    assert_eq!(again.unwrap_err().kind(), EncodeErrorKind::HeadAlreadySent);
}

#[test]
fn a_client_sends_one_request_at_a_time_and_reads_no_unexpected_response() {
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let (mut out, mut fields) = (Vec::new(), Fields::new());
    let unexpected = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    assert!(client.is_paused() && matches!(client.decode(b"", &mut fields), Ok((0, None))));
    let request = Request::new("GET", "/", "h");
    client.send_request(&request, BodyLength::Empty, &mut out).unwrap();
    let second = client.send_request(&request, BodyLength::Empty, &mut out);
    assert_eq!(second.unwrap_err().kind(), EncodeErrorKind::HeadAlreadySent);
    assert!(matches!(client.decode(unexpected, &mut fields), Ok((_, Some(Event::Response(_))))));
    assert!(matches!(client.decode(unexpected, &mut fields), Ok((0, Some(Event::End)))));
    // After a response: the bytes are not read, and the connection takes no more requests.
    assert!(!client.must_close());
    assert!(matches!(client.decode(unexpected, &mut fields), Ok((0, None))));
    assert_eq!(client.next_exchange(), Err(NextExchangeError::Closing(CloseReason::UnexpectedBytes)));

    // Before any request.
    let mut client = Connection::<Client>::new(Limits::DEFAULT);
    let error = client.decode(unexpected, &mut fields).map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Rule(Rule::UnexpectedResponse), 0));
    let refused = client.send_request(&request, BodyLength::Empty, &mut out);
    assert_eq!(refused.unwrap_err().kind(), EncodeErrorKind::Failed);
    assert_eq!(client.next_exchange(), Err(NextExchangeError::Failed(error)));
}

#[test]
fn the_offset_of_a_refusal_is_the_first_refused_byte() {
    for (method, target, host, kind, at) in [
        ("G T", "/", "h", EncodeErrorKind::Method, 1),
        ("", "/", "h", EncodeErrorKind::Method, 0),
        ("GET", "/a b", "h", EncodeErrorKind::Target, 2),
        ("GET", "", "h", EncodeErrorKind::Target, 0),
        ("GET", "http:/a", "h", EncodeErrorKind::Target, 6),
        ("GET", "/", "h:x", EncodeErrorKind::Host, 2),
        ("GET", "http://a/", "b", EncodeErrorKind::Host, 0),
    ] {
        let request = Request::new(method, target, host);
        let mut client = Connection::<Client>::new(Limits::DEFAULT);
        let error = client.send_request(&request, BodyLength::Empty, &mut Vec::new()).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (kind, at), "{method:?} {target:?} {host:?}");
    }
}
