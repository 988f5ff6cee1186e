//! One file per target, each with `pub fn run(data: &[u8])`.

pub mod channel_name;
pub mod channel_settings;
pub mod chunked;
pub mod chunked_roundtrip;
pub mod cursor;
pub mod disk_entries;
pub mod http1_connection;
pub mod http1_exchange;
pub mod http1_observer;
pub mod http1_request;
pub mod http1_response;
pub mod sse_decode;
pub mod sse_roundtrip;
pub mod ws_deflate;
pub mod ws_frames;
pub mod ws_handshake;
pub mod ws_messages;
pub mod ws_session;
pub mod ws_tungstenite;

// The test subjects and oracles of the protocol crates.
#[path = "../../../crates/chunked/tests/subject/mod.rs"]
mod chunked_subject;
// The file itself, since the crate would bring its database.
#[path = "../../../crates/disk/src/entry.rs"]
mod disk_entry;
#[path = "../../../crates/http1/tests/observer/capture.rs"]
mod http1_capture;
#[path = "../../../crates/http1/tests/oracle/mod.rs"]
mod http1_oracle;
#[path = "../../../crates/http1/tests/observer/pair.rs"]
mod http1_pair;
#[path = "../../../crates/http1/tests/common/mod.rs"]
mod http1_subject;
#[path = "../../../crates/sse/tests/oracle/mod.rs"]
mod sse_oracle;
#[path = "../../../crates/sse/tests/subject/mod.rs"]
mod sse_subject;
#[path = "../../../crates/ws/tests/subject/mod.rs"]
mod ws_subject;

// The names that these files use for one another.
use {http1_capture as capture, http1_subject as common};
