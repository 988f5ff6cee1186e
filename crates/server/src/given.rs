//! Connections that the caller has opened: accepted by its own listener, after a TLS handshake, or
//! over a pipe in memory.

use std::any::Any;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Peer;
use crate::any_stream::AnyStream;
use crate::connection_limits::{Permit, WorkerConnections};
use crate::stream::Stream;

/// Gives connections to a [`Running`](crate::Running) server. Clones give to the same server, from
/// any thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use tidewire_server::{Peer, Server, ServiceHandler};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let service = ServiceHandler::new(Router::new().route("/", get(async || "hello")));
/// let running = Server::builder().threads(1).without_listener().serve(move |_| service.clone())?;
/// let connections = running.connection_sender();
///
/// let (mut client, stream) = tokio::io::duplex(1024);     // or a stream of TLS after its handshake
/// connections.send(stream, Peer::Other)?;
///
/// client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with("\r\n\r\nhello"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionSender(Arc<[Entrance]>);

/// The way to one worker.
#[derive(Debug)]
pub(crate) struct Entrance {
    connections: Arc<WorkerConnections>,
    sender: UnboundedSender<Given>,
}

/// A connection on its way to a worker. The number of those is bounded by the permits.
#[derive(Debug)]
pub(crate) struct Given {
    io: io::Result<Io>,
    permit: Permit,
}

#[derive(Debug)]
enum Io {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    Any(Box<AnyStream>),
}

/// The server does not take the connection, which is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotServed {
    /// A limit is reached: [`Limits::max_connections`](crate::Limits::max_connections) or
    /// [`Limits::max_connections_per_address`](crate::Limits::max_connections_per_address).
    #[error("the server has reached its limit of connections; wait until some have ended")]
    TooMany,
    /// The server stops, or has ended.
    #[error("the server has stopped; start a new one to serve more connections")]
    Stopped,
}

impl ConnectionSender {
    pub(crate) fn new(entrances: Vec<Entrance>) -> Self {
        ConnectionSender(entrances.into())
    }

    /// Serves a connection over any stream, on the worker with the fewest connections. All
    /// [`Limits`](crate::Limits) apply, as to a connection that the server has accepted. `peer` is
    /// what handlers see as the client.
    ///
    /// A `TcpStream` or `UnixStream` of tokio moves to the runtime of the worker, and is served as
    /// fast as an accepted one. Any other stream stays with the runtime that it was made in, which
    /// must go on running. A handler that detaches such a connection can use all of
    /// [`Parked`](crate::Parked). To wait for input, it then keeps up to 1 KiB for each connection.
    ///
    /// # Errors
    /// [`NotServed`].
    pub fn send<T>(&self, io: T, peer: Peer) -> Result<(), NotServed>
    where
        T: AsyncRead + AsyncWrite + Send + 'static,
    {
        let least = self.0.iter().min_by_key(|entrance| entrance.connections.open());
        let Entrance { connections, sender } = least.ok_or(NotServed::Stopped)?;
        let permit = connections.admit(peer).ok_or(NotServed::TooMany)?;
        sender.send(Given { io: Io::of(io), permit }).map_err(|_| NotServed::Stopped)
    }
}

impl Entrance {
    pub(crate) fn new(connections: Arc<WorkerConnections>) -> (Self, UnboundedReceiver<Given>) {
        let (sender, receiver) = unbounded_channel();
        (Entrance { connections, sender }, receiver)
    }
}

impl Given {
    /// Registers the connection with the runtime of this worker.
    pub(crate) fn into_stream(self) -> io::Result<(Stream, Permit)> {
        let stream = match self.io? {
            Io::Tcp(socket) => Stream::Tcp(TcpStream::from_std(socket)?),
            #[cfg(unix)]
            Io::Unix(socket) => Stream::Unix(UnixStream::from_std(socket)?),
            Io::Any(stream) => Stream::Any(stream),
        };
        Ok((stream, self.permit))
    }
}

impl Io {
    fn of<T: AsyncRead + AsyncWrite + Send + 'static>(io: T) -> io::Result<Self> {
        let io = match downcast::<T, TcpStream>(io) {
            Ok(socket) => {
                let socket = socket.into_std()?;
                // A small answer must not wait for the ACK of the one before.
                let _ = socket.set_nodelay(true);
                return Ok(Io::Tcp(socket));
            }
            Err(io) => io,
        };
        #[cfg(unix)]
        let io = match downcast::<T, UnixStream>(io) {
            Ok(socket) => return socket.into_std().map(Io::Unix),
            Err(io) => io,
        };
        Ok(Io::Any(Box::new(AnyStream::new(io))))
    }
}

/// Returns the stream as an `S` if it is one.
fn downcast<T: 'static, S: 'static>(io: T) -> Result<S, T> {
    let mut io = Some(io);
    let found = (&mut io as &mut dyn Any).downcast_mut::<Option<S>>().and_then(Option::take);
    match (found, io) {
        (Some(found), _) => Ok(found),
        (None, io) => Err(io.expect("it is taken only if it is an S")),
    }
}
