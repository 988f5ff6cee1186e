//! A WebSocket client: fields and subprotocols of the request, a deadline, and what an error says.
//! The server is an axum router on `axum::serve`.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_connect
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::any;
use tidewire_ws::connect::{self, Connect};
use tidewire_ws::deflate::Config;
use tidewire_ws::upgrade::WebSocketUpgrade;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Greets clients that have a token.
async fn greet(headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if headers.get("authorization").is_none_or(|token| token != "Bearer let-me-in") {
        return (StatusCode::UNAUTHORIZED, "the token is unknown").into_response();
    }
    upgrade.with_subprotocols(["greet.v1"]).with_deflate(Config::DEFAULT).on_upgrade(
        |mut socket| async move {
            // If the client has left, there is nobody to tell.
            let _ = socket.send("hello".into()).await;
            let _ = socket.close(Some(1000), "").await;
        },
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let router =
        Router::new().route("/greet", any(greet)).route("/old", any(async || Redirect::permanent("/greet")));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("ws://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let connect = Connect::new(&format!("{base}/greet"))
        .with_field("Authorization", "Bearer let-me-in")
        .with_subprotocols(["greet.v2", "greet.v1"])
        .with_deflate(Config::DEFAULT);
    let (mut socket, response) = timeout(Duration::from_secs(60), connect.open()).await??;
    println!("subprotocol: {:?}", response.subprotocol());
    while let Some(message) = socket.next().await {
        println!("{:?}", message?);
    }

    for path in ["/greet", "/old", "/nowhere"] {
        match Connect::new(&format!("{base}{path}")).open().await {
            Ok(_) => println!("{path}: opened"),
            Err(connect::Error::Refused(response)) => println!("{path}: {}: {response}", response.status()),
            Err(error) => println!("{path}: {error}"),
        }
    }
    Ok(())
}
