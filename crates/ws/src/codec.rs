//! A [`tokio_util::codec`] of messages, for `Framed`.

use crate::{Client, Connection, EncodeError, Message, Outbox, Role, Server, error};
use alloc::boxed::Box;
use bytes::{Buf as _, BufMut as _, BytesMut};
use core::convert::Infallible;
use core::fmt;
use std::io;

/// What is read and written: a [`Message`].
pub type Item = Message;

/// [`Connection`] as a `Decoder` and an `Encoder<Item>`.
///
/// A decoder cannot write. The pong and the close that the protocol owes are written before the
/// next message that is encoded. `framed.send(Replies)` writes them alone: send it after each ping,
/// after a close, and after an error. [`tokio::WebSocket`](crate::tokio::WebSocket) does it by
/// itself.
///
/// ```
/// use bytes::BytesMut;
/// use tidewire_ws::codec::{Codec, Item, Replies};
/// use tidewire_ws::{Connection, Limits, Server};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = Codec::<Server>::new(Connection::new(Limits::DEFAULT));
/// let mut input = BytesMut::from(&b"\x89\x80\0\0\0\0\x81\x82\0\0\0\0Hi"[..]);
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Item::Ping(Default::default())));
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Item::Text("Hi".into())));
/// let mut out = BytesMut::new();
/// codec.encode(Item::Text("Ho".into()), &mut out).unwrap();
/// assert_eq!(&out[..], b"\x8a\x00\x81\x02Ho");
/// ```
pub struct Codec<R> {
    connection: Connection<R>,
    /// The source of masking keys of a client.
    keys: Option<KeySource>,
    outbox: Outbox,
}

type KeySource = Box<dyn FnMut() -> [u8; 4] + Send>;

/// Writes nothing but the replies that are owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replies;

/// Why a [`Codec`] stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed.
    Io(io::Error),
    /// The peer broke the protocol or a limit. Send [`Replies`] to tell it so.
    Decode(error::Error),
    /// The message cannot be sent.
    Encode(EncodeError),
}

impl Codec<Server> {
    /// A server's codec.
    #[must_use]
    pub fn new(connection: Connection<Server>) -> Self {
        Self { connection, keys: None, outbox: Outbox::new() }
    }
}

impl Codec<Client> {
    /// A client's codec. `keys` makes the masking key of each frame: four bytes of a cryptographic
    /// random source, fresh for each frame.
    #[must_use]
    pub fn new(connection: Connection<Client>, keys: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        Self { connection, keys: Some(Box::new(keys)), outbox: Outbox::new() }
    }
}

impl<R: Role> Codec<R> {
    /// The protocol's state.
    #[must_use]
    pub const fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    fn put_replies(&mut self) {
        let keys = &mut self.keys;
        let Ok(()) = self.connection.put_replies(|| key::<R>(keys), self.outbox.tail());
    }

    fn put_out(&mut self, out: &mut BytesMut) {
        out.put(&mut self.outbox);
    }
}

/// The masking key of the next frame.
fn key<R: Role>(keys: &mut Option<KeySource>) -> Result<R::Key, Infallible> {
    R::key(|| Ok(keys.as_mut().expect("a client's codec is made with its source of keys")()))
}

impl<R: Role> tokio_util::codec::Decoder for Codec<R> {
    type Item = Item;
    type Error = Error;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Error> {
        let (n, message) = self.connection.decode_owned(input).map_err(Error::Decode)?;
        input.advance(n);
        Ok(message)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Error> {
        match self.decode(input)? {
            Some(message) => Ok(Some(message)),
            None => {
                self.connection.finish().map_err(Error::Decode)?;
                input.clear();
                Ok(None)
            }
        }
    }
}

impl<R: Role> tokio_util::codec::Encoder<Item> for Codec<R> {
    type Error = Error;

    fn encode(&mut self, message: Item, out: &mut BytesMut) -> Result<(), Error> {
        self.put_replies();
        let Ok(key) = key::<R>(&mut self.keys);
        let sent = self.connection.put_owned(message, key, &mut self.outbox);
        self.put_out(out);
        sent.map_err(Error::Encode)
    }
}

impl<R: Role> tokio_util::codec::Encoder<Replies> for Codec<R> {
    type Error = Error;

    fn encode(&mut self, Replies: Replies, out: &mut BytesMut) -> Result<(), Error> {
        self.put_replies();
        self.put_out(out);
        Ok(())
    }
}

impl<R: Role> fmt::Debug for Codec<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Decode(e) => e.fmt(f),
            Self::Encode(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Decode(e) => Some(e),
            Self::Encode(e) => Some(e),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
