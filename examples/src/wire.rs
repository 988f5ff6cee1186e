//! A plain TCP client that prints its bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A TCP connection that prints what it sends and receives.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
}

/// The head of a response, as far as the examples need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code of the first line.
    pub status: u16,
    /// Names and values, in order.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Returns the value of `Content-Length`; 0 if there is none.
    pub fn length(&self) -> usize {
        let field = self.fields.iter().find(|(name, _)| name == "Content-Length");
        field.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

impl Wire {
    /// Connects. A read fails if the server sends nothing for a minute, so that no example waits
    /// for ever.
    ///
    /// # Errors
    /// The connection is refused.
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        remark(&format!("connected to {address}"));
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends text unchanged.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        show('>', text.as_bytes());
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// Receives one line and removes its CR LF.
    ///
    /// # Errors
    /// The connection ended, or nothing came in time.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }

    /// Receives the head of a response: a status line, field lines, an empty line.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn head(&mut self) -> io::Result<Head> {
        let first = self.line()?;
        show('<', first.as_bytes());
        let status = first.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            show('<', line.as_bytes());
            match line.split_once(": ") {
                Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
                None => return Ok(Head { status, fields }),
            }
        }
    }

    /// Receives a body of `length` bytes.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let body = self.exactly(length)?;
        show('<', &body);
        Ok(body)
    }

    /// Receives one chunk of a chunked body: its size in hexadecimal, CR LF, the content, CR LF.
    ///
    /// # Errors
    /// As [`line`](Self::line), and when the size is not a number.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.line()?;
        let length = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        show('<', format!("{size:<8} (a chunk of {length} bytes)").as_bytes());
        let content = self.exactly(length)?;
        show('<', &content);
        self.line()?;
        Ok(content)
    }

    /// Sends bytes that are not text; `meaning` is printed beside them.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn send_bytes(&mut self, bytes: &[u8], meaning: &str) -> io::Result<()> {
        show_bytes('>', bytes, meaning);
        self.stream.get_mut().write_all(bytes)
    }

    /// Appends what has arrived to `input`, at least one byte. Prints nothing, because it does not
    /// know what the bytes mean.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn receive(&mut self, input: &mut Vec<u8>) -> io::Result<()> {
        let arrived = self.stream.fill_buf()?;
        if arrived.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(arrived);
        let taken = arrived.len();
        self.stream.consume(taken);
        Ok(())
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        remark("connection closed");
    }
}

/// Prints a remark about something that is not on the wire.
pub fn remark(text: &str) {
    println!("· {text}");
}

/// Prints bytes in hexadecimal, and what they mean.
pub fn show_bytes(direction: char, bytes: &[u8], meaning: &str) {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{direction} {:<24} {meaning}", hex.join(" "));
}

/// Prints text that came in a form which [`Wire`] does not know.
pub fn show_text(direction: char, text: &str) {
    show(direction, text.as_bytes());
}

fn show(direction: char, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
        println!("{}", format!("{direction} {}", line.trim_end_matches('\r')).trim_end());
    }
}
