//! The kind of a capture: from --as, or detected from its first bytes.

use clap::ValueEnum;
use tidewire_explain::{Direction, Start};

use super::curl_trace::is_trace;

/// The kind of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InputKind {
    /// HTTP from a client, and WebSocket frames after an upgrade
    Request,
    /// HTTP from a server, and WebSocket frames after an upgrade
    Response,
    /// A chunked body without its head
    Chunked,
    /// WebSocket frames from a client
    WsClient,
    /// WebSocket frames from a server
    WsServer,
    /// An event stream without its head
    Sse,
    /// The output of curl --trace, with both directions
    CurlTrace,
}

impl InputKind {
    /// Returns what the bytes begin with, and their direction. For a trace, which has both
    /// directions, that is the server's.
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

/// Returns the kind that the bytes seem to be, and the reason; `None` if more bytes are needed and
/// may follow.
pub(super) fn detect(bytes: &[u8], complete: bool) -> Option<(InputKind, &'static str)> {
    let line_end = bytes.iter().position(|&byte| byte == b'\n');
    let line = line_end.map_or(bytes, |end| &bytes[..end]);
    let (first, second) = match *bytes {
        [first, second, ..] => (first, second),
        [first] if complete => (first, 0),
        [] if complete => return Some((InputKind::Request, "it is empty")),
        _ => return None,
    };
    if let Some(detected) = detect_frame(first, second) {
        return Some(detected);
    }
    if bytes.starts_with(b"HTTP/") {
        return Some((InputKind::Response, "it begins with HTTP/"));
    }
    if is_trace(bytes) {
        return Some((InputKind::CurlTrace, "its first line is a line of a trace"));
    }
    let decided = line_end.is_some() || complete || bytes.len() > LONGEST_FIRST_LINE;
    if !decided {
        return None;
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let method = tidewire_grammar::token_len(line);
    // Other tokens are methods too, but the words of a text look like them.
    let is_method = method > 0 && line[..method].iter().all(u8::is_ascii_uppercase);
    Some(
        if matches!(name, b"id" | b"event" | b"data" | b"retry" | b"") || bytes.starts_with(b"\xef\xbb\xbf") {
            (InputKind::Sse, "its first line is a line of an event stream")
        } else if (1..=16).contains(&digits) && matches!(line.get(digits), None | Some(b';')) {
            (InputKind::Chunked, "its first line is a chunk size")
        } else if is_method && line.get(method) == Some(&b' ') {
            (InputKind::Request, "it begins with a method")
        } else {
            (InputKind::Request, NO_OTHER_KIND)
        },
    )
}

/// Returns whose frame begins with these two bytes, if they can be a frame. No text begins so.
fn detect_frame(first: u8, second: u8) -> Option<(InputKind, &'static str)> {
    let opcode = first & 0x0f;
    let known = matches!(opcode, 0x0..=0x2 | 0x8..=0xa);
    let looks = known
        && first & 0x30 == 0
        && (first & 0x80 != 0 || matches!(first, 0x01 | 0x02 | 0x41 | 0x42) && second & 0x80 != 0);
    // 0x41 and 0x42 are also the letters A and B. A mask bit, which no ASCII character has, shows
    // that they begin a frame.
    looks.then_some(if second & 0x80 != 0 {
        (InputKind::WsClient, "it begins like a masked frame")
    } else {
        (InputKind::WsServer, "it begins like an unmasked frame")
    })
}

/// The reason if nothing was detected.
pub(super) const NO_OTHER_KIND: &str = "it matches no other kind";

/// How many bytes to wait for the end of the first line.
pub(super) const LONGEST_FIRST_LINE: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_capture_is_detected() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], InputKind::Request),
            (b"BREW /pot HTTP/1.1\r\n", InputKind::Request),
            (b"HTTP/1.1 200 OK\r\n", InputKind::Response),
            (b"5\r\nhello\r\n", InputKind::Chunked),
            (b"5;a=b\r\nhello\r\n", InputKind::Chunked),
            (b"ADD\r\n", InputKind::Chunked),
            (b"\x81\x05Hello", InputKind::WsServer),
            (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", InputKind::WsClient),
            (b"\x01\x83abcdef", InputKind::WsClient),
            (b"\x88\x02\x03\xe8", InputKind::WsServer),
            (b"id: 7\ndata: x\n\n", InputKind::Sse),
            (b": hello\n\n", InputKind::Sse),
            (b"retry: 2000\n", InputKind::Sse),
            (b"== Info: Connected", InputKind::CurlTrace),
            (b"nonsense", InputKind::Request),
            (b"", InputKind::Request),
        ] {
            assert_eq!(
                detect(bytes, true).map(|detected| detected.0),
                Some(expected),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_text_does_not_begin_with_a_method() {
        for (text, is_method) in [("GET / HTTP/1.1\r\n", true), ("hello world\n", false), (" x\n", false)] {
            let reason = detect(text.as_bytes(), true).map(|detected| detected.1);
            assert_eq!(reason != Some(NO_OTHER_KIND), is_method, "{text}");
        }
    }

    #[test]
    fn detection_waits_for_enough_bytes() {
        assert_eq!(detect(b"", false), None);
        assert_eq!(detect(b"da", false), None);
        assert_eq!(detect(b"GET /c/demo", false), None);
        assert!(detect(b"\x81\x05", false).is_some());
    }
}
