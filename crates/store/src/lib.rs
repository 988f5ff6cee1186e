#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod answer;
mod append;
mod create;
mod date;
mod error;
mod info;
mod memory;
mod message;
mod name;
mod pattern;
mod percent;
pub mod reserved_events;
mod settings;
mod settings_text;
mod store;
#[cfg(any(test, feature = "suite"))]
#[cfg_attr(docsrs, doc(cfg(feature = "suite")))]
pub mod suite;
mod units;

pub use answer::{Answer, Later, Responder, later};
pub use append::{Append, Appended, Batch, Once, UploadStep};
pub use create::{Create, Created, Fork};
pub use error::{AppendError, CreateError, Failed, Outcome, ReadError, Refusal};
pub use info::{LogInfo, Opened, Page};
pub use memory::{Limits, MemoryStore};
pub use message::{ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Mark, Message};
pub use name::{ChannelName, MAX_NAME, NameError};
pub use pattern::{ChannelPattern, ChannelPatterns, PatternError};
pub use reserved_events::RESERVED_EVENTS;
pub use settings::{ChannelSettings, Expiry, Retain};
pub use settings_text::{Setting, SettingsError, SettingsErrorKind, SettingsLimits, SettingsText};
pub use store::{Listener, Store, Swept};
pub use units::{MAX_SPAN_MS, UnitError, parse_size, parse_span_ms};
