//! After a restart: all windows are empty, and all readers come back at once.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use tidewire_store::suite::ThreadedStore;
use tidewire_store::{Append, Batch, ChannelSettings, Limits, MemoryStore, Store};

use super::setup::{PATIENCE, message, name, serve};
use crate::config::HubConfig;
use crate::hub::Hub;

const CHANNELS: usize = 20_000;

/// The connections at a time. Each reads many channels, one after the other.
const CONNECTIONS: usize = 200;

/// Each reader comes back with the cursor of the first of three messages: its channel is opened at
/// the store, and a page is read. Nobody is refused, and nobody is told anything.
#[test]
fn readers_of_many_channels_come_back_at_once() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let settings = Arc::new(ChannelSettings::DEFAULT);
    let append = |number: usize, text: &str| {
        let message = message(format!("<{number}:{text}>"));
        let append = Append::new(message.time_ms(), Batch::One(Arc::new(message)), settings.clone());
        store.append(&name(&format!("c{number}")), append).wait().unwrap().unwrap().cursor
    };
    let cursors: Vec<_> = (0..CHANNELS)
        .map(|number| {
            let first = append(number, "seen");
            append(number, "second");
            append(number, "third");
            first
        })
        .collect();
    let hub = Hub::with_store(HubConfig::DEFAULT, 1, Arc::new(ThreadedStore::new(store, 2)));
    let (running, address) = serve(&hub);
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS / 50 {
            let cursors = &cursors;
            scope.spawn(move || {
                let mut sockets: Vec<_> = (0..50)
                    .map(|connection| {
                        let own = first * 50 + connection;
                        let mut socket = TcpStream::connect(address).unwrap();
                        socket.set_read_timeout(Some(PATIENCE)).unwrap();
                        // All requests at once.
                        let mut requests: String = (own..CHANNELS)
                            .step_by(CONNECTIONS)
                            .map(|number| {
                                let cursor = cursors[number];
                                format!("GET /c/c{number}?since={cursor} HTTP/1.1\r\nHost: h\r\n\r\n")
                            })
                            .collect();
                        requests.insert_str(requests.len() - 2, "Connection: close\r\n");
                        socket.write_all(requests.as_bytes()).unwrap();
                        (own, socket)
                    })
                    .collect();
                for (own, socket) in &mut sockets {
                    let mut got = String::new();
                    socket.read_to_string(&mut got).unwrap();
                    let items: HashSet<&str> = got.split(['<', '>']).collect();
                    for number in (*own..CHANNELS).step_by(CONNECTIONS) {
                        let has = |text| items.contains(format!("{number}:{text}").as_str());
                        assert!(has("second") && has("third") && !has("seen"), "{number}: {got}");
                    }
                    assert!(!got.contains("HTTP/1.1 4") && !got.contains("HTTP/1.1 5"), "{got}");
                    assert!(!got.contains("\"reset\"") && !got.contains("\"missed\""), "{got}");
                }
            });
        }
    });
    assert_eq!(hub.channels(), CHANNELS);
    running.stop().unwrap();
    assert!(hub.settle(PATIENCE));
}
