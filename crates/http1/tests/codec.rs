//! The codecs under `Framed`, over a pipe.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tidewire_http1::codec::{Answer, Call, ClientCodec, Error, Item, ServerCodec};
use tidewire_http1::{BodyLength, EncodeError, FieldBlock, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::codec::Framed;

fn none() -> FieldBlock {
    FieldBlock::new()
}

fn get(target: &str) -> Call {
    let (method, host) = ("GET".into(), "h".into());
    Call::Head { method, target: target.into(), host, fields: none(), body: BodyLength::Empty }
}

fn head(status: u16, body: BodyLength) -> Answer {
    Answer::Head { status, fields: none(), body }
}

const fn end() -> Answer {
    Answer::End { trailers: FieldBlock::new() }
}

/// A server on one end of a pipe, the bare pipe on the other.
fn server() -> (Framed<DuplexStream, ServerCodec>, DuplexStream) {
    let (near, far) = duplex(4096);
    (Framed::new(near, ServerCodec::new(Limits::new())), far)
}

#[tokio::test]
async fn two_exchanges_between_the_codecs() {
    let (near, far) = duplex(64);
    let mut server = Framed::new(near, ServerCodec::new(Limits::new()));
    let mut client = Framed::new(far, ClientCodec::new(Limits::new()));
    let serve = async {
        while let Some(item) = server.next().await {
            match item.unwrap() {
                Item::Head(head) => {
                    let status = if head.path() == b"/1" { 200 } else { 404 };
                    server
                        .send(Answer::Head { status, fields: none(), body: BodyLength::Chunked })
                        .await
                        .unwrap();
                }
                Item::Data(data) => server.send(Answer::Data(data)).await.unwrap(),
                Item::End => {
                    let trailers = FieldBlock::from_pairs([("Digest", "x")]).unwrap();
                    server.send(Answer::End { trailers }).await.unwrap();
                }
                Item::Trailer { .. } => panic!("no trailers were sent"),
            }
        }
    };
    let call = async {
        for (target, expected) in [("/1", 200), ("/2", 404)] {
            let (method, host) = ("POST".into(), "h".into());
            let body = BodyLength::Chunked;
            client
                .send(Call::Head { method, target: target.into(), host, fields: none(), body })
                .await
                .unwrap();
            client.send(Call::Data(Bytes::from_static(b"echo this"))).await.unwrap();
            client.send(Call::End { trailers: none() }).await.unwrap();
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

#[tokio::test]
async fn pipelined_requests_are_read_and_answered_in_order() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"HEAD /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.0\r\n\r\n").await.unwrap();
    for target in ["/1", "/2"] {
        let Some(Ok(Item::Head(head))) = server.next().await else { panic!("no request") };
        assert_eq!(head.target(), target.as_bytes());
        assert!(matches!(server.next().await, Some(Ok(Item::End))));
    }
    // The first is answered as a HEAD of HTTP/1.1, though the other one was read meanwhile.
    for _ in 0..2 {
        server.send(head(200, BodyLength::Chunked)).await.unwrap();
        server.send(Answer::Data(Bytes::from_static(b"hi"))).await.unwrap();
        server.send(end()).await.unwrap();
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
async fn a_refusal_waits_for_the_answers_before_it() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost : h\r\n\r\n").await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    let Some(Err(Error::Decode(error))) = server.next().await else { panic!("no refusal") };
    for status in [204, error.status_hint()] {
        server.send(head(status, BodyLength::Empty)).await.unwrap();
        server.send(end()).await.unwrap();
    }
    assert!(server.codec().must_close());
    // And there is nothing more to answer.
    let more = server.send(head(200, BodyLength::Empty)).await;
    assert!(matches!(more, Err(Error::Encode(EncodeError::State))));
    drop(server);
    let mut answers = String::new();
    pipe.read_to_string(&mut answers).await.unwrap();
    assert_eq!(
        answers,
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

#[tokio::test]
async fn a_broken_body_gets_its_answer_and_no_other() {
    for begun in [false, true] {
        let (mut server, mut pipe) = server();
        let request =
            b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n";
        pipe.write_all(request).await.unwrap();
        assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
        if begun {
            server.send(Answer::Continue).await.unwrap();
        }
        assert!(matches!(server.next().await, Some(Err(Error::Decode(_)))));
        assert!(!server.codec().must_close());
        server.send(head(400, BodyLength::Empty)).await.unwrap();
        server.send(end()).await.unwrap();
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
async fn behind_an_upgrade_nothing_is_read() {
    let (mut server, mut pipe) = server();
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nGET /smuggled HTTP/1.1\r\n";
    pipe.write_all(request).await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    let fields = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
    server.send(Answer::Head { status: 101, fields, body: BodyLength::Empty }).await.unwrap();
    assert!(server.codec().is_switched());
    assert_eq!(server.into_parts().read_buf, "GET /smuggled HTTP/1.1\r\n");
}

/// Bytes of the other protocol are not thrown away because the input ends behind them.
#[tokio::test]
async fn what_the_other_protocol_has_said_outlives_the_end_of_the_input() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nabc")
        .await
        .unwrap();
    pipe.shutdown().await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    assert!(server.next().await.is_none());
    let fields = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
    server.send(Answer::Head { status: 101, fields, body: BodyLength::Empty }).await.unwrap();
    assert!(server.codec().is_switched() && !server.codec().must_close());
    assert_eq!(server.into_parts().read_buf, "abc");

    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, ClientCodec::new(Limits::new()));
    let fields = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
    let (method, target, host) = ("GET".into(), "/".into(), "h".into());
    client.send(Call::Head { method, target, host, fields, body: BodyLength::Empty }).await.unwrap();
    client.send(Call::End { trailers: none() }).await.unwrap();
    pipe.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\nabc")
        .await
        .unwrap();
    drop(pipe);
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(client.next().await.is_none() && client.codec().is_switched());
    assert_eq!(client.into_parts().read_buf, "abc");
}

#[tokio::test]
async fn an_upgrade_that_is_declined_is_an_ordinary_exchange() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::End))));
    server.send(head(200, BodyLength::Empty)).await.unwrap();
    server.send(end()).await.unwrap();
    pipe.write_all(b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let Some(Ok(Item::Head(head))) = server.next().await else { panic!("no request") };
    assert_eq!(head.target(), b"/2");
}

#[tokio::test]
async fn who_never_waits_is_stopped() {
    let (mut server, mut pipe) = server();
    tokio::spawn(async move { while pipe.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.is_ok() {} });
    let mut requests = 0;
    loop {
        match server.next().await.unwrap() {
            Ok(Item::Head(_)) => requests += 1,
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, Error::TooFarAhead));
                break;
            }
        }
    }
    assert_eq!(requests, 32);
}

/// RFC 9112 §9.2: the second response would be taken for the answer to the second request.
#[tokio::test]
async fn what_is_behind_a_response_is_not_the_next_one() {
    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, ClientCodec::new(Limits::new()));
    client.send(get("/1")).await.unwrap();
    client.send(Call::End { trailers: none() }).await.unwrap();
    pipe.write_all(&b"HTTP/1.1 204 No Content\r\n\r\n".repeat(2)).await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(client.next().await, Some(Ok(Item::End))));
    assert!(client.codec().must_close());
    assert!(matches!(client.send(get("/2")).await, Err(Error::Encode(EncodeError::State))));
}

#[tokio::test]
async fn a_response_until_close_ends_with_the_input() {
    let (near, mut pipe) = duplex(4096);
    let mut client = Framed::new(near, ClientCodec::new(Limits::new()));
    client.send(get("/")).await.unwrap();
    client.send(Call::End { trailers: none() }).await.unwrap();
    pipe.write_all(b"HTTP/1.1 200 OK\r\n\r\nall there is").await.unwrap();
    drop(pipe);
    assert!(matches!(client.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(client.next().await, Some(Ok(Item::Data(data))) if data == "all there is"));
    assert!(matches!(client.next().await, Some(Ok(Item::End))));
    assert!(client.next().await.is_none());
}

/// Who closes its side is owed its answers, and the last one says that it is. What was cut gets a refusal, and no other.
#[tokio::test]
async fn the_end_of_the_input_is_told_with_the_last_answer() {
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
            server.send(end()).await.unwrap();
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
async fn a_cut_message_is_an_error() {
    let (mut server, mut pipe) = server();
    pipe.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel").await.unwrap();
    drop(pipe);
    assert!(matches!(server.next().await, Some(Ok(Item::Head(_)))));
    assert!(matches!(server.next().await, Some(Ok(Item::Data(_)))));
    assert!(matches!(server.next().await, Some(Err(Error::Decode(_)))));
}
