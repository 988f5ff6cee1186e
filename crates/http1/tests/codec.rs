//! The codecs under `Framed`, over a pipe.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tidewire_http1::codec::{Codec, Error, Item, OutgoingRequest, OutgoingResponse};
use tidewire_http1::{
    BodyLength, Client, CloseReason, EncodeErrorKind, FieldBlock, Limits, NextExchangeError, Server,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::codec::Framed;

fn get(target: &str) -> Item<OutgoingRequest> {
    Item::Head(OutgoingRequest::new("GET", target, "h"))
}

fn head(status: u16, body: BodyLength) -> Item<OutgoingResponse> {
    Item::Head(OutgoingResponse::new(status).with_body(body))
}

/// A 101 to the protocol `other`.
fn switching() -> Item<OutgoingResponse> {
    Item::Head(OutgoingResponse::new(101).with_fields(upgrade()))
}

fn upgrade() -> FieldBlock {
    FieldBlock::from_pairs([("Upgrade", "other")]).unwrap()
}

fn trailer(name: &'static str, value: &'static str) -> Item<OutgoingResponse> {
    Item::Trailer { name: Bytes::from(name), value: Bytes::from(value) }
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> EncodeErrorKind {
    match result.unwrap_err() {
        Error::Encode(error) => error.kind(),
        other => panic!("{other:?}"),
    }
}

/// A server on one end of a pipe, the bare pipe on the other.
fn server() -> (Framed<DuplexStream, Codec<Server>>, DuplexStream) {
    let (near, far) = duplex(4096);
    (Framed::new(near, Codec::<Server>::new(Limits::DEFAULT)), far)
}

#[tokio::test]
async fn two_exchanges_between_client_and_server() {
    let (near, far) = duplex(64);
    let mut server = Framed::new(near, Codec::<Server>::new(Limits::DEFAULT));
    let mut client = Framed::new(far, Codec::<Client>::new(Limits::DEFAULT));
    let serve = async {
        while let Some(item) = server.next().await {
            match item.unwrap() {
                Item::Head(head) => {
                    let status = if head.path() == b"/1" { 200 } else { 404 };
                    server.send(self::head(status, BodyLength::Chunked)).await.unwrap();
                }
                Item::Data(data) => server.send(Item::Data(data)).await.unwrap(),
                Item::End => {
                    server.send(trailer("Digest", "x")).await.unwrap();
                    server.send(Item::End).await.unwrap();
                }
                Item::Trailer { .. } => panic!("no trailers were sent"),
            }
        }
    };
    let call = async {
        for (target, expected) in [("/1", 200), ("/2", 404)] {
            let request = OutgoingRequest::new("POST", target, "h").with_body(BodyLength::Chunked);
            client.send(Item::Head(request)).await.unwrap();
            client.send(Item::Data(Bytes::from_static(b"echo this"))).await.unwrap();
            client.send(Item::End).await.unwrap();
            let (mut status, mut data, mut trailer) = (0, Vec::new(), None);
            loop {
                match client.next().await.unwrap().unwrap() {
                    Item::Head(head) => status = head.status(),
                    Item::Data(part) => data.extend_from_slice(&part),
                    Item::Trailer { name, value } => trailer = Some((name, value)),
                    Item::End => break,
                }
            }
            assert_eq!((status, data.as_slice()), (expected, b"echo this".as_slice()));
            assert_eq!(trailer, Some((Bytes::from_static(b"Digest"), Bytes::from_static(b"x"))));
        }
        assert!(!client.codec().must_close());
        drop(client);
    };
    tokio::join!(serve, call);
}

/// A trailer is checked when it is given, and sent with the end.
#[tokio::test]
async fn trailers_are_gathered_until_the_end() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    while !matches!(server.next().await, Some(Ok(Item::End))) {}
    assert_eq!(kind(server.send(trailer("A", "b")).await), EncodeErrorKind::BodyNotDue, "before the head");
    server.send(head(200, BodyLength::Chunked)).await.unwrap();
    for (name, value, refused) in [
        ("Content-Length", "1", EncodeErrorKind::ForbiddenTrailer),
        ("A B", "c", EncodeErrorKind::FieldName),
        ("A", "b\r\nC: d", EncodeErrorKind::FieldValue),
    ] {
        assert_eq!(kind(server.send(trailer(name, value)).await), refused, "{name}");
    }
    for (name, value) in [("A", "b"), ("C", "d")] {
        server.send(trailer(name, value)).await.unwrap();
    }
    server.send(Item::End).await.unwrap();
    drop(server);
    let mut sent = String::new();
    pipe.read_to_string(&mut sent).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(sent, format!("{head}0\r\nA: b\r\nC: d\r\n\r\n"));
}

/// A head with status 100 is sent only to a client that waits for it.
#[tokio::test]
async fn interim_responses_are_heads_as_well() {
    for (expect, answer) in [("", ""), ("Expect: 100-continue\r\n", "HTTP/1.1 100 Continue\r\n\r\n")] {
        let (mut server, mut pipe) = server();
        let request = format!("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n{expect}\r\n");
        pipe.write_all(request.as_bytes()).await.unwrap();
        assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
        for status in [100, 103] {
            let refused = server.send(head(status, BodyLength::Chunked)).await;
            assert_eq!(kind(refused), EncodeErrorKind::Body, "{status}");
        }
        for status in [100, 103, 204] {
            server.send(head(status, BodyLength::Empty)).await.unwrap();
        }
        server.send(Item::End).await.unwrap();
        drop(server);
        let mut sent = String::new();
        pipe.read_to_string(&mut sent).await.unwrap();
        let rest = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(sent, format!("{answer}{rest}"));
    }
}

#[tokio::test]
async fn pipelined_requests_are_read_and_answered_in_order() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.0\r\n\r\n").await.unwrap();
    for target in ["/1", "/2"] {
        let Some(Ok(Item::Head(head))) = server.next().await else { panic!("no request") };
        assert_eq!(head.target(), target.as_bytes());
        assert!(matches!(server.next().await, Some(Ok(Item::End))));
    }
    // The first response answers a HEAD of HTTP/1.1, although the second request was read before.
    for _ in 0..2 {
        server.send(head(200, BodyLength::Chunked)).await.unwrap();
        server.send(Item::Data(Bytes::from_static(b"hi"))).await.unwrap();
        server.send(Item::End).await.unwrap();
    }
    assert!(server.codec().must_close());
    drop(server);
    let mut answers = String::new();
    pipe.read_to_string(&mut answers).await.unwrap();
    assert_eq!(
        answers,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"
    );
}

#[tokio::test]
async fn a_refusal_is_sent_after_the_responses_before_it() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost : h\r\n\r\n").await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    let Some(Err(Error::Decode(error))) = server.next().await else { panic!("no refusal") };
    for status in [204, error.status_hint()] {
        server.send(head(status, BodyLength::Empty)).await.unwrap();
        server.send(Item::End).await.unwrap();
    }
    assert!(server.codec().must_close());
    // No more responses are due.
    let refused = server.send(head(200, BodyLength::Empty)).await;
    let closing = NextExchangeError::Closing(CloseReason::Failed);
    assert!(matches!(refused, Err(Error::NextExchange(error)) if error == closing), "{refused:?}");
    drop(server);
    let mut answers = String::new();
    pipe.read_to_string(&mut answers).await.unwrap();
    assert_eq!(
        answers,
        "HTTP/1.1 204 No Content\r\n\r\n\
         HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

#[tokio::test]
async fn a_malformed_body_gets_one_response() {
    for begun in [false, true] {
        let (mut server, mut pipe) = server();
        let request =
            b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n";
        pipe.write_all(request).await.unwrap();
        assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
        if begun {
            server.send(head(100, BodyLength::Empty)).await.unwrap();
        }
        assert!(matches!(server.next().await, Some(Err(Error::Decode(_)))));
        assert!(!server.codec().must_close());
        server.send(head(400, BodyLength::Empty)).await.unwrap();
        server.send(Item::End).await.unwrap();
        assert!(server.codec().must_close());
        assert!(server.send(head(200, BodyLength::Empty)).await.is_err());
        drop(server);
        let mut answers = String::new();
        pipe.read_to_string(&mut answers).await.unwrap();
        let answer = answers.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answers);
        assert_eq!(answer, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

#[tokio::test]
async fn bytes_after_an_upgrade_are_not_read() {
    let (mut server, mut pipe) = server();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n\
        GET /smuggled HTTP/1.1\r\n";
    pipe.write_all(request).await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    server.send(switching()).await.unwrap();
    assert!(server.codec().is_switched());
    assert_eq!(server.into_parts().read_buf, "GET /smuggled HTTP/1.1\r\n");
}

/// The end of the input does not drop bytes of the other protocol.
#[tokio::test]
async fn bytes_of_the_other_protocol_survive_the_end_of_the_input() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nabc")
        .await
        .unwrap();
    pipe.shutdown().await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    assert!(server.next().await.is_none());
    server.send(switching()).await.unwrap();
    assert!(server.codec().is_switched() && !server.codec().must_close());
    assert_eq!(server.into_parts().read_buf, "abc");

    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
    let request = OutgoingRequest::new("GET", "/", "h").with_fields(upgrade());
    client.send(Item::Head(request)).await.unwrap();
    pipe.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\nabc")
        .await
        .unwrap();
    drop(pipe);
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(client.next().await.is_none() && client.codec().is_switched());
    assert_eq!(client.into_parts().read_buf, "abc");
}

#[tokio::test]
async fn after_a_declined_upgrade_the_next_request_is_read() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    server.send(head(200, BodyLength::Empty)).await.unwrap();
    server.send(Item::End).await.unwrap();
    pipe.write_all(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let Some(Ok(Item::Head(head))) = server.next().await else { panic!("no request") };
    assert_eq!(head.target(), b"/2");
}

/// The same if the response is sent before the end of the request is read.
#[tokio::test]
async fn an_upgrade_may_be_declined_before_the_end_of_its_request() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    server.send(head(200, BodyLength::Empty)).await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    pipe.write_all(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let Some(Ok(Item::Head(head))) = server.next().await else { panic!("no request") };
    assert_eq!(head.target(), b"/2");
}

/// The item `End` after such a head is optional, and belongs to no other response.
#[tokio::test]
async fn a_head_that_says_that_its_body_is_empty_completes_the_response() {
    let (mut server, mut pipe) = server();
    pipe.write_all(&b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(4)).await.unwrap();
    for _ in 0..4 {
        assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
        assert!(matches!(server.next().await, Some(Ok(Item::End))));
    }
    for ends in [1, 0, 2] {
        server.send(head(200, BodyLength::Length(5))).await.unwrap();
        server.send(Item::Data(Bytes::from_static(b"dropped"))).await.unwrap();
        server.send(trailer("Digest", "dropped")).await.unwrap();
        for _ in 0..ends {
            server.send(Item::End).await.unwrap();
        }
    }
    server.send(head(200, BodyLength::Chunked)).await.unwrap();
    assert_eq!(kind(server.send(head(200, BodyLength::Empty)).await), EncodeErrorKind::NoRequest);
    drop(server);
    let mut answers = String::new();
    pipe.read_to_string(&mut answers).await.unwrap();
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".repeat(3);
    assert_eq!(answers, format!("{short}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

/// Otherwise the reader of the stream would never see it.
#[tokio::test]
async fn a_client_reads_the_end_of_a_response_before_it_sends_the_next_request() {
    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
    client.send(get("/1")).await.unwrap();
    let early = client.send(get("/2")).await;
    assert!(matches!(early, Err(Error::NextExchange(NextExchangeError::NotRead))), "{early:?}");
    pipe.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    let early = client.send(get("/2")).await;
    assert!(matches!(early, Err(Error::NextExchange(NextExchangeError::NotRead))), "{early:?}");
    assert!(matches!(client.next().await, Some(Ok(Item::End))));
    client.send(get("/2")).await.unwrap();
}

/// The same if the next request came in the same read, and `Framed` has looked at it in the
/// meantime. Then only a new `Framed` looks at its buffer again, as the documentation says.
#[tokio::test]
async fn after_a_declined_upgrade_a_new_framed_reads_the_request_in_the_buffer() {
    let (mut server, mut pipe) = server();
    pipe.write_all(
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n\
          GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    )
    .await
    .unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    // As a server that reads while it answers.
    assert!(futures_util::poll!(server.next()).is_pending());
    server.send(head(200, BodyLength::Empty)).await.unwrap();
    server.send(Item::End).await.unwrap();
    let mut server = Framed::from_parts(server.into_parts());
    let std::task::Poll::Ready(Some(Ok(Item::Head(head)))) = futures_util::poll!(server.next()) else {
        panic!("no request")
    };
    assert_eq!(head.target(), b"/2");
}

#[tokio::test]
async fn too_many_pipelined_requests_are_an_error() {
    let (mut server, mut pipe) = server();
    tokio::spawn(async move { while pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.is_ok() {} });
    let mut requests = 0;
    loop {
        match server.next().await.unwrap() {
            Ok(Item::Head(_)) => requests += 1,
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, Error::TooManyPipelined));
                break;
            }
        }
    }
    assert_eq!(requests, 32);
}

/// RFC 9112 §9.2: otherwise the client would take it for the response to the next request.
#[tokio::test]
async fn bytes_after_a_response_are_not_the_next_response() {
    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
    client.send(get("/1")).await.unwrap();
    pipe.write_all(&b"HTTP/1.1 204 No Content\r\n\r\n".repeat(2)).await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(client.next().await, Some(Ok(Item::End))));
    assert!(client.codec().must_close());
    let closing = Error::NextExchange(NextExchangeError::Closing(CloseReason::UnexpectedBytes));
    assert_eq!(format!("{:?}", client.send(get("/2")).await.unwrap_err()), format!("{closing:?}"));
}

#[tokio::test]
async fn a_response_until_close_ends_with_the_input() {
    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
    client.send(get("/")).await.unwrap();
    pipe.write_all(b"HTTP/1.1 200 OK\r\n\r\nall there is").await.unwrap();
    drop(pipe);
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(client.next().await, Some(Ok(Item::Data(data))) if data == "all there is"));
    assert!(matches!(client.next().await, Some(Ok(Item::End))));
    assert!(client.next().await.is_none());
}

/// A client that closes its side still gets its responses, and the last one says `close`. A request
/// that was cut off is refused.
#[tokio::test]
async fn the_last_response_after_the_end_of_the_input_says_close() {
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let (open, closing) = (
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let refusal = closing.replace("200 OK", "400 Bad Request");
    for (input, answers) in [
        (get.repeat(2), format!("{open}{closing}")),
        (format!("{get}GET / HT"), format!("{open}{refusal}")),
        ("GET / HTTP/1.1\r\n".into(), refusal.clone()),
        (format!("{get}PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n"), format!("{open}{refusal}")),
    ] {
        let (mut server, mut pipe) = server();
        pipe.write_all(input.as_bytes()).await.unwrap();
        pipe.shutdown().await.unwrap();
        let mut due = Vec::new();
        while let Some(item) = server.next().await {
            match item {
                Ok(Item::End) => due.push(200),
                Err(Error::Decode(error)) => due.push(error.status_hint()),
                _ => {}
            }
        }
        for status in due {
            server.send(head(status, BodyLength::Empty)).await.unwrap();
            server.send(Item::End).await.unwrap();
        }
        assert!(server.codec().must_close(), "{input:?}");
        assert!(server.send(head(200, BodyLength::Empty)).await.is_err(), "{input:?}");
        drop(server);
        let mut sent = String::new();
        pipe.read_to_string(&mut sent).await.unwrap();
        assert_eq!(sent, answers, "{input:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_an_error() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel").await.unwrap();
    drop(pipe);
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::Data(_)))));
    assert!(matches!(server.next().await, Some(Err(Error::Decode(_)))));
}
