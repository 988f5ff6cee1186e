//! The HTTP API: what a request asks for, and what it is answered.

pub(crate) mod answers;
pub(crate) mod conditions;
mod content;
pub mod handshake;
pub(crate) mod params;
pub(crate) mod poll;
pub(crate) mod publish;
mod published;
mod query;
pub(crate) mod subscribe;
pub(crate) mod upload;
