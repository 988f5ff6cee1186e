//! Views of a head: its bytes, its spans and what they say, borrowed.

use crate::error::Error;
use crate::fields::{FieldIter, Fields};
use crate::framing::{Message, frame};
use crate::limits::Limits;
use crate::message::{BodyLength, Method, TargetForm, Version};
use crate::parse::{self, HeadParser};
use crate::start_line::StartLine;
use crate::target;
use core::fmt;

/// The head of a request: the request line and its fields. `Copy`: a view, of three words.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    bytes: &'a [u8],
    table: &'a Fields,
}

/// The head of a response: the status line and its fields.
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

            /// The head as it came, from the first byte of its first line to the end of its empty line.
            #[must_use]
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.bytes
            }

            /// The version in the first line.
            #[must_use]
            pub const fn version(&self) -> Version {
                self.table.info.version
            }

            /// All fields in their order: names as they came, values without the whitespace around them.
            #[must_use]
            pub fn fields(&self) -> FieldIter<'a> {
                FieldIter::new(self.bytes, self.table.spans())
            }

            /// The value of the first field of that name; names have no case.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&'a [u8]> {
                self.table
                    .spans()
                    .iter()
                    .find(|span| span.name(self.bytes).eq_ignore_ascii_case(name.as_bytes()))
                    .map(|span| span.value(self.bytes))
            }

            /// The values of all fields of that name, in their order.
            pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
                self.fields().filter_map(move |(n, v)| n.eq_ignore_ascii_case(name.as_bytes()).then_some(v))
            }

            /// How the body that follows is delimited: RFC 9112 §6.3 was applied already.
            #[must_use]
            pub const fn body(&self) -> BodyLength {
                self.table.info.body()
            }

            /// Does the sender mean the connection to outlive this message (RFC 9112 §9.3)?
            #[must_use]
            pub fn keep_alive(&self) -> bool {
                self.table.info.keep_alive()
            }

            /// The first `Upgrade` value that names a protocol, if `Connection: Upgrade` vouches for it and the version is 1.1 (RFC 9110 §7.8).
            ///
            /// A request that has a body as well, or chunks, is no candidate for switching: [`body`](Self::body) tells. A length of 0 is no
            /// body. Serve it as if nothing
            /// had been offered, or refuse it with 400; the connection will not let a 101 out.
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
    /// Parses one head at the start of `input`, without a [`Connection`](crate::Connection): `Ok(Some((length, head)))`, or
    /// `Ok(None)` if it is not complete. No empty line is skipped before it, and it does not remember how far it looked: where a
    /// head may come in many pieces, use a connection.
    ///
    /// # Errors
    /// As a connection's; offsets count from the start of `input`.
    #[inline]
    pub fn parse(
        input: &'a [u8],
        limits: &Limits,
        fields: &'a mut Fields,
    ) -> Result<Option<(usize, Self)>, Error> {
        let read = match parse::at_once(StartLine::Request, input, limits, fields) {
            Some(read) => read.map(Some),
            None => HeadParser::new().read_on(StartLine::Request, input, limits, fields),
        };
        match read {
            Ok(Some(length)) => Ok(Some((length, Self::new(&input[..length], fields)))),
            Ok(None) => Ok(None),
            Err((kind, at)) => Err(Error::new(kind, at as u64)),
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method<'a> {
        self.table.info.method(self.bytes)
    }

    /// The request target as it came: visible ASCII, at least one byte.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        self.slice(self.table.info.start, self.table.info.end)
    }

    /// Which of the four forms the target has. It goes with the method, which was checked.
    #[must_use]
    pub const fn target_form(&self) -> TargetForm {
        self.table.info.form
    }

    /// The path: of an origin-form target, or of one in absolute form (then at least `/`). `*` for the asterisk form, empty for the
    /// authority form. Percent-encoding is left as it is: decode once, and after splitting.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        target::path_and_query(self.table.info.form, self.target()).0
    }

    /// What follows the first `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        target::path_and_query(self.table.info.form, self.target()).1
    }

    /// Whom the request is for, `host[:port]`: the authority of a target in absolute or authority form, else the `Host` field (RFC 9112
    /// §3.2.2: a target's authority wins). `None` only for an HTTP/1.0 request without `Host`.
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

    /// Does the client wait for a 100 before it sends the body? Never true without a body, nor for HTTP/1.0 (RFC 9110 §10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.table.info.expects_continue()
    }
}

impl<'a> ResponseHead<'a> {
    /// Parses one head at the start of `input`, without a [`Connection`](crate::Connection), as [`RequestHead::parse`] does. `request` is the method that it
    /// answers: whether a body follows depends on that (RFC 9112 §6.3).
    ///
    /// # Errors
    /// As a connection's; offsets count from the start of `input`.
    pub fn parse(
        input: &'a [u8],
        request: Method<'_>,
        limits: &Limits,
        fields: &'a mut Fields,
    ) -> Result<Option<(usize, Self)>, Error> {
        let mut scan = HeadParser::new();
        let read = scan.read(StartLine::Status, input, limits, fields).and_then(|length| {
            let status = fields.info.status;
            let tunnel = request == Method::Connect && matches!(status, 200..=299);
            let message = Message::Response { status, bodiless: request == Method::Head || tunnel };
            length.map(|length| frame(&mut fields.info, message, limits).map(|()| length)).transpose()
        });
        match read {
            Ok(Some(length)) => Ok(Some((length, Self::new(&input[..length], fields)))),
            Ok(None) => Ok(None),
            Err((kind, at)) => Err(Error::new(kind, at as u64)),
        }
    }

    /// The status code, 100 to 999. Treat one over 599 as a 5xx (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.table.info.status
    }

    /// The reason phrase: for people to read, and often empty. Not trimmed.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        self.slice(self.table.info.start, self.table.info.end)
    }

    /// Is this an interim response (1xx), after which another head comes? A 101 is none: after it comes another protocol.
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
