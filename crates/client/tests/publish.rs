//! Publishing to a server that plays a script.

#![allow(clippy::unwrap_used)]

mod script;

use std::time::{Duration, Instant};

use script::*;
use tidewire_client::{Client, Error, Producer, Publish};

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

fn closed(cursor: &str, end: &str) -> Step {
    answer("201 Created", JSON, &format!("{{\"cursor\":\"{cursor}\",\"closed\":true,\"end\":\"{end}\"}}"))
}

#[tokio::test]
async fn a_channel_is_closed_with_a_message_or_without_one() {
    let server = serve(vec![vec![
        Request,
        closed("e-1", "e-2"),
        Request,
        answer("200 OK", JSON, r#"{"cursor":"e-2","closed":true,"end":"e-2"}"#),
        Request,
        created(1),
        Request,
        closed("e-2", "e-2"),
        Hold,
    ]]);
    let client = Client::new(&server.url.replace("demo", "a/b")).unwrap();
    let last = Publish::new("last").with_event("x").with_idempotency_key("k").closing();
    let published = client.publish(last).await.unwrap();
    assert_eq!((published.cursor.as_str(), published.end.unwrap().as_str()), ("e-1", "e-2"));
    assert_eq!(server.received(), "POST /c/a/b?event=x&close=1 Idempotency-Key=k last");
    let published = client.publish(Publish::close()).await.unwrap();
    assert_eq!((published.cursor.as_str(), published.end.unwrap().as_str()), ("e-2", "e-2"));
    assert_eq!(server.received(), "POST /c/a/b?close=1", "to close twice changes nothing");
    // An empty body would close without a message.
    let published = client.publish(Publish::new("").with_idempotency_key("k").closing()).await.unwrap();
    assert_eq!((published.cursor.as_str(), published.end.unwrap().as_str()), ("e-1", "e-2"));
    assert_eq!(server.received(), "POST /c/a/b Idempotency-Key=k");
    assert_eq!(server.received(), "POST /c/a/b?close=1");
}

#[tokio::test]
async fn each_refusal_of_a_log_has_its_error() {
    for (status, members, expected) in [
        ("409 Conflict", r#""reason":"closed","end":"f-3""#, "ChannelClosed { end: Some(f-3) }"),
        ("409 Conflict", r#""reason":"closed""#, "ChannelClosed { end: None }"),
        ("403 Forbidden", r#""reason":"producer-fenced","epoch":7"#, "Fenced { epoch: Some(7) }"),
        ("409 Conflict", r#""reason":"producer-gap","expected":4"#, "ProducerGap { expected: Some(4) }"),
        ("404 Not Found", r#""reason":"deleted""#, "Deleted { channel: None }"),
    ] {
        let server = serve(vec![vec![Request, refusal(status, members)]]);
        let error = Client::new(&server.url).unwrap().publish(Publish::new("x")).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
    }
    let server = serve(vec![vec![Request, refusal("400 Bad Request", r#""reason":"producer-start""#)]]);
    let message = Publish::new("x").with_producer("p", 1, 5);
    let Err(Error::Refused(problem)) = Client::new(&server.url).unwrap().publish(message).await else {
        panic!()
    };
    assert_eq!(problem.reason.as_deref(), Some("producer-start"));
    assert_eq!(server.received(), "POST /c/demo Producer-Id=p Producer-Epoch=1 Producer-Seq=5 x");
}

/// Only if one of the attempts may have been carried out, the outcome is unknown.
#[tokio::test]
async fn the_caller_knows_whether_the_message_may_be_in_the_log() {
    let unknown = || refusal("503 Service Unavailable", r#""outcome":"unknown""#);
    let failed = || refusal("503 Service Unavailable", r#""outcome":"failed""#);
    let full = || problem("503 Service Unavailable", "", "Full.");
    let gateway = || answer("503 Service Unavailable", "", "");
    let refused = || problem("401 Unauthorized", "", "No.");
    for (answers, is_unknown) in [
        (vec![unknown(), failed()], true),
        (vec![failed(), unknown()], true),
        (vec![failed(), failed()], false),
        (vec![full(), full()], false),
        (vec![full(), gateway()], true),
        (vec![send(""), full()], true),
        (vec![unknown(), refused()], true),
        (vec![full(), refused()], false),
        (vec![unknown(), refusal("409 Conflict", r#""reason":"closed""#)], false),
        (vec![unknown(), problem("413 Content Too Large", "", "Less.")], false),
    ] {
        let server = serve(answers.into_iter().map(|answer| vec![Request, answer]).collect());
        let client = Client::new(&server.url).unwrap().with_attempts(2);
        let error = client.publish(Publish::new("x").with_idempotency_key("k")).await.unwrap_err();
        match &error {
            Error::UnknownOutcome { attempts: 2, key, .. } => {
                assert!(is_unknown, "{error}");
                assert_eq!(key.as_deref(), Some("k"));
            }
            _ => assert!(!is_unknown, "{error:?}"),
        }
    }
    let server = serve(vec![vec![Request]]);
    let client = Client::new(&server.url).unwrap().with_attempts(1);
    let Err(Error::UnknownOutcome { key, .. }) = client.publish(Publish::new("x")).await else { panic!() };
    assert!(server.received().contains(&key.unwrap()), "the key that was drawn");
}

#[tokio::test]
async fn a_producer_counts_and_repeats_what_is_unknown() {
    let unknown = || refusal("503 Service Unavailable", r#""outcome":"unknown""#);
    let server = serve(vec![vec![
        Request,
        created(1),
        // The second message: both attempts fail.
        Request,
        unknown(),
        Request,
        unknown(),
        // The next publish first repeats it. Then its own message is refused.
        Request,
        answer("200 OK", JSON, r#"{"cursor":"e-2","duplicate":true}"#),
        Request,
        problem("413 Content Too Large", "", "Less."),
        // Its number is free.
        Request,
        created(3),
        // The end.
        Request,
        unknown(),
        Request,
        closed("e-4", "e-4"),
        Hold,
    ]]);
    let client = Client::new(&server.url).unwrap().with_attempts(2);
    let mut producer = Producer::new(client, "p", 3);
    assert_eq!(producer.publish(Publish::new("a")).await.unwrap().cursor.as_str(), "e-1");
    let error = producer.publish(Publish::new("b")).await.unwrap_err();
    assert!(matches!(error, Error::UnknownOutcome { key: None, .. }), "{error:?}");
    assert!(producer.is_pending());
    let error = producer.publish(Publish::new("c")).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert!(!producer.is_pending());
    assert_eq!(producer.publish(Publish::new("d")).await.unwrap().cursor.as_str(), "e-3");
    assert_eq!(producer.publish(Publish::close()).await.unwrap().end.unwrap().as_str(), "e-4");
    assert_eq!((producer.next_seq(), producer.retry().await.unwrap()), (4, None));
    let sent: Vec<String> = (0..8).map(|_| server.received()).collect();
    let post = |query: &str, seq: u64, data: &str| {
        format!("POST /c/demo{query} Producer-Id=p Producer-Epoch=3 Producer-Seq={seq}{data}")
    };
    assert_eq!(
        sent,
        [
            post("", 0, " a"),
            post("", 1, " b"),
            post("", 1, " b"),
            post("", 1, " b"),
            post("", 2, " c"),
            post("", 2, " d"),
            post("?close=1", 3, ""),
            post("?close=1", 3, "")
        ]
    );
}

/// The caller drops the future after the request was sent. The message is repeated.
#[tokio::test]
async fn a_publish_that_is_dropped_halfway_is_repeated() {
    let refused = problem("401 Unauthorized", "", "No.");
    let rest = vec![Request, refused, Request, created(1), Request, created(2), Hold];
    let server = serve(vec![vec![Request, Hold], rest]);
    let client = Client::new(&server.url).unwrap();
    let mut producer = Producer::new(client, "p", 0).with_next_seq(7);
    {
        let mut publish = std::pin::pin!(producer.publish(Publish::new("a")));
        // The script has read the request when it logs it.
        let sent = async {
            loop {
                if let Some(request) = server.try_received() {
                    return request;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            outcome = &mut publish => panic!("{outcome:?}"),
            request = sent => assert!(request.ends_with("Producer-Seq=7 a"), "{request}"),
        }
    }
    assert!(producer.is_pending());
    // This refusal tells nothing about the first attempt. So b is not sent.
    let error = producer.publish(Publish::new("b")).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert!(producer.is_pending());
    assert!(server.received().ends_with("Producer-Seq=7 a"));
    assert_eq!(producer.publish(Publish::new("b")).await.unwrap().cursor.as_str(), "e-2");
    assert!(server.received().ends_with("Producer-Seq=7 a"));
    assert!(server.received().ends_with("Producer-Seq=8 b"));
}
