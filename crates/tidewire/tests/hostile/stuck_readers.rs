//! Readers that each stop at a different message: the bytes that they hold together are limited.

use std::io::Write;
use std::net::TcpStream;

use tidewire::{ChannelName, HubConfig, Message};

use super::common::{eventually, narrow};
use super::shared_work::without_heartbeats;
use super::{UPGRADE, get, in_process};

#[test]
fn if_stuck_readers_hold_too_much_some_are_dropped_and_not_all() {
    const LEN: usize = 4 * 1024 * 1024;
    const MOST: u64 = 256 * 1024 * 1024 + 16 * 1024 * 1024;
    let mut config = HubConfig::default();
    config.max_message = LEN;
    let (hub, running) = in_process(config, without_heartbeats());
    let address = running.addresses()[0].to_string();
    let name = ChannelName::new("a").unwrap();
    let channel = hub.channel(&name).unwrap();
    let count = MOST as usize / LEN + 10;
    // Each reader connects before one message and does not read it. Earlier readers have stopped at
    // earlier messages.
    let stuck: Vec<TcpStream> = (0..count)
        .map(|n| {
            let mut stream = narrow(&address);
            stream.write_all(get("/c/a", UPGRADE).as_bytes()).unwrap();
            eventually("the reader to be there, or another to be dropped", || {
                channel.subscribers() + hub.work().dropped as usize > n
            });
            let before = hub.work().encoded + hub.work().replayed;
            hub.publish(&name, Message::new(vec![b'x'; LEN].into(), 0), None).unwrap();
            eventually("the message to be on its way", || hub.work().encoded + hub.work().replayed > before);
            stream
        })
        .collect();
    eventually("enough to be dropped", || hub.forms_held() <= MOST);
    let dropped = hub.work().dropped as usize;
    assert!((1..count / 2).contains(&dropped), "{dropped} of {count} readers were dropped");
    assert_eq!(channel.subscribers(), count - dropped);
    drop(stuck);
    running.stop().unwrap();
}

#[test]
fn polls_that_are_not_read_drop_no_reader_of_a_stream() {
    const LEN: usize = 4 * 1024 * 1024;
    const MOST: u64 = 256 * 1024 * 1024 + 16 * 1024 * 1024;
    let mut config = HubConfig::default();
    config.max_message = LEN;
    let (hub, running) = in_process(config, without_heartbeats());
    let address = running.addresses()[0].to_string();
    let victim = ChannelName::new("victim").unwrap();
    let channel = hub.channel(&victim).unwrap();
    // This reader does not read for a while.
    let mut stream = narrow(&address);
    stream.write_all(get("/c/victim?feed=stream", "").as_bytes()).unwrap();
    eventually("the reader to be there", || channel.subscribers() == 1);
    hub.publish(&victim, Message::new(vec![b'x'; LEN].into(), 0), None).unwrap();
    eventually("the message to be on its way", || hub.work().encoded + hub.work().replayed > 0);
    let polls: Vec<TcpStream> = (0..MOST as usize / LEN + 10)
        .map(|n| {
            let name = ChannelName::new(&format!("a{n}")).unwrap();
            hub.publish(&name, Message::new(vec![b'x'; LEN].into(), 0), None).unwrap();
            let (mut poll, formed) = (narrow(&address), hub.work().formed);
            poll.write_all(get(&format!("/c/a{n}?feed=poll"), "").as_bytes()).unwrap();
            eventually("the poll to be answered", || hub.work().formed > formed);
            poll
        })
        .collect();
    assert!(hub.forms_held() > MOST, "{} bytes are held", hub.forms_held());
    // Another reader is served, so the worker has had turns.
    let mut other = TcpStream::connect(&address).unwrap();
    other.write_all(get("/c/other?feed=stream&since=earliest", "").as_bytes()).unwrap();
    let other_channel = hub.channel(&ChannelName::new("other").unwrap()).unwrap();
    eventually("it to be there", || other_channel.subscribers() == 1);
    let turns = hub.work().turns;
    eventually("turns to be over", || {
        hub.publish(other_channel.name(), Message::new("x".into(), 0), None).unwrap();
        hub.work().turns > turns + 10
    });
    assert_eq!((hub.work().dropped, channel.subscribers()), (0, 1));
    drop((stream, polls, other));
    running.stop().unwrap();
}
