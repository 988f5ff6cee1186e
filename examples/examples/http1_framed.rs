//! `tidewire-http1` with `tokio_util::codec::Framed`: an asynchronous HTTP/1.1 server that sends
//! each body back as it comes.
//!
//! Run `cargo run -p tidewire-examples --example http1_framed -- 127.0.0.1:8080`, then `curl -d
//! hello http://127.0.0.1:8080/`. A request is a stream of items, and an answer is a sink of items.
//! The codec remembers the request and frames the answer to match: chunks, a length, or until close
//! for HTTP/1.0.

use futures_util::{SinkExt, StreamExt};
use std::error::Error;
use tidewire_http1::codec::{self, Answer, Item, ServerCodec};
use tidewire_http1::{BodyLength, FieldBlock, Limits};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http1_framed on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                println!("a connection ended: {error}");
            }
        });
    }
}

async fn serve(stream: TcpStream) -> Result<(), codec::Error> {
    let mut http = Framed::new(stream, ServerCodec::new(Limits::new()));
    while let Some(item) = http.next().await {
        match item {
            Ok(Item::Head(head)) => {
                let mut fields = FieldBlock::new();
                if let Some(kind) = head.get("content-type") {
                    fields.push("Content-Type", kind).map_err(codec::Error::Encode)?;
                }
                http.send(Answer::Continue).await?;
                http.send(Answer::Head { status: 200, fields, body: BodyLength::Chunked }).await?;
            }
            Ok(Item::Data(data)) => http.send(Answer::Data(data)).await?,
            Ok(Item::Trailer { .. }) => {}
            Ok(Item::End) => http.send(Answer::End { trailers: FieldBlock::new() }).await?,
            // A bad head gets an answer. In the middle of a body, an answer has already begun: the
            // server just closes.
            Err(codec::Error::Decode(error)) => {
                let fields = FieldBlock::new();
                let refusal = Answer::Head { status: error.status_hint(), fields, body: BodyLength::Empty };
                if http.send(refusal).await.is_ok() {
                    http.send(Answer::End { trailers: FieldBlock::new() }).await?;
                }
                return Err(codec::Error::Decode(error));
            }
            Err(error) => return Err(error),
        }
        if http.codec().must_close() {
            break;
        }
    }
    Ok(())
}
