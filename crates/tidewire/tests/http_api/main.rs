//! The HTTP API, line by line as `docs/http-api.md` has it, against the command.
//!
//! | file | section of the document |
//! |---|---|
//! | `lists.rs` | fields that are lists, in all sections |
//! | `publish.rs` | Publish |
//! | `flood.rs` | Publish: a flood slows its publisher |
//! | `read.rs` | Read: the choice of a feed, its parameters, several channels |
//! | `poll.rs` | Short poll, long poll |
//! | `resume.rs` | Read: the id of an `EventSource` that comes back |
//! | `streams.rs` | Server-Sent Events, HTTP stream |
//! | `json.rs` | The JSON objects |
//! | `websocket.rs` | WebSocket |
//! | `commands.rs` | WebSocket: commands of `tidewire.v1` that meet messages and a close |
//! | `refusals.rs` | Refusals |
//! | `origins.rs` | Browsers |
//! | `stopped.rs` | the server, when its process did not run |
//! | `log.rs` | log lines that clients cause |
//! | `connections.rs` | Connections |
//! | `process.rs` | When the server stops; the command line |
//! | `options.rs` | every option, from each place that it can be set in |
//! | `output.rs` | logs, greetings and pages that cannot be written |
//! | `signals.rs` | signals that do not ask for an end |
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod connections;
mod flood;
mod json;
mod lists;
mod log;
mod options;
mod origins;
mod output;
mod poll;
mod process;
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

/// A GET with further fields, each with its line end.
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

/// A refusal is `application/problem+json`, says the status again, and has a sentence that says
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

/// One chunk of a stream as text.
fn piece(raw: &mut Raw) -> String {
    String::from_utf8(raw.chunk().expect("the stream goes on")).unwrap()
}

/// The head of a stream whose body goes on.
fn stream_head(raw: &mut Raw) -> Response {
    let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
    let status = head[9..12].parse().unwrap();
    Response { status, head, body: Vec::new() }
}
