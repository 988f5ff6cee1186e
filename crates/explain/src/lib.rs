#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod annotator;
mod api_object;
mod body;
mod buffer;
mod byte_stream;
mod chunk;
mod close_code;
mod connection_state;
mod content;
mod direction;
mod fields;
mod frame_header;
mod frames;
mod head;
mod json_lines;
mod limits;
mod line;
mod media_type;
mod message;
mod note;
mod refusal;
mod request_context;
mod sse;
mod start;
pub mod terminal;
mod text;
mod unstructured;
mod upgrade;

pub use annotator::Annotator;
pub use direction::Direction;
pub use limits::Limits;
pub use note::{Note, NoteKind};
pub use refusal::Refusal;
pub use start::Start;
