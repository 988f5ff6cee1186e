//! Heads to send: the parts that the caller decides.

use crate::field_block::FieldBlock;
use crate::status::reason_phrase;

/// The part of a response head that the caller decides.
///
/// ```
/// use tidewire_http1::{BodyLength, Connection, FieldBlock, Limits, Response, Server};
///
/// let date = FieldBlock::from_pairs([("Date", "Tue, 15 Nov 1994 08:12:31 GMT")])?;
/// let fields = FieldBlock::from_pairs([("Location", "/new")])?;
/// let blocks = [&fields];
/// let response = Response::new(301).with_first_fields(&date).with_fields(&blocks);
/// let (mut server, mut out) = (Connection::<Server>::answering_get(Limits::DEFAULT), Vec::new());
/// server.send_head(&response, BodyLength::Empty, &mut out)?;
/// assert_eq!(
///     out,
///     b"HTTP/1.1 301 Moved Permanently\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\
///       Content-Length: 0\r\nLocation: /new\r\n\r\n"
/// );
/// # Ok::<(), tidewire_http1::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) reason: &'a str,
    pub(crate) first: Option<&'a FieldBlock>,
    pub(crate) fields: &'a [&'a FieldBlock],
    /// In seconds; 0 sends no `Keep-Alive` field.
    pub(crate) idle_timeout: u32,
}

impl<'a> Response<'a> {
    /// Returns a response with this status and its registered reason phrase. The phrase is empty
    /// if none is registered.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, reason: reason_phrase(status), first: None, fields: &[], idle_timeout: 0 }
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the response with another reason phrase.
    #[must_use]
    pub const fn with_reason(self, reason: &'a str) -> Self {
        Self { reason, ..self }
    }

    /// Returns the response with these fields, block after block. They follow the fields that the
    /// connection writes.
    #[must_use]
    pub const fn with_fields(self, fields: &'a [&'a FieldBlock]) -> Self {
        Self { fields, ..self }
    }

    /// Returns the response with these fields before those that the connection writes. Their order
    /// has no meaning, but RFC 9110 §5.3 recommends that `Date` comes first.
    #[must_use]
    pub const fn with_first_fields(self, first: &'a FieldBlock) -> Self {
        Self { first: Some(first), ..self }
    }

    /// Returns the response with the number of seconds for which the connection may be idle after
    /// it. If the connection stays open, the head contains it: `Keep-Alive: timeout=75`. With 0,
    /// the default, the head has no such field. Round down: after too long a timeout, a client
    /// could send its next request on a closed connection.
    #[must_use]
    pub const fn with_idle_timeout(self, seconds: u32) -> Self {
        Self { idle_timeout: seconds, ..self }
    }

    /// Returns whether `Connection: close` is among the fields.
    pub(crate) fn closes(&self) -> bool {
        self.first.is_some_and(|block| block.close) || self.fields.iter().any(|block| block.close)
    }

    /// Returns whether `Upgrade` is among the fields.
    pub(crate) fn upgrades(&self) -> bool {
        self.first.is_some_and(|block| block.upgrade) || self.fields.iter().any(|block| block.upgrade)
    }
}

/// The part of a request head that the caller decides. The version is always HTTP/1.1.
///
/// A client that asks before it sends its body:
///
/// ```
/// use tidewire_http1::{BodyLength, Client, Connection, Event, FieldBlock, Fields, Limits, Request};
///
/// let fields = FieldBlock::from_pairs([("Expect", "100-continue")])?;
/// let blocks = [&fields];
/// let request = Request::new("PUT", "/a", "example.org").with_fields(&blocks);
/// let (mut client, mut out) = (Connection::<Client>::new(Limits::DEFAULT), Vec::new());
/// client.send_request(&request, BodyLength::Length(5), &mut out)?;
/// assert!(out.starts_with(b"PUT /a HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n"));
///
/// // The server answers. Do not wait for this for long: old servers do not know it.
/// let mut table = Fields::new();
/// let (_, event) = client.decode(b"HTTP/1.1 100 Continue\r\n\r\n", &mut table)?;
/// if matches!(event, Some(Event::Response(head)) if head.status() == 100) {
///     client.send_data(b"hello", &mut out)?;
///     client.send_end(&mut out)?;
/// }
/// assert!(client.is_sent() && out.ends_with(b"\r\n\r\nhello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a [u8],
    pub(crate) host: &'a [u8],
    pub(crate) fields: &'a [&'a FieldBlock],
}

impl<'a> Request<'a> {
    /// Returns a request. `host` is the value of the `Host` field: the authority of the target URI
    /// without userinfo.
    #[must_use]
    pub fn new(
        method: &'a str,
        target: &'a (impl AsRef<[u8]> + ?Sized),
        host: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self { method, target: target.as_ref(), host: host.as_ref(), fields: &[] }
    }

    /// Returns the request with these fields, block after block.
    #[must_use]
    pub const fn with_fields(self, fields: &'a [&'a FieldBlock]) -> Self {
        Self { fields, ..self }
    }
}
