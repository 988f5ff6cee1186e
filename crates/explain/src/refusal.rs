//! A refusal: where, why, which section says so, and what the recipient does.

use serde::Serialize;
use tidewire_chunked as chunked;
use tidewire_http1::reason_phrase as reason;
use tidewire_http1::{Error, ErrorKind, Limit, Rule, Syntax};
use tidewire_ws as ws;
use tidewire_ws::handshake::client::VerifyError;

use crate::close_code;
use crate::direction::Direction;

/// Why a decoder refused bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The direction of the bytes.
    pub direction: Direction,
    /// The offset of the first byte that cannot be accepted, or the length of the input if it ended
    /// too early.
    pub offset: u64,
    /// 1 for a wrong byte. 0 if a message or the input ends too early. If a limit is exceeded, the
    /// byte at `offset` may not have arrived yet.
    pub len: u64,
    /// The decoder's error kind, such as `Rule(LengthRepeated)`.
    pub kind: String,
    /// The decoder's description of the error.
    pub sentence: String,
    /// What the recipient does: `a server answers 400 Bad Request and closes`.
    pub answer: String,
    /// The status that a server answers with.
    pub status: Option<u16>,
    /// The code that a WebSocket endpoint closes with.
    pub close_code: Option<u16>,
    /// The section with the rule that was broken.
    pub section: &'static str,
}

impl Refusal {
    /// A message that breaks HTTP.
    pub(crate) fn http(direction: Direction, error: Error) -> Self {
        let status = error.status_hint();
        let (answer, status) = match direction {
            Direction::Up => {
                (format!("a server answers {status} {} and closes", reason(status)), Some(status))
            }
            Direction::Down => {
                ("a client stops reading and closes; a gateway answers 502 Bad Gateway".into(), None)
            }
        };
        Self {
            direction,
            offset: error.offset(),
            len: 1,
            kind: format!("{:?}", error.kind()),
            sentence: error.kind().to_string(),
            answer,
            status,
            close_code: None,
            section: http_section(error.kind()),
        }
    }

    /// A chunked body without a head that breaks the chunked coding.
    pub(crate) fn chunked(direction: Direction, error: chunked::Error) -> Self {
        let status = error.status_hint();
        Self {
            direction,
            offset: error.offset(),
            len: 1,
            kind: format!("{:?}", error.kind()),
            sentence: error.kind().to_string(),
            answer: format!("a server answers {status} {} and closes", reason(status)),
            status: Some(status),
            close_code: None,
            section: chunked_section(error.kind()),
        }
    }

    /// An event stream over a limit. `offset` is that of the byte in its direction.
    pub(crate) fn sse(direction: Direction, offset: u64, error: tidewire_sse::Error) -> Self {
        let text = error.to_string();
        let sentence = text.rsplit_once(" at byte").map_or(text.as_str(), |(sentence, _)| sentence);
        Self {
            direction,
            offset,
            len: 1,
            kind: format!("{:?}", error.kind()),
            sentence: sentence.to_owned(),
            answer: "a client closes; it would reconnect with the last id that it has".into(),
            status: None,
            close_code: None,
            section: "a limit of the recipient",
        }
    }

    /// A frame or a message that breaks WebSocket. The error's offset counts from `base`.
    pub(crate) fn ws(direction: Direction, base: u64, error: ws::Error) -> Self {
        let code = error.close_code();
        let on_wire = ws::close::is_valid(code);
        let answer = match direction {
            _ if !on_wire => format!("nothing is sent; an API reports {code}"),
            Direction::Up => format!("a server closes with {code} ({})", close_code::meaning(code)),
            Direction::Down => format!("a client closes with {code} ({})", close_code::meaning(code)),
        };
        Self {
            direction,
            offset: base + error.offset(),
            len: 1,
            kind: format!("{:?}", error.kind()),
            sentence: error.kind().detail().to_owned(),
            answer,
            status: None,
            close_code: Some(code),
            section: ws_section(error.kind()),
        }
    }

    /// A 101 that does not open the requested WebSocket. `offset` is that of the wrong field.
    pub(crate) fn handshake(offset: u64, error: VerifyError) -> Self {
        Self {
            direction: Direction::Down,
            offset,
            len: 1,
            kind: format!("{error:?}"),
            sentence: error.to_string(),
            answer: "a client closes: the WebSocket is not open".into(),
            status: None,
            close_code: None,
            section: "RFC 6455 §4.1",
        }
    }
}

const fn http_section(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Syntax(syntax) => match syntax {
            Syntax::Method => "RFC 9112 §3.1",
            Syntax::Target => "RFC 9112 §3.2",
            Syntax::Version => "RFC 9112 §2.3",
            Syntax::StatusCode => "RFC 9112 §4",
            Syntax::LineEnd => "RFC 9112 §2.2",
            Syntax::FieldName => "RFC 9112 §5",
            Syntax::SpaceBeforeColon => "RFC 9112 §5.1",
            Syntax::FoldedLine => "RFC 9112 §5.2",
            Syntax::ControlByte => "RFC 9110 §5.5",
            Syntax::Chunked(kind) => chunked_section(kind),
            Syntax::UnexpectedEnd => "RFC 9112 §8",
            _ => "RFC 9112",
        },
        ErrorKind::Rule(rule) => match rule {
            Rule::VersionNotSupported => "RFC 9112 §2.3",
            Rule::TargetForm | Rule::HostMissing | Rule::HostRepeated | Rule::HostInvalid => "RFC 9112 §3.2",
            Rule::LengthInvalid | Rule::LengthRepeated | Rule::CodingInvalid | Rule::LengthAndCoding => {
                "RFC 9112 §6.3"
            }
            Rule::CodingRepeated | Rule::CodingUnknown | Rule::CodingInHttp10 => "RFC 9112 §6.1",
            Rule::Expectation => "RFC 9110 §10.1.1",
            Rule::UnexpectedUpgrade => "RFC 9110 §15.2.2",
            Rule::UnexpectedResponse => "RFC 9112 §9.2",
            _ => "RFC 9112",
        },
        ErrorKind::Limit(limit) => match limit {
            Limit::Method => "RFC 9112 §3",
            Limit::Target => "RFC 9110 §15.5.15",
            Limit::Head | Limit::Fields => "RFC 9110 §5.4",
            Limit::Body => "RFC 9110 §15.5.14",
            _ => "a limit of the recipient",
        },
        _ => "RFC 9112",
    }
}

const fn chunked_section(kind: chunked::ErrorKind) -> &'static str {
    use chunked::ErrorKind::*;
    match kind {
        Extension | OpenQuote | Overhead => "RFC 9112 §7.1.1",
        TrailerName | TrailerValue | TooManyTrailers => "RFC 9112 §7.1.2",
        ForbiddenTrailer => "RFC 9110 §6.5.1",
        UnexpectedEnd => "RFC 9112 §8",
        BodyTooLarge => "RFC 9110 §15.5.14",
        _ => "RFC 9112 §7.1",
    }
}

const fn ws_section(kind: ws::ErrorKind) -> &'static str {
    use ws::ErrorKind::*;
    match kind {
        ReservedBits | ReservedOpcode | LengthNotMinimal | LengthTopBit => "RFC 6455 §5.2",
        Unmasked | Masked => "RFC 6455 §5.1",
        ControlTooLong | ControlFragmented => "RFC 6455 §5.5",
        ContinuationWithoutStart | MessageInterrupted => "RFC 6455 §5.4",
        InvalidUtf8 => "RFC 6455 §8.1",
        CloseLength => "RFC 6455 §5.5.1",
        CloseCode => "RFC 6455 §7.4",
        InvalidDeflate => "RFC 7692 §7.2.2",
        FrameTooLong | MessageTooLong => "RFC 6455 §10.4",
        NoClose | UnexpectedEnd => "RFC 6455 §7.1.5",
        _ => "RFC 6455",
    }
}
