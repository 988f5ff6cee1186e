//! The paths, requests and answers of each server.

use crate::wire::field;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_names_the_place_of_the_next_poll() {
        let head = b"HTTP/1.1 200 OK\r\nX-Cursor: 7\r\n\r\n";
        assert_eq!(Server::Axum.place(head).cursor.as_deref(), Some("7"));
        assert_eq!(Server::Nchan.place(head).cursor, None);
    }
}
