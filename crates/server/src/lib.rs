#![doc = include_str!("../README.md")]

mod accept;
mod body;
mod connection;
mod connection_limits;
mod date;
mod deadline;
mod failure;
mod handler;
mod inbox;
mod limits;
mod listen;
mod log_limit;
mod parked;
mod problem;
mod reply;
mod server;
mod service;
mod shared;
mod signals;
mod stream;
mod sync;
mod worker;

pub use body::{Body, BodyError};
pub use handler::{Handler, Never, Request};
pub use inbox::Inbox;
pub use limits::{BodyLimits, Limits};
pub use listen::{BindError, Listen, ListenError};
pub use log_limit::LogLimit;
pub use parked::{Parked, Upgraded};
pub use problem::{Problem, reason};
pub use reply::{BodyCut, DetachHead, LocalFuture, Prepared, Reply, Response, StreamBody};
pub use server::{Builder, Running, Server, Stopper};
pub use service::{NotUpgraded, OnUpgrade, ServiceHandler};
pub use signals::Signals;
pub use stream::Peer;
pub use tidewire_http1 as http1;
