#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::must_use_candidate, clippy::return_self_not_must_use)]

mod answer;
mod client;
mod close_code;
mod cursor;
mod error;
mod event;
mod feeds;
mod http;
mod item;
mod kept;
mod lineage;
mod net;
mod object;
mod options;
mod position;
mod producer;
mod publish;
mod random;
mod recovery;
mod settings;
mod subscription;
mod time;
mod url;

pub use client::Client;
pub use cursor::{Cursor, CursorError};
pub use error::{Awaited, Error, Problem, Protocol};
pub use event::{Event, Feed, FeedError, Message, Since};
pub use options::{Backoff, Options};
pub use producer::Producer;
pub use publish::{Publish, Published};
pub use subscription::Subscription;
pub use url::UrlError;
