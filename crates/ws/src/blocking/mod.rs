//! A WebSocket over any blocking stream: `Read + Write`, without tokio.
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//! use tidewire_ws::blocking;
//!
//! fn echo(stream: TcpStream) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let mut socket = blocking::accept(stream)?;
//!     while let Some(message) = socket.next() {
//!         let message = message?;
//!         if message.is_data() {
//!             socket.queue(message)?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let server = std::thread::spawn(move || echo(listener.accept()?.0));
//!
//! let mut socket = blocking::connect(&format!("ws://{address}/"))?;
//! socket.send("Hello".into())?;
//! assert_eq!(socket.next().ok_or("the server is gone")??, "Hello".into());
//! socket.close(Some(1000), "")?;
//! while let Some(message) = socket.next() {
//!     message?;
//! }
//! server.join().unwrap().map_err(|error| error.to_string())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! [`Handshake`] has the handshake of a server in two steps. [`Connect`] has the options of a
//! client, and takes TLS streams.
//!
//! # Deadlines, and non-blocking streams
//!
//! A peer may take any time, so set a read time-out (`TcpStream::set_read_timeout`). When it is
//! over, [`next`](WebSocket::next) returns an error with [`can_retry`](Error::can_retry). Nothing
//! is lost: call [`next`](WebSocket::next) again, or send something. So one thread can both wait
//! for messages and send its own:
//!
//! ```no_run
//! # use tidewire_ws::{Client, Message, blocking::{Error, WebSocket}};
//! # use std::net::TcpStream;
//! # use std::sync::mpsc::Receiver;
//! # use std::time::Duration;
//! fn run(mut socket: WebSocket<TcpStream, Client>, to_send: Receiver<Message>) -> Result<(), Error> {
//!     socket.get_ref().set_read_timeout(Some(Duration::from_millis(100)))?;
//!     while let Some(message) = socket.next() {
//!         match message {
//!             Ok(message) => println!("{message:?}"),
//!             Err(error) if error.can_retry() => {}
//!             Err(error) => return Err(error),
//!         }
//!         for message in to_send.try_iter() {
//!             socket.send(message)?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//! [`connection`](WebSocket::connection) says whether a message is unfinished, and how many of its
//! bytes have arrived. Give up a peer that is slower than you allow.
//!
//! A non-blocking stream works in the same way, in an event loop. Its handshake is not repeatable:
//! make it before `set_nonblocking`. With a write time-out, `send` may fail with an error that can
//! be retried. The message is in the queue then, and [`flush`](WebSocket::flush) goes on.
//!
//! # The end
//!
//! After `None` or an error, drop the WebSocket, which closes the stream. A `Read + Write` has no
//! shutdown, so a server that drops a peer in the middle of its message may reset the connection,
//! and the peer may not read why. Where that matters, take the stream with
//! [`into_inner`](WebSocket::into_inner), call `shutdown(Shutdown::Write)`, and read until the end
//! or a time-out.

mod input;
pub(crate) mod io;
mod read;
mod websocket;
mod write;

pub use crate::socket::{Error, Parts};
pub use websocket::WebSocket;

use crate::accept::{self, Handshake};
use crate::connect::{self, Connect};
use crate::handshake::server::Options;
use crate::{Client, Server};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Reads a request for a WebSocket from a stream that is open, such as a `TcpStream` or a TLS
/// stream, and answers it with [`Options::DEFAULT`]. For other options, see [`Handshake`].
///
/// A request that is not a valid handshake, or comes from a page of another site, is refused with
/// its status before this returns.
///
/// # Errors
/// [`accept::Error`].
pub fn accept<S: Read + Write>(stream: S) -> Result<WebSocket<S, Server>, accept::Error> {
    Handshake::read_blocking(stream)?.accept_blocking(&Options::DEFAULT).map(|(socket, _)| socket)
}

/// Connects to the server of this `ws` URL. See [`Connect`] for options, and for `wss`.
///
/// # Errors
/// [`connect::Error`].
pub fn connect(url: &str) -> Result<WebSocket<TcpStream, Client>, connect::Error> {
    Connect::new(url).open_blocking().map(|(socket, _)| socket)
}
