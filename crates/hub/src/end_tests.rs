//! The end of a channel and its deletion, over stores that are slow.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tidewire_channel::{Cursor, Retention};
use tidewire_server::{Listen, Running, Server};
use tidewire_store::suite::{Fault, FaultyStore, RequestKind};
use tidewire_store::{ChannelName, ChannelSettings, Limits, MemoryStore, Message, Retain};

use crate::config::{HubConfig, Patterns};
use crate::flight::at_once;
use crate::hub::Hub;
use crate::publication::Publication;
use crate::settings::Settings;
use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(60);

type Faulty = Arc<FaultyStore<MemoryStore>>;

/// A hub with one worker, whose channels keep everything and have the last two messages in memory.
fn serve() -> (Faulty, Arc<Hub>, Running, SocketAddr) {
    let store = Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT)));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let window = Retention::DEFAULT.with_max_messages(2);
    let config =
        HubConfig::DEFAULT.with_window(window).with_patterns(Patterns::new(move |_| Some(settings.clone())));
    let hub = Hub::with_store(config, 1, store.clone());
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = Server::builder().listen(listen).threads(1).bind().unwrap();
    let (shared, settings) = (hub.clone(), Arc::<Settings>::default());
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string().trim_start_matches("http://").parse().unwrap();
    (store, hub, running, address)
}

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

/// Closes a channel. Returns the cursor of the end.
fn close(hub: &Hub, name: &ChannelName) -> Cursor {
    let mut closing = Publication::close(name.clone());
    at_once(poll_fn(|cx| hub.poll_publish(cx, &mut closing))).unwrap().end.unwrap()
}

fn ask(address: SocketAddr, target: &str, fields: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    while !all.windows(text.len()).any(|part| part == text.as_bytes()) {
        let mut bytes = [0; 4096];
        let n = socket.read(&mut bytes).unwrap();
        assert!(n > 0, "no {text:?} in {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&bytes[..n]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

const V1: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidewire.v1\r\n";

/// A publisher may wait for the store when its own subscription ends.
#[test]
fn a_publish_is_answered_before_the_connection_is_closed() {
    let (store, hub, running, address) = serve();
    for deletes in [false, true] {
        let own = name(&format!("own-{deletes}"));
        hub.publish(&own, Message::new("first".into(), 0), None).unwrap();
        let mut socket = ask(address, &format!("/c/{own}"), V1);
        read_until(&mut socket, "\"hello\"");
        let mut witness = ask(address, &format!("/c/{own}?feed=stream"), "");
        read_until(&mut witness, "\"hello\"");
        store.plan(RequestKind::Append, Fault::HoldAnswer);
        let command = r#"{"type":"publish","id":7,"channel":"other","data":"x"}"#;
        let mut frame = vec![0x81, 0x80 | u8::try_from(command.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(command.as_bytes());
        socket.write_all(&frame).unwrap();
        let held = store.wait_held(1);
        let reason = if deletes {
            assert_eq!(at_once(hub.delete(&own)), Ok(true));
            "the channel was deleted"
        } else {
            close(&hub, &own);
            read_until(&mut socket, r#""type":"end""#);
            "the channel has ended"
        };
        // This reader has its last bytes, so the worker has handled it.
        read_until(&mut witness, "\r\n0\r\n\r\n");
        assert!(store.release(held[0].number));
        let rest = read_until(&mut socket, reason);
        assert!(rest.contains(r#"{"type":"ack","id":7,"#), "no answer: {rest:?}");
    }
    running.stop().unwrap();
}

/// A reader waits for a page of the store when its channel is deleted.
#[test]
fn a_reader_that_waits_for_the_store_is_told_of_a_deletion() {
    let (store, hub, running, address) = serve();
    for number in 0..10 {
        hub.publish(&name("old"), Message::new(format!("<{number}>").into(), 0), None).unwrap();
    }
    let channel = hub.channel(&name("old")).unwrap();
    store.always(RequestKind::Read, Some(Fault::HoldRequest));
    let mut reader = ask(address, "/c/old?feed=stream&since=earliest", "");
    read_until(&mut reader, "\"hello\"");
    store.wait_held(1);
    assert_eq!(at_once(hub.delete(channel.name())), Ok(true));
    let rest = read_until(&mut reader, "\r\n0\r\n\r\n");
    assert!(rest.contains(r#"{"type":"deleted"}"#) && !rest.contains("\"message\""), "{rest:?}");
    store.heal();
    store.release_all();
    drop(reader);
    running.stop().unwrap();
}

/// A reader behind the window gets everything from the store before the end.
#[test]
fn a_reader_that_waits_for_the_store_gets_everything_before_the_end() {
    let (store, hub, running, address) = serve();
    for number in 0..10 {
        hub.publish(&name("old"), Message::new(format!("<{number}>").into(), 0), None).unwrap();
    }
    store.always(RequestKind::Read, Some(Fault::HoldRequest));
    let mut reader = ask(address, "/c/old?feed=stream&since=earliest", "");
    read_until(&mut reader, "\"hello\"");
    store.wait_held(1);
    let end = close(&hub, &name("old"));
    store.heal();
    store.release_all();
    let rest = read_until(&mut reader, "\r\n0\r\n\r\n");
    let numbers: Vec<_> = rest.split("\"<").skip(1).map(|part| part.split('>').next().unwrap()).collect();
    assert_eq!(numbers.concat(), "0123456789");
    assert!(rest.contains(&format!(r#"{{"type":"end","cursor":"{end}"}}"#)), "{rest:?}");
    drop(reader);
    running.stop().unwrap();
}
