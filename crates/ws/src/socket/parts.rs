use crate::Outbox;
use alloc::vec::Vec;

/// What `into_inner` of a WebSocket returns.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
/// use tidewire_ws::{Limits, tokio::WebSocket};
/// let mut socket = WebSocket::server(server, Limits::DEFAULT);
/// socket.flush().await?;
/// let parts = socket.into_inner();
/// assert!(parts.unwritten.is_empty());
/// let mut socket = WebSocket::new(parts.io, parts.connection).with_read_ahead(parts.unread);
/// socket.send("Hello".into()).await?;
/// assert_eq!(client.next().await.unwrap()?, "Hello".into());
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Parts<IO, R> {
    /// The stream.
    pub io: IO,
    /// The state of the protocol, with the part of an unfinished message that has arrived.
    pub connection: crate::Connection<R>,
    /// Bytes that were read and not decoded.
    pub unread: Vec<u8>,
    /// Bytes that were queued and not written. The first of them may be the rest of a frame.
    pub unwritten: Outbox,
}
