//! The HTTP API: what a request asks for, and what it is answered.

mod answers;
pub mod conditions;
mod content;
pub mod handshake;
pub(crate) mod params;
mod publish;
pub(crate) mod responder;
mod subscribe;
mod upload;
