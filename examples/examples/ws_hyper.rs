//! A WebSocket echo server on hyper, and a client that connects in one line.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_hyper
//! ```

use std::convert::Infallible;
use std::error::Error;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tidewire_ws::deflate::Config;
use tidewire_ws::handshake::server::Options;
use tidewire_ws::upgrade::{PendingSocket, upgrade};
use tokio::net::TcpListener;

async fn serve(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let options = Options::DEFAULT.with_deflate(Config::DEFAULT);
    match upgrade(&mut request, &options) {
        Ok((response, socket)) => {
            tokio::spawn(echo(socket));
            Ok(response)
        }
        Err(refusal) => Ok(refusal.to_response()),
    }
}

async fn echo(socket: PendingSocket) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = socket.await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_data() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(serve));
            tokio::spawn(connection.with_upgrades());
        }
    });

    let mut socket = tidewire_ws::connect(&format!("ws://{address}/")).await?;
    socket.send("hello".into()).await?;
    println!("{:?}", socket.next().await.transpose()?);
    socket.close(Some(1000), "done").await?;
    println!("{:?}", socket.next().await.transpose()?);
    Ok(())
}
