//! The client for the Autobahn test suite: `autobahn_client 127.0.0.1:9002 AGENT`.
//!
//! It asks the suite's server for the number of cases. It connects once for each case and echoes
//! messages until the server closes.

#![allow(clippy::print_stdout)]

use std::time::Duration;
use tidewire_ws::connect::{Connect, WebSocket};
use tidewire_ws::{Limits, Message, deflate};

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

async fn echo(socket: &mut WebSocket) -> Result<(), AnyError> {
    while let Some(message) = socket.next().await {
        match message {
            Ok(message) if message.is_data() => socket.queue(message).await?,
            // The next call waits for the server to close, as a client should.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

async fn connect(address: &str, target: &str) -> Result<WebSocket, AnyError> {
    let connect = Connect::new(&format!("ws://{address}{target}"))
        .with_deflate(deflate::Config::DEFAULT.with_threshold(0))
        .with_limits(Limits::DEFAULT.with_max_frame(64 << 20).with_max_message(64 << 20))
        .with_write_limit(64 << 20, Default::default());
    Ok(connect.open().await?.0)
}
