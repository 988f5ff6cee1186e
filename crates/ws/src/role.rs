//! The two ends of a connection: a client masks its frames, a server does not.

/// The role of a [`Connection`](crate::Connection) that reads masked frames and sends unmasked
/// ones.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// The role of a [`Connection`](crate::Connection) that reads unmasked frames and masks each frame
/// that it sends.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

/// [`Server`] or [`Client`]. No other type can be a role.
///
/// Code that is generic over the role needs no other bound, also to move a connection to another
/// task:
///
/// ```
/// use tidewire_ws::{Connection, Event, Role};
///
/// fn read_elsewhere<R: Role>(mut connection: Connection<R>, mut input: Vec<u8>) {
///     std::thread::spawn(move || matches!(connection.decode(&mut input), Ok((_, Some(Event::Ping(_))))));
/// }
/// ```
pub trait Role: sealed::Role {}
impl Role for Server {}
impl Role for Client {}

/// A role as a value, for code that is compiled once for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// The other end.
    #[cfg(feature = "deflate")]
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

pub(crate) mod sealed {
    use super::{Client, Server, Side};
    use core::fmt::Debug;

    /// What differs between the roles.
    pub trait Role: Copy + Debug + Send + Sync + Unpin + 'static {
        /// What a role needs to send a frame: a masking key for a client (RFC 6455 §5.3), nothing
        /// for a server.
        type Key: Copy + Debug + Send + Sync + Unpin + 'static;
        #[allow(private_interfaces)]
        const SIDE: Side;

        /// The masking key as the frame header has it: RFC 6455 §5.1 (1), RFC 6455 §5.1 (3).
        fn masking_key(key: Self::Key) -> Option<[u8; 4]>;

        /// Calls `make` for a client.
        fn key<E>(make: impl FnOnce() -> Result<[u8; 4], E>) -> Result<Self::Key, E>;
    }

    #[allow(private_interfaces)]
    impl Role for Server {
        type Key = ();
        const SIDE: Side = Side::Server;

        #[inline]
        fn masking_key((): ()) -> Option<[u8; 4]> {
            None
        }

        #[inline]
        fn key<E>(_: impl FnOnce() -> Result<[u8; 4], E>) -> Result<(), E> {
            Ok(())
        }
    }

    #[allow(private_interfaces)]
    impl Role for Client {
        type Key = [u8; 4];
        const SIDE: Side = Side::Client;

        #[inline]
        fn masking_key(key: [u8; 4]) -> Option<[u8; 4]> {
            Some(key)
        }

        #[inline]
        fn key<E>(make: impl FnOnce() -> Result<[u8; 4], E>) -> Result<[u8; 4], E> {
            make()
        }
    }
}
