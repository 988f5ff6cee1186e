//! The bodies of the fuzz targets: functions that take bytes and panic if a guarantee is broken.
//! `fuzz_targets/` runs them with libFuzzer, `tests/corpus.rs` with the committed corpora.
//! README.md says how to add a target.

pub mod targets;

/// The name of a target, which is also the name of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("channel_name", targets::channel_name::run),
    ("channel_settings", targets::channel_settings::run),
    ("chunked", targets::chunked::run),
    ("chunked_roundtrip", targets::chunked_roundtrip::run),
    ("cursor", targets::cursor::run),
    ("disk_entries", targets::disk_entries::run),
    ("http1_connection", targets::http1_connection::run),
    ("http1_exchange", targets::http1_exchange::run),
    ("http1_observer", targets::http1_observer::run),
    ("http1_request", targets::http1_request::run),
    ("http1_response", targets::http1_response::run),
    ("sse_decode", targets::sse_decode::run),
    ("sse_roundtrip", targets::sse_roundtrip::run),
    ("ws_deflate", targets::ws_deflate::run),
    ("ws_frames", targets::ws_frames::run),
    ("ws_handshake", targets::ws_handshake::run),
    ("ws_messages", targets::ws_messages::run),
    ("ws_session", targets::ws_session::run),
    ("ws_tungstenite", targets::ws_tungstenite::run),
];
