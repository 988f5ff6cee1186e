//! The end of a channel and its deletion, over stores that are slow.

use std::future::poll_fn;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use tidewire_channel::Cursor;
use tidewire_server::Running;
use tidewire_store::suite::{Fault, RequestKind};
use tidewire_store::{ChannelName, Message};

use super::setup::{Faulty, ask, faulty, get, hub_with_short_windows, name, read_until, websocket};
use crate::flight::at_once;
use crate::hub::Hub;
use crate::publication::Publication;

fn serve() -> (Faulty, Arc<Hub>, Running, SocketAddr) {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let (running, address) = super::setup::serve(&hub);
    (store, hub, running, address)
}

/// Closes a channel. Returns the cursor of the end.
fn close(hub: &Hub, name: &ChannelName) -> Cursor {
    let mut closing = Publication::close(name.clone());
    at_once(poll_fn(|cx| hub.poll_publish(cx, &mut closing))).unwrap().end.unwrap()
}

/// A publisher may wait for the store when its own subscription ends.
#[test]
fn a_publish_is_answered_before_the_connection_is_closed() {
    let (store, hub, running, address) = serve();
    for deletes in [false, true] {
        let own = name(&format!("own-{deletes}"));
        hub.publish(&own, Message::new("first".into(), 0), None).unwrap();
        let mut socket = ask(address, &websocket(&format!("/c/{own}"), true));
        read_until(&mut socket, "\"hello\"");
        let mut witness = ask(address, &get(&format!("/c/{own}?feed=stream")));
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
    let mut reader = ask(address, &get("/c/old?feed=stream&since=earliest"));
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
    let mut reader = ask(address, &get("/c/old?feed=stream&since=earliest"));
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
