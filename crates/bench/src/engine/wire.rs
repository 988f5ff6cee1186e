//! The paths, requests and answers of each server.

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};

/// A way of delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Feed {
    Ws,
    Sse,
    Stream,
    Longpoll,
}

impl Feed {
    pub(crate) const ALL: [Self; 4] = [Self::Ws, Self::Sse, Self::Stream, Self::Longpoll];
    pub(crate) const STREAMS: [Self; 3] = [Self::Ws, Self::Sse, Self::Stream];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Stream => "stream",
            Self::Longpoll => "longpoll",
        }
    }
}

/// A server of the comparison. `Return` is a location in Nchan's nginx that answers with a
/// constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Server {
    Tidewire,
    BareLoop,
    Nchan,
    Axum,
    Return,
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tidewire => "tidewire",
            Self::BareLoop => "bare-loop",
            Self::Nchan => "nchan",
            Self::Axum => "axum",
            Self::Return => "return",
        }
    }

    /// Returns the request that subscribes, or polls after the last answer.
    pub(crate) fn subscribe(self, feed: Feed, channel: &str, place: &Place) -> String {
        let name = feed.name();
        let path = match (self, feed) {
            (Self::Tidewire, Feed::Ws) => format!("/c/{channel}"),
            (Self::Tidewire, Feed::Longpoll) => {
                let since = place.cursor.as_deref().unwrap_or("now");
                format!("/c/{channel}?feed=longpoll&since={since}")
            }
            (Self::Tidewire, _) => format!("/c/{channel}?feed={name}"),
            (Self::Axum, Feed::Longpoll) => {
                format!("/longpoll/{channel}?after={}", place.cursor.as_deref().unwrap_or("0"))
            }
            _ => format!("/{name}/{channel}"),
        };
        let mut fields = String::new();
        match feed {
            Feed::Ws => fields.push_str(
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            ),
            Feed::Sse => fields.push_str("Accept: text/event-stream\r\n"),
            // Nchan streams in chunks only to clients that ask for it.
            Feed::Stream => fields.push_str("TE: chunked\r\n"),
            Feed::Longpoll => {
                if let (Self::Nchan, Some(tag), Some(time)) = (self, &place.cursor, &place.time) {
                    fields = format!("If-None-Match: {tag}\r\nIf-Modified-Since: {time}\r\n");
                }
            }
        }
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
    }

    pub(crate) fn publish(self, channel: &str, message: &str) -> String {
        let folder = if self == Self::Tidewire { "c" } else { "pub" };
        let length = message.len();
        format!(
            "POST /{folder}/{channel} HTTP/1.1\r\nHost: localhost\r\n\
             Content-Length: {length}\r\n\r\n{message}"
        )
    }

    /// Returns a plain request. The answer is the newest message of the channel, or a constant of
    /// the same length.
    pub(crate) fn get(self, channel: &str) -> String {
        let path = match self {
            Self::Tidewire => format!("/c/{channel}?limit=1"),
            Self::Nchan => format!("/poll/{channel}"),
            Self::Return => "/plain".into(),
            Self::Axum | Self::BareLoop => format!("/last/{channel}"),
        };
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    }

    /// Returns where the next poll continues.
    pub(crate) fn place(self, head: &[u8]) -> Place {
        let name = match self {
            Self::Tidewire => "tidewire-cursor",
            Self::Axum => "x-cursor",
            _ => "etag",
        };
        Place { cursor: field(head, name), time: field(head, "last-modified") }
    }
}

/// A position in the log, as the server named it.
#[derive(Default)]
pub(crate) struct Place {
    cursor: Option<String>,
    time: Option<String>,
}

/// Returns the first complete answer in these bytes: its status, its head, and its length with the
/// body.
pub(crate) fn answer(bytes: &[u8]) -> Option<(u16, &[u8], usize)> {
    let head = &bytes[..bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4];
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    let end = head.len() + length_of(head);
    (bytes.len() >= end).then_some((status, head, end))
}

/// Returns the `Content-Length` of a head; 0 if there is none.
pub(crate) fn length_of(head: &[u8]) -> usize {
    field(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn field(head: &[u8], wanted: &str) -> Option<String> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(wanted.len())?;
        let value = value.strip_prefix(b":")?;
        name.eq_ignore_ascii_case(wanted.as_bytes())
            .then(|| String::from_utf8_lossy(value.trim_ascii()).into_owned())
    })
}

/// Starts a connection to a port of this machine. Connections come from many addresses, so that no
/// address runs out of ports or reaches a limit.
pub(crate) fn connect(port: u16, number: usize) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let source = Ipv4Addr::new(127, 0, 0, 2 + (number % 250) as u8);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()) {
        // In progress: 115 on Linux.
        Err(error) if error.raw_os_error() != Some(115) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// A listener with a long backlog.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_only_with_its_body() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nX-Cursor: 7\r\n\r\nabcHTTP";
        let (status, head, end) = answer(bytes).unwrap();
        assert_eq!((status, end), (200, bytes.len() - 4));
        assert_eq!(Server::Axum.place(head).cursor.as_deref(), Some("7"));
        assert!(answer(&bytes[..end - 1]).is_none());
    }
}
