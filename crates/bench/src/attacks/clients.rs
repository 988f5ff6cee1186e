//! The clients of an attack: their requests, frames, and connections.

use std::io::{Result, Write as _};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

/// A feed that an attack requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feed {
    Bare,
    V1,
    Sse,
    Stream,
    LongPoll,
    Poll,
}

/// Whether a client requests compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// permessage-deflate of a WebSocket, or gzip of a body.
    Compressed,
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Returns the request for a feed. `query` has the other parameters: `since=earliest`.
pub(super) fn request(feed: Feed, coding: Coding, channels: &str, query: &str) -> String {
    let (name, mut fields) = match feed {
        Feed::Bare => ("", UPGRADE.to_owned()),
        Feed::V1 => ("", format!("{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n")),
        Feed::Sse => ("feed=sse&", String::new()),
        Feed::Stream => ("feed=stream&", String::new()),
        Feed::LongPoll => ("feed=longpoll&wait=55&", String::new()),
        Feed::Poll => ("feed=poll&", String::new()),
    };
    if coding == Coding::Compressed {
        fields += match feed {
            Feed::Bare | Feed::V1 => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            _ => "Accept-Encoding: gzip\r\n",
        };
    }
    format!("GET /c/{channels}?{name}{query} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

/// Returns a request that publishes.
pub(super) fn post(channel: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("POST /c/{channel} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", payload.len());
    [head.as_bytes(), payload].concat()
}

/// Returns a text frame with a mask of zeros.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => frame.extend([[0xfe].as_slice(), &(len as u16).to_be_bytes()].concat()),
        len => frame.extend([[0xff].as_slice(), &(len as u64).to_be_bytes()].concat()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Connects and sends the request.
pub(super) fn open(address: &str, request: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

/// The same for a client that reads almost nothing: the kernel buffers little for it.
pub(super) fn open_narrow(address: &str, request: &str) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(4 * 1024)?;
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    socket.connect(&address.into())?;
    let mut stream: TcpStream = socket.into();
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}
