//! A server stops while its workers are behind. Readers still get every message that was
//! acknowledged.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};
use tidewire_testkit::Rng;
use tidewire_testkit::deadline::Deadline;
use tidewire_testkit::raw::Raw;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

const READERS: usize = 150;

const MESSAGES: usize = 400;

/// Reads a stream of these channels to its end.
fn read_all(address: SocketAddr, names: &[&str]) -> String {
    let mut raw = Raw::connect(address);
    raw.send(format!("GET /c/{}?since=earliest&feed=stream HTTP/1.0\r\n\r\n", names.join(",")));
    String::from_utf8(raw.rest()).unwrap()
}

/// The numbers of the messages of a channel, in the order of their arrival.
fn numbers(text: &str, name: &str) -> Vec<usize> {
    let start = format!("<{name}:");
    text.split(&start).skip(1).map(|part| part.split_once('>').unwrap().0.parse().unwrap()).collect()
}

#[test]
fn a_stopping_server_delivers_every_acknowledged_message() {
    let mut rng = Rng::new(1);
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = Server::builder().listen(listen).threads(2).bind().unwrap();
    let hub = Hub::new(HubConfig::default(), 2);
    let (shared, settings) = (hub.clone(), Arc::<Settings>::default());
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address: SocketAddr =
        running.addresses()[0].to_string().trim_start_matches("http://").parse().unwrap();
    let channels = NAMES.map(|name| hub.channel(&ChannelName::new(name).unwrap()).unwrap());
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut names: Vec<&str> = NAMES.into_iter().filter(|_| rng.chance(50)).collect();
            if names.is_empty() {
                names.push(NAMES[0]);
            }
            let wanted = names.clone();
            (names, std::thread::spawn(move || read_all(address, &wanted)))
        })
        .collect();
    let wanted: usize = readers.iter().map(|(names, _)| names.len()).sum();
    let subscribers = || channels.iter().map(|channel| channel.subscribers()).sum::<usize>();
    Deadline::soon().until("all readers", || subscribers() == wanted);
    let mut published = [0; NAMES.len()];
    for _ in 0..MESSAGES {
        let index = rng.below(NAMES.len());
        let text = format!("<{}:{}>{}", NAMES[index], published[index], "x".repeat(rng.below(3000)));
        hub.publish(channels[index].name(), Message::new(text.into(), 0), None).unwrap();
        published[index] += 1;
    }
    running.stop().unwrap();
    for (names, reader) in readers {
        let text = reader.join().unwrap();
        for name in names {
            let index = NAMES.iter().position(|&one| one == name).unwrap();
            assert_eq!(numbers(&text, name), (0..published[index]).collect::<Vec<_>>(), "{name}");
        }
    }
}
