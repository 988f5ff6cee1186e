//! What went wrong, at which byte, and what to answer.

use core::fmt;

/// The peer's bytes cannot be accepted. Final: the connection returns this same error from then on.
///
/// A server still answers: [`status_hint`](Error::status_hint) says with what, and it then closes, because where the next
/// message would start is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: u64,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The first byte that cannot be accepted, counted from the first byte of the *connection*.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The status that a server answers with. A client that acts as a gateway answers 502 instead.
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
                Limit::Informational => 400,
            },
        }
    }

    /// Must the connection close after the answer? Always true in this version: every error leaves the place where the
    /// next message would begin in doubt, or the peer in doubt about us. Ask, rather than know.
    #[must_use]
    pub const fn must_close(&self) -> bool {
        true
    }
}

/// What is wrong with a head, and at which byte of it.
pub(crate) type Fault = (ErrorKind, usize);

/// Kinds of [`Error`], in three groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes do not follow the grammar.
    Syntax(Syntax),
    /// The grammar was kept and a rule about its meaning broken.
    Rule(Rule),
    /// A limit of [`Limits`](crate::Limits) was passed.
    Limit(Limit),
}

/// Broke the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syntax {
    /// The method is no token, or no single space follows it.
    Method,
    /// The request target is empty, holds a byte that none can hold, or no single space follows it.
    Target,
    /// The version is not `HTTP/`, a digit, a dot, a digit, or something follows it.
    Version,
    /// The status code is not three digits of at least 100 between single spaces.
    StatusCode,
    /// CR without LF, or LF without CR (RFC 9112 §2.2).
    LineEnd,
    /// A field line has no name, or its name is no token, or no colon follows.
    FieldName,
    /// Whitespace between a field's name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A line starts with whitespace: obsolete line folding (RFC 9112 §5.2), or space before the first field (§2.2).
    FoldedLine,
    /// A control byte in a field value or a reason phrase (RFC 9110 §5.5).
    ControlByte,
    /// The chunked coding is broken.
    Chunked(tidewire_chunked::ErrorKind),
    /// The input ended within a message.
    Truncated,
}

/// Broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Not HTTP/1.1 or HTTP/1.0.
    VersionNotSupported,
    /// The form of the target does not go with the method, or its authority is invalid (RFC 9112 §3.2).
    TargetForm,
    /// An HTTP/1.1 request without `Host` (RFC 9112 §3.2).
    HostMissing,
    /// A second `Host`.
    HostRepeated,
    /// `Host` is no `uri-host [ ":" port ]`.
    HostInvalid,
    /// `Content-Length` is not `1*DIGIT`, or over 64 bits.
    LengthInvalid,
    /// A second `Content-Length`, even with the same value.
    LengthRepeated,
    /// A second `Transfer-Encoding` line.
    CodingRepeated,
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    CodingUnknown,
    /// `Transfer-Encoding` is no list of codings, or `chunked` is in it and not once and last (RFC 9112 §6.3).
    CodingInvalid,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 §6.1).
    CodingInHttp10,
    /// `Content-Length` and `Transfer-Encoding` in one message (RFC 9112 §6.3).
    LengthAndCoding,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// A 101 to a request that did not ask for it (RFC 9110 §15.2.2), or a switch before the end of the request.
    UnaskedUpgrade,
    /// Bytes from a server before any request was sent (RFC 9112 §9.2).
    UnaskedResponse,
}

/// Over a limit.
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
    /// [`Limits::max_informational`](crate::Limits::max_informational).
    Informational,
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
                Syntax::Truncated => "the input ended within a message",
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
                Rule::UnaskedUpgrade => "a 101 that was not asked for",
                Rule::UnaskedResponse => "a response that was not asked for",
            },
            Self::Limit(kind) => match kind {
                Limit::Method => "method too long",
                Limit::Target => "request target too long",
                Limit::Head => "head too large",
                Limit::Fields => "too many fields",
                Limit::Body => "body too large",
                Limit::Informational => "too many interim responses",
            },
        })
    }
}

impl core::error::Error for Error {}

/// The caller asked for something that cannot be sent. Nothing was written, and the connection is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Not now: no head is due, or no body, or the connection was switched or is closed.
    State,
    /// The status is not within 100..=999, or an interim one was given as final, or the other way round.
    Status,
    /// The reason phrase holds a control byte.
    Reason,
    /// The method is no token.
    Method,
    /// The target is empty, holds a byte that none can hold, or has the wrong form for the method.
    Target,
    /// The host is no `uri-host [ ":" port ]`.
    Host,
    /// A field name is no token.
    FieldName,
    /// A field value holds CR, LF, NUL or another control byte, or starts or ends with whitespace.
    FieldValue,
    /// `Content-Length`, `Transfer-Encoding` and, in requests, `Host` are written by the connection, or may not stand in a trailer.
    FieldReserved,
    /// This message cannot have this body: a 204 with content, a request until close, an upgrade with content.
    Body,
    /// More content than the length that was announced.
    BodyTooLong,
    /// The body was ended before the length that was announced.
    BodyTooShort,
    /// A 101 or a 2xx to CONNECT, and the request did not ask for it or came with a body (RFC 9110 §7.8).
    Upgrade,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::State => "this cannot be sent in this state of the connection",
            Self::Status => "a status that cannot be sent here",
            Self::Reason => "a control byte in the reason phrase",
            Self::Method => "a method that is no token",
            Self::Target => "an invalid request target",
            Self::Host => "an invalid host",
            Self::FieldName => "a field name that is no token",
            Self::FieldValue => "a field value that cannot be sent",
            Self::FieldReserved => "a field that the connection writes itself",
            Self::Body => "a body that this message cannot have",
            Self::BodyTooLong => "more content than announced",
            Self::BodyTooShort => "less content than announced",
            Self::Upgrade => "a switch of protocols that the request does not allow",
        })
    }
}

impl core::error::Error for EncodeError {}
