//! A long message in each direction, in pieces of 64 KiB, so that neither end holds more than a few
//! of them.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_pieces
//! ```

use std::error::Error;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use tidewire_ws::connect::Connect;
use tidewire_ws::tokio::{Piece, Reader};
use tidewire_ws::upgrade::{WebSocket, WebSocketUpgrade};
use tidewire_ws::{Kind, Limits, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

const LENGTH: usize = 64 << 20;
const PIECE: usize = 64 << 10;
/// The limits still apply. A peer may send the whole message in one frame.
const LIMITS: Limits = Limits::DEFAULT.with_max_message(1 << 30).with_max_frame(1 << 30);

async fn store(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.with_limits(LIMITS).on_upgrade(|socket| async {
        if let Err(error) = serve(socket).await {
            println!("server: {error}");
        }
    })
}

/// Receives a message, then sends one.
async fn serve(socket: WebSocket) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (mut reader, writer) = socket.in_pieces().split();
    let (length, longest) = receive(&mut reader).await?;
    println!("server: received {length} bytes, and held {longest} at most");

    // Other writers could send pings between the pieces. Their messages would wait.
    let mut message = writer.message(Kind::Binary).await?;
    while message.queued() < LENGTH as u64 {
        message.send(vec![7; PIECE]).await?;
    }
    message.finish("").await?;
    writer.close(Some(1000), "").await?;
    while reader.next_piece().await.transpose()?.is_some() {}
    Ok(())
}

/// Returns the length of the next message and of its longest piece. A program would write the
/// pieces to a file.
async fn receive<IO: AsyncRead + AsyncWrite + Unpin, R: Role>(
    reader: &mut Reader<IO, R>,
) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    let (mut length, mut longest) = (0, 0);
    loop {
        // Pings are answered, and not of interest here.
        let piece = reader.next_piece().await.ok_or("the connection has ended")??;
        if let Piece::Data { data, last, .. } = piece {
            length += data.len();
            longest = longest.max(data.len());
            if last {
                return Ok((length, longest));
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let router = Router::new().route("/", any(store));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let (socket, _) = Connect::new(&url).with_limits(LIMITS).open().await?;
    let mut socket = socket.in_pieces();
    let mut peak = 0;
    for piece in 1..=LENGTH / PIECE {
        socket.send_piece(Kind::Binary, vec![7; PIECE], piece == LENGTH / PIECE).await?;
        peak = peak.max(PIECE + socket.unwritten());
    }
    println!("client: sent {LENGTH} bytes, and held {peak} at most");

    let (mut reader, _writer) = socket.split();
    let (length, longest) = receive(&mut reader).await?;
    println!("client: received {length} bytes, and held {longest} at most");
    while reader.next_piece().await.transpose()?.is_some() {}
    Ok(())
}
