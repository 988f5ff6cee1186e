//! The parts of a response that a poll and a publisher need.

use std::io::Read as _;
use std::net::TcpStream;

/// What a poll needs from an answer.
pub(super) struct Answer {
    pub(super) cursor: Option<String>,
}

/// Reads into `bytes` until they are a complete response with a length. After a time-out, call
/// again with the same bytes.
pub(super) fn response(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Answer> {
    let mut piece = [0; 16 * 1024];
    loop {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = head {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let field = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
            };
            let length = field("content-length").and_then(|length| length.parse::<usize>().ok());
            let length =
                length.ok_or_else(|| std::io::Error::other(format!("an answer without a length: {head}")))?;
            if bytes.len() >= end + length {
                return Ok(Answer { cursor: field("tidewire-cursor") });
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(std::io::Error::other("the server closed the connection")),
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}
