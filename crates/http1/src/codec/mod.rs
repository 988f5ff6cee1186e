//! Both roles as a [`tokio_util::codec`], for `Framed`: `Codec<Server>` and `Codec<Client>`.
//!
//! A codec reads and writes [`Item`]s. What is read and what is written differ only in the type of
//! the head.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use tidewire_http1::codec::{Codec, Item, OutgoingResponse};
//! use tidewire_http1::{BodyLength, Limits, Server};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = Codec::<Server>::new(Limits::DEFAULT);
//! let mut wire = BytesMut::from("GET /a HTTP/1.1\r\nHost: b\r\n\r\n");
//! let Some(Item::Head(head)) = codec.decode(&mut wire)? else { panic!("no request") };
//! assert_eq!(head.path(), b"/a");
//! assert!(matches!(codec.decode(&mut wire)?, Some(Item::End)));
//!
//! let response = OutgoingResponse::new(200).with_body(BodyLength::Length(5));
//! codec.encode(Item::Head(response), &mut wire)?;
//! codec.encode(Item::Data(Bytes::from_static(b"hello")), &mut wire)?;
//! codec.encode(Item::End, &mut wire)?;
//! assert_eq!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
//! # Ok::<(), tidewire_http1::codec::Error>(())
//! ```
//!
//! A codec yields [`Item::End`] after every message, also after one without a body. When you send a
//! head whose body is empty, the message is complete: an `Item::End` after it writes nothing.
//!
//! A [`Connection`] does not read a pipelined request before it has answered the one before. Under
//! `Framed` this would not work: `Framed` waits for more input and does not look at its buffer
//! again. So a `Codec<Server>` reads up to 32 requests ahead, and remembers for each of them what
//! its response depends on.
//!
//! It does not read behind a request for another protocol: the response decides whose bytes follow.
//! If the response does not switch, and you polled the stream while the request waited, the next
//! request may already be in the buffer. To make `Framed` look at it, build it anew:
//! `Framed::from_parts(framed.into_parts())`.

mod client;
mod error;
mod item;
mod parts;
mod server;

pub use error::Error;
pub use item::{Item, OutgoingRequest, OutgoingResponse};

use crate::connection::Connection;
use crate::field_block::FieldBlock;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::role::{Role, Server};
use crate::state::Exchange;
use alloc::collections::VecDeque;

/// One end of an HTTP/1.1 connection, for `Framed`.
///
/// ```
/// use bytes::Bytes;
/// use futures_util::{SinkExt, StreamExt};
/// use tidewire_http1::codec::{Codec, Item, OutgoingRequest, OutgoingResponse};
/// use tidewire_http1::{BodyLength, Client, Limits, Server};
/// use tokio_util::codec::Framed;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tidewire_http1::codec::Error> {
/// let (near, far) = tokio::io::duplex(1024); // or a `TcpStream` each
/// let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
/// let mut server = Framed::new(far, Codec::<Server>::new(Limits::DEFAULT));
///
/// client.send(Item::Head(OutgoingRequest::new("GET", "/", "example.org"))).await?;
/// let Some(Item::Head(_)) = server.next().await.transpose()? else { panic!("no request") };
/// let response = OutgoingResponse::new(200).with_body(BodyLength::Chunked);
/// for item in [Item::Head(response), Item::Data(Bytes::from_static(b"hello")), Item::End] {
///     server.send(item).await?;
/// }
/// while let Some(item) = client.next().await.transpose()? {
///     match item {
///         Item::Head(head) => assert_eq!(head.status(), 200),
///         Item::Data(data) => assert_eq!(data, "hello"),
///         Item::Trailer { .. } => {}
///         Item::End => break,
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A `Codec<Client>` sends one request at a time. If bytes follow a response, it drops them, and
/// the connection takes no more requests: the client could take them for the next response.
#[derive(Debug)]
pub struct Codec<R: Role> {
    /// Reads the messages of the peer. In the client role it also writes the requests.
    connection: Connection<R>,
    fields: Fields,
    /// The trailers to send with the next [`Item::End`].
    trailers: FieldBlock,
    /// Writes the responses, in the server role. A client does not use this field.
    responses: Responses,
}

/// The responses that a server owes.
#[derive(Debug)]
struct Responses {
    /// Knows the request that is being answered. It does not see the requests that are read in the
    /// meantime.
    writer: Connection<Server>,
    /// The requests that were read and not answered, in their order.
    unanswered: VecDeque<Exchange>,
}

impl<R: Role> Codec<R> {
    /// Returns a codec for a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            connection: Connection::new(limits),
            fields: Fields::new(),
            trailers: FieldBlock::new(),
            responses: Responses { writer: Connection::new(limits), unanswered: VecDeque::new() },
        }
    }
}
