//! Listeners that the caller has bound: socket activation, a restart without a gap, tests.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;

use crate::listen::{BoundSocket, inherited_options};
use crate::{BindError, Listen};

/// A listener that is already bound, for [`Builder::listener`](crate::Builder::listener) and
/// [`serve`](crate::serve()). It is made from a `TcpListener` or a `UnixListener` of std or tokio.
///
/// All workers accept from it: each has a duplicate of its descriptor. So a new connection wakes
/// every idle worker, and one of them gets it. With [`Builder::listen`](crate::Builder::listen),
/// each worker has its own queue instead, which costs less with many new connections.
///
/// The socket becomes non-blocking, also for other holders of its descriptor. It stays open in the
/// processes that hold it, and the file of a Unix socket is not removed.
#[derive(Debug)]
pub struct Listener(io::Result<BoundSocket>);

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Listener(Ok(BoundSocket::Tcp(listener)))
    }
}

impl From<tokio::net::TcpListener> for Listener {
    fn from(listener: tokio::net::TcpListener) -> Self {
        Listener(listener.into_std().map(BoundSocket::Tcp))
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Listener(Ok(BoundSocket::Unix(listener)))
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixListener> for Listener {
    fn from(listener: tokio::net::UnixListener) -> Self {
        Listener(listener.into_std().map(BoundSocket::Unix))
    }
}

impl Listener {
    /// A duplicate for each worker, and the address.
    pub(crate) fn share(self, workers: usize) -> Result<(Listen, Vec<BoundSocket>), BindError> {
        let unknown = || Listen::Tcp((Ipv4Addr::UNSPECIFIED, 0).into());
        let socket = self.0.map_err(|source| BindError { address: unknown(), source })?;
        let address = address(&socket).map_err(|source| BindError { address: unknown(), source })?;
        match duplicates(socket, workers) {
            Ok(all) => Ok((address, all)),
            Err(source) => Err(BindError { address, source }),
        }
    }
}

fn address(socket: &BoundSocket) -> io::Result<Listen> {
    match socket {
        BoundSocket::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
        // A socket without a path has an empty one here.
        #[cfg(unix)]
        BoundSocket::Unix(listener) => {
            let address = listener.local_addr()?;
            Ok(Listen::Unix(address.as_pathname().map(Into::into).unwrap_or_default()))
        }
    }
}

fn duplicates(socket: BoundSocket, workers: usize) -> io::Result<Vec<BoundSocket>> {
    if let BoundSocket::Tcp(listener) = &socket {
        inherited_options(&socket2::SockRef::from(listener))?;
    }
    socket.shared(workers)
}
