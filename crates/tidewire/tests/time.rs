//! The times of messages never decrease along a log, for any change of the wall clock and for every
//! way to publish.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Raw, eventually};
use serde_json::Value;
use tidewire_channel::Budget;
use tidewire_hub::server::Listen;
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};
use tokio_tungstenite::tungstenite;

fn times(hub: &Hub, name: &str) -> Vec<u64> {
    let channel = hub.channel(&ChannelName::new(name).unwrap()).unwrap();
    let page = channel.read(channel.earliest().into(), Budget::UNLIMITED);
    page.messages.iter().map(|(_, message)| message.time_ms()).collect()
}

#[test]
fn a_message_is_never_older_than_the_one_before_it() {
    let hub = Hub::new(HubConfig::default(), 1);
    let name = ChannelName::new("a").unwrap();
    for time in [10, 5, 0, 11, 9, u64::MAX, 12] {
        hub.publish(&name, Message::new("x".into(), time), None).unwrap();
    }
    assert_eq!(times(&hub, "a"), [10, 10, 10, 11, 11, u64::MAX, u64::MAX]);
    // A repeated message is not appended, and its time has no effect.
    let name = ChannelName::new("b").unwrap();
    for time in [10, 20, 30] {
        hub.publish(&name, Message::new("x".into(), time), Some(b"key")).unwrap();
    }
    hub.publish(&name, Message::new("x".into(), 15), None).unwrap();
    assert_eq!(times(&hub, "b"), [10, 15]);
}

#[test]
fn messages_of_concurrent_publishers_are_in_the_order_of_their_times() {
    let clock = Arc::new(AtomicU64::new(0));
    let ticking = clock.clone();
    let hub = Hub::with_wall_clock(HubConfig::default(), 1, move || ticking.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let message = Message::new("x".into(), hub.wall_ms());
                    hub.publish(&ChannelName::new("r").unwrap(), message, None).unwrap();
                }
            });
        }
    });
    let times = times(&hub, "r");
    assert_eq!(times.len(), 1000);
    assert!(times.is_sorted(), "{times:?}");
}

/// A server in this process, with a clock that the test sets.
struct InProcess {
    running: tidewire_hub::server::Running,
    hub: Arc<Hub>,
    clock: Arc<AtomicU64>,
    address: String,
}

fn start() -> InProcess {
    let clock = Arc::new(AtomicU64::new(0));
    let wall = clock.clone();
    let hub = Hub::with_wall_clock(HubConfig::default(), 1, move || wall.load(Ordering::SeqCst));
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = tidewire_hub::server::Server::builder().listen(listen).threads(1).bind().unwrap();
    let (shared, settings) = (hub.clone(), Arc::new(Settings::default()));
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string();
    InProcess { running, hub, clock, address }
}

fn websocket(address: &str, subprotocol: Option<&str>) -> tungstenite::WebSocket<std::net::TcpStream> {
    use tungstenite::client::IntoClientRequest as _;
    let mut request = format!("ws://{address}/c/a").into_client_request().unwrap();
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
    }
    let stream = std::net::TcpStream::connect(address).unwrap();
    common::Deadline::soon().limit(&stream);
    tungstenite::client(request, stream).unwrap().0
}

#[test]
fn times_do_not_decrease_when_the_wall_clock_does() {
    let site = start();
    let mut raw = Raw::connect(site.address.as_str());
    let mut v1 = websocket(&site.address, Some("tidewire.v1"));
    let mut bare = websocket(&site.address, None);
    let count = || times(&site.hub, "a").len();
    // All ways to publish, while the clock goes back. An upload makes two messages: a piece and the
    // mark of its end.
    let mut sent = 0;
    for round in 0..2 {
        for way in 0..5 {
            site.clock
                .store(if round + way == 0 { 1_000 } else { 900 - 100 * round - way }, Ordering::SeqCst);
            match way {
                0 => drop(raw.send("POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").response()),
                1 => {
                    raw.send(
                        "POST /c/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                         1\r\nx\r\n0\r\n\r\n",
                    );
                    drop(raw.response());
                }
                2 => v1.send(r#"{"type":"publish","data":"x"}"#.into()).unwrap(),
                3 => bare.send("x".into()).unwrap(),
                _ => {
                    raw.send("PUT /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
                    drop(raw.response());
                    sent += 1;
                }
            }
            sent += 1;
            eventually("the message is in the log", || count() == sent);
        }
    }
    assert_eq!(times(&site.hub, "a"), vec![1_000; 12]);
    // When the clock is later than the last message, times increase again.
    site.clock.store(1_001, Ordering::SeqCst);
    raw.send("POST /c/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").response();
    let answer = raw.send("GET /c/a HTTP/1.1\r\nHost: x\r\n\r\n").response();
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    let times: Vec<u64> = json["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["time"].as_u64().unwrap())
        .collect();
    assert_eq!((times.len(), times[11], times[12]), (13, 1_000, 1_001));
    site.running.stop().unwrap();
}
