//! `tidewire-http1` with `tokio_util::codec::Framed`: an asynchronous HTTP/1.1 server that sends
//! each body back as it comes.
//!
//! ```text
//! cargo run -p tidewire-examples --example http1_framed -- 127.0.0.1:8080
//! curl -d hello http://127.0.0.1:8080/
//! ```
//! A request is a stream of items, and an answer is a sink of items. The codec remembers the
//! request and frames the answer to match: chunks, a length, or until close for HTTP/1.0.

use futures_util::{SinkExt, StreamExt};
use std::error::Error;
use tidewire_http1::codec::{self, Codec, Item, OutgoingResponse};
use tidewire_http1::{BodyLength, FieldBlock, Limits, Server};
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
    let mut http = Framed::new(stream, Codec::<Server>::new(Limits::DEFAULT));
    while let Some(item) = http.next().await {
        match item {
            Ok(Item::Head(head)) => {
                let mut fields = FieldBlock::new();
                if let Some(kind) = head.get("content-type") {
                    fields.push("Content-Type", kind).map_err(codec::Error::Encode)?;
                }
                http.send(Item::Head(OutgoingResponse::new(100))).await?;
                let response = OutgoingResponse::new(200).with_fields(fields).with_body(BodyLength::Chunked);
                http.send(Item::Head(response)).await?;
            }
            Ok(Item::Data(data)) => http.send(Item::Data(data)).await?,
            Ok(Item::Trailer { .. }) => {}
            Ok(Item::End) => http.send(Item::End).await?,
            // A bad head gets an answer. In the middle of a body, an answer has already begun: the
            // server just closes.
            Err(codec::Error::Decode(error)) => {
                let refusal = Item::Head(OutgoingResponse::new(error.status_hint()));
                let _ = http.send(refusal).await;
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
