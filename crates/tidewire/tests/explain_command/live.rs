//! Connections to a server.

use crate::common::Server;
use crate::common::server::{Outcome, command, run};
use crate::{code_of, holds, plain, wait_for};

/// Explains a URL of the server.
fn live(server: &Server, args: &[&str], url: &str) -> Outcome {
    let mut all = vec!["explain", url];
    all.extend(args);
    let mut command = command(&all);
    plain(&mut command);
    let outcome = run(command);
    assert_eq!(outcome.code, Some(0), "{outcome:?}\n{}", server.log());
    outcome
}

#[test]
fn ctrl_c_ends_a_live_stream() {
    let server = Server::start(&[]);
    for url in [server.url("/c/demo?feed=sse"), format!("ws://{}/c/demo", server.address)] {
        let mut command = command(&["explain", &url]);
        plain(&mut command);
        let mut child = command.spawn().unwrap();
        // Nothing after the head of the response is certain to arrive.
        let out = wait_for(&mut child, "the head ends; chunks follow|another protocol begins");
        let kill =
            std::process::Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status();
        assert!(kill.unwrap().success());
        let code = code_of(&mut child);
        let rest = String::from_utf8(out.rest()).unwrap();
        assert_eq!(code, Some(130), "{rest}");
        assert!(rest.contains("interrupted"), "{rest}");
        // A WebSocket is closed with close frames in both directions.
        assert_eq!(
            rest.matches("close code 1000").count(),
            if url.starts_with("ws") { 2 } else { 0 },
            "{rest}"
        );
    }
}

#[test]
fn a_live_poll() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(&server, &[], &server.url("/c/demo"));
    holds(
        &outcome,
        &[
            "──► client to server",
            "GET → asks for what is at the target",
            "◄── server to client",
            "status line → answers GET /c/demo",
            "Content-Type: application/json",
            "received",
        ],
    );
}

#[test]
fn a_live_publish() {
    let server = Server::start(&[]);
    let outcome = live(&server, &["-d", "hello", "-H", "Content-Type: text/plain"], &server.url("/c/demo"));
    holds(
        &outcome,
        &[
            "POST → sends content",
            "Content-Type: text/plain",
            "5 bytes of content → \"hello\"",
            "201 → a resource was created",
        ],
    );
}

#[test]
fn a_live_event_stream() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(&server, &["--messages", "1"], &server.url("/c/demo?feed=sse&since=earliest"));
    holds(
        &outcome,
        &[
            "Transfer-Encoding: chunked",
            "→ a chunk of",
            "retry: ",
            "data: hello → a line of data: \"hello\"",
            "dispatches \"message\" with 5 bytes of",
            "ended by --messages",
        ],
    );
}

#[test]
fn a_live_http_stream() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let outcome = live(
        &server,
        &["--messages", "2", "--width", "160"],
        &server.url("/c/demo?feed=stream&since=earliest"),
    );
    holds(
        &outcome,
        &["the stream begins after cursor", "a message: 5 bytes of text; the cursor after it is"],
    );
}

#[test]
fn a_live_stream_ends_after_the_seconds() {
    let server = Server::start(&[]);
    let outcome = live(&server, &["--seconds", "0.3"], &server.url("/c/demo?feed=sse"));
    holds(&outcome, &["ended by --seconds"]);
}

#[test]
fn the_longest_time_limit_works() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let args = ["--seconds", "36500d", "--messages", "1"];
    let outcome = live(&server, &args, &server.url("/c/demo?feed=sse&since=earliest"));
    holds(&outcome, &["hello"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn a_live_websocket() {
    let server = Server::start(&[]);
    publish(&server, "hello");
    let url = format!("ws://{}/c/demo?since=earliest", server.address);
    let outcome = live(&server, &["--subprotocol", "tidewire.v1", "--messages", "2", "--width", "160"], &url);
    holds(
        &outcome,
        &[
            "101 → after this head, the connection uses another protocol",
            "text frame",
            "0··· ···· MASK = 0 → a server never masks",
            "tidewire.v1 object → the stream begins after cursor",
            "tidewire.v1 object → a message: 5 bytes of text",
            "1··· ···· MASK = 1 → a client masks every frame",
            "close code 1000",
        ],
    );
}

#[test]
fn a_live_websocket_with_compression() {
    let server = Server::start(&[]);
    publish(&server, &"hello ".repeat(400));
    let url = format!("ws://{}/c/demo?since=earliest", server.address);
    let outcome = live(&server, &["--deflate", "--messages", "1", "--width", "160"], &url);
    holds(
        &outcome,
        &[
            "Sec-WebSocket-Extensions: permessage-deflate",
            "RSV1: the message is compressed (permessage-deflate) [RFC 7692 §6]",
            "2,400 bytes inflated → \"hello hello",
        ],
    );
}

fn publish(server: &Server, payload: &str) {
    let outcome = run(command(&["pub", &server.url("/c/demo"), payload]));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
