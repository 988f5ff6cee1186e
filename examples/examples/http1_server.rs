//! `tidewire-http1` alone: a blocking HTTP/1.1 server over `std::net`, one thread per connection.
//!
//! ```text
//! cargo run -p tidewire-examples --example http1_server -- 127.0.0.1:8080
//! curl -d hello http://127.0.0.1:8080/any/path
//! ```
//! The answer shows the decoded request. The state machine handles keep-alive, pipelining, chunked
//! bodies, `Expect: 100-continue`, HEAD and HTTP/1.0, and refuses ambiguous input. The server only
//! reads, writes and sets time-outs.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tidewire_http1::{BodyLength, Connection, Event, FieldBlock, Fields, Limits, Response, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("http1_server on http://{}", listener.local_addr()?);
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
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut http = Connection::<Server>::new(Limits::DEFAULT);
    let mut fields = Fields::new();
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut understood = String::new();
    loop {
        let (used, event) = match http.decode(&input, &mut fields) {
            Ok(decoded) => decoded,
            Err(error) => {
                respond(&mut http, error.status_hint(), &format!("{error}\n"), &mut output)?;
                break;
            }
        };
        match event {
            Some(Event::Request(head)) => {
                understood =
                    format!("{} {} {}\n", head.method(), head.target().escape_ascii(), head.version());
                for (name, value) in head.fields() {
                    writeln!(understood, "{}: {}", name.escape_ascii(), value.escape_ascii())?;
                }
                http.send_continue(&mut output);
            }
            Some(Event::Data(data)) => writeln!(understood, "{} bytes of body", data.len())?,
            Some(Event::Trailer { name, .. }) => writeln!(understood, "trailer {}", name.escape_ascii())?,
            Some(Event::End) => {
                respond(&mut http, 200, &understood, &mut output)?;
                // An error after the last request of the connection.
                if http.next_exchange().is_err() {
                    break;
                }
            }
            Some(_) => {}
            None => {
                // No more events in these bytes. The output has the answers to all pipelined
                // requests.
                input.drain(..used);
                stream.write_all(&output)?;
                output.clear();
                if receive(&mut stream, &mut input)? == 0 {
                    http.finish()?;
                    return Ok(());
                }
                continue;
            }
        }
        input.drain(..used);
    }
    stream.write_all(&output)?;
    // Closing with unread bytes would reset the connection, and the answer might be lost.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let _ = io::copy(&mut stream.take(64 * 1024), &mut io::sink());
    Ok(())
}

/// Writes a complete answer.
fn respond(
    http: &mut Connection<Server>,
    status: u16,
    text: &str,
    output: &mut Vec<u8>,
) -> Result<(), tidewire_http1::EncodeError> {
    let block = FieldBlock::from_pairs([("Content-Type", "text/plain; charset=utf-8")])?;
    let length = BodyLength::Length(text.len() as u64);
    http.send_head(&Response::new(status).with_fields(&[&block]), length, output)?;
    http.send_data(text.as_bytes(), output)?;
    http.send_end(output)
}

/// Appends what has arrived. Returns the number of bytes.
fn receive(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let n = stream.read(&mut buffer)?;
    input.extend_from_slice(&buffer[..n]);
    Ok(n)
}
