//! The HTTP API of the program, in the order of `docs/http-api.md`.
//!
//! | file | section of the document |
//! |---|---|
//! | `lists.rs` | fields that are lists, in all sections |
//! | `publish.rs` | Publish |
//! | `names.rs` | names with `/`, in all sections |
//! | `producers.rs` | Producers |
//! | `channels.rs` | Channels: create, describe, close, delete |
//! | `flood.rs` | Publish: a flood slows down its publisher |
//! | `read.rs` | Read: the choice of a feed, its parameters, several channels |
//! | `poll.rs` | Short poll, long poll |
//! | `resume.rs` | Read: the last event id of an `EventSource` |
//! | `streams.rs` | Server-Sent Events, HTTP stream |
//! | `json.rs` | The JSON objects |
//! | `websocket.rs` | WebSocket |
//! | `commands.rs` | WebSocket: commands of `tidewire.v1` at the same time as messages and a close |
//! | `refusals.rs` | Refusals |
//! | `origins.rs` | Browsers |
//! | `stopped.rs` | a server whose process was suspended |
//! | `log.rs` | log lines that clients cause |
//! | `connections.rs` | Connections |
//! | `process.rs` | When the server stops; the command line |
//! | `options.rs` | every option, from each place where it can be set |
//! | `output.rs` | logs and other output that cannot be written |
//! | `signals.rs` | signals that do not ask the server to stop |
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod channels;
mod commands;
mod connections;
mod flood;
mod json;
mod lists;
mod log;
mod names;
mod options;
mod origins;
mod output;
mod poll;
mod process;
mod producers;
mod publish;
mod read;
mod refusals;
mod resume;
mod signals;
#[cfg(target_os = "linux")]
mod stopped;
mod streams;
mod websocket;

use common::{Raw, Response};
use serde_json::Value;

/// A GET with more fields, each with its line end.
fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

/// A POST.
fn post(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("not JSON: {response:?}"))
}

/// Asserts that a refusal is `application/problem+json` with its status and a sentence that says
/// what to do. Returns the sentence.
fn sentence(response: &Response) -> String {
    assert_eq!(response.field("content-type"), Some("application/problem+json"), "{response:?}");
    let problem = json(response);
    assert_eq!(problem["status"], response.status, "{response:?}");
    assert!(!problem["title"].as_str().unwrap().is_empty(), "{response:?}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.len() > 20 && detail.ends_with('.'), "not a sentence: {detail:?}");
    assert!(
        detail.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()),
        "not a sentence: {detail:?}"
    );
    detail.to_owned()
}

/// Reads one chunk of a stream as text.
fn piece(raw: &mut Raw) -> String {
    String::from_utf8(raw.chunk().expect("the stream goes on")).unwrap()
}

/// Reads the head of a stream.
fn stream_head(raw: &mut Raw) -> Response {
    let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
    let status = head[9..12].parse().unwrap();
    Response { status, head, body: Vec::new() }
}
