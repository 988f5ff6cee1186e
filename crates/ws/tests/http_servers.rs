//! WebSockets on connections that hyper or axum has upgraded, with tokio-tungstenite as the client.
//! The last test has tokio-tungstenite as the server.
#![cfg(all(feature = "deflate", feature = "tokio"))]
#![allow(clippy::unwrap_used)] // a test

use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tidewire_ws::handshake::server::{Options, accept};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Limits, Message};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

/// Connects the handshake to hyper: gives it the fields of the request, copies the fields of the
/// answer, and gives the upgraded stream to a `WebSocket`.
async fn upgrade<B>(mut request: Request<B>) -> Response<Body> {
    let version = match request.version() {
        Version::HTTP_11 => (1, 1),
        _ => (1, 0),
    };
    let fields = request.headers().iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let options = Options::DEFAULT.with_subprotocols(&["echo"]);
    let mut response = Response::new(Body::empty());
    match accept(request.method().as_str().as_bytes(), version, fields, &options) {
        Ok(accept) => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            for (name, value) in accept.response_fields() {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let io = TokioIo::new(upgraded.await.unwrap());
                let mut socket = WebSocket::server(io, Limits::DEFAULT);
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_data() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
        Err(refusal) => {
            *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap();
            for (name, value) in refusal.fields() {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            *response.body_mut() = Body::from(refusal.detail());
        }
    }
    response
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

#[tokio::test]
async fn a_server_works_on_a_connection_that_hyper_has_upgraded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|request| async { Ok::<_, Infallible>(upgrade(request).await) });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    talk(address).await;
}

#[tokio::test]
async fn a_server_works_in_a_handler_of_axum() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/chat", axum::routing::any(upgrade::<Body>));
    tokio::spawn(async move { axum::serve(listener, router).await });
    talk(address).await;

    // The answer to an ordinary GET says how to upgrade.
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("sec-websocket-version: 13"), "{answer}");
}

#[tokio::test]
async fn a_client_works_with_a_server_of_tungstenite() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = server.next().await {
            if message.is_text() || message.is_binary() {
                server.send(message).await.unwrap();
            }
        }
    });
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = tidewire_ws::handshake::client::Request::new([9; 16], &[]);
    let mut head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in request.fields() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
    }
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&answer).unwrap();
    let fields = response.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    request.verify(response.code.unwrap(), fields).unwrap();

    let mut socket = WebSocket::client(stream, Limits::DEFAULT);
    for len in [0, 10, 126, 70_000] {
        let message = Message::Binary(vec![7; len].into());
        socket.send(message.clone()).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap() == message, "{len}");
    }
    socket.close(Some(1000), "").await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(socket.next().await.is_none());
}
