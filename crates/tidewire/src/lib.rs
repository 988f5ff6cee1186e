#![doc = include_str!("../README.md")]

mod answers;
mod channel;
mod content;
mod cors;
pub mod explain;
mod feeds;
mod files;
mod gzip;
mod hub;
pub mod json;
mod message;
mod name;
mod params;
mod playground;
mod poll;
mod publish;
mod reader;
mod shard;
mod site;
mod subscribe;
mod sync;
pub mod terminal;
mod upload;
mod web;
mod work;

pub use channel::{Changed, Channel, Page};
pub use cors::{OriginError, Origins};
pub use files::Files;
pub use hub::{Hub, HubConfig, HubError, Published};
pub use message::{
    ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Message, Object, RESERVED_EVENTS,
};
pub use name::{ChannelName, MAX_CHANNELS, MAX_NAME, NameError};
pub use playground::Playground;
pub use shard::Ticket;
pub use site::{Settings, Site};
pub use tidewire_channel::{Cursor, Retention};
pub use tidewire_server as server;
pub use work::Work;

/// Lines to paste into a terminal, for a server at `base` (`http://127.0.0.1:8080`): one for each technique.
pub fn guide(base: &str) -> String {
    format!(
        "\
Tidewire: one URL, one log, one cursor.

  publish       curl -d 'hello' {base}/c/demo
  short poll    curl '{base}/c/demo'
  long poll     curl '{base}/c/demo?wait=25'
  SSE           curl -N '{base}/c/demo?feed=sse&since=earliest'
  stream        curl -N '{base}/c/demo?feed=stream&since=earliest'
  WebSocket     any client at ws{ws}/c/demo   (subprotocol tidewire.v1 speaks JSON both ways)

Every answer has a cursor; ?since=CURSOR goes on from it on any of them.
",
        ws = base.strip_prefix("http").unwrap_or(base)
    )
}
