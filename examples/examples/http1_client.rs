//! `tidewire-http1` alone: a blocking HTTP/1.1 client over `std::net`.
//!
//! Run `cargo run -p tidewire-examples --example http1_client -- 127.0.0.1:8080 /path` while a
//! server listens there (`http1_server`, or any other). It sends a GET, then a POST in two chunks
//! on the same connection, and prints what it sends and receives.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tidewire_http1::{BodyLength, Client, Connection, Event, FieldBlock, Fields, Limits, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let host = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let path = std::env::args().nth(2).unwrap_or_else(|| "/".to_owned());
    let mut stream = TcpStream::connect(&host)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut http = Connection::<Client>::new(Limits::DEFAULT);
    let mut input = Vec::new();

    let mut output = Vec::new();
    // The body is empty, so the head is the whole request.
    http.send_request(&Request::new("GET", &path, &host), BodyLength::Empty, &mut output)?;
    exchange(&mut stream, &mut http, &mut input, &output)?;

    // Bytes after the answer would be taken for the next answer. The connection sees them here.
    http.decode(&input, &mut Fields::new())?;
    if let Err(reason) = http.next_exchange() {
        println!("\nno second request: {reason}");
        return Ok(());
    }
    output.clear();
    let block = FieldBlock::from_pairs([("Content-Type", "text/plain")])?;
    let request = Request::new("POST", &path, &host);
    http.send_request(&request.with_fields(&[&block]), BodyLength::Chunked, &mut output)?;
    http.send_data(b"tide", &mut output)?;
    http.send_data(b"wire", &mut output)?;
    http.send_end(&mut output)?;
    exchange(&mut stream, &mut http, &mut input, &output)
}

/// Sends a request and prints the answer. Bytes after the answer stay in `input`.
fn exchange(
    stream: &mut TcpStream,
    http: &mut Connection<Client>,
    input: &mut Vec<u8>,
    request: &[u8],
) -> Result<(), Box<dyn Error>> {
    println!("\nsent:\n{}", String::from_utf8_lossy(request));
    stream.write_all(request)?;
    let mut fields = Fields::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let (used, event) = http.decode(input, &mut fields)?;
        let is_end = matches!(event, Some(Event::End));
        let needs_more = event.is_none();
        match event {
            Some(Event::Response(head)) => {
                println!("status {} {}", head.status(), head.reason().escape_ascii());
                for (name, value) in head.fields() {
                    println!("field  {} = {}", name.escape_ascii(), value.escape_ascii());
                }
            }
            Some(Event::Data(data)) => println!("data   {}", data.escape_ascii()),
            Some(Event::Trailer { name, .. }) => println!("trailer {}", name.escape_ascii()),
            _ => {}
        }
        input.drain(..used);
        if is_end {
            return Ok(());
        }
        if needs_more {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                // Either the body lasts until the connection closes, or this is an error.
                http.finish()?;
                return Ok(());
            }
            input.extend_from_slice(&buffer[..n]);
        }
    }
}
