//! Publishing to a server that plays a script.

#![allow(clippy::unwrap_used)]

mod script;

use std::time::{Duration, Instant};

use script::*;
use tidewire_client::{Client, Error, Publish};

const JSON: &str = "Content-Type: application/json\r\n";

fn created(n: u32) -> Step {
    answer("201 Created", JSON, &format!("{{\"cursor\":\"e-{n}\"}}\n"))
}

#[tokio::test]
async fn a_message_becomes_a_post() {
    let server = serve(vec![vec![Request, created(1), Request, created(2), Hold]]);
    let client = Client::new(&server.url).unwrap();
    let message =
        Publish::new("hi").with_event("é &").with_content_type("text/plain").with_idempotency_key("k1");
    let published = client.publish(message).await.unwrap();
    assert_eq!((published.cursor.as_str(), published.duplicate), ("e-1", false));
    assert_eq!(
        server.received(),
        "POST /c/demo?event=%C3%A9%20%26 Content-Type=text/plain Idempotency-Key=k1 hi"
    );
    assert_eq!(client.publish(Publish::new("again")).await.unwrap().cursor.as_str(), "e-2");
    let received = server.received();
    let key = received.strip_prefix("POST /c/demo Idempotency-Key=").unwrap().strip_suffix(" again").unwrap();
    assert_eq!(key.len(), 32, "128 bits, over the same connection");
}

#[tokio::test]
async fn after_a_lost_answer_the_message_is_sent_again_with_the_same_key() {
    let server = serve(vec![
        vec![Request],
        vec![Request, send("HTTP/1.1 201 Cre")],
        vec![Request, answer("502 Bad Gateway", "", "")],
        vec![Request, answer("200 OK", JSON, "{\"cursor\":\"e-7\",\"duplicate\":true}")],
    ]);
    let published = Client::new(&server.url).unwrap().publish(Publish::new("once")).await.unwrap();
    assert_eq!((published.cursor.as_str(), published.duplicate), ("e-7", true));
    let first = server.received();
    for _ in 0..3 {
        assert_eq!(server.received(), first);
    }
}

/// Bytes that come without a request are not an answer, whether they come with the answer before or
/// later.
#[tokio::test]
async fn bytes_on_an_idle_connection_are_not_an_answer() {
    let (mut both, late) = match (created(1), created(8)) {
        (Step::Send(first), Step::Send(late)) => (first, late),
        _ => unreachable!("answers are sent"),
    };
    both.extend_from_slice(&late);
    for first in [
        vec![Request, Step::Send(both), ReadBytes(0), Hold],
        vec![Request, created(1), Pause(50), Step::Send(late), ReadBytes(0), Hold],
    ] {
        let server = serve(vec![first, vec![Request, created(2)]]);
        let client = Client::new(&server.url).unwrap().with_attempts(1);
        client.publish(Publish::new("a")).await.unwrap();
        assert!(server.received().ends_with(" a"));
        // The server has sent everything, and the runtime checks its sockets.
        assert_eq!(server.received(), "[]");
        tokio::task::yield_now().await;
        assert_eq!(client.publish(Publish::new("b")).await.unwrap().cursor.as_str(), "e-2");
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_no_failure() {
    let server = serve(vec![vec![Request, created(1), Close], vec![Request, created(2)]]);
    let client = Client::new(&server.url).unwrap().with_attempts(1);
    client.publish(Publish::new("a")).await.unwrap();
    assert!(server.received().ends_with(" a"));
    assert_eq!(server.received(), "closed");
    // The runtime checks its sockets.
    tokio::task::yield_now().await;
    assert_eq!(client.publish(Publish::new("b")).await.unwrap().cursor.as_str(), "e-2");
}

#[tokio::test]
async fn retry_after_is_honoured_and_attempts_are_counted() {
    let full = || problem("429 Too Many Requests", "Retry-After: 1\r\n", "Slower.");
    let server = serve(vec![vec![Request, full(), Request, full(), Hold]]);
    let client = Client::new(&server.url).unwrap().with_attempts(2);
    let start = Instant::now();
    let Err(Error::GaveUp { attempts: 2, last }) = client.publish(Publish::new("x")).await else { panic!() };
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(last.to_string(), "the server answered 429 Too Many Requests: Slower.");
}

#[tokio::test]
async fn a_refusal_shows_the_detail_of_the_server() {
    let server =
        serve(vec![vec![Request, problem("400 Bad Request", "", "An event name has no line ends.")]]);
    let error = Client::new(&server.url).unwrap().publish(Publish::new("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 400 Bad Request: An event name has no line ends.");
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_read_is_used() {
    let refusal = problem("413 Content Too Large", "Connection: close\r\n", "Send less.");
    // The server closes with unread bytes, so a reset follows the answer.
    let server = serve(vec![vec![ReadBytes(100), refusal, Close]]);
    let client = Client::new(&server.url).unwrap().with_attempts(1).with_request_timeout(PATIENCE);
    let error = client.publish(Publish::new(vec![b'x'; 8 << 20])).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 413 Content Too Large: Send less.");
}

#[tokio::test]
async fn a_field_that_would_split_a_head_is_refused() {
    let client = Client::new("http://127.0.0.1:1/c/demo").unwrap();
    let split = Publish::new("x").with_content_type("text/plain\r\nX: y");
    assert!(matches!(client.publish(split).await, Err(Error::Field { name, .. }) if name == "Content-Type"));
    let split = Publish::new("x").with_idempotency_key("a\nb");
    assert!(matches!(client.publish(split).await, Err(Error::Field { .. })));
    for (name, value) in [("X", "a\r\nY: b"), ("X: y", "z"), ("Host", "other"), ("upgrade", "x")] {
        assert!(matches!(client.clone().with_header(name, value), Err(Error::Field { .. })), "{name}");
    }
}
