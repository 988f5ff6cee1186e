//! The tokens of a language model, read with reqwest and `tidewire-sse`.
//!
//! ```text
//! cargo run -p tidewire-examples --example sse_llm
//! ```
//!
//! [`print_tokens`] is all that a client needs. [`read_tokens`] also resumes after a cut. The model
//! is a server on loopback that sends a fixed text in small pieces, and cuts its first connection
//! within a character.

use std::error::Error;
use std::time::Duration;

use tidewire_sse::{EventStream, OutgoingEvent, StreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Five lines: send, check, read.
async fn print_tokens(request: reqwest::RequestBuilder) -> Result<(), Box<dyn Error>> {
    let response = request.send().await?;
    let mut events = EventStream::from_response(response).await?;
    while let Some(event) = events.try_next().await?.filter(|event| event.data != "[DONE]") {
        print!("{}", event.data);
    }

    println!();
    Ok(())
}

/// The same, but a cut connection is continued after the last event that came.
async fn read_tokens(url: &str) -> Result<String, Box<dyn Error>> {
    let (mut text, mut last_id) = (String::new(), String::new());
    for _attempt in 0..5 {
        let mut request = reqwest::Client::new().get(url);
        if !last_id.is_empty() {
            request = request.header("Last-Event-ID", last_id.as_bytes());
        }
        let mut events =
            EventStream::from_response(request.send().await?).await?.with_last_event_id(&last_id);
        loop {
            match events.next().await {
                Some(Ok(event)) if event.data == "[DONE]" => return Ok(text),
                Some(Ok(event)) => text.push_str(&event.data),
                // The connection broke off, or ended before `[DONE]`.
                Some(Err(StreamError::Source(_))) | None => break,
                // An event exceeds the limits. It would come again.
                Some(Err(error)) => return Err(error.into()),
            }
        }
        last_id = events.last_event_id().to_owned();
        println!("cut after id {last_id:?}, within an event: {}", events.is_unfinished());
        let delay = events.reconnect_delay().unwrap_or(Duration::from_secs(1));
        tokio::time::sleep(delay.min(Duration::from_secs(30))).await;
    }
    Err("the model does not answer".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(model(listener));

    print_tokens(reqwest::Client::new().post(format!("{url}/whole")).body("How is the sea?")).await?;
    println!("{}", read_tokens(&format!("{url}/cut")).await?);

    // Without a key the model answers with an error, which is not taken for an empty stream.
    let refused = print_tokens(reqwest::Client::new().get(format!("{url}/no-key"))).await;
    println!("{}", refused.err().map_or("no error?".into(), |error| error.to_string()));
    Ok(())
}

const TOKENS: [&str; 5] = ["High", " wäter", " 🌊", " at\nnoon", "."];

/// The server that plays the model.
async fn model(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && stream.read_buf(&mut request).await? > 0 {}
    let request = String::from_utf8_lossy(&request).to_lowercase();
    if request.contains("/no-key") {
        let page =
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>No key";
        stream.write_all(page.as_bytes()).await?;
        return close(stream).await;
    }
    let last_id = request.lines().find_map(|line| line.strip_prefix("last-event-id: "));
    let start: usize = last_id.unwrap_or("0").parse()?;

    let mut wire = Vec::new();
    OutgoingEvent::retry(Duration::from_millis(10)).encode_to(&mut wire)?;
    for (index, token) in TOKENS.iter().enumerate().skip(start) {
        OutgoingEvent::data(*token).with_id((index + 1).to_string()).encode_to(&mut wire)?;
    }
    OutgoingEvent::data("[DONE]").encode_to(&mut wire)?;
    if request.contains("/cut") && start == 0 {
        let wave = wire.windows(4).position(|bytes| bytes == "🌊".as_bytes());
        wire.truncate(wave.unwrap_or(0) + 2);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
                Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    // Three bytes at a time: each wave and each umlaut is cut somewhere.
    for piece in wire.chunks(3) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk).await?;
    }
    // A connection that is cut has no last chunk.
    if wire.ends_with(b"[DONE]\n\n") {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    close(stream).await
}

/// Closes a connection after the client has read everything. If the server closed it while a part
/// of the request is unread, the system would reset it, and the client could lose the answer.
async fn close(mut stream: TcpStream) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.shutdown().await?;
    while stream.read(&mut [0; 512]).await? > 0 {}
    Ok(())
}
