//! A `tokio_util::codec` of messages, for `Framed`.

use crate::{Connection, EncodeError, Error, Message, Outbox, Role};
use bytes::{Buf as _, BufMut as _, BytesMut};
use core::fmt;
use std::io;

/// [`Connection`] as a `Decoder` and an `Encoder<Message>`.
///
/// A decoder cannot write. The pong and the close that the protocol owes go out in front of the
/// next message that is encoded; `framed.send(Replies)` sends them alone, and should follow each
/// ping and close that comes in, and an error. With [`tokio::WebSocket`](crate::tokio::WebSocket)
/// there is nothing to remember.
///
/// ```
/// use bytes::BytesMut;
/// use tidewire_ws::codec::{Codec, Replies};
/// use tidewire_ws::{Connection, Limits, Message, Role};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = Codec::server(Connection::new(Role::Server, Limits::DEFAULT));
/// let mut input = BytesMut::from(&b"\x89\x80\0\0\0\0\x81\x82\0\0\0\0Hi"[..]);
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Message::Ping(Default::default())));
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Message::Text("Hi".into())));
/// let mut out = BytesMut::new();
/// codec.encode(Message::Text("Ho".into()), &mut out).unwrap();
/// assert_eq!(&out[..], b"\x8a\x00\x81\x02Ho");
/// ```
pub struct Codec {
    connection: Connection,
    keys: Option<KeySource>,
    outbox: Outbox,
}

type KeySource = alloc::boxed::Box<dyn FnMut() -> [u8; 4] + Send>;

/// Sends nothing but the replies that are owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replies;

/// Why a [`Codec`] stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// The stream failed.
    Io(io::Error),
    /// The peer broke the protocol or a limit. Send [`Replies`] to tell it so.
    Decode(Error),
    /// The message cannot be sent.
    Encode(EncodeError),
}

impl Codec {
    /// For a server's connection.
    pub fn server(connection: Connection) -> Self {
        debug_assert!(connection.role() == Role::Server);
        Self { connection, keys: None, outbox: Outbox::new() }
    }

    /// For a client's connection; `keys` gives four fresh bytes of a cryptographic random source
    /// for each frame.
    pub fn client(connection: Connection, keys: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        debug_assert!(connection.role() == Role::Client);
        Self { connection, keys: Some(alloc::boxed::Box::new(keys)), outbox: Outbox::new() }
    }

    /// The protocol's state.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    fn put_replies(&mut self) {
        let keys = &mut self.keys;
        self.connection.take_output_masked(|| keys.as_mut().map_or([0; 4], |key| key()), self.outbox.tail());
    }

    fn put_out(&mut self, out: &mut BytesMut) {
        out.put(&mut self.outbox);
    }
}

impl tokio_util::codec::Decoder for Codec {
    type Item = Message;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        let (n, message) = self.connection.decode_owned(input).map_err(CodecError::Decode)?;
        input.advance(n);
        Ok(message)
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        match self.decode(input)? {
            Some(message) => Ok(Some(message)),
            None => {
                self.connection.finish().map_err(CodecError::Decode)?;
                input.clear();
                Ok(None)
            }
        }
    }
}

impl tokio_util::codec::Encoder<Message> for Codec {
    type Error = CodecError;

    fn encode(&mut self, message: Message, out: &mut BytesMut) -> Result<(), CodecError> {
        self.put_replies();
        let masking_key = self.keys.as_mut().map_or([0; 4], |key| key());
        let sent = self.connection.send(message, masking_key, &mut self.outbox);
        self.put_out(out);
        sent.map_err(CodecError::Encode)
    }
}

impl tokio_util::codec::Encoder<Replies> for Codec {
    type Error = CodecError;

    fn encode(&mut self, Replies: Replies, out: &mut BytesMut) -> Result<(), CodecError> {
        self.put_replies();
        self.put_out(out);
        Ok(())
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Decode(e) => e.fmt(f),
            Self::Encode(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Decode(e) => Some(e),
            Self::Encode(e) => Some(e),
        }
    }
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
