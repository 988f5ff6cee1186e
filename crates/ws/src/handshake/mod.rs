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
//! Fields are pairs of name and value, as bytes, without the whitespace around the value: what `http::HeaderMap` and every parser
//! of heads can give. They are read once, in order, without allocating.
//!
//! ```
//! use tidewire_ws::handshake::server::{self, Options};
//! let fields: [(&[u8], &[u8]); 5] = [
//!     (b"host", b"example.com"),
//!     (b"upgrade", b"websocket"),
//!     (b"connection", b"keep-alive, Upgrade"),
//!     (b"sec-websocket-version", b"13"),
//!     (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
//! ];
//! let accept = server::accept(b"GET", (1, 1), fields, &Options::default()).unwrap();
//! assert_eq!(accept.accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! ```

pub mod client;
mod key;
mod origin;
pub mod server;

pub use key::accept_key;
pub use origin::Origins;

use tidewire_grammar::{eq_ignore_case, is_token, list};

/// Whether one of the elements of a list is this token, in any case.
fn has_token(value: &[u8], token: &[u8]) -> bool {
    list(value).any(|element| eq_ignore_case(element, token))
}

/// Whether `name` is this field's, which is given in lower case.
fn is_field(name: &[u8], field: &str) -> bool {
    eq_ignore_case(name, field.as_bytes())
}

/// A subprotocol's name is a token; names differ in case (RFC 6455 §4.1 (10), §11.5).
fn is_subprotocol(name: &[u8]) -> bool {
    is_token(name)
}
