#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::must_use_candidate, clippy::return_self_not_must_use)]

mod accept;
mod any_stream;
mod body;
mod connection;
mod connection_limits;
mod date;
mod deadline;
mod failure;
mod given;
mod handler;
mod inbox;
// Public because the hub and the program write the same JSON. It is not a part of the engine's API.
#[doc(hidden)]
pub mod json;
mod limits;
mod listen;
mod listener;
mod log_limit;
mod output;
mod parked;
mod prepared;
mod problem;
mod reply;
mod response;
mod serve;
mod server;
mod service;
mod shared;
mod signals;
mod stream;
mod stream_body;
mod sync;
mod turns;
mod worker;

pub use body::{Body, BodyError};
pub use given::{ConnectionSender, NotServed};
pub use handler::{Handler, Never, Request};
pub use inbox::Inbox;
pub use limits::{BodyLimits, Limits};
pub use listen::{BindError, Listen, ListenError};
pub use listener::Listener;
pub use log_limit::LogLimit;
pub use parked::{Parked, Upgraded};
pub use prepared::PreparedResponse;
pub use problem::Problem;
pub use reply::{DetachHead, LocalFuture, Reply};
pub use response::Response;
pub use serve::{Serve, serve};
pub use server::{Builder, Running, Server, Stopper};
pub use service::{NotUpgraded, OnRuntime, OnUpgrade, ServiceHandler};
pub use signals::{Signals, shutdown_signal};
pub use stream::Peer;
pub use stream_body::{BodyCut, StreamBody};
pub use tidewire_http1 as http1;
