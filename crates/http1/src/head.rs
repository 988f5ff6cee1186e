//! Borrowed views of a parsed head.

use crate::error::Error;
use crate::fields::{FieldIter, Fields};
use crate::forward;
use crate::framing::{Message, decide_body};
use crate::limits::Limits;
use crate::message::{BodyLength, Method, TargetForm, Version};
use crate::parse::{self, HeadParser};
use crate::start_line::StartLine;
use crate::target;
use alloc::borrow::Cow;
use core::fmt;

/// The head of a request: the request line and its fields. A view of two pointers and a length.
///
/// ```
/// use tidewire_http1::{BodyLength, Fields, Limits, Method, RequestHead};
///
/// let buffer = b"POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n\r\nhello";
/// let mut fields = Fields::new();
/// let parsed = RequestHead::parse(buffer, &Limits::DEFAULT, &mut fields)?;
/// let Some((length, head)) = parsed else { panic!("read more bytes") };
/// assert_eq!((head.method(), head.path_and_query()), (Method::Post, b"/a?b=c".into()));
/// assert_eq!((head.content_length(), head.body()), (Some(5), BodyLength::Length(5)));
/// assert!(head.keep_alive());
/// assert_eq!(head.get("HOST"), Some(b"example.org".as_slice()));
/// assert_eq!(&buffer[length..], b"hello");
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    bytes: &'a [u8],
    table: &'a Fields,
}

/// The head of a response: the status line and its fields.
///
/// ```
/// use tidewire_http1::{BodyLength, Fields, Limits, Method, ResponseHead};
///
/// let buffer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
/// let (limits, mut fields) = (Limits::DEFAULT, Fields::new());
/// let parsed = ResponseHead::parse(buffer, Method::Get, &limits, &mut fields)?;
/// let Some((length, head)) = parsed else { panic!("read more bytes") };
/// assert_eq!((head.status(), head.reason(), length), (200, b"OK".as_slice(), buffer.len()));
/// assert_eq!((head.body(), head.keep_alive()), (BodyLength::Length(5), false));
///
/// // The same bytes after a HEAD: no content follows.
/// let (_, head) = ResponseHead::parse(buffer, Method::Head, &limits, &mut fields)?.unwrap();
/// assert_eq!((head.body(), head.content_length()), (BodyLength::Empty, Some(5)));
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    bytes: &'a [u8],
    table: &'a Fields,
}

/// What both heads have.
macro_rules! common {
    ($head:ident) => {
        impl<'a> $head<'a> {
            pub(crate) const fn new(bytes: &'a [u8], table: &'a Fields) -> Self {
                Self { bytes, table }
            }

            /// Returns the head as received, from its start line to the end of its empty line.
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.bytes
            }

            /// Returns the version in the start line.
            #[must_use]
            pub const fn version(&self) -> Version {
                self.table.info.version
            }

            /// Returns all fields in their order: names as received, values without the whitespace
            /// around them.
            #[must_use]
            pub fn fields(&self) -> FieldIter<'a> {
                FieldIter::new(self.bytes, self.table.spans())
            }

            /// Returns the value of the first field of this name. Case does not matter. The time is
            /// linear in the number of fields.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&'a [u8]> {
                self.table
                    .spans()
                    .iter()
                    .find(|span| span.name(self.bytes).eq_ignore_ascii_case(name.as_bytes()))
                    .map(|span| span.value(self.bytes))
            }

            /// Returns the values of all fields of this name, in their order.
            pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
                self.fields().filter_map(move |(n, v)| n.eq_ignore_ascii_case(name.as_bytes()).then_some(v))
            }

            /// Returns the fields that a proxy or gateway passes on (RFC 9110 §7.6.1), as
            /// [`FieldBlock::from_pairs`](crate::FieldBlock::from_pairs) takes them.
            ///
            /// Left out are the fields about this connection: `Connection` and all fields that it
            /// names, `Keep-Alive`, `Proxy-Connection`, `TE`, `Transfer-Encoding` and `Upgrade`.
            /// Left out are also `Host` and `Content-Length`, which the next connection writes. The
            /// time for each field is linear in the length of `Connection`.
            pub fn forwarded_fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
                forward::forwarded_fields(self.bytes, self.table)
            }

            /// Returns the value of `Content-Length`, if the head has this field. In a response to
            /// HEAD and in a 304 no content follows, and the value describes another response. So
            /// use [`body`](Self::body) to read the message.
            #[must_use]
            pub const fn content_length(&self) -> Option<u64> {
                self.table.info.known.length()
            }

            /// Returns how the body that follows is delimited, by the rules of RFC 9112 §6.3.
            #[must_use]
            pub const fn body(&self) -> BodyLength {
                self.table.info.body()
            }

            /// Returns whether the sender keeps the connection open after this message (RFC 9112
            /// §9.3).
            #[must_use]
            pub fn keep_alive(&self) -> bool {
                self.table.info.keep_alive()
            }

            /// Returns the first `Upgrade` value that names a protocol, if the message is HTTP/1.1
            /// and has `Connection: Upgrade` (RFC 9110 §7.8).
            ///
            /// A request with a body (also an empty chunked one) cannot switch protocols: check
            /// [`body`](Self::body). Serve it without the upgrade, or answer 400; the connection
            /// refuses to send a 101. `Content-Length: 0` is not a body.
            #[must_use]
            pub fn upgrade(&self) -> Option<&'a [u8]> {
                self.table
                    .info
                    .known
                    .upgrade(self.table.info.version)
                    .map(|(start, end)| self.slice(start, end))
            }

            #[cfg(feature = "bytes")]
            pub(crate) const fn table(&self) -> &'a Fields {
                self.table
            }

            fn slice(&self, start: u16, end: u16) -> &'a [u8] {
                self.bytes.get(usize::from(start)..usize::from(end)).unwrap_or_default()
            }
        }
    };
}

common!(RequestHead);
common!(ResponseHead);

impl<'a> RequestHead<'a> {
    /// Parses one head at the start of `input`, without a [`Connection`](crate::Connection).
    /// `Ok(Some((length, head)))`, or `Ok(None)` if the head is not complete.
    ///
    /// It does not skip an empty line before the head. After `Ok(None)` the next call scans the
    /// head from its start again. Where a head may come in many pieces, use a connection.
    ///
    /// # Errors
    /// The same as those of a connection. Offsets count from the start of `input`. A declared
    /// length over [`Limits::max_body`], by default 1 MiB, is an error too. Raise the limit if the
    /// body does not matter to you.
    #[inline]
    pub fn parse(
        input: &'a [u8],
        limits: &Limits,
        fields: &'a mut Fields,
    ) -> Result<Option<(usize, Self)>, Error> {
        let read = match parse::parse_whole(StartLine::Request, input, limits, fields) {
            Some(read) => read.map(Some),
            None => HeadParser::new().parse_pieces(StartLine::Request, input, limits, fields),
        };
        match read {
            Ok(Some(length)) => Ok(Some((length, Self::new(&input[..length], fields)))),
            Ok(None) => Ok(None),
            Err((kind, at)) => Err(Error::new(kind, at as u64)),
        }
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        self.table.info.method(self.bytes)
    }

    /// Returns the request target as received: visible ASCII, at least one byte.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        self.slice(self.table.info.start, self.table.info.end)
    }

    /// Returns the form of the target. The method allows this form; that was checked.
    #[must_use]
    pub const fn target_form(&self) -> TargetForm {
        self.table.info.form
    }

    /// Returns the path of a target in origin or absolute form; at least `/` in absolute form. `*`
    /// for the asterisk form, empty for the authority form. Percent-encoding is not decoded: decode
    /// once, after splitting.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        target::split_path(self.table.info.form, self.target()).0
    }

    /// Returns the part of the target after the first `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        target::split_path(self.table.info.form, self.target()).1
    }

    /// Returns [`path`](Self::path), `?` and [`query`](Self::query) in one piece: what a request to
    /// the origin server has as its target. Without a query, it is the path.
    ///
    /// | target | `path_and_query` |
    /// |---|---|
    /// | `/a?b` | `/a?b` |
    /// | `http://h/a?b` | `/a?b` |
    /// | `http://h` | `/` |
    /// | `http://h?b` | `/?b`; only this case copies and allocates |
    /// | `*` | `*` |
    /// | `h:80`, with CONNECT | empty |
    ///
    /// A proxy that forwards `OPTIONS http://h` to the origin server `h` sends `*` instead of `/`
    /// (RFC 9112 §3.2.4).
    #[must_use]
    pub fn path_and_query(&self) -> Cow<'a, [u8]> {
        target::path_and_query(self.table.info.form, self.target())
    }

    /// Returns the host of the request, `host[:port]`: the authority of a target in absolute or
    /// authority form, else the `Host` field. The target's authority has priority (RFC 9112
    /// §3.2.2). `None` only for an HTTP/1.0 request without `Host`.
    #[must_use]
    pub fn host(&self) -> Option<&'a [u8]> {
        match self.table.info.form {
            TargetForm::Absolute => target::authority(self.target()),
            TargetForm::Authority => Some(self.target()),
            TargetForm::Origin | TargetForm::Asterisk => {
                self.table.info.known.host().map(|(start, end)| self.slice(start, end))
            }
        }
    }

    /// Returns whether the client waits for a 100 before it sends the body. Always `false` without
    /// a body and for HTTP/1.0 (RFC 9110 §10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.table.info.expects_continue()
    }
}

impl<'a> ResponseHead<'a> {
    /// Parses one head at the start of `input`, as [`RequestHead::parse`] does. `request` is the
    /// method of the request: whether a body follows depends on it (RFC 9112 §6.3).
    ///
    /// # Errors
    /// The same as those of a connection. Offsets count from the start of `input`. A declared
    /// length over [`Limits::max_body`], by default 1 MiB, is an error too. Raise the limit for
    /// downloads.
    pub fn parse(
        input: &'a [u8],
        request: Method<'_>,
        limits: &Limits,
        fields: &'a mut Fields,
    ) -> Result<Option<(usize, Self)>, Error> {
        let mut parser = HeadParser::new();
        let read = parser.parse(StartLine::Status, input, limits, fields).and_then(|length| {
            let status = fields.info.status;
            let tunnel = request == Method::Connect && matches!(status, 200..=299);
            let message = Message::Response { status, bodiless: request == Method::Head || tunnel };
            length.map(|length| decide_body(&mut fields.info, message, limits).map(|()| length)).transpose()
        });
        match read {
            Ok(Some(length)) => Ok(Some((length, Self::new(&input[..length], fields)))),
            Ok(None) => Ok(None),
            Err((kind, at)) => Err(Error::new(kind, at as u64)),
        }
    }

    /// Returns the status code, 100 to 999. Treat a code over 599 as a 5xx (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.table.info.status
    }

    /// Returns the reason phrase as received. It is for people, and often empty.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        self.slice(self.table.info.start, self.table.info.end)
    }

    /// Returns the body with which a proxy or gateway passes this response on: the argument of
    /// [`send_head`](crate::Connection::send_head) for the same request method.
    ///
    /// It is [`body`](Self::body), with two differences. Content until close gets chunks, so that
    /// its recipient sees where it ends. And where no content follows (HEAD, 304), the head still
    /// tells the length or coding that this one tells.
    #[must_use]
    pub fn forwarded_body(&self) -> BodyLength {
        let known = &self.table.info.known;
        match (self.status(), self.body(), known.length()) {
            // RFC 9110 §15.3.6: a 205 has no content, however its head says so
            (100..=199 | 204 | 205, ..) => BodyLength::Empty,
            (_, BodyLength::UntilClose, _) => BodyLength::Chunked,
            (_, BodyLength::Empty, Some(length)) => BodyLength::Length(length),
            (304, BodyLength::Empty, None) => BodyLength::Empty,
            (_, BodyLength::Empty, None) if known.chunked() => BodyLength::Chunked,
            // A response to HEAD that tells nothing: a body until close has no field.
            (_, BodyLength::Empty, None) => BodyLength::UntilClose,
            (_, body, _) => body,
        }
    }

    /// Returns whether this is an interim response: a 1xx other than 101. Another head follows it.
    /// After a 101, another protocol follows.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        matches!(self.table.info.status, 100 | 102..=199)
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.method(), self.target().escape_ascii(), self.version())?;
        self.fields().fmt(f)
    }
}

impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.version(), self.status(), self.reason().escape_ascii())?;
        self.fields().fmt(f)
    }
}
