//! The HTTP API: parses requests and makes responses.

mod answer_cache;
pub mod conditions;
mod content;
mod create;
mod delete;
mod describe;
pub mod handshake;
mod not_yet;
pub(crate) mod params;
pub(crate) mod producer;
pub(crate) mod publish;
mod published;
mod query;
pub(crate) mod responder;
mod subscribe;
mod upload;
