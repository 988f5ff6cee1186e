//! Reads the output of `curl --trace FILE`: both directions of a connection, as text.
//!
//! ```text
//! == Info: Connected to 127.0.0.1 (127.0.0.1) port 8080 (#0)
//! => Send header, 85 bytes (0x55)
//! 0000: 47 45 54 20 2f 63 2f 64 65 6d 6f 20 48 54 54 50 GET /c/demo HTTP
//! <= Recv header, 17 bytes (0x11)
//! 0000: 48 54 54 50 2f 31 2e 31 20 32 30 30 20 4f 4b 0d HTTP/1.1 200 OK.
//! ```

use tidewire_explain::Direction;

/// Reads a trace, which may come in any number of pieces.
#[derive(Debug, Default)]
pub(super) struct CurlTrace {
    line: Vec<u8>,
    /// The direction of the bytes in the next lines; `None` if they are not bytes of the
    /// connection.
    direction: Option<Direction>,
}

/// Whether a file begins like a trace.
pub(super) fn is_trace(start: &[u8]) -> bool {
    start.starts_with(b"== Info: ") || start.starts_with(b"=> Send ") || start.starts_with(b"<= Recv ")
}

impl CurlTrace {
    /// Takes more text. Returns the bytes in it with their directions, in order.
    pub(super) fn push(&mut self, text: &[u8]) -> Vec<(Direction, Vec<u8>)> {
        let mut found: Vec<(Direction, Vec<u8>)> = Vec::new();
        for &byte in text {
            if byte != b'\n' {
                if self.line.len() < MAX_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match (self.direction, bytes(&line)) {
                (Some(direction), Some(bytes)) => match found.last_mut() {
                    Some((last, all)) if *last == direction => all.extend_from_slice(&bytes),
                    _ => found.push((direction, bytes)),
                },
                (_, Some(_)) => {}
                (_, None) => self.direction = direction(&line),
            }
        }
        found
    }
}

/// Returns the direction of the bytes under a title; `None` for TLS records and remarks.
fn direction(line: &[u8]) -> Option<Direction> {
    if line.starts_with(b"=> Send header") || line.starts_with(b"=> Send data") {
        Some(Direction::Up)
    } else if line.starts_with(b"<= Recv header") || line.starts_with(b"<= Recv data") {
        Some(Direction::Down)
    } else {
        None
    }
}

/// Returns the bytes of a line. Such a line is an offset, a colon and up to 16 pairs of digits,
/// each after a space.
fn bytes(line: &[u8]) -> Option<Vec<u8>> {
    let colon = line.iter().position(|&byte| byte == b':').filter(|&at| at >= 4)?;
    if !line[..colon].iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = line[colon + 1..].chunks_exact(3).take(16);
    Some(
        pairs.map_while(|pair| (pair[0] == b' ').then_some(digit(pair[1])? << 4 | digit(pair[2])?)).collect(),
    )
}

/// Bytes of a line that are kept. A line of bytes has 80. Of the other lines, the start is enough.
const MAX_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"== Info: Connected\n=> Send header, 18 bytes (0x12)\n\
        0000: 47 45 54 20 2f 63 2f 64 65 6d 6f 20 48 54 54 50 GET /c/demo HTTP\n\
        0010: 0d 0a                                           ..\n\
        <= Recv SSL data, 2 bytes\n0000: 17 03 ..\n<= Recv header, 2 bytes (0x2)\n\
        0000: 61 62                                           ab\n== Info: Closing\n";

    #[test]
    fn of_an_endless_line_only_the_start_is_kept() {
        let mut trace = CurlTrace::default();
        trace.push(b"== Info: ");
        for _ in 0..100 {
            assert!(trace.push(&[b'x'; 10_000]).is_empty());
        }
        assert!(trace.line.capacity() <= 2 * MAX_LINE);
        let found =
            trace.push(b"\n=> Send header\n0000: 61                                              a\n");
        assert_eq!(found, [(Direction::Up, b"a".to_vec())]);
    }

    #[test]
    fn a_trace_in_two_pieces_reads_like_a_whole_one() {
        let expected = [(Direction::Up, b"GET /c/demo HTTP\r\n".to_vec()), (Direction::Down, b"ab".to_vec())];
        assert!(is_trace(TEXT));
        for cut in 0..=TEXT.len() {
            let mut trace = CurlTrace::default();
            let mut joined: Vec<(Direction, Vec<u8>)> = Vec::new();
            for (direction, bytes) in [trace.push(&TEXT[..cut]), trace.push(&TEXT[cut..])].concat() {
                match joined.last_mut() {
                    Some((last, all)) if *last == direction => all.extend(bytes),
                    _ => joined.push((direction, bytes)),
                }
            }
            assert_eq!(joined, expected, "cut at {cut}");
        }
    }
}
