//! A WebSocket in two parts: one reader, and a writer that can be cloned.

mod message_writer;
mod operation;
mod reader;
mod reunite;
mod shared;
mod writer;

pub use message_writer::MessageWriter;
pub use reader::Reader;
pub use reunite::ReuniteError;
pub(super) use shared::Shared;
pub use writer::Writer;
