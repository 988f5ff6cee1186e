//! A client on blocking streams.

use super::answer::Response;
use super::builder::Connect;
use super::error::{Error, RequestError};
use super::exchange::{BODY_WAIT, Exchange, Opened};
use crate::Client;
use crate::blocking::WebSocket;
use crate::blocking::io::{read_some, write_all};
use alloc::boxed::Box;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Instant;

impl Connect {
    /// Connects by TCP and makes the handshake, on blocking sockets. All addresses of the host are
    /// tried, one after another. For `wss`, see [`over_blocking`](Self::over_blocking).
    ///
    /// The system decides how long an attempt takes, and the server how long the handshake takes.
    /// For deadlines, open the stream with `TcpStream::connect_timeout`, set a read time-out, and
    /// pass it to [`over_blocking`](Self::over_blocking).
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_blocking(&self) -> Result<(WebSocket<TcpStream, Client>, Response), Error> {
        if self.target()?.is_secure {
            return Err(RequestError::BlockingTls.into());
        }
        let stream = self.open_tcp()?;
        let mut end = None;
        self.exchange(stream, |tcp| {
            let end = *end.get_or_insert_with(|| Instant::now().checked_add(BODY_WAIT));
            let left = end.and_then(|end| end.checked_duration_since(Instant::now()));
            // A time-out of 0 is refused.
            left.is_some_and(|left| !left.is_zero() && tcp.set_read_timeout(Some(left)).is_ok())
        })
    }

    /// Makes the handshake over a blocking stream that is open, such as a Unix socket, a tunnel, or
    /// a TLS stream. For a `wss` URL the stream must have TLS already: rustls' `StreamOwned`, or
    /// `native-tls`.
    ///
    /// The wait for the body of a refusal has no bound except the time-out of the stream. If it has
    /// none, use [`with_max_body(0)`](Self::with_max_body).
    ///
    /// ```
    /// # use std::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    /// use tidewire_ws::connect::Connect;
    /// # let listener = TcpListener::bind("127.0.0.1:0")?;
    /// # let address = listener.local_addr()?;
    /// # let server = std::thread::spawn(move || tidewire_ws::blocking::accept(listener.accept().unwrap().0));
    /// let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    /// stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    /// let connect = Connect::new("ws://example.com/chat").with_field("Authorization", "Bearer x");
    /// let (mut socket, response) = connect.over_blocking(stream)?;
    /// # drop(server.join());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error`].
    pub fn over_blocking<S: Read + Write>(
        &self,
        stream: S,
    ) -> Result<(WebSocket<S, Client>, Response), Error> {
        self.exchange(stream, |_| true)
    }

    fn exchange<S: Read + Write>(
        &self,
        mut stream: S,
        may_read_body: impl FnMut(&S) -> bool,
    ) -> Result<(WebSocket<S, Client>, Response), Error> {
        let names = self.names();
        let handshake = self.handshake(&names)?;
        let (exchange, request) = Exchange::new(&self.options()?, &handshake)?;
        let opened = run(&mut stream, exchange, &request, may_read_body)?;
        let (connection, rest, response) = self.opened(opened);
        Ok((WebSocket::new(stream, connection).with_read_ahead(rest), response))
    }

    /// Tries all addresses of the host in the order of the resolver.
    fn open_tcp(&self) -> Result<TcpStream, Error> {
        let target = self.target()?;
        let (host, port) = (target.host.as_str(), target.port);
        let lookup = |source| Error::Lookup { host: host.into(), source };
        let mut last = None;
        for address in (host, port).to_socket_addrs().map_err(lookup)? {
            match TcpStream::connect(address) {
                Ok(tcp) => {
                    // Each write is a whole frame, so Nagle's algorithm would only delay it. If the
                    // option cannot be set, the connection works all the same.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Err(source) => last = Some(Error::Connect { address, source }),
            }
        }
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        Err(last.unwrap_or_else(|| lookup(none())))
    }
}

/// Sends the request and reads the answer.
fn run<S: Read + Write>(
    stream: &mut S,
    mut exchange: Exchange<'_>,
    request: &[u8],
    mut may_read_body: impl FnMut(&S) -> bool,
) -> Result<Opened, Error> {
    exchange.sent(write_all(stream, request));
    let mut response = loop {
        if let Some(response) = exchange.head()? {
            break response;
        }
        let read = read_some(stream, exchange.room());
        exchange.came(read)?;
    };
    if response.status() == 101 {
        return exchange.opened(response);
    }
    while !exchange.body(&mut response) && may_read_body(stream) {
        match read_some(stream, exchange.room()) {
            Ok(1..) => {}
            Err(error) if crate::socket::Error::is_not_ready(&error) => break,
            _ => {
                exchange.body_ended(&mut response);
                break;
            }
        }
    }
    Err(Error::Refused(Box::new(response)))
}
