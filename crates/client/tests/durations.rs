//! Times that are too long for a clock, for example `Duration::MAX`, mean "never". No option panics
//! with them, and none expires at once.

#![allow(clippy::unwrap_used)]

mod script;

use std::time::Duration;

use script::*;
use tidewire_client::{Backoff, Client, Error, Event, Feed, Options, Publish, Since};

const NEVER: [Duration; 4] = [
    Duration::MAX,
    Duration::from_secs(i64::MAX as u64),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(1 << 40),
];

/// A client with every time that a caller can set.
fn client(url: &str, never: Duration) -> Client {
    Client::new(url)
        .unwrap()
        .with_connect_timeout(never)
        .with_request_timeout(never)
        .with_max_message(usize::MAX)
}

fn options(never: Duration) -> Options {
    Options::DEFAULT
        .with_since(Since::After("e-0".parse().unwrap()))
        .with_wait(never)
        .with_poll_interval(never)
        .with_heartbeat_timeout(never)
        .with_prefer_again(never)
        .with_backoff(Backoff::DEFAULT.with_min(never).with_max(never))
        .with_retry_limit(u32::MAX)
        .with_limit(u32::MAX)
}

#[tokio::test]
async fn every_feed_works_with_times_that_never_end() {
    let hello = r#"{"type":"hello","cursor":"e-0"}"#;
    for never in NEVER {
        for feed in Feed::ALL {
            // If a timer expired at once, it would expire in the pause.
            let steps = match feed {
                Feed::WebSocket => {
                    vec![Request, Upgrade(frame(hello)), Pause(30), send(frame(&object(1))), Hold]
                }
                Feed::Sse => vec![
                    Request,
                    stream("text/event-stream", &["retry: 18446744073709551615\nid: e-0\n\n"]),
                    Pause(30),
                    send(chunk(&event(1))),
                    Hold,
                ],
                Feed::Stream => vec![
                    Request,
                    stream("application/x-ndjson", &[&format!("{hello}\n")]),
                    Pause(30),
                    send(chunk(&format!("{}\n", object(1)))),
                    Hold,
                ],
                Feed::LongPoll => {
                    vec![Request, poll(&[], "e-0"), Request, Pause(30), poll(&[1], "e-1"), Request, Hold]
                }
                Feed::Poll => vec![Request, Pause(30), poll(&[1], "e-1"), Request, Hold],
            };
            let server = serve(vec![steps]);
            let mut events = client(&server.url, never).subscribe(options(never).with_feeds([feed]));
            assert_eq!(take(&mut events, 2).await, [&format!("{feed} at e-0"), "e-1 m1"], "{never:?}");
            let later = tokio::time::timeout(Duration::from_millis(30), events.next()).await;
            assert!(later.is_err(), "{feed}, {never:?}: {later:?}");
            if feed == Feed::LongPoll {
                assert!(server.received().ends_with("&wait=0.000"));
                assert!(server.received().ends_with("&wait=3600.000"), "not more than a server can read");
            }
        }
    }
}

#[tokio::test]
async fn with_endless_waits_there_is_no_reconnect_and_no_return_to_the_first_feed() {
    for never in NEVER {
        let server = serve(vec![
            vec![Request, answer("502 Bad Gateway", "", "")],
            vec![
                Request,
                poll(&[1], "e-1"),
                Request,
                poll(&[2], "e-2"),
                Request,
                answer("503 Service Unavailable", "", ""),
            ],
        ]);
        let mut events =
            client(&server.url, never).subscribe(options(never).with_feeds([Feed::Sse, Feed::Poll]));
        assert_eq!(
            take(&mut events, 5).await,
            [
                "sse failed: the server answered 502 Bad Gateway",
                "poll at e-0",
                "e-1 m1",
                "e-2 m2",
                "poll failed: the server answered 503 Service Unavailable"
            ]
        );
        let later = tokio::time::timeout(Duration::from_millis(30), events.next()).await;
        assert!(later.is_err(), "{later:?}");
    }
}

#[tokio::test]
async fn a_publish_works_with_times_that_never_end() {
    for never in NEVER {
        let server = serve(vec![
            vec![Request, answer("502 Bad Gateway", "", "")],
            vec![
                Request,
                answer("201 Created", "Content-Type: application/json\r\n", "{\"cursor\":\"e-1\"}"),
            ],
        ]);
        let published = client(&server.url, never).publish(Publish::new("x")).await.unwrap();
        assert_eq!(published.cursor.as_str(), "e-1");
    }
}

/// More than an hour, more seconds than a clock can hold, and more digits than an integer can hold.
const LONG: [&str; 4] =
    ["3601", "18446744073709551615", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"];

#[tokio::test]
async fn a_subscription_waits_for_an_hour_at_most() {
    for asked in LONG {
        let fields = format!("Retry-After: {asked}\r\n");
        let server = serve(vec![vec![Request, problem("503 Service Unavailable", &fields, "")]]);
        let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_millis(1));
        let options = Options::DEFAULT.with_feeds([Feed::Sse]).with_backoff(backoff);
        let mut events = Client::new(&server.url).unwrap().subscribe(options);
        let Ok(Event::Disconnected { retry_in, .. }) = next(&mut events).await else { panic!() };
        assert_eq!(retry_in, Duration::from_secs(3600), "{asked}");
    }
}

#[tokio::test]
async fn a_publish_does_not_wait_for_more_than_half_a_minute() {
    for asked in LONG.into_iter().chain(["31"]) {
        let fields = format!("Retry-After: {asked}\r\n");
        let server = serve(vec![vec![Request, problem("429 Too Many Requests", &fields, "Slower.")]]);
        let Err(Error::Refused(problem)) = Client::new(&server.url).unwrap().publish(Publish::new("x")).await
        else {
            panic!("{asked}")
        };
        assert!(problem.retry_after.unwrap() > Duration::from_secs(30));
    }
}
