//! What receiving yields, and what sending asks of the caller.

use crate::head::{RequestHead, ResponseHead};

/// A part of a received message.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The head of a request. Only a [`Server`](crate::Server) gets it.
    Request(RequestHead<'a>),
    /// The head of a response, also of an interim response. Only a [`Client`](crate::Client) gets
    /// it.
    Response(ResponseHead<'a>),
    /// Content without its framing: at least one byte. It is the last part of the consumed bytes.
    Data(&'a [u8]),
    /// A trailer field, after the content. Do not merge it into the fields of the head
    /// (RFC 9110 §6.5.1).
    Trailer {
        /// The name as received: a token.
        name: &'a [u8],
        /// The value without the whitespace around it.
        value: &'a [u8],
    },
    /// The message is complete. It follows every message, also one without a body, so that one
    /// loop reads all messages. No end follows an interim response, or a head that switches
    /// protocols.
    ///
    /// You need not wait for the end of a message without a body. If
    /// [`body().is_empty()`](crate::BodyLength::is_empty) for a head, the message is complete with
    /// it: a server can answer at once, and
    /// [`next_exchange`](crate::Connection::next_exchange) skips the end.
    End,
}

/// What the caller does with content, after
/// [`send_data_head`](crate::Connection::send_data_head) has written the framing before it.
///
/// ```
/// use tidewire_http1::{BodyLength, Connection, ContentAction, Limits, Response, Server};
///
/// let (mut server, mut out) = (Connection::<Server>::answering_get(Limits::DEFAULT), Vec::new());
/// server.send_head(&Response::new(200), BodyLength::Chunked, &mut out)?;
/// let content = b"not copied";
/// if let ContentAction::SendThen(tail) = server.send_data_head(content.len() as u64, &mut out)? {
///     // One vectored write sends these three.
///     assert!(out.ends_with(b"\r\n\r\na\r\n"));
///     let slices = [out.as_slice(), content, tail];
///     assert_eq!(slices[2], b"\r\n");
/// }
/// # Ok::<(), tidewire_http1::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentAction {
    /// Send the content, and then these bytes: the CR LF of a chunk, or nothing.
    SendThen(&'static [u8]),
    /// Do not send the content: this message has no body.
    Omit,
}
