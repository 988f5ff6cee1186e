//! One axum router with a WebSocket, on two servers: `axum::serve` and tidewire-server. The client
//! is tokio-tungstenite.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_axum
//! ```

use std::error::Error;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use tidewire_server::{Listen, Server, ServiceHandler};
use tidewire_ws::Limits;
use tidewire_ws::upgrade::{WebSocket, WebSocketUpgrade};
use tokio::net::TcpListener;

/// Sends every message back. By default only pages of the server's own origin may connect.
async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade
        .with_limits(Limits::DEFAULT.with_max_message(64 * 1024))
        .with_subprotocols(["echo"])
        .on_failed_upgrade(|error| println!("no upgrade: {error}"))
        .on_upgrade(send_back)
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_data() && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let router = Router::new().route("/echo", any(echo));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router.clone();
    tokio::spawn(async move { axum::serve(listener, service).await });
    talk("axum::serve", &address.to_string()).await?;

    // tidewire-server has its own threads. Dropping `running` stops it.
    let server = Server::builder().listen("127.0.0.1:0".parse::<Listen>()?).bind()?;
    let running = server.serve(move |_| ServiceHandler::new(router.clone()))?;
    talk("tidewire-server", &running.addresses()[0].to_string()).await
}

async fn talk(server: &str, address: &str) -> Result<(), Box<dyn Error>> {
    let (mut socket, response) = tokio_tungstenite::connect_async(format!("ws://{address}/echo")).await?;
    println!("{server}: {}", response.status());
    socket.send("hello".into()).await?;
    if let Some(message) = socket.next().await {
        println!("{server}: {}", message?);
    }
    socket.close(None).await?;
    while let Some(message) = socket.next().await {
        println!("{server}: closed: {}", message?.is_close());
    }
    Ok(())
}
