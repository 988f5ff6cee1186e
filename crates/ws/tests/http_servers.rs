//! WebSockets on connections that hyper or axum has upgraded, with tokio-tungstenite as the client.
//! `accept` has the tests of a server without an HTTP library, `connect` those of the client.
#![cfg(all(feature = "accept", feature = "axum", feature = "deflate", feature = "rustls"))]
#![allow(clippy::unwrap_used)] // a test

mod accept;
#[cfg(feature = "blocking")]
mod blocking;
mod connect;

use axum::response::IntoResponse;
use axum::routing::any;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::Origins;
use tidewire_ws::handshake::server::Options;
use tidewire_ws::tokio::WhenFull;
use tidewire_ws::upgrade::{PendingUpgrade, WebSocket, WebSocketUpgrade, upgrade};
use tidewire_ws::{Limits, Message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_data() {
            socket.send(message).await.unwrap();
        }
    }
}

async fn handler(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(echo)
}

async fn service(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let options = Options::DEFAULT.with_subprotocols(&["echo"]).with_deflate(Config::DEFAULT);
    let (response, socket) = match upgrade(&mut request, &options) {
        Ok(upgraded) => upgraded,
        Err(refusal) => return Ok(refusal.to_response()),
    };
    tokio::spawn(async { echo(socket.await.unwrap()).await });
    Ok(response)
}

async fn talk(address: SocketAddr) {
    let url = format!("ws://{address}/chat");
    let (mut client, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    for len in [0, 10, 126, 70_000, 1 << 20] {
        let message = tungstenite::Message::text("x".repeat(len));
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message, "{len}");
    }
    client.send(tungstenite::Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), tungstenite::Message::Pong("p".into()));
    client.close(None).await.unwrap();
    while let Some(message) = client.next().await {
        assert!(message.unwrap().is_close());
    }
}

async fn hyper_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = hyper::server::conn::http1::Builder::new();
            let connection = builder.serve_connection(TokioIo::new(stream), service_fn(service));
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

async fn axum_server(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends a request and returns all that comes until the server closes.
async fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request as Chromium writes it, with these lines added.
fn chromium(host: &str, more: &str) -> Vec<u8> {
    format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nUpgrade: websocket\r\n\
         Origin: http://{host}\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{more}\r\n"
    )
    .into_bytes()
}

/// A masked "Hi", and a masked close.
const EARLY: &[u8] = b"\x81\x82\0\0\0\0Hi\x88\x80\0\0\0\0";

#[tokio::test]
async fn a_server_works_on_a_connection_that_hyper_has_upgraded() {
    let address = hyper_server().await;
    talk(address).await;
    let more = "Sec-WebSocket-Protocol: chat, echo\r\n";
    let request = [&chromium("h", more)[..], EARLY].concat();
    let answer = ask(address, &request).await;
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: echo\r\n"), "{answer}");
    assert!(answer.contains("sec-websocket-extensions: permessage-deflate; "), "{answer}");
    assert!(answer.contains("\u{2}Hi"), "{answer:?}");
    let refused = ask(address, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 426") && refused.contains("upgrade: websocket\r\n"), "{refused}");
}

#[tokio::test]
async fn a_server_works_in_a_handler_of_axum() {
    let address = axum_server(axum::Router::new().route("/chat", any(handler))).await;
    talk(address).await;
    // The first message comes with the request.
    let answer = ask(address, &[&chromium("h", "")[..], EARLY].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 101") && answer.contains("\u{2}Hi"), "{answer:?}");

    // The answer to an ordinary GET says how to upgrade.
    let request = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let answer = ask(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("sec-websocket-version: 13"), "{answer}");
    assert!(answer.ends_with("this address speaks WebSocket: send Upgrade: websocket"), "{answer}");
    let request = b"POST /chat HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = ask(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET"), "{answer}");
}

#[tokio::test]
async fn the_extractor_has_the_options_of_the_handshake() {
    async fn options(upgrade: WebSocketUpgrade) -> impl IntoResponse {
        let names = vec![String::from("b"), String::from("c")];
        let upgrade = upgrade
            .with_limits(Limits::DEFAULT.with_max_message(2))
            .with_write_limit(1 << 20, WhenFull::Close)
            .with_origins(Origins::Listed(&["https://example.org"]))
            .with_deflate(Config::DEFAULT)
            .with_subprotocols(names);
        assert_eq!(upgrade.subprotocol(), Some("b"));
        upgrade.on_upgrade(echo)
    }
    let address = axum_server(axum::Router::new().route("/chat", any(options))).await;
    let more = "Sec-WebSocket-Protocol: a, c, b\r\n";
    let foreign = ask(address, &chromium("h", &format!("{more}Connection: close\r\n"))).await;
    assert!(foreign.starts_with("HTTP/1.1 403") && foreign.contains("pages of this origin"), "{foreign}");

    let request = String::from_utf8(chromium("h", more)).unwrap();
    let request = request.replace("Origin: http://h", "Origin: https://example.org");
    // A message over the limit is answered with a close, 1009.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[request.as_bytes(), b"\x81\x83\0\0\0\0Hi!"].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(2).any(|code| code == [0x03, 0xf1]) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    for field in ["sec-websocket-protocol: b\r\n", "sec-websocket-extensions: permessage-deflate; "] {
        assert!(answer.contains(field), "{field} {answer}");
    }
    assert!(!answer.contains("Hi!"), "{answer:?}");
}

/// hyper without `with_upgrades`.
#[tokio::test]
async fn a_connection_that_is_not_handed_over_is_reported() {
    let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    let (mut client, server) = tokio::io::duplex(4096);
    let router = axum::Router::new().route(
        "/chat",
        any(async move |upgrade: WebSocketUpgrade| {
            upgrade.on_failed_upgrade(move |error| failed.send(error).unwrap()).on_upgrade(echo)
        }),
    );
    let service = hyper_util::service::TowerToHyperService::new(router);
    let builder = hyper::server::conn::http1::Builder::new();
    tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
    client.write_all(&chromium("h", "")).await.unwrap();
    let error = failures.recv().await.unwrap();
    assert!(error.to_string().contains("with_upgrades"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

/// Any server can offer its connection. One without an offer is refused, with a hint.
#[tokio::test]
async fn any_server_can_hand_its_connection_over() {
    let (mut client, server) = tokio::io::duplex(1024);
    let mut request = Request::get("/").body(()).unwrap();
    for (name, value) in [
        ("host", "h"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let refusal = upgrade::<_, ()>(&mut request, &Options::DEFAULT).unwrap_err();
    assert_eq!(refusal.status(), 500);
    assert!(refusal.detail().contains("extensions hold no upgrade"));

    let pending = PendingUpgrade::new(async { Ok::<_, std::io::Error>(server) });
    request.extensions_mut().insert(pending.clone());
    let (response, socket) = upgrade::<_, String>(&mut request, &Options::DEFAULT).unwrap();
    assert_eq!(response.status(), 101);
    assert!(pending.is_taken() && pending.take().is_none());
    let mut socket = socket.with_limits(Limits::DEFAULT).await.unwrap();
    client.write_all(EARLY).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Text("Hi".into()));
}
