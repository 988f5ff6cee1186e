//! `tidewire-http1` alone: a blocking reverse proxy over `std::net`, one thread per connection.
//!
//! Run `cargo run -p tidewire-examples --example http1_proxy -- 127.0.0.1:8081 127.0.0.1:8080`.
//!
//! Bodies stream in both directions through a bounded buffer. Fields about one connection are
//! removed, and each side gets its own framing. What is ambiguous is refused before the server sees
//! it. Each request has a connection to the server of its own.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use tidewire_http1::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = |i, default: &str| std::env::args().nth(i).unwrap_or_else(|| default.to_owned());
    let (listener, server) = (TcpListener::bind(address(1, "127.0.0.1:8081"))?, address(2, "127.0.0.1:8080"));
    println!("http1_proxy on http://{}", listener.local_addr()?);
    loop {
        let ((stream, _), server) = (listener.accept()?, server.clone());
        std::thread::spawn(move || Side::new(stream).and_then(|client| serve(client, &server)));
    }
}

/// Serves the requests of one client, until one of both sides closes.
fn serve(mut client: Side<Server>, server: &str) -> io::Result<()> {
    loop {
        if let Err((status, reason)) = exchange(&mut client, server) {
            println!("{status}: {reason}");
            client.http.close();
            // Refused if no request came, or if the response has begun: its missing end tells all.
            let _ = client.http.send_head(&Response::new(status), BodyLength::Empty, &mut client.output);
        }
        client.flush()?;
        if client.http.next_exchange().is_err() {
            break;
        }
    }
    // Closing with unread bytes would reset the connection, and the answer might be lost.
    client.stream.shutdown(Shutdown::Write)?;
    io::copy(&mut client.stream.take(64 * 1024), &mut io::sink()).map(|_| ())
}

/// The status to answer with, and the reason for the log.
type Failure = (u16, Box<dyn std::error::Error>);

fn answer<E: std::error::Error + 'static>(status: u16) -> impl Fn(E) -> Failure {
    move |error| (status, error.into())
}

fn refuse(error: Error) -> Failure {
    (error.status_hint(), error.into())
}

/// Forwards one request and its response.
fn exchange(client: &mut Side<Server>, address: &str) -> Result<(), Failure> {
    let (mut fields, mut upstream) = (Fields::new(), None);
    let mut server = loop {
        let (n, event) = client.http.decode(&client.input, &mut fields).map_err(refuse)?;
        let is_short = event.is_none();
        if let Some(Event::Request(head)) = event {
            upstream = Some(forward_head(&head, address)?);
            // As nginx does, this proxy asks for the body itself if the client waits for that.
            client.http.send_continue(&mut client.output);
        } else if let Some(server) = &mut upstream {
            server.forward(event).map_err(answer(400))?;
        }
        client.input.drain(..n);
        // If there is no body, the head was the whole request. If writing fails, the server may
        // have answered early.
        let done = |server: &mut Side<Client>| server.http.is_sent() || is_short && server.flush().is_err();
        if let Some(server) = upstream.take_if(done) {
            break server;
        }
        client.flush().map_err(answer(400))?;
        if is_short && client.fill().map_err(answer(408))? == 0 {
            // The client has left: between two requests, or within one.
            return client.http.finish().map(|_| ()).map_err(refuse);
        }
    };
    let _ = server.flush();
    forward_response(client, &mut server)
}

/// Connects to the server, and sends it the head of a request.
fn forward_head(head: &RequestHead<'_>, address: &str) -> Result<Side<Client>, Failure> {
    if head.method() == Method::Connect {
        return Err((405, "this proxy opens no tunnels".into()));
    }
    let mut block = FieldBlock::from_pairs(head.forwarded_fields()).map_err(answer(400))?;
    block.push("Via", "1.1 http1_proxy").map_err(answer(400))?;
    let (blocks, target) = ([&block], head.path_and_query());
    let host = head.host().unwrap_or(address.as_bytes());
    let request = Request::new(head.method().as_str(), &target, host).with_fields(&blocks);
    let mut server = TcpStream::connect(address).and_then(Side::<Client>::new).map_err(answer(502))?;
    server.http.close();
    server.http.send_request(&request, head.body(), &mut server.output).map_err(answer(400))?;
    Ok(server)
}

fn forward_response(client: &mut Side<Server>, server: &mut Side<Client>) -> Result<(), Failure> {
    let mut fields = Fields::new();
    while !client.http.is_sent() {
        let (n, event) = server.http.decode(&server.input, &mut fields).map_err(answer(502))?;
        let is_short = event.is_none();
        if let Some(Event::Response(head)) = event {
            let block = FieldBlock::from_pairs(head.forwarded_fields()).map_err(answer(502))?;
            let blocks = [&block];
            let response = Response::new(head.status()).with_fields(&blocks);
            if head.is_interim() {
                // Refused for a 100, and to an HTTP/1.0 client, which knows no such responses.
                let _ = client.http.send_interim(&response, &mut client.output);
            } else {
                if !server.http.is_sent() {
                    client.http.close(); // The rest of the request stays unread.
                }
                let body = head.forwarded_body();
                client.http.send_head(&response, body, &mut client.output).map_err(answer(502))?;
            }
        } else {
            client.forward(event).map_err(answer(502))?;
        }
        server.input.drain(..n);
        if is_short {
            client.flush().map_err(answer(502))?;
            if server.fill().map_err(answer(504))? == 0 {
                // A body until close ends here. Anything else is cut off.
                let end = server.http.finish().map_err(answer(502))?;
                client.forward(end).map_err(answer(502))?;
            }
        }
    }
    Ok(())
}

/// One side of the proxy: a socket, its state machine, and bytes on the way.
struct Side<R: Role> {
    stream: TcpStream,
    http: Connection<R>,
    input: Vec<u8>,
    output: Vec<u8>,
    trailers: FieldBlock,
}

impl<R: Role> Side<R> {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        // Bodies are not kept, so they may have any length.
        let http = Connection::new(Limits::DEFAULT.with_max_body(u64::MAX));
        Ok(Self { stream, http, input: Vec::new(), output: Vec::new(), trailers: FieldBlock::new() })
    }

    /// Forwards an event of a body that came from the other side.
    fn forward(&mut self, event: Option<Event<'_>>) -> Result<(), EncodeError> {
        match event {
            Some(Event::Data(data)) => self.http.send_data(data, &mut self.output),
            Some(Event::Trailer { name, value }) => self.trailers.push(name, value),
            Some(Event::End) => {
                let trailers = std::mem::take(&mut self.trailers);
                self.http.send_trailers(&trailers, &mut self.output)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Appends what has arrived to the input. Returns 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let n = self.stream.read(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }
}
