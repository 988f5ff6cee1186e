//! The server over a bare stream, against scripted clients and against tokio-tungstenite.

use futures_util::{SinkExt as _, StreamExt as _};
use tidewire_ws::accept::{Error, Handshake};
use tidewire_ws::connect::Connect;
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::server::{Options, RefusalKind};
use tidewire_ws::{Limits, Message, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends these bytes, and returns what the server answers until it closes.
async fn refused(request: &str) -> (Error, String) {
    let (mut client, server) = duplex(64 * 1024);
    client.write_all(request.as_bytes()).await.unwrap();
    // The server waits for the end of the client, so both run.
    let talk = async {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (accepted, answer) = tokio::join!(accept(server), talk);
    (accepted.unwrap_err(), answer)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_handshake_is_refused_with_its_status() {
    let cross_site = format!("{REQUEST}Origin: https://evil.example\r\n\r\n");
    let with_body = format!("{REQUEST}Content-Length: 5\r\n\r\nhello");
    for (request, kind, status, field) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", RefusalKind::NoUpgrade, "426 ", "\r\nUpgrade: websocket\r\n"),
        ("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", RefusalKind::Method, "405 ", "\r\nAllow: GET\r\n"),
        ("GET / HTTP/1.0\r\nHost: h\r\n\r\n", RefusalKind::HttpVersion, "400 ", ""),
        (&cross_site, RefusalKind::Origin, "403 ", ""),
        (&with_body, RefusalKind::Body, "400 ", ""),
    ] {
        let (error, answer) = refused(request).await;
        assert!(matches!(error, Error::Refused(refusal) if refusal.kind() == kind), "{error:?}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(field) && answer.contains("\r\nConnection: "), "{answer}");
        assert!(answer.contains("close"), "{answer}");
    }
    let (error, answer) = refused("\x16\x03\x01\x02\r\n\r\n").await;
    assert!(matches!(error, Error::Http(_)) && answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let long = format!("GET / HTTP/1.1\r\nA: {}\r\n", "a".repeat(20_000));
    let (error, answer) = refused(&long).await;
    assert!(matches!(error, Error::Http(_)) && answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// A request in pieces, and frames that come with it.
#[tokio::test]
async fn frames_right_after_the_request_reach_the_socket() {
    let bytes = [REQUEST.as_bytes(), b"\r\n", b"\x81\x82\0\0\0\0Hi"].concat();
    for size in [1, 2, 7, usize::MAX] {
        let (mut client, server) = duplex(64 * 1024);
        let talk = async {
            for piece in bytes.chunks(size) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (socket, ()) = tokio::join!(accept(server), talk);
        drop(client);
        assert_eq!(socket.unwrap().next().await.unwrap().unwrap(), Message::text("Hi"), "{size}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_an_error() {
    for request in ["", "GET / HT", REQUEST] {
        let (mut client, server) = duplex(64 * 1024);
        client.write_all(request.as_bytes()).await.unwrap();
        drop(client);
        let error = accept(server).await.unwrap_err();
        assert!(matches!(error, Error::Closed), "{error:?}");
    }
}

/// A server that left at once would reset the connection, and the client might lose the answer.
#[tokio::test(start_paused = true)]
async fn a_client_that_still_sends_a_body_gets_the_refusal() {
    let (mut client, server) = duplex(1024);
    let talk = async {
        let request = format!("{REQUEST}Content-Length: 30000\r\n\r\n{}", "a".repeat(30_000));
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (accepted, answer) = tokio::join!(accept(server), talk);
    assert!(matches!(accepted, Err(Error::Refused(_))) && answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

async fn opened(options: &Options<'_>, connect: &Connect) -> (Option<String>, Option<String>, u64) {
    let (client, server) = duplex(64 * 1024);
    let serve = async {
        let handshake = Handshake::read(server).await.unwrap();
        assert_eq!((handshake.path(), handshake.query()), (&b"/chat"[..], Some(&b"room=1"[..])));
        let debug = format!("{handshake:?}");
        assert!(debug.contains("/chat") && !debug.contains("room=1"), "{debug}");
        let limits = Limits::DEFAULT.with_max_message(2000);
        let (socket, accepted) = handshake.with_limits(limits).accept(options).await.unwrap();
        (socket, accepted.subprotocol().map(String::from))
    };
    let ((mut socket, ours), answer) = tokio::join!(serve, connect.over(client));
    let (mut client, response) = answer.unwrap();
    client.send("x".repeat(1500).into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().len(), 1500);
    client.send("x".repeat(2500).into()).await.unwrap();
    assert!(socket.next().await.unwrap().is_err());
    let len = response.get("sec-websocket-extensions").map_or(0, <[u8]>::len) as u64;
    (ours, response.subprotocol().map(String::from), len)
}

#[tokio::test]
async fn both_ends_agree_on_the_options() {
    let connect = Connect::new("ws://h/chat?room=1").with_subprotocols(["b", "a"]);
    let options = Options::DEFAULT.with_subprotocols(&["a", "b"]);
    let a = || Some(String::from("a"));
    assert_eq!(opened(&options, &connect).await, (a(), a(), 0));
    let (options, connect) = (options.with_deflate(Config::DEFAULT), connect.with_deflate(Config::DEFAULT));
    assert!(matches!(opened(&options, &connect).await, (Some(_), Some(_), 1..)));
}

async fn refuse(status: u16, fields: &[(&str, &str)]) -> (Result<(), Error>, String) {
    let (mut client, server): (DuplexStream, _) = duplex(64 * 1024);
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
    let serve = async { Handshake::read(server).await.unwrap().refuse(status, fields, "no").await };
    let talk = async {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::join!(serve, talk)
}

#[tokio::test(start_paused = true)]
async fn a_server_refuses_with_an_answer_of_its_own() {
    let (refused, answer) = refuse(401, &[("WWW-Authenticate", "Bearer")]).await;
    refused.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\nno"), "{answer}");
    assert!(answer.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{answer}");
    for (status, fields) in [(99, &[][..]), (101, &[]), (401, &[("A b", "c")]), (401, &[("A", "c\r\nd")])] {
        let (refused, answer) = refuse(status, fields).await;
        assert!(matches!(refused, Err(Error::Answer(_))), "{status} {fields:?}");
        assert_eq!(answer, "");
    }
}

#[tokio::test]
async fn tokio_tungstenite_connects_to_a_bare_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serve = async {
        let mut socket = accept(listener.accept().await.unwrap().0).await.unwrap();
        while let Some(message) = socket.next().await {
            let message = message.unwrap();
            if message.is_data() {
                socket.send(message).await.unwrap();
            }
        }
    };
    let talk = async {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut client, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        client.send(tungstenite::Message::text("hello")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), tungstenite::Message::text("hello"));
        client.close(None).await.unwrap();
        while let Some(message) = client.next().await {
            assert!(message.unwrap().is_close());
        }
    };
    tokio::join!(serve, talk);
}
