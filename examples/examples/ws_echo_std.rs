//! `tidewire-ws`, with `tidewire-http1` for the handshake: a blocking WebSocket echo server over
//! `std::net`, one thread per connection.
//!
//! Run `cargo run -p tidewire-examples --example ws_echo_std -- 127.0.0.1:9001` and connect any
//! client: `websocat ws://127.0.0.1:9001/`. The two loops below are all that a socket needs for
//! each protocol, for a program with its own event loop. With the feature `blocking`, `tidewire-ws`
//! has both: `blocking::accept`. For many connections see `ws_echo`.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tidewire_http1::{BodyLength, Event as Http, FieldBlock, Fields, Response, Server, Version};
use tidewire_ws::handshake::server::{Options, accept};
use tidewire_ws::{Connection, Event, Kind, Limits, encode_message};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("ws_echo_std on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = serve(stream) {
                println!("a connection ended: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut input = Vec::new();
    if handshake(&mut stream, &mut input)? {
        echo(&mut stream, input)?;
    }
    // Closing with unread bytes would reset the connection, and the last frame might be lost.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let _ = io::copy(&mut stream.take(64 * 1024), &mut io::sink());
    Ok(())
}

/// Answers one request, with a 101 if it is a WebSocket handshake. Later bytes of the client stay
/// in `input`.
fn handshake(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<bool, Box<dyn Error>> {
    let mut http = tidewire_http1::Connection::<Server>::new(tidewire_http1::Limits::DEFAULT);
    let mut fields = Fields::new();
    let mut verdict = None;
    loop {
        let (used, event) = http.decode(input, &mut fields)?;
        let (is_end, is_short) = (matches!(event, Some(Http::End)), event.is_none());
        if let Some(Http::Request(head)) = event {
            let version = if head.version() == Version::Http11 { (1, 1) } else { (1, 0) };
            let method = head.method().as_str().as_bytes();
            verdict = Some(accept(method, version, head.fields(), &Options::default()));
        }
        input.drain(..used);
        if is_end {
            break;
        }
        if is_short && receive(stream, input)? == 0 {
            http.finish()?;
            return Ok(false);
        }
    }
    let mut output = Vec::new();
    match verdict.ok_or("the request ended without a head")? {
        Ok(accepted) => {
            let block = FieldBlock::from_pairs(accepted.response_fields())?;
            http.send_head(&Response::new(101).with_fields(&[&block]), BodyLength::Empty, &mut output)?;
        }
        Err(refusal) => {
            let block = FieldBlock::from_pairs(refusal.fields().iter().copied())?;
            let body = refusal.detail().as_bytes();
            let length = BodyLength::Length(body.len() as u64);
            http.close();
            http.send_head(&Response::new(refusal.status()).with_fields(&[&block]), length, &mut output)?;
            http.send_data(body, &mut output)?;
            http.send_end(&mut output)?;
        }
    }
    stream.write_all(&output)?;
    Ok(http.is_switched())
}

/// Echoes every message until either side closes the connection.
fn echo(stream: &mut TcpStream, mut input: Vec<u8>) -> io::Result<()> {
    let mut websocket = Connection::<tidewire_ws::Server>::new(Limits::DEFAULT);
    let mut output = Vec::new();
    loop {
        let mut used = 0;
        // After an error, the output has a close frame with the reason.
        while let Ok((n, event)) = websocket.decode(&mut input[used..]) {
            used += n;
            match event {
                Some(Event::Text(text)) => encode_message(Kind::Text, text.as_bytes(), &mut output),
                Some(Event::Binary(data)) => encode_message(Kind::Binary, data, &mut output),
                Some(_) => {}
                None => break,
            }
        }
        input.drain(..used);
        websocket.take_output(&mut output);
        stream.write_all(&output)?;
        output.clear();
        if websocket.is_closed() || receive(stream, &mut input)? == 0 {
            return Ok(());
        }
    }
}

/// Appends what has arrived. Returns the number of bytes.
fn receive(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let n = stream.read(&mut buffer)?;
    input.extend_from_slice(&buffer[..n]);
    Ok(n)
}
