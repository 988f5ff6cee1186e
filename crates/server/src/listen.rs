//! Addresses to listen on, and their sockets. A TCP address has one socket per worker
//! (`SO_REUSEPORT`). A Unix socket, and a listener of the caller, is shared by all workers.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel may hold before `accept`. Linux reduces the number to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Unsent bytes that the kernel may hold for a socket. By default it holds megabytes for a slow
/// reader, and the engine does not see how many are left. With that much, a write makes no progress
/// for minutes, which looks as if the reader had left. And the engine reports a gap only after
/// those megabytes.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 * 1024;

/// Where to listen: `127.0.0.1:8080`, `[::1]:0`, `localhost:8080` or `unix:/run/tidewire.sock`.
///
/// ```
/// use tidewire_server::Listen;
///
/// assert_eq!("[::1]:8080".parse(), Ok(Listen::Tcp(([0, 0, 0, 0, 0, 0, 0, 1], 8080).into())));
/// assert_eq!("unix:/run/app.sock".parse(), Ok(Listen::Unix("/run/app.sock".into())));
/// assert!("8080".parse::<Listen>().unwrap_err().to_string().contains("write HOST:PORT"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// A TCP address. With port 0 the system chooses a port.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl Listen {
    /// Returns whether only this machine can reach the address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Listen::Tcp(address) => address.ip().is_loopback(),
            Listen::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is not an address to listen on. Displays as a clause that shows the form of an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an address to listen on: write HOST:PORT (127.0.0.1:8080, [::1]:8080; port 0 picks a free \
     port) or unix:PATH"
)]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let wrong = || ListenError(text.to_owned());
        match text.strip_prefix("unix:") {
            Some("") => Err(wrong()),
            Some(path) => Ok(Listen::Unix(path.into())),
            None => {
                text.to_socket_addrs().ok().and_then(|mut all| all.next()).map(Listen::Tcp).ok_or_else(wrong)
            }
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Listen::Tcp(address)
    }
}

/// An address cannot be bound. Displays as a clause that says what is wrong and, where possible,
/// what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", advice(.address, .source))]
pub struct BindError {
    /// The address that cannot be bound.
    pub address: Listen,
    /// The error of the system.
    pub source: io::Error,
}

fn advice(address: &Listen, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the address is in use, probably by another server; stop that server, or choose another address \
             with --listen{}",
            if matches!(address, Listen::Tcp(_)) { " (port 0 picks a free port)" } else { "" }
        ),
        io::ErrorKind::PermissionDenied => {
            "permission denied; a port below 1024 needs a privilege, and a Unix socket needs a folder that \
             you may write to"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// A bound socket, not yet given to a runtime.
#[derive(Debug)]
pub(crate) enum BoundSocket {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl BoundSocket {
    /// A non-blocking duplicate of the descriptor for each worker.
    pub(crate) fn shared(self, workers: usize) -> io::Result<Vec<Self>> {
        match &self {
            BoundSocket::Tcp(listener) => listener.set_nonblocking(true)?,
            #[cfg(unix)]
            BoundSocket::Unix(listener) => listener.set_nonblocking(true)?,
        }
        let mut all = Vec::with_capacity(workers);
        for _ in 1..workers {
            all.push(match &self {
                BoundSocket::Tcp(listener) => BoundSocket::Tcp(listener.try_clone()?),
                #[cfg(unix)]
                BoundSocket::Unix(listener) => BoundSocket::Unix(listener.try_clone()?),
            });
        }
        all.push(self);
        Ok(all)
    }
}

/// Binds `listen` once for each worker and returns the real address.
pub(crate) fn bind(listen: &Listen, workers: usize) -> Result<(Listen, Vec<BoundSocket>), BindError> {
    let failed = |source| BindError { address: listen.clone(), source };
    match listen {
        Listen::Tcp(address) => bind_tcp(*address, workers).map_err(failed),
        #[cfg(unix)]
        Listen::Unix(path) => bind_unix(path, workers).map(|all| (listen.clone(), all)).map_err(failed),
        #[cfg(not(unix))]
        Listen::Unix(_) => Err(failed(io::Error::from(io::ErrorKind::Unsupported))),
    }
}

fn bind_tcp(address: SocketAddr, workers: usize) -> io::Result<(Listen, Vec<BoundSocket>)> {
    if workers > 1 && address.port() != 0 {
        // With SO_REUSEPORT a second server of the same user would share the port without an error,
        // and take half of the connections. A socket without this option fails if the port is in
        // use.
        drop(tcp_socket(address, false)?);
    }
    let first = tcp_socket(address, workers > 1)?;
    let real = first.local_addr()?;
    let mut all = vec![BoundSocket::Tcp(first)];
    for _ in 1..workers {
        all.push(BoundSocket::Tcp(tcp_socket(real, true)?));
    }
    Ok((Listen::Tcp(real), all))
}

fn tcp_socket(address: SocketAddr, share: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if share {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    inherited_options(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Sets the options that accepted TCP sockets inherit on Linux.
pub(crate) fn inherited_options(socket: &Socket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // Ignored if the kernel does not know it.
        let _ = socket.set_tcp_notsent_lowat(MAX_UNSENT);
        socket.set_tcp_nodelay(true)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
    Ok(())
}

#[cfg(unix)]
fn bind_unix(path: &std::path::Path, workers: usize) -> io::Result<Vec<BoundSocket>> {
    use std::os::unix::net::{UnixListener, UnixStream};
    let listener = match UnixListener::bind(path) {
        // A socket file stays when its server has ended. It is replaced only if no server answers.
        Err(e)
            if e.kind() == io::ErrorKind::AddrInUse
                && is_socket(path)
                && UnixStream::connect(path).is_err() =>
        {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        Err(e) if e.kind() == io::ErrorKind::AddrInUse && !is_socket(path) => {
            let what = "the path is a file that is not a socket; choose another path, or remove the file";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        other => other?,
    };
    BoundSocket::Unix(listener).shared(workers)
}

/// Removes the socket file of an address after the server has ended. While this server drained,
/// another server may have bound the path. Then the file belongs to that server and stays.
pub(crate) fn remove_socket_file(listen: &Listen) {
    #[cfg(unix)]
    if let Listen::Unix(path) = listen
        && is_socket(path)
        && std::os::unix::net::UnixStream::connect(path).is_err()
    {
        let _ = std::fs::remove_file(path);
    }
    #[cfg(not(unix))]
    let _ = listen;
}

#[cfg(unix)]
fn is_socket(path: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/tidewire.sock"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in ["", "8080", "127.0.0.1", "unix:", "127.0.0.1:99999"] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.to_string().contains("HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_port_of_another_server_is_an_error_although_both_use_reuseport() {
        let any = "127.0.0.1:0".parse().unwrap();
        let (real, held) = bind(&any, 2).unwrap();
        assert_eq!(held.len(), 2);
        let error = bind(&real, 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&real.to_string()), "{error}");
    }
}
