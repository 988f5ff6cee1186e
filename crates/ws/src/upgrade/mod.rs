//! Upgrades: from a request of hyper, axum or another server to a [`WebSocket`].
//!
//! With axum, [`WebSocketUpgrade`] is an extractor. With hyper, [`upgrade()`] takes the request.
//!
//! ```text
//! request ──► upgrade ──► 101 ──► the server sends it ──► PendingUpgrade ──► Upgraded ──► WebSocket
//!                └──────► Refusal: 400, 403, 405, 426
//! ```
//! The server hands its connection over after the 101. hyper and axum put a handle for it into the
//! extensions of the request, and so does tidewire-server (its feature `ws`). Another server puts a
//! [`PendingUpgrade`] there: then everything here works on it too. Bytes that the client sent right
//! after its request reach the socket.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "hyper")]
mod http;
mod pending;
#[cfg(feature = "hyper")]
mod socket;
mod upgraded;

#[cfg(feature = "axum")]
pub use self::axum::WebSocketUpgrade;
#[cfg(feature = "hyper")]
pub use self::http::upgrade;
pub use pending::{PendingUpgrade, UpgradeError};
#[cfg(feature = "hyper")]
pub use socket::{PendingSocket, WebSocket};
pub use upgraded::Upgraded;
