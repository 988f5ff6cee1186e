#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod appending;
mod changing;
mod channel;
mod channel_state;
mod close_code;
mod commands;
mod common;
mod config;
mod context;
mod cors;
mod counters;
mod credit;
mod directory;
mod driver;
mod error;
mod feeds;
mod fetching;
mod flight;
mod form;
mod form_cache;
mod gzip;
mod hub;
mod json_text;
#[cfg(all(test, loom))]
mod loom_tests;
mod name;
mod object;
mod opening;
mod out;
mod page;
mod pages;
#[cfg(test)]
mod pages_tests;
mod poll;
mod positions;
mod publication;
mod publishing;
mod raw_body;
mod raw_reader;
mod reader;
mod refusal;
mod request_fields;
mod room;
mod rope;
mod settings;
mod settling;
mod shape;
#[cfg(test)]
mod shape_tests;
mod site;
#[cfg(test)]
mod store_tests;
mod sync;
mod table;
mod units;
mod upload;
mod upload_state;
mod vanishing;
mod window;

pub use api::conditions;
pub use api::handshake;
pub use channel::{Channel, ChannelInfo};
pub use channel_state::{Page, Published};
pub use close_code::CloseCode;
pub use config::{HubConfig, Patterns};
pub use cors::{Access, OriginError, Origins};
pub use counters::Work;
pub use error::HubError;
pub use fetching::Changed;
pub use hub::Hub;
pub use name::MAX_CHANNELS;
pub use publication::Publication;
pub use refusal::not_allowed;
pub use settings::{Settings, TOO_SLOW};
pub use site::Site;
pub use table::Ticket;
pub use tidewire_channel::{Budget, Continuity, Cursor, ResetReason, Retention, Since};
pub use tidewire_server as server;
pub use tidewire_server::json;
pub use tidewire_store as store;
pub use tidewire_store::{
    ChannelName, ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, MAX_NAME, Message, NameError,
    RESERVED_EVENTS,
};
