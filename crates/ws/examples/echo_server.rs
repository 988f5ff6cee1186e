//! A WebSocket echo server over tokio, with permessage-deflate: `echo_server 127.0.0.1:9001`.
//!
//! `cargo xtask autobahn` runs the Autobahn test suite against it.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use tidewire_ws::accept::Handshake;
use tidewire_ws::handshake::server::Options;
use tidewire_ws::{Limits, deflate};
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

async fn serve(stream: TcpStream) -> Result<(), AnyError> {
    stream.set_nodelay(true)?;
    let options = Options::DEFAULT.with_deflate(deflate::Config::DEFAULT.with_threshold(0));
    let limits = Limits::DEFAULT.with_max_frame(64 << 20).with_max_message(64 << 20);
    let (socket, _) = Handshake::read(stream).await?.with_limits(limits).accept(&options).await?;
    let mut socket = socket.with_write_limit(64 << 20, Default::default());
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_data() {
            socket.queue(message).await?;
        }
    }
    Ok(())
}
