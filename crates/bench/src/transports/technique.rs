//! The techniques: how a client of each technique requests a channel.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A way to read a channel.
pub(super) struct Technique {
    pub(super) name: &'static str,
    pub(super) how: How,
    /// The query without `since`.
    query: &'static str,
    /// Additional field lines of the request.
    fields: &'static str,
}

/// How often a client sends a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Again after a pause.
    Every(Duration),
    /// Again at once: the server holds the answer until there is a message.
    Held,
    /// Once.
    Once,
}

pub(super) const TECHNIQUES: [Technique; 13] = [
    Technique::new("short poll, each second", How::Every(Duration::from_secs(1)), "feed=poll", ""),
    Technique::new("short poll, ten a second", How::Every(Duration::from_millis(100)), "feed=poll", ""),
    Technique::new("long poll", How::Held, "wait=25", ""),
    Technique::new("Server-Sent Events", How::Once, "feed=sse", ""),
    Technique::new("HTTP stream (NDJSON)", How::Once, "feed=stream", ""),
    Technique::new("WebSocket, bare", How::Once, "", UPGRADE),
    Technique::new("WebSocket, tidewire.v1", How::Once, "", UPGRADE_V1),
    Technique::new("raw bytes", How::Once, "feed=raw", ""),
    Technique::new("JSONP long poll", How::Held, "feed=jsonp&callback=app.on&wait=25", ""),
    Technique::new("forever frame", How::Once, "feed=iframe", ""),
    Technique::new("XHR streaming", How::Once, "feed=xhr", ""),
    Technique::new("multipart/mixed", How::Once, "feed=multipart", ""),
    Technique::new("multipart/x-mixed-replace", How::Once, "feed=replace", ""),
];

/// The fields of a WebSocket handshake.
const UPGRADE: &str =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE_V1: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidewire.v1\r\n";

/// Roughly the fields that a current browser sends from a page to its own server, without cookies.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, \
    like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"156\", \"Not?A_Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nAccept: */*\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
    Referer: http://127.0.0.1:8080/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n";

impl Technique {
    const fn new(name: &'static str, how: How, query: &'static str, fields: &'static str) -> Self {
        Technique { name, how, query, fields }
    }

    /// Returns the request for the messages after `since`.
    pub(super) fn request(&self, since: &str) -> String {
        let connection = if self.fields.is_empty() { "keep-alive" } else { "Upgrade" };
        format!(
            "GET /c/same?{}&since={since} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
             Connection: {connection}\r\n{BROWSER}{}\r\n",
            self.query, self.fields
        )
        .replacen("?&", "?", 1)
    }

    /// Opens a waiting connection: a stream after its greeting, a held poll, or a connection
    /// between two polls.
    pub(super) fn open(&self, address: &str, since: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // Raw bytes need a first message. All other readers have read it.
        let since = if self.query == "feed=raw" { "earliest" } else { since };
        stream.write_all(self.request(since).as_bytes())?;
        if self.how != How::Held {
            let mut head = [0; 4096];
            if stream.read(&mut head)? == 0 {
                return Err(std::io::Error::other("the server closed the connection"));
            }
        }
        Ok(stream)
    }
}
