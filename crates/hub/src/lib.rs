#![doc = include_str!("../README.md")]

mod api;
mod channel;
mod commands;
mod config;
mod context;
mod cors;
mod counters;
mod driver;
mod error;
mod feeds;
mod gzip;
mod hub;

mod message;
mod name;
mod poll;
mod reader;
pub mod refusal;
mod settings;
mod shape;
mod site;
mod sync;
mod table;

pub use api::conditions;
pub use api::handshake;
pub use channel::{Changed, Channel, Page, Published};
pub use config::HubConfig;
pub use cors::{Access, OriginError, Origins};
pub use counters::Work;
pub use error::HubError;
pub use hub::Hub;
pub use message::{
    ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Message, Object, RESERVED_EVENTS,
};
pub use name::{ChannelName, MAX_CHANNELS, MAX_NAME, NameError};
pub use settings::{Settings, TOO_SLOW};
pub use site::Site;
pub use table::Ticket;
pub use tidewire_channel::{Cursor, Retention};
pub use tidewire_server as server;
pub use tidewire_server::json;
