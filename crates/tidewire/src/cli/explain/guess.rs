//! What a capture is, by its first bytes.

use clap::ValueEnum;
use tidewire::explain::{Direction, Start};

use super::trace::is_trace;

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum As {
    /// HTTP from a client, and WebSocket frames behind an upgrade
    Request,
    /// HTTP from a server
    Response,
    /// A chunked body without its head
    Chunked,
    /// WebSocket frames from a client
    WsClient,
    /// WebSocket frames from a server
    WsServer,
    /// An event stream without its head
    Sse,
    /// What curl --trace writes, which has both directions
    CurlTrace,
}

impl As {
    /// Where an annotator starts, and which way the bytes go; the answer's way where they go both ways.
    pub(super) const fn start(self) -> (Start, Direction) {
        match self {
            Self::Request => (Start::Http, Direction::Up),
            Self::Response => (Start::Http, Direction::Down),
            Self::Chunked => (Start::Chunked, Direction::Down),
            Self::WsClient => (Start::Frames, Direction::Up),
            Self::WsServer => (Start::Frames, Direction::Down),
            Self::Sse => (Start::EventStream, Direction::Down),
            Self::CurlTrace => (Start::Http, Direction::Down),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Request => "HTTP from a client",
            Self::Response => "HTTP from a server",
            Self::Chunked => "a chunked body",
            Self::WsClient => "WebSocket frames from a client",
            Self::WsServer => "WebSocket frames from a server",
            Self::Sse => "an event stream",
            Self::CurlTrace => "a trace of curl",
        }
    }
}

/// The guess, and the reason for it; `None` while the bytes do not decide and more may come.
pub(super) fn guess(bytes: &[u8], complete: bool) -> Option<(As, &'static str)> {
    let line_end = bytes.iter().position(|&byte| byte == b'\n');
    let line = line_end.map_or(bytes, |end| &bytes[..end]);
    let (first, second) = match *bytes {
        [first, second, ..] => (first, second),
        [first] if complete => (first, 0),
        [] if complete => return Some((As::Request, "there is nothing")),
        _ => return None,
    };
    if let Some(frame) = frame(first, second) {
        return Some(frame);
    }
    if bytes.starts_with(b"HTTP/") {
        return Some((As::Response, "it begins with HTTP/"));
    }
    if is_trace(bytes) {
        return Some((As::CurlTrace, "its first line is one of a trace"));
    }
    let decided = line_end.is_some() || complete || bytes.len() > LONGEST_FIRST_LINE;
    if !decided {
        return None;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let method = tidewire_grammar::token_len(line);
    Some(
        if matches!(name, b"id" | b"event" | b"data" | b"retry" | b"") || bytes.starts_with(b"\xef\xbb\xbf") {
            (As::Sse, "its first line is one of an event stream")
        } else if (1..=16).contains(&digits) && matches!(line.get(digits), None | Some(b';')) {
            (As::Chunked, "its first line is the size of a chunk")
        } else if method > 0 && line.get(method) == Some(&b' ') {
            (As::Request, "it begins with a method")
        } else {
            (As::Request, "it looks like nothing else")
        },
    )
}

/// Whether these are the first two bytes of a frame. No text begins so.
fn frame(first: u8, second: u8) -> Option<(As, &'static str)> {
    let opcode = first & 0x0f;
    let known = matches!(opcode, 0x0..=0x2 | 0x8..=0xa);
    let looks = known
        && first & 0x30 == 0
        && (first & 0x80 != 0 || matches!(first, 0x01 | 0x02 | 0x41 | 0x42) && second & 0x80 != 0);
    // 0x41 and 0x42 are the letters A and B: a mask bit, which no ASCII has, tells them apart.
    looks.then_some(if second & 0x80 != 0 {
        (As::WsClient, "it begins like a masked frame")
    } else {
        (As::WsServer, "it begins like an unmasked frame")
    })
}

/// So much is waited for before a first line without an end is judged.
const LONGEST_FIRST_LINE: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_told_apart() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], As::Request),
            (b"BREW /pot HTTP/1.1\r\n", As::Request),
            (b"HTTP/1.1 200 OK\r\n", As::Response),
            (b"5\r\nhello\r\n", As::Chunked),
            (b"5;a=b\r\nhello\r\n", As::Chunked),
            (b"ADD\r\n", As::Chunked),
            (b"\x81\x05Hello", As::WsServer),
            (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", As::WsClient),
            (b"\x01\x83abcdef", As::WsClient),
            (b"\x88\x02\x03\xe8", As::WsServer),
            (b"id: 7\ndata: x\n\n", As::Sse),
            (b": hello\n\n", As::Sse),
            (b"retry: 2000\n", As::Sse),
            (b"== Info: Connected", As::CurlTrace),
            (b"nonsense", As::Request),
            (b"", As::Request),
        ] {
            assert_eq!(guess(bytes, true).map(|guess| guess.0), Some(expected), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn it_waits_until_the_bytes_decide() {
        assert_eq!(guess(b"", false), None);
        assert_eq!(guess(b"da", false), None);
        assert_eq!(guess(b"GET /c/demo", false), None);
        assert!(guess(b"\x81\x05", false).is_some());
    }
}
