#![doc = include_str!("../README.md")]

mod api;
mod channel;
mod config;
mod context;
mod cors;
mod counters;
mod error;
mod feeds;
mod gzip;
mod hub;
pub mod json;
#[cfg(all(test, loom))]
mod loom_tests;
mod message;
mod name;
mod object;
mod positions;
mod raw_body;
mod raw_reader;
mod reader;
mod refusal;
mod request_fields;
mod settings;
mod site;
mod sync;
mod table;
mod upload;
mod upload_state;

pub use api::conditions::matches_etag;
pub use api::handshake;
pub use channel::{Changed, Channel, Page, Published};
pub use config::HubConfig;
pub use cors::{Access, OriginError, Origins};
pub use counters::Work;
pub use error::HubError;
pub use hub::Hub;
pub use message::{ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Message, RESERVED_EVENTS};
pub use name::{ChannelName, MAX_CHANNELS, MAX_NAME, NameError};
pub use refusal::not_allowed;
pub use settings::{Settings, TOO_SLOW};
pub use site::{Site, Ticket};
pub use tidewire_channel::{Budget, Continuity, Cursor, ResetReason, Retention, Since};
pub use tidewire_server as server;
