//! WebSocket echo servers: `ws_peers NAME PORT`. Each uses the loop from the library's own
//! documentation.
//!
//! `cargo xtask bench-ws` compares them. All use the same handshake, a bare socket, a
//! current-thread runtime, `TCP_NODELAY` and a limit of 64 MiB.

use fastwebsockets::{FragmentCollector, OpCode};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::error::Error;
use tidewire_ws::Limits;
use tidewire_ws::handshake::server::{Options, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().ok_or("ws_peers NAME PORT")?;
    let port: u16 = args.next().ok_or("ws_peers NAME PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that disconnects is not reported.
        match name.as_str() {
            "tidewire" => drop(tokio::spawn(tidewire(stream))),
            "tungstenite" => drop(tokio::spawn(tungstenite(stream))),
            "tungstenite-batch" => drop(tokio::spawn(tungstenite_batch(stream))),
            "fastwebsockets" => drop(tokio::spawn(fastwebsockets(stream))),
            "yawc" => drop(tokio::spawn(yawc(stream))),
            _ => return Err(format!("no peer is called {name}").into()),
        }
    }
}

async fn tidewire(mut stream: TcpStream) -> Result<()> {
    handshake(&mut stream).await?;
    let limits = Limits::DEFAULT.with_max_frame(LIMIT as u64).with_max_message(LIMIT as u64);
    let mut socket = tidewire_ws::tokio::WebSocket::server(stream, limits);
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_data() {
            socket.queue(message).await?;
        }
    }
    Ok(())
}

async fn tungstenite(stream: TcpStream) -> Result<()> {
    let mut socket = over_tungstenite(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_binary() || message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// An optimised loop: feeds all messages that have come, then flushes once.
async fn tungstenite_batch(stream: TcpStream) -> Result<()> {
    let mut socket = over_tungstenite(stream).await?;
    while let Some(message) = socket.next().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let message = message?;
            if message.is_binary() || message.is_text() {
                socket.feed(message).await?;
            }
            next = socket.next().now_or_never().flatten();
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn over_tungstenite(mut stream: TcpStream) -> Result<WebSocketStream<TcpStream>> {
    use tokio_tungstenite::tungstenite::protocol::Role;
    handshake(&mut stream).await?;
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    Ok(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
}

async fn fastwebsockets(mut stream: TcpStream) -> Result<()> {
    handshake(&mut stream).await?;
    let mut socket = fastwebsockets::WebSocket::after_handshake(stream, fastwebsockets::Role::Server);
    socket.set_max_message_size(LIMIT);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn yawc(mut stream: TcpStream) -> Result<()> {
    handshake(&mut stream).await?;
    let options = yawc::Options::default().with_limits(LIMIT, LIMIT);
    let mut socket = yawc::WebSocket::from_stream(stream, yawc::Role::Server, options)?;
    while let Some(frame) = socket.next().await {
        if matches!(frame.opcode(), yawc::frame::OpCode::Text | yawc::frame::OpCode::Binary) {
            socket.send(frame).await?;
        }
    }
    Ok(())
}

/// Reads the request up to its empty line, usually with one read, and answers. The load sends
/// nothing before it has the answer.
async fn handshake(stream: &mut TcpStream) -> Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 16 << 10 {
            return Err("no handshake".into());
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head)?;
    let fields = request.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    let accept = accept(b"GET", (1, 1), fields, &Options::default())?;
    let mut answer = String::from("HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in accept.response_fields() {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    Ok(())
}

const LIMIT: usize = 64 << 20;
