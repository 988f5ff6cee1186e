//! An axum application on `tidewire-server`, with what applications need around it.
//!
//! ```text
//! cargo run -p tidewire-examples --example server_axum -- 127.0.0.1:8080
//! curl http://127.0.0.1:8080/
//! curl -r 0-99 http://127.0.0.1:8080/files/chat.html    # 206 with its Content-Length
//! curl -T large.bin http://127.0.0.1:8080/upload        # up to 1 GiB; elsewhere 2 MiB
//! ```
//!
//! ctrl-c and SIGTERM stop it: it accepts no more connections, and finishes the open ones. To move
//! back to axum's own server, write `axum::serve` and `into_make_service_with_connect_info`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use tidewire_server::shutdown_signal;
use tower_http::services::ServeDir;

/// The largest upload. It is streamed, so memory does not limit it.
const MAX_UPLOAD: u64 = 1 << 30;
/// The largest body of all other requests.
const MAX_BODY: u64 = 2 << 20;

#[derive(Clone, Default)]
struct App {
    visits: Arc<AtomicU64>,
}

async fn hello(State(app): State<App>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    let visit = app.visits.fetch_add(1, Ordering::Relaxed) + 1;
    format!("hello {}, this is visit {visit}\n", peer.ip())
}

/// Counts the bytes as they come. Meanwhile the client waits for the handler, not the other way.
async fn upload(mut body: Body) -> Result<String, (StatusCode, String)> {
    let mut bytes = 0;
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        bytes += frame.data_ref().map_or(0, |data| data.len());
    }
    Ok(format!("{bytes} bytes\n"))
}

/// Blocking work goes to the blocking pool. `block_in_place` needs `Serve::on_runtime`.
async fn checksum() -> String {
    let sum = tokio::task::spawn_blocking(|| (0..10_000_000_u64).fold(0, |sum, n| sum ^ n.wrapping_mul(31)));
    sum.await.map_or_else(|error| error.to_string(), |sum| format!("{sum}\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let router = Router::new()
        .route("/", get(hello))
        .route("/upload", put(upload))
        .route("/checksum", get(checksum))
        .nest_service("/files", ServeDir::new(concat!(env!("CARGO_MANIFEST_DIR"), "/pages")))
        .with_state(App::default());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tidewire_server::serve(listener, router)
        .with_extension(|peer| peer.address().map(ConnectInfo))
        .with_body_limits(|head, usual| {
            usual.with_max(if head.path() == b"/upload" { MAX_UPLOAD } else { MAX_BODY })
        })
        .with_graceful_shutdown(shutdown_signal())
        .await
}
