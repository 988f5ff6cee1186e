//! A client for tests of servers. It sends any bytes, and returns the bytes that came.
//!
//! Every wait has a deadline for the whole of it, however many bytes arrive: a stream of heartbeats
//! does not keep a test alive. A test that fails shows the bytes that came last.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::deadline::{Deadline, PATIENCE, SHOWN, tail};

/// How long a whole body may take, or the bytes to the end of a connection. They may be many.
const WHOLE: Duration = PATIENCE.saturating_mul(2);

/// How long a connection may be read. It ends loops of a test around these functions.
const LIFE: Duration = PATIENCE.saturating_mul(5);

/// A connection, and the bytes that were read from it but not yet returned.
pub struct Raw {
    stream: Stream,
    input: Vec<u8>,
    /// The last bytes that were read, returned or not.
    last: Vec<u8>,
    life: Deadline,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

/// A response, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The three digits of the status line.
    pub status: u16,
    /// From the status line to the empty line.
    pub head: String,
    /// The content, without its framing.
    pub body: Vec<u8>,
}

impl Raw {
    /// Connects to `HOST:PORT`.
    pub fn connect(address: impl ToSocketAddrs + fmt::Debug) -> Self {
        let stream =
            TcpStream::connect(&address).unwrap_or_else(|e| panic!("cannot connect to {address:?}: {e}"));
        Self::over(stream)
    }

    /// Uses a connected socket.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out above zero can be set");
        stream.set_nodelay(true).expect("a connected socket has the option");
        Self::new(Stream::Tcp(stream))
    }

    fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new(), last: Vec::new(), life: Deadline::after(LIFE) }
    }

    /// Connects to a Unix socket.
    #[cfg(unix)]
    pub fn unix(path: &std::path::Path) -> Self {
        let stream = std::os::unix::net::UnixStream::connect(path)
            .unwrap_or_else(|e| panic!("cannot connect to {}: {e}", path.display()));
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out above zero can be set");
        Self::new(Stream::Unix(stream))
    }

    /// Sends bytes. Panics if the server has closed the connection.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        assert!(self.offer(bytes), "the server closed before it had read the request; it said: {:?}", self);
        self
    }

    /// Sends bytes to a server that may close the connection before it has read them all. Returns
    /// whether they were sent.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        match &mut self.stream {
            Stream::Tcp(s) => s.write_all(bytes.as_ref()),
            #[cfg(unix)]
            Stream::Unix(s) => s.write_all(bytes.as_ref()),
        }
        .is_ok()
    }

    /// Ends the output. The answer can still be read.
    pub fn half_close(&mut self) -> &mut Self {
        assert!(self.try_half_close(), "the connection is closed; it said: {self:?}");
        self
    }

    /// As [`half_close`](Self::half_close), if the server may have closed the connection before.
    /// Returns whether the connection was open.
    pub fn try_half_close(&mut self) -> bool {
        match &self.stream {
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
        }
        .is_ok()
    }

    /// Reads one response. An interim response is a response too.
    pub fn response(&mut self) -> Response {
        self.read_response(false)
    }

    /// Reads one response; `None` if the connection ends instead.
    pub fn response_or_end(&mut self) -> Option<Response> {
        let is_over = self.input.is_empty() && self.read("a response or the end", &Deadline::soon()) == 0;
        if is_over { None } else { Some(self.response()) }
    }

    /// Reads the response to a HEAD request: only a head, also if it has fields of a body.
    pub fn head_response(&mut self) -> Response {
        self.read_response(true)
    }

    /// Reads up to and including `needle`. The bytes after it remain for the next call.
    pub fn until(&mut self, needle: impl AsRef<[u8]>) -> Vec<u8> {
        let needle = needle.as_ref();
        let awaited = format!("{:?}", String::from_utf8_lossy(needle));
        let deadline = Deadline::soon();
        loop {
            if let Some(at) = self.input.windows(needle.len()).position(|window| window == needle) {
                return self.input.drain(..at + needle.len()).collect();
            }
            let n = self.read(&awaited, &deadline);
            assert!(n > 0, "the connection ended before {awaited}; it said: {self:?}");
        }
    }

    /// Reads exactly `len` bytes.
    pub fn exactly(&mut self, len: usize) -> Vec<u8> {
        let deadline = Deadline::after(WHOLE);
        while self.input.len() < len {
            let n = self.read(&format!("{len} bytes"), &deadline);
            assert!(n > 0, "the connection ended before {len} bytes; it said: {self:?}");
        }
        self.input.drain(..len).collect()
    }

    /// Reads to the end of the connection, which may be a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        let deadline = Deadline::after(WHOLE);
        while self.read("the end of the connection", &deadline) > 0 {}
        std::mem::take(&mut self.input)
    }

    /// Waits for `time`. Returns whether nothing came and the connection stayed open.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        self.set_patience(time);
        let mut byte = [0; 1];
        match self.read_some(&mut byte) {
            Ok(n) => {
                self.keep(&byte[..n]);
                false
            }
            Err(kind) => matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Reads at least a byte into `input`. Returns the number of bytes; 0 at the end.
    #[track_caller]
    fn read(&mut self, awaited: &str, deadline: &Deadline) -> usize {
        let deadline = if deadline.left() < self.life.left() { *deadline } else { self.life };
        deadline.check(awaited, || tail(&self.last));
        self.set_patience(deadline.timeout());
        let mut piece = [0; 16 * 1024];
        match self.read_some(&mut piece) {
            Ok(n) => {
                self.keep(&piece[..n]);
                n
            }
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => deadline.fail(awaited, tail(&self.last)),
            Err(_) => 0,
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        self.input.extend_from_slice(piece);
        self.last.extend_from_slice(&piece[piece.len().saturating_sub(SHOWN)..]);
        self.last.drain(..self.last.len().saturating_sub(SHOWN));
    }

    fn read_some(&mut self, piece: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            let read = match &mut self.stream {
                Stream::Tcp(s) => s.read(piece),
                #[cfg(unix)]
                Stream::Unix(s) => s.read(piece),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other.map_err(|error| error.kind()),
            }
        }
    }

    fn set_patience(&self, time: Duration) {
        match &self.stream {
            Stream::Tcp(s) => s.set_read_timeout(Some(time)),
            #[cfg(unix)]
            Stream::Unix(s) => s.set_read_timeout(Some(time)),
        }
        .expect("a time-out above zero can be set");
    }

    fn read_response(&mut self, head_only: bool) -> Response {
        let head = String::from_utf8(self.until("\r\n\r\n")).expect("our servers write UTF-8 heads");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_else(|| panic!("not a status line: {head:?}"));
        let mut response = Response { status, head, body: Vec::new() };
        if head_only || status < 200 || matches!(status, 204 | 304) {
            return response;
        }
        response.body = match (response.field("transfer-encoding"), response.field("content-length")) {
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                self.chunks()
            }
            (None, Some(length)) => self.exactly(length.parse().expect("a length is a number")),
            (None, None) => self.rest(),
            _ => panic!("two framings in {:?}", response.head),
        };
        response
    }

    fn chunks(&mut self) -> Vec<u8> {
        let deadline = Deadline::after(WHOLE);
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk() {
            body.extend(chunk);
            deadline.check("the end of the chunked body", || tail(&body));
        }
        body
    }

    /// Reads the next chunk of a chunked body. `None` is the last chunk.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = String::from_utf8(self.until("\r\n")).expect("a chunk size is ASCII");
        let size = usize::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
        let data = self.exactly(size);
        assert_eq!(self.exactly(2), b"\r\n", "after the data of a chunk, or the trailers");
        (size > 0).then_some(data)
    }
}

impl Response {
    /// The value of a field, if there is one. Panics if the field is there twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values =
            self.head.lines().filter_map(|line| line.split_once(':')).filter_map(|(n, value)| {
                n.eq_ignore_ascii_case(name).then_some(value.trim_matches([' ', '\t', '\r']))
            });
        let first = values.next();
        assert_eq!(values.next(), None, "{name} came twice: {}", self.head);
        first
    }

    /// The content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the content is UTF-8")
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

/// Shows the bytes that were read but not yet returned.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.input[..self.input.len().min(SHOWN)];
        write!(f, "{:?} ({} bytes)", String::from_utf8_lossy(shown), self.input.len())
    }
}
