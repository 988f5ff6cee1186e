#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod answer;
mod append;
mod create;
mod error;
mod info;
mod memory;
mod message;
mod name;
pub mod reserved_events;
mod settings;
mod store;
#[cfg(any(test, feature = "suite"))]
#[cfg_attr(docsrs, doc(cfg(feature = "suite")))]
pub mod suite;

pub use answer::{Answer, Later, Responder, later};
pub use append::{Append, Appended, Batch, Once, UploadStep};
pub use create::{Create, Created, Fork};
pub use error::{AppendError, CreateError, Failed, Outcome, ReadError, Refusal};
pub use info::{LogInfo, Opened, Page};
pub use memory::{Limits, MemoryStore};
pub use message::{ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Mark, Message};
pub use name::{ChannelName, MAX_NAME, NameError};
pub use reserved_events::RESERVED_EVENTS;
pub use settings::{ChannelSettings, Expiry, Retain};
pub use store::{Listener, Store, Swept};
