//! The opening handshake (RFC 6455 §4), over the header fields of any HTTP library.
//!
//! ```text
//! GET /chat HTTP/1.1                          HTTP/1.1 101 Switching Protocols
//! Host: example.com                           Upgrade: websocket
//! Upgrade: websocket                          Connection: Upgrade
//! Connection: Upgrade                    ──►  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//! Sec-WebSocket-Version: 13
//! Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//! ```
//! Fields are pairs of name and value, without whitespace around the value. Both are anything that
//! is bytes (`AsRef<[u8]>`), borrowed or owned: `&http::HeaderMap` and the fields of every HTTP
//! parser fit. They are read once, in order, without allocating.
//!
//! ```
//! use tidewire_ws::handshake::server::{self, Options};
//! let fields = [
//!     ("host", "example.com"),
//!     ("upgrade", "websocket"),
//!     ("connection", "keep-alive, Upgrade"),
//!     ("sec-websocket-version", "13"),
//!     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
//! ];
//! let accept = server::accept("GET", (1, 1), fields, &Options::default()).unwrap();
//! assert_eq!(accept.accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! ```

pub mod client;
mod fields;
mod key;
mod origin;
mod refusal;
pub mod server;

pub use key::accept_key;
pub use origin::Origins;
