#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod app;
mod browser_client;
mod files;
mod guide;
mod playground;

pub use app::{App, AppTicket};
pub use files::Files;
pub use guide::guide;
pub use playground::Playground;
pub use tidewire_disk as disk;
pub use tidewire_explain as explain;
pub use tidewire_hub as hub;
pub use tidewire_hub::server;
pub use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Origins, Retention, Settings};
