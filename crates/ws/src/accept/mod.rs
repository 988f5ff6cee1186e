//! A server over any tokio stream, without an HTTP library: it reads the request and answers it.
//!
//! ```
//! # #[cfg(all(feature = "accept", feature = "connect"))]
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # let (stream, client) = tokio::io::duplex(1024);
//! # let serve = async {
//! let mut socket = tidewire_ws::accept(stream).await?;
//! socket.send("Hello".into()).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) };
//! # let connect = tidewire_ws::connect::Connect::new("ws://localhost/");
//! # let (served, opened) = tokio::join!(serve, connect.over(client));
//! # served.unwrap();
//! # assert_eq!(opened.unwrap().0.next().await.unwrap().unwrap(), "Hello".into());
//! # });
//! ```
//! [`Handshake`] has the two steps, for a server that looks at the request before it answers.
//!
//! With the feature `blocking` it has the same steps for blocking streams:
//! `Handshake::read_blocking`, and `blocking::accept` for both steps at once.
//!
//! For a server with other routes than the WebSocket, use `upgrade` with hyper,
//! axum or tidewire-server.
//!
//! # Deadlines
//!
//! A client may take any time. Put `tokio::time::timeout` around the call. When the future is
//! dropped, the stream closes. Only the wait after a refusal is bounded, to one second. On a
//! blocking stream, set a read time-out.

#[cfg(feature = "blocking")]
mod blocking;
mod error;
mod handshake;
#[cfg(feature = "accept")]
mod tokio;

pub use error::Error;
pub use handshake::Handshake;
#[cfg(feature = "accept")]
pub use tokio::accept;
