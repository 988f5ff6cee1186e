//! `tidewire-http1` alone: a blocking reverse proxy over `std::net`, one thread per connection.
//!
//! Run `cargo run -p tidewire-examples --example http1_proxy -- 127.0.0.1:8081 127.0.0.1:8080`.
//!
//! Bodies stream through bounded buffers: first the request, then its response. A WebSocket passes
//! through. What is ambiguous is refused before the server sees it. Each request has its own
//! connection to the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tidewire_http1::*;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    let address = |i, default: &str| std::env::args().nth(i).unwrap_or_else(|| default.to_owned());
    let (listener, server) = (TcpListener::bind(address(1, "127.0.0.1:8081"))?, address(2, "127.0.0.1:8080"));
    println!("http1_proxy on http://{}", listener.local_addr()?);
    loop {
        let ((stream, _), server) = (listener.accept()?, server.clone());
        thread::spawn(move || Side::new(stream).and_then(|client| serve(client, &server)));
    }
}

/// Serves the requests of one client, until one of both sides closes.
fn serve(mut client: Side<Server>, server: &str) -> io::Result<()> {
    loop {
        if let Err(reason) = exchange(&mut client, server) {
            let status = match client.http.error() {
                Some(error) => error.status_hint(),
                None if reason.is::<EncodeError>() => 400, // The request cannot be sent to the server.
                None => 502,
            };
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

/// Forwards one request and its response.
fn exchange(client: &mut Side<Server>, address: &str) -> Result {
    let (mut fields, mut upstream) = (Fields::new(), None);
    let mut server = loop {
        let (n, event) = client.http.decode(&client.input, &mut fields)?;
        let is_short = event.is_none();
        if let Some(Event::Request(head)) = event {
            upstream = Some(forward_head(&head, address)?);
            // As nginx does, this proxy asks for the body itself if the client waits for that.
            client.http.send_continue(&mut client.output);
        } else if let Some(server) = &mut upstream {
            server.forward(event)?;
        }
        client.input.drain(..n);
        // If writing fails, the server may have answered early. The rest then stays unread.
        let done = |server: &mut Side<Client>| server.http.is_sent() || is_short && server.flush().is_err();
        if let Some(server) = upstream.take_if(done) {
            break server;
        }
        client.flush()?;
        if is_short && client.fill()? == 0 {
            // The client has left: between two requests, or within one.
            return Ok(client.http.finish().map(|_| ())?);
        }
    };
    let _ = server.flush();
    forward_response(client, &mut server)?;
    if client.http.is_switched() { Ok(tunnel(client, &mut server)?) } else { Ok(()) }
}

/// Connects to the server, and sends it the head of a request.
fn forward_head(head: &RequestHead<'_>, address: &str) -> Result<Side<Client>> {
    // A request with a body cannot change the protocol.
    let upgrade = head.upgrade().filter(|_| head.body().is_empty());
    let mut block = forwarded_fields(head.forwarded_fields(), upgrade)?;
    block.push("Via", "1.1 http1_proxy")?;
    // Empty for a CONNECT, which is refused therefore.
    let (blocks, target) = ([&block], head.path_and_query());
    let host = head.host().unwrap_or(address.as_bytes());
    let request = Request::new(head.method().as_str(), &target, host).with_fields(&blocks);
    let mut server = Side::<Client>::new(TcpStream::connect(address)?)?;
    server.http.close();
    server.http.send_request(&request, head.body(), &mut server.output)?;
    Ok(server)
}

fn forward_response(client: &mut Side<Server>, server: &mut Side<Client>) -> Result {
    let mut fields = Fields::new();
    while !client.http.is_sent() && !client.http.is_switched() {
        let (n, event) = server.http.decode(&server.input, &mut fields)?;
        let is_short = event.is_none();
        if let Some(Event::Response(head)) = event {
            let block = forwarded_fields(head.forwarded_fields(), head.upgrade())?;
            let blocks = [&block];
            let response = Response::new(head.status()).with_fields(&blocks);
            if head.is_interim() {
                // Refused for a 100, and to an HTTP/1.0 client, which knows no such responses.
                let _ = client.http.send_interim(&response, &mut client.output);
            } else {
                if server.http.sending().is_some() {
                    client.http.close(); // The rest of the request stays unread.
                }
                client.http.send_head(&response, head.forwarded_body(), &mut client.output)?;
            }
        } else {
            client.forward(event)?;
        }
        server.input.drain(..n);
        if is_short {
            client.flush()?;
            if server.fill()? == 0 {
                // A body until close ends here. Anything else is cut off.
                client.forward(server.http.finish()?)?;
            }
        }
    }
    Ok(())
}

/// Only a WebSocket may replace HTTP. In another protocol, requests could pass unseen.
fn forwarded_fields<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    upgrade: Option<&[u8]>,
) -> Result<FieldBlock> {
    let is_websocket = upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    let upgrade: &[u8] = b"websocket";
    Ok(FieldBlock::from_pairs(fields.chain(is_websocket.then_some((b"Upgrade".as_slice(), upgrade))))?)
}

/// After a 101: copies bytes in both directions, until both have ended.
fn tunnel(client: &mut Side<Server>, server: &mut Side<Client>) -> io::Result<()> {
    client.output.append(&mut server.input);
    server.output.append(&mut client.input);
    client.flush()?;
    server.flush()?;
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        from.set_read_timeout(None)?;
        let copied = io::copy(&mut from, &mut to).map(|_| ());
        to.shutdown(Shutdown::Write).and(copied)
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(&server.stream, &client.stream));
        copy(&client.stream, &server.stream)
    })
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
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        // Bodies are not kept, so they may have any length.
        let http = Connection::new(Limits::DEFAULT.with_max_body(u64::MAX));
        Ok(Self { stream, http, input: Vec::new(), output: Vec::new(), trailers: FieldBlock::new() })
    }

    /// Forwards an event of a body that came from the other side.
    fn forward(&mut self, event: Option<Event<'_>>) -> Result {
        match event {
            Some(Event::Data(data)) => self.http.send_data(data, &mut self.output)?,
            Some(Event::Trailer { name, value }) => self.trailers.push(name, value)?,
            Some(Event::End) => {
                self.http.send_trailers(&std::mem::take(&mut self.trailers), &mut self.output)?;
            }
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Appends what has arrived to the input. Returns 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let n = self.stream.read(&mut buffer)?;
        self.input.extend_from_slice(&buffer[..n]);
        Ok(n)
    }

    /// Writes the output. After an error, nobody knows how much of it was written.
    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&std::mem::take(&mut self.output))
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
