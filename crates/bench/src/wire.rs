//! Connections to servers, and their answers.

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};

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

/// Returns the value of the first field with this name, in lower case.
pub(crate) fn field(head: &[u8], wanted: &str) -> Option<String> {
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
        assert_eq!(field(head, "x-cursor").as_deref(), Some("7"));
        assert!(answer(&bytes[..end - 1]).is_none());
    }
}
