//! The client for the Autobahn test suite: `autobahn_client 127.0.0.1:9002 AGENT`.
//!
//! It asks the suite's server for the number of cases. It connects once for each case and echoes
//! messages until the server closes.

#![allow(clippy::print_stdout)]

mod head;

use head::Head;
use std::time::Duration;
use tidewire_ws::handshake::client::Request;
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Client, Connection, Limits, Message, deflate};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:9002".into());
    let agent = args.next().unwrap_or_else(|| "tidewire-ws".into());
    let mut socket = connect(&address, "/getCaseCount").await?;
    let Some(Message::Text(count)) = socket.next().await.transpose()? else {
        return Err("the server did not say how many cases there are".into());
    };
    let count: usize = count.parse()?;
    drop(socket);
    for case in 1..=count {
        let mut socket = connect(&address, &format!("/runCase?case={case}&agent={agent}")).await?;
        // Errors here are part of the tests, and the suite's report judges them. The suite itself
        // gives up on a case after 480 seconds. A busy machine may need more than two minutes for a
        // large one.
        let _ = tokio::time::timeout(Duration::from_secs(600), echo(&mut socket)).await;
    }
    let mut socket = connect(&address, &format!("/updateReports?agent={agent}")).await?;
    while let Some(Ok(_)) = socket.next().await {}
    println!("ran {count} cases");
    Ok(())
}

async fn echo(socket: &mut WebSocket<TcpStream, Client>) -> Result<(), AnyError> {
    while let Some(message) = socket.next().await {
        match message {
            Ok(message) if message.is_data() => socket.queue(message).await?,
            // The next call waits for the server to close, as a client should.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

async fn connect(address: &str, target: &str) -> Result<WebSocket<TcpStream, Client>, AnyError> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = deflate::Config::DEFAULT.with_threshold(0);
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let handshake = Request::new(nonce, &[]).with_deflate(config);
    let mut request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in handshake.fields() {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;

    let head = Head::read(&mut stream).await?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(head.bytes())?;
    let agreed = handshake.verify(response.code.unwrap_or(0), head::pairs(response.headers))?;
    let limits = Limits::DEFAULT.with_max_frame(64 << 20).with_max_message(64 << 20);
    let mut connection = Connection::<Client>::new(limits);
    if let Some(params) = agreed.deflate() {
        connection = connection.with_deflate(params, &config);
    }
    Ok(WebSocket::new(stream, connection)
        .with_read_ahead(head.rest())
        .with_write_limit(64 << 20, Default::default()))
}
