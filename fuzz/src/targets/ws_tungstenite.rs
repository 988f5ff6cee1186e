//! Any bytes to this crate and to tungstenite: tungstenite accepts what this crate accepts, with
//! the same meaning.
//!
//! The known differences. In all but the last, this crate is stricter:
//! - This crate requires the shortest form of a length, and limits empty fragments.
//! - This crate checks text as it arrives, tungstenite at the end of a fragment. So in a text that
//!   never ends, only this crate reports an error.
//! - A close code that must not be sent is an error in this crate. tungstenite returns some of them
//!   and answers with another code.
//! - 1014 is registered with IANA, and tungstenite does not know it.

use std::io::{self, Cursor, Read, Write};
use tidewire_ws::{Client, Connection, Event, Limits, Role, Server};
use tungstenite::Message;
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};

pub fn run(data: &[u8]) {
    let both = [(ours::<Server>(data), TheirRole::Server), (ours::<Client>(data), TheirRole::Client)];
    for ((ours, failed), theirs) in both {
        let theirs = tungstenite(theirs, data, ours.len());
        if failed {
            assert!(theirs.starts_with(&ours), "before our error\nours {ours:?}\ntheirs {theirs:?}");
        } else {
            assert_eq!(ours, theirs);
        }
    }
}

fn ours<R: Role>(data: &[u8]) -> (Vec<String>, bool) {
    let (mut connection, mut input, mut at) = (Connection::<R>::new(Limits::DEFAULT), data.to_vec(), 0);
    let mut log = Vec::new();
    loop {
        match connection.decode(&mut input[at..]) {
            Err(_) => return (log, true),
            Ok((_, None)) => return (log, false),
            Ok((n, Some(event))) => {
                at += n;
                log.push(match event {
                    Event::Text(text) => format!("text {text:?}"),
                    Event::Binary(data) => format!("binary {data:?}"),
                    Event::Ping(data) => format!("ping {data:?}"),
                    Event::Pong(data) => format!("pong {data:?}"),
                    Event::Close { code: Some(1014), .. } => "close Some(1002) \"Protocol violation\"".into(),
                    Event::Close { code, reason } => format!("close {code:?} {reason:?}"),
                    other => panic!("{other:?}"),
                });
            }
        }
    }
}

/// Returns at most one message more than this crate has.
fn tungstenite(role: TheirRole, data: &[u8], most: usize) -> Vec<String> {
    let config = WebSocketConfig::default().max_message_size(Some(1 << 20)).max_frame_size(Some(1 << 20));
    let mut socket = WebSocket::from_raw_socket(Peer(Cursor::new(data)), role, Some(config));
    let mut log = Vec::new();
    while log.len() <= most {
        let Ok(message) = socket.read() else { break };
        log.push(match message {
            Message::Text(text) => format!("text {:?}", text.as_str()),
            Message::Binary(data) => format!("binary {:?}", &data[..]),
            Message::Ping(data) => format!("ping {:?}", &data[..]),
            Message::Pong(data) => format!("pong {:?}", &data[..]),
            Message::Close(None) => "close None \"\"".into(),
            Message::Close(Some(frame)) => {
                format!("close {:?} {:?}", Some(u16::from(frame.code)), frame.reason.as_str())
            }
            Message::Frame(_) => break,
        });
    }
    log
}

/// Reads from the input and discards what is written.
struct Peer<'a>(Cursor<&'a [u8]>);

impl Read for Peer<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
