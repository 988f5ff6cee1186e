//! A WebSocket echo server over tokio, with permessage-deflate: `echo_server 127.0.0.1:9001`.
//!
//! `cargo xtask autobahn` runs the Autobahn test suite against it.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod head;

use head::Head;
use tidewire_ws::handshake::server::{Options, accept};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Connection, Limits, Server, deflate};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on ws://{}/", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async {
            // The peer of a failed connection has already received the close frame or the refusal.
            let _ = serve(stream).await;
        });
    }
}

async fn serve(mut stream: TcpStream) -> Result<(), AnyError> {
    stream.set_nodelay(true)?;
    let Some(mut socket) = handshake(&mut stream).await?.map(|(connection, rest)| {
        WebSocket::new(stream, connection)
            .with_read_ahead(rest)
            .with_write_limit(64 << 20, Default::default())
    }) else {
        return Ok(());
    };
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_data() {
            socket.queue(message).await?;
        }
    }
    Ok(())
}

/// Answers the handshake. Returns the connection and the bytes after the head, or `None` if the
/// handshake was refused.
async fn handshake(stream: &mut TcpStream) -> Result<Option<(Connection<Server>, Vec<u8>)>, AnyError> {
    let head = Head::read(stream).await?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head.bytes())?;
    let method = request.method.unwrap_or_default().as_bytes();
    let version = (1, request.version.unwrap_or(0));
    let config = deflate::Config::DEFAULT.with_threshold(0);
    let options = Options::DEFAULT.with_deflate(config);
    let mut answer = Vec::new();
    let accepted = accept(method, version, head::pairs(request.headers), &options);
    match &accepted {
        Ok(accept) => {
            answer.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
            for (name, value) in accept.response_fields() {
                answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            answer.extend_from_slice(b"\r\n");
        }
        Err(refusal) => {
            answer.extend_from_slice(format!("HTTP/1.1 {} Refused\r\n", refusal.status()).as_bytes());
            for (name, value) in refusal.fields() {
                answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            let detail = refusal.detail();
            answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n{detail}", detail.len()).as_bytes());
        }
    }
    stream.write_all(&answer).await?;
    let Ok(accept) = accepted else { return Ok(None) };
    let limits = Limits::DEFAULT.with_max_frame(64 << 20).with_max_message(64 << 20);
    let mut connection = Connection::<Server>::new(limits);
    if let Some(params) = accept.deflate() {
        connection = connection.with_deflate(params, &config);
    }
    Ok(Some((connection, head.rest().to_vec())))
}
