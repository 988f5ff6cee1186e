#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), forbid(clippy::arithmetic_side_effects), deny(clippy::cast_possible_truncation))]

mod answer;
mod date;
mod error;
mod message;
mod name;
mod pattern;
mod percent;
pub mod reserved_events;
mod settings;
mod settings_text;
mod units;

pub use answer::{Answer, Later, Responder, later};
pub use error::{AppendError, CreateError, Failed, Outcome, ReadError, Refusal};
pub use message::{ContentTypeError, EventNameError, MAX_CONTENT_TYPE, MAX_EVENT, Mark, Message};
pub use name::{ChannelName, MAX_NAME, NameError};
pub use pattern::{ChannelPattern, ChannelPatterns, PatternError};
pub use reserved_events::RESERVED_EVENTS;
pub use settings::{ChannelSettings, Expiry, Retain};
pub use settings_text::{Setting, SettingsError, SettingsErrorKind, SettingsLimits, SettingsText};
pub use units::{MAX_SPAN_MS, UnitError, parse_size, parse_span_ms};
