//! A client: from a URL to a WebSocket, in two lines.
//!
//! ```no_run
//! # #[cfg(feature = "connect")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = tidewire_ws::connect("ws://127.0.0.1:8080/chat").await?;
//! socket.send("Hello".into()).await?;
//! # Ok(()) }
//! ```
//! [`Connect`] has the options: header fields, subprotocols, compression, limits, TLS, and
//! `over` for a stream of your own. If the server answers with something other
//! than a WebSocket, the [`Error`] has the status, all fields, and the start of the body.
//!
//! With the feature `blocking`, `blocking::connect`, [`Connect`]'s `open_blocking` and
//! `over_blocking` do the same without tokio.
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
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod error;
mod exchange;
#[cfg(feature = "connect")]
mod stream;
mod target;
#[cfg(feature = "rustls")]
mod tls;
#[cfg(feature = "connect")]
mod tokio;

pub use answer::Response;
pub use builder::Connect;
pub use error::{Error, RequestError};
#[cfg(feature = "connect")]
pub use stream::Stream;
#[cfg(feature = "connect")]
pub use tokio::{WebSocket, connect};
