//! A client: from a URL to a WebSocket, in two lines.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = tidewire_ws::connect("ws://127.0.0.1:8080/chat").await?;
//! socket.send("Hello".into()).await?;
//! # Ok(()) }
//! ```
//! [`Connect`] has the options: header fields, subprotocols, compression, limits, TLS, and
//! [`over`](Connect::over) for a stream of your own. If the server answers with something other
//! than a WebSocket, the [`Error`] has the status, all fields, and the start of the body.
//!
//! Redirects are not followed: the error shows where they lead. A 401 is not answered.
//!
//! # Deadlines
//!
//! A server may take any time. Put `tokio::time::timeout` around the call. When the future is
//! dropped, the stream closes. Only the wait for the body of a refusal is bounded, to one second:
//! see [`Connect::with_max_body`].
//!
//! # URLs
//!
//! `ws://host[:port]/path?query`, as in RFC 6455 §3. `wss` needs the feature `rustls`. `http` and
//! `https` mean `ws` and `wss`, as in browsers. The default ports are 80 and 443. An IPv6 address
//! is in brackets. A fragment is refused, and so is a user name: URLs are logged, so credentials
//! belong into a field.

mod answer;
mod builder;
mod error;
mod exchange;
mod stream;
mod target;
#[cfg(feature = "rustls")]
mod tls;

pub use answer::Response;
pub use builder::{Connect, WebSocket};
pub use error::{Error, RequestError};
pub use stream::Stream;

/// Connects to the server of this URL. See [`Connect`] for options.
///
/// # Errors
/// [`Error`].
///
/// # Panics
/// Outside a tokio runtime with IO and time enabled, as `#[tokio::main]` has.
pub async fn connect(url: &str) -> Result<WebSocket, Error> {
    Connect::new(url).open().await.map(|(socket, _)| socket)
}
