//! Which section of which document a verdict of a decoder rests on, and what the recipient does about it.

use tidewire_chunked as chunked;
use tidewire_http1::{Error, ErrorKind, Limit, Rule, Syntax, reason_phrase};
use tidewire_ws as ws;

use super::note::{Direction, Refusal};

/// A message that breaks HTTP.
pub(super) fn http(direction: Direction, error: Error) -> Refusal {
    let status = error.status_hint();
    let (answer, status) = match direction {
        Direction::Up => {
            (format!("a server answers {status} {} and closes", reason_phrase(status)), Some(status))
        }
        Direction::Down => {
            ("a client takes nothing more and closes; a gateway answers 502 Bad Gateway".into(), None)
        }
    };
    Refusal {
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

/// A chunked body that stands by itself, the offset counted from `base`.
pub(super) fn chunked(direction: Direction, base: u64, error: chunked::Error) -> Refusal {
    let status = error.status_hint();
    Refusal {
        direction,
        offset: base + error.offset(),
        len: 1,
        kind: format!("{:?}", error.kind()),
        sentence: error.kind().to_string(),
        answer: format!("a server answers {status} {} and closes", reason_phrase(status)),
        status: Some(status),
        close_code: None,
        section: chunked_section(error.kind()),
    }
}

/// An event stream over a limit, at the offset `at` of the direction.
pub(super) fn sse(direction: Direction, at: u64, error: tidewire_sse::Error) -> Refusal {
    let text = error.to_string();
    let sentence = text.rsplit_once(" at byte").map_or(text.as_str(), |(sentence, _)| sentence);
    Refusal {
        direction,
        offset: at,
        len: 1,
        kind: format!("{:?}", error.kind()),
        sentence: sentence.to_owned(),
        answer: "a client closes; it would come back with the last id that it has".into(),
        status: None,
        close_code: None,
        section: "a limit of the recipient",
    }
}

/// A frame or a message that breaks WebSocket, the offset counted from `base`.
pub(super) fn ws(direction: Direction, base: u64, error: ws::Error) -> Refusal {
    let code = error.close_code();
    let on_wire = ws::close::is_valid(code);
    let answer = match direction {
        _ if !on_wire => format!("nothing is sent; an API reports {code}"),
        Direction::Up => format!("a server closes with {code} ({})", close_name(code)),
        Direction::Down => format!("a client closes with {code} ({})", close_name(code)),
    };
    Refusal {
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
            Syntax::Truncated => "RFC 9112 §8",
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
            Rule::UnaskedUpgrade => "RFC 9110 §15.2.2",
            Rule::UnaskedResponse => "RFC 9112 §9.2",
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
        NoClose | Truncated => "RFC 6455 §7.1.5",
        _ => "RFC 6455",
    }
}

/// What a close code says.
pub(super) const fn close_name(code: u16) -> &'static str {
    use ws::close;
    match code {
        close::NORMAL => "the purpose is fulfilled",
        close::GOING_AWAY => "going away: a server stops, a page is left",
        close::PROTOCOL_ERROR => "protocol error",
        close::UNSUPPORTED_DATA => "a kind of data that it cannot take",
        close::INVALID_PAYLOAD => "data that does not fit its type",
        close::POLICY => "a policy was broken",
        close::TOO_BIG => "a message too big",
        close::EXTENSION_MISSING => "the server did not take a needed extension",
        close::INTERNAL_ERROR => "internal error",
        close::RESTART => "the server restarts: come back after a random wait",
        close::TRY_AGAIN_LATER => "overloaded: come back later",
        close::BAD_GATEWAY => "the gateway's upstream failed",
        3000..=3999 => "registered by a library or framework",
        4000..=4999 => "private to the application",
        _ => "reserved",
    }
}
