//! Both handshakes on blocking streams.

use super::stream::Slow;
use super::{accepted, pair};
use crate::connect::tls;
use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use tidewire_ws::accept::{self, Handshake};
use tidewire_ws::connect::{Connect, Error, RequestError, Response};
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::server::{Options, RefusalKind};
use tidewire_ws::{Message, blocking};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite;

#[test]
fn both_ends_agree_on_the_options() {
    let (client, server) = pair();
    let serve = thread::spawn(move || {
        let handshake = Handshake::read_blocking(server).unwrap();
        assert_eq!((handshake.path(), handshake.get("a")), (&b"/chat"[..], Some(&b"b"[..])));
        let options = Options::DEFAULT.with_subprotocols(&["x", "y"]).with_deflate(Config::DEFAULT);
        let (mut socket, accepted) = handshake.accept_blocking(&options).unwrap();
        assert_eq!(accepted.subprotocol(), Some("y"));
        let message = socket.next().unwrap().unwrap();
        socket.send(message).unwrap();
    });
    let connect = Connect::new("ws://h/chat").with_field("A", "b").with_subprotocols(["y"]);
    let connect = connect.with_deflate(Config::DEFAULT);
    let (mut socket, response) = connect.over_blocking(client).unwrap();
    assert_eq!((response.status(), response.subprotocol()), (101, Some("y")));
    assert!(response.get("sec-websocket-extensions").is_some());
    let message = Message::text("abc".repeat(10_000));
    socket.send(message.clone()).unwrap();
    assert_eq!(socket.next().unwrap().unwrap(), message);
    serve.join().unwrap();
}

/// The client's end of TLS, which trusts the test's certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_speaks_tls_over_a_stream_of_rustls() {
    let (port, config) = tls::server().await;
    let talk = move || {
        let config = tls::only_http1(&config);
        let tls = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let stream = StreamOwned::new(tls, TcpStream::connect(("127.0.0.1", port)).unwrap());
        let connect = Connect::new("wss://localhost/");
        let (mut socket, _) = connect.over_blocking(stream).unwrap();
        for len in [1, 100_000] {
            let message = Message::binary(vec![7; len]);
            socket.send(message.clone()).unwrap();
            assert!(socket.next().unwrap().unwrap() == message);
        }
        socket.close(Some(1000), "").unwrap();
        assert!(matches!(socket.next(), Some(Ok(Message::Close { code: Some(1000), .. }))));
    };
    tokio::task::spawn_blocking(talk).await.unwrap();
}

#[test]
fn a_server_speaks_tls_over_a_stream_of_rustls() {
    let (server_config, client_config) = tls::configs();
    let (client, server) = pair();
    let serve = thread::spawn(move || {
        let tls = ServerConnection::new(server_config).unwrap();
        let mut socket = blocking::accept(StreamOwned::new(tls, server)).unwrap();
        while let Some(Ok(message)) = socket.next() {
            if message.is_data() {
                socket.send(message).unwrap();
            }
        }
    });
    let tls =
        ClientConnection::new(tls::only_http1(&client_config), ServerName::try_from("localhost").unwrap())
            .unwrap();
    let (mut client, _) = tungstenite::client("wss://localhost/", StreamOwned::new(tls, client)).unwrap();
    let message = tungstenite::Message::binary(vec![7; 100_000]);
    client.send(message.clone()).unwrap();
    assert!(client.read().unwrap() == message);
    client.close(None).unwrap();
    while client.read().is_ok() {}
    drop(client);
    serve.join().unwrap();
}

#[test]
fn tls_of_a_blocking_client_is_a_stream_of_the_caller() {
    let error = Connect::new("wss://localhost/").open_blocking().unwrap_err();
    assert!(matches!(error, Error::Request(RequestError::BlockingTls)), "{error:?}");
    assert!(error.to_string().contains("over_blocking"), "{error}");
    let error = Connect::new("ftp://h/").over_blocking(Slow::default()).unwrap_err();
    assert!(matches!(error, Error::Request(RequestError::Scheme)), "{error:?}");
}

/// Answers one request with these bytes, and keeps the connection open.
fn answered(
    answer: &'static str,
    connect: impl FnOnce(String) -> Result<Response, Error>,
) -> Result<Response, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serve = thread::spawn(move || {
        let mut stream = accepted(&listener);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the client has left.
        let _ = stream.read(&mut [0]);
    });
    let answer = connect(url);
    serve.join().unwrap();
    answer
}

#[test]
fn a_refusal_has_status_fields_and_body() {
    let whole = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\nA: b\r\n\r\nno token";
    // The rest of this body never comes.
    let cut = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 800\r\nA: b\r\n\r\nno token";
    for (answer, is_whole) in [(whole, true), (cut, false)] {
        let error = answered(answer, |url| Connect::new(&url).open_blocking().map(|opened| opened.1));
        let Err(Error::Refused(response)) = error else { panic!("{error:?}") };
        assert_eq!((response.status(), response.get("a")), (401, Some(&b"b"[..])));
        assert_eq!((response.body(), response.is_whole()), (&b"no token"[..], is_whole));
    }
    for step in [1, 7, usize::MAX] {
        for (not_ready, is_whole) in [(None, true), (Some(IoKind::Interrupted), true)] {
            let answer = b"HTTP/1.1 404 Not Found\r\n\r\nno such room";
            let error = Connect::new("ws://h/").over_blocking(Slow::new(answer, step, not_ready));
            let Err(Error::Refused(response)) = error else { panic!("{error:?}") };
            assert_eq!((response.body(), response.is_whole()), (&b"no such room"[..], is_whole));
        }
    }
    let error = Connect::new("ws://h/").over_blocking(Slow::new(b"HTTP/1.1 ", 1, None)).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
}

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn a_handshake_works_in_single_bytes_with_frames_behind_it() {
    let bytes = [REQUEST.as_bytes(), b"\r\n", b"\x81\x82\0\0\0\0Hi"].concat();
    for step in [1, 2, 7, usize::MAX] {
        let stream = Slow::new(&bytes, step, Some(IoKind::Interrupted));
        let mut socket = blocking::accept(stream).unwrap();
        assert_eq!(socket.next().unwrap().unwrap(), "Hi".into());
        assert!(socket.get_ref().written.starts_with(b"HTTP/1.1 101 "));
    }
}

#[test]
fn what_is_not_a_handshake_is_refused_with_its_status() {
    let cross_site = format!("{REQUEST}Origin: https://evil.example\r\n\r\n");
    let with_body = format!("{REQUEST}Content-Length: 30000\r\n\r\n{}", "a".repeat(30_000));
    let plain = "GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned();
    for (request, kind, status) in [
        (plain, RefusalKind::NoUpgrade, "426 "),
        (cross_site, RefusalKind::Origin, "403 "),
        (with_body, RefusalKind::Body, "400 "),
    ] {
        let (mut client, server) = pair();
        let serve = thread::spawn(move || blocking::accept(server).map(drop).unwrap_err());
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A reset would be an error.
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let error = serve.join().unwrap();
        assert!(matches!(error, accept::Error::Refused(refusal) if refusal.kind() == kind), "{error:?}");
    }
    let (mut client, server) = pair();
    client.write_all(b"\x16\x03\x01\x02\r\n\r\n").unwrap();
    assert!(matches!(blocking::accept(server), Err(accept::Error::Http(_))));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn a_server_refuses_with_an_answer_of_its_own() {
    let (mut client, server) = pair();
    client.write_all(format!("{REQUEST}\r\n").as_bytes()).unwrap();
    let handshake = Handshake::read_blocking(server).unwrap();
    handshake.refuse_blocking(401, &[("WWW-Authenticate", "Bearer")], "who are you?").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\nwho are you?"), "{answer}");
    let (client, server) = pair();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(blocking::accept(server), Err(accept::Error::Closed)));
}
