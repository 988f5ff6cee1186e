//! Errors: what is wrong, at which byte, and which status answers it.

use core::fmt;

/// A refusal of what the peer sent. It is final: every later call returns the same error.
///
/// A server still sends an answer, with the status of [`status_hint`](Error::status_hint). Then it
/// closes the connection, because it cannot know where the next message starts.
///
/// ```
/// use tidewire_http1::{ErrorKind, Fields, Limit, Limits, RequestHead, Rule, Syntax};
///
/// let error = |input: &[u8]| RequestHead::parse(input, &Limits::DEFAULT, &mut Fields::new()).unwrap_err();
/// let spaced = error(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n");
/// assert_eq!(spaced.kind(), ErrorKind::Syntax(Syntax::SpaceBeforeColon));
/// assert_eq!(spaced.to_string(), "whitespace before the colon of a field at byte 20");
/// assert_eq!(error(b"GET / HTTP/1.1\r\n\r\n").kind(), ErrorKind::Rule(Rule::HostMissing));
/// let large = error(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n");
/// assert_eq!((large.kind(), large.status_hint()), (ErrorKind::Limit(Limit::Body), 413));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: u64,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the position of the first byte that cannot be accepted. It is counted from the
    /// first byte of the *connection*.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the status that a server answers with. A client that acts as a gateway answers 502
    /// instead.
    #[must_use]
    pub const fn status_hint(&self) -> u16 {
        match self.kind {
            ErrorKind::Syntax(_) => 400,
            ErrorKind::Rule(rule) => match rule {
                Rule::VersionNotSupported => 505,
                Rule::CodingUnknown => 501,
                Rule::Expectation => 417,
                _ => 400,
            },
            ErrorKind::Limit(limit) => match limit {
                Limit::Method => 501,
                Limit::Target => 414,
                Limit::Head | Limit::Fields => 431,
                Limit::Body => 413,
                Limit::InterimResponses => 400,
            },
        }
    }
}

/// What is wrong with a head, and at which byte of the head.
pub(crate) type Fault = (ErrorKind, usize);

/// The kinds of [`Error`], in three groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes do not follow the grammar.
    Syntax(Syntax),
    /// The bytes follow the grammar but break a rule about their meaning.
    Rule(Rule),
    /// A limit of [`Limits`](crate::Limits) is exceeded.
    Limit(Limit),
}

/// How the bytes broke the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syntax {
    /// The method is not a token, or is not followed by a single space.
    Method,
    /// The request target is empty, contains a byte that is not allowed in a target, or is not
    /// followed by a single space.
    Target,
    /// The version is not `HTTP/`, a digit, a dot and a digit, or more bytes follow it.
    Version,
    /// The status code is not three digits of at least 100 between single spaces.
    StatusCode,
    /// CR without LF, or LF without CR (RFC 9112 §2.2).
    LineEnd,
    /// A field line has no name, its name is not a token, or no colon follows the name.
    FieldName,
    /// Whitespace between a field name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A line starts with whitespace: obsolete line folding (RFC 9112 §5.2), or whitespace before
    /// the first field line (§2.2).
    FoldedLine,
    /// A control byte in a field value or a reason phrase (RFC 9110 §5.5).
    ControlByte,
    /// The chunked coding is malformed.
    Chunked(tidewire_chunked::ErrorKind),
    /// The input ended within a message.
    UnexpectedEnd,
}

/// Which rule the message broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// The version is neither HTTP/1.1 nor HTTP/1.0.
    VersionNotSupported,
    /// The method does not allow this form of request target, or the authority of the target is
    /// invalid (RFC 9112 §3.2).
    TargetForm,
    /// An HTTP/1.1 request without `Host` (RFC 9112 §3.2).
    HostMissing,
    /// A second `Host` field line.
    HostRepeated,
    /// The value of `Host` is not `uri-host [ ":" port ]`.
    HostInvalid,
    /// `Content-Length` is not `1*DIGIT`, or does not fit into 64 bits.
    LengthInvalid,
    /// A second `Content-Length` field line, even one with the same value.
    LengthRepeated,
    /// A second `Transfer-Encoding` field line.
    CodingRepeated,
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    CodingUnknown,
    /// `Transfer-Encoding` is not a list of transfer codings, or it contains `chunked` more than
    /// once or not as the last coding (RFC 9112 §6.3).
    CodingInvalid,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 §6.1).
    CodingInHttp10,
    /// Both `Content-Length` and `Transfer-Encoding` in one message (RFC 9112 §6.3).
    LengthAndCoding,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// A 101 to a request that did not offer an upgrade (RFC 9110 §15.2.2), or a switch of
    /// protocols before the end of the request, or after a request with a body.
    UnexpectedUpgrade,
    /// Bytes from a server that answer no request: before any request was sent (RFC 9112 §9.2), or,
    /// for an [`Observer`](crate::Observer), after the last one was answered.
    UnexpectedResponse,
}

/// Which limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::max_method`](crate::Limits::max_method).
    Method,
    /// [`Limits::max_target`](crate::Limits::max_target).
    Target,
    /// [`Limits::max_head`](crate::Limits::max_head).
    Head,
    /// [`Limits::max_fields`](crate::Limits::max_fields).
    Fields,
    /// [`Limits::max_body`](crate::Limits::max_body).
    Body,
    /// [`Limits::max_interim_responses`](crate::Limits::max_interim_responses).
    InterimResponses,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax(kind) => match kind {
                Syntax::Method => "malformed method",
                Syntax::Target => "malformed request target",
                Syntax::Version => "malformed HTTP version",
                Syntax::StatusCode => "malformed status code",
                Syntax::LineEnd => "a line that does not end in CR LF",
                Syntax::FieldName => "malformed field name",
                Syntax::SpaceBeforeColon => "whitespace before the colon of a field",
                Syntax::FoldedLine => "a field line that starts with whitespace",
                Syntax::ControlByte => "a control byte in a field value",
                Syntax::Chunked(kind) => return write!(f, "chunked coding: {kind}"),
                Syntax::UnexpectedEnd => "the input ended within a message",
            },
            Self::Rule(kind) => match kind {
                Rule::VersionNotSupported => "an HTTP version other than 1.0 and 1.1",
                Rule::TargetForm => "a request target in the wrong form for the method",
                Rule::HostMissing => "an HTTP/1.1 request without Host",
                Rule::HostRepeated => "more than one Host",
                Rule::HostInvalid => "malformed Host",
                Rule::LengthInvalid => "malformed Content-Length",
                Rule::LengthRepeated => "more than one Content-Length",
                Rule::CodingRepeated => "more than one Transfer-Encoding",
                Rule::CodingUnknown => "a transfer coding other than chunked",
                Rule::CodingInvalid => "malformed Transfer-Encoding",
                Rule::CodingInHttp10 => "Transfer-Encoding in an HTTP/1.0 message",
                Rule::LengthAndCoding => "Content-Length and Transfer-Encoding in one message",
                Rule::Expectation => "an expectation other than 100-continue",
                Rule::UnexpectedUpgrade => "a switch of protocols that the request does not allow",
                Rule::UnexpectedResponse => "a response to no request",
            },
            Self::Limit(kind) => match kind {
                Limit::Method => "a method over the limit (max_method)",
                Limit::Target => "a request target over the limit (max_target)",
                Limit::Head => "a head over the limit (max_head)",
                Limit::Fields => "more fields than the limit (max_fields)",
                Limit::Body => "a body over the limit (max_body)",
                Limit::InterimResponses => "more interim responses than the limit (max_interim_responses)",
            },
        })
    }
}

impl core::error::Error for Error {}

/// Why a message, or a part of one, cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// A response, but no request waits for one. Decode a request first.
    NoRequest,
    /// The head of this message was sent already. End the message, and begin the next one after
    /// [`next_exchange`](crate::Connection::next_exchange).
    HeadAlreadySent,
    /// Content or an end, but no head was sent, or its body was ended before.
    BodyNotDue,
    /// An interim response to an HTTP/1.0 client, which does not know them (RFC 9110 §15.2).
    InterimToHttp10,
    /// The connection switched to another protocol. Nothing more is sent in HTTP.
    Switched,
    /// The bytes of the peer were refused: see [`error`](crate::Connection::error). A client sends
    /// no more requests. A server still sends the final response, but no interim one.
    Failed,
    /// The status is not in 100..=999, an interim status was given for a final response, or a
    /// final status for an interim response.
    Status,
    /// The reason phrase contains a control byte. The offset is the byte's index in the phrase.
    ReasonPhrase,
    /// The method is not a token. The offset is an index in the method.
    Method,
    /// The target is empty, contains a byte that is not allowed in a target, or has a form that
    /// the method does not allow. The offset is an index in the target.
    Target,
    /// The host is not `uri-host [ ":" port ]`; the offset is an index in the host. Or it differs
    /// from the authority of the target; the offset is 0.
    Host,
    /// A field name is not a token. The offset is an index in the name.
    FieldName,
    /// A field value contains CR, LF, NUL or another control byte, or starts or ends with
    /// whitespace, or an option of `Connection` is not a token. The offset is an index in the
    /// value.
    FieldValue,
    /// The connection itself writes `Content-Length`, `Transfer-Encoding` and `Host`.
    ReservedField,
    /// The field is not allowed in trailers (RFC 9110 §6.5.1).
    ForbiddenTrailer,
    /// This message cannot have this body: a 204 with content, a request until close, or an
    /// upgrade with content.
    Body,
    /// More content than the declared length. The offset is the index of the first byte beyond it
    /// in the content given.
    BodyTooLong,
    /// The body ended before the declared length.
    BodyTooShort,
    /// A 101, or a 2xx to CONNECT, but the request did not ask for it or had a body
    /// (RFC 9110 §7.8).
    Upgrade,
    /// A [`PreparedResponse`](crate::PreparedResponse) with `Connection: close`.
    Close,
}

/// The caller asked to send something that cannot be sent. Nothing was written, and the state of
/// the connection is unchanged.
///
/// ```
/// use tidewire_http1::{BodyLength, Client, Connection, EncodeErrorKind, Limits, Request};
///
/// let (mut client, mut out) = (Connection::<Client>::new(Limits::DEFAULT), Vec::new());
/// let request = Request::new("GET", "/a b", "example.org");
/// let error = client.send_request(&request, BodyLength::Empty, &mut out).unwrap_err();
/// assert_eq!((error.kind(), error.offset()), (EncodeErrorKind::Target, 2)); // the space
/// assert!(out.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    kind: EncodeErrorKind,
    offset: usize,
}

impl EncodeError {
    // Hidden: only `tidewire-client` and `tidewire-ws` use it, to refuse the fields that they write
    // themselves with the same error.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(kind: EncodeErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// An error of a kind that names no position.
    pub(crate) const fn from_kind(kind: EncodeErrorKind) -> Self {
        Self::new(kind, 0)
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// Returns the index of the first refused byte in the value that was given. The kind says in
    /// which value; 0 if the kind names no position.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        f.write_str(match self.kind {
            EncodeErrorKind::NoRequest => "no request waits for a response: decode a request first",
            EncodeErrorKind::HeadAlreadySent => {
                "the head of this message was sent already: end the message, then call next_exchange"
            }
            EncodeErrorKind::BodyNotDue => "no body is due: send a head first, and nothing after the end",
            EncodeErrorKind::InterimToHttp10 => "an HTTP/1.0 client does not know interim responses",
            EncodeErrorKind::Switched => "the connection uses another protocol now",
            EncodeErrorKind::Failed => "the connection has failed: only a final response can be sent",
            EncodeErrorKind::Status => {
                "this status cannot be sent here: send_head takes 101 and 200 to 999, send_interim 102 to 199"
            }
            EncodeErrorKind::ReasonPhrase => {
                return write!(f, "a control byte in the reason phrase at byte {at}");
            }
            EncodeErrorKind::Method => {
                return write!(f, "the method is not a token: it is empty, or its byte {at} is not allowed");
            }
            EncodeErrorKind::Target => return write!(f, "the request target is invalid at byte {at}"),
            EncodeErrorKind::Host => return write!(f, "the host is invalid at byte {at}"),
            EncodeErrorKind::FieldName => {
                return write!(
                    f,
                    "the field name is not a token: it is empty, or its byte {at} is not allowed"
                );
            }
            EncodeErrorKind::FieldValue => {
                return write!(f, "the field value cannot be sent: its byte {at} is not allowed there");
            }
            EncodeErrorKind::ReservedField => "the connection writes this field itself",
            EncodeErrorKind::ForbiddenTrailer => "this field is not allowed in trailers",
            EncodeErrorKind::Body => {
                "this message cannot have this body: 204, 205, TRACE and a switch have none, and no request \
                 has one until close"
            }
            EncodeErrorKind::BodyTooLong => "more content than the declared length",
            EncodeErrorKind::BodyTooShort => "less content than the declared length",
            EncodeErrorKind::Upgrade => {
                "no switch of protocols here: the request must ask for it and have no body, and a 101 needs \
                 an Upgrade field"
            }
            EncodeErrorKind::Close => "a prepared response cannot close the connection",
        })
    }
}

impl core::error::Error for EncodeError {}
