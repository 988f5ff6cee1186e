//! Measures readers that begin at the start of a long log: how many messages they get in all, and
//! whether the memory of the process stays the same. The store answers from threads.
//!
//! ```text
//! cargo run --release -p tidewire-hub --example from_the_start -- sse 1000 10 spread
//!                                                                 │   │    │  └ at places of their own
//!                                                                 │   │    └ seconds
//!                                                                 │   └ readers
//!                                                                 └ or ws, ws1 (tidewire.v1), stream
//! ```

// A program for a person at a terminal.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidewire_hub::server::{Listen, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Patterns, Retention, Settings, Site};
use tidewire_store::suite::ThreadedStore;
use tidewire_store::{Append, Batch, ChannelSettings, Limits, MemoryStore, Retain, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MESSAGES: usize = 1_000_000;

/// The time that the store takes for a message. A page of 100 takes 100 µs.
const COST: Duration = Duration::from_micros(1);

/// In each message once.
const MARK: u8 = b'~';

fn main() {
    let mut args = std::env::args().skip(1);
    let feed = args.next().unwrap_or_else(|| "sse".to_owned());
    let mut number = |usual| args.next().map_or(usual, |text| text.parse::<usize>().unwrap());
    let (readers, seconds) = (number(1_000), number(10));
    let is_spread = args.next().is_some();

    let limits = Limits::DEFAULT.with_max_kept_bytes(usize::MAX);
    let store = MemoryStore::new(limits);
    let name = ChannelName::new("log").unwrap();
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    for first in (0..MESSAGES).step_by(1_000) {
        let text = |n| format!("~{n:07}{}", "x".repeat(92));
        let batch = (first..first + 1_000).map(|n| Arc::new(Message::new(text(n).into(), 0))).collect();
        let append = Append::new(0, Batch::Many(batch), settings.clone());
        store.append(&name, append).wait().unwrap().unwrap();
    }
    let window = Retention::DEFAULT.with_max_messages(1_000);
    let patterns = Patterns::new(move |_| Some(settings.clone()));
    let config = HubConfig::DEFAULT.with_window(window).with_patterns(patterns);
    let hub = Hub::with_store(config, 1, Arc::new(ThreadedStore::new(store, 2).with_cost(COST)));
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = Server::builder().listen(listen).threads(1).bind().unwrap();
    let (shared, settings) = (hub.clone(), Arc::<Settings>::default());
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string().trim_start_matches("http://").to_owned();

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let epoch = runtime.block_on(hub.open(&name)).unwrap().head().to_string();
    let epoch = epoch.split('-').next().unwrap().to_owned();
    let request = move |reader| {
        let place = format!("{epoch}-{}", MESSAGES / 2 / readers * reader + 1);
        request(&feed, &format!("/c/log?since={}", if is_spread { &place } else { "earliest" }))
    };
    let got: Arc<Vec<AtomicU64>> = Arc::new((0..readers).map(|_| AtomicU64::new(0)).collect());
    let counts = got.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            for reader in 0..readers {
                let (address, request, counts) = (address.clone(), request(reader), counts.clone());
                tokio::spawn(async move {
                    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
                    socket.write_all(request.as_bytes()).await.unwrap();
                    let mut bytes = vec![0; 16 * 1024];
                    loop {
                        let n = socket.read(&mut bytes).await.unwrap();
                        assert!(n > 0, "a reader was cut");
                        let messages = bytes[..n].iter().filter(|&&byte| byte == MARK).count();
                        counts[reader].fetch_add(messages as u64, Ordering::Relaxed);
                    }
                });
            }
            std::future::pending::<()>().await;
        });
    });

    let (begun, mut before) = (Instant::now(), 0);
    for second in 1..=seconds {
        std::thread::sleep(Duration::from_secs(second as u64).saturating_sub(begun.elapsed()));
        let all: Vec<u64> = got.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let sum: u64 = all.iter().sum();
        println!(
            "{second:3} s: {:9} messages/s, readers at {} to {}, {} MiB, {:?}",
            sum - before,
            all.iter().min().unwrap(),
            all.iter().max().unwrap(),
            resident_kib() / 1024,
            hub.work(),
        );
        before = sum;
    }
    // The readers do not expect that the server stops.
    std::process::exit(0);
}

fn request(feed: &str, target: &str) -> String {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    match feed {
        "ws" => format!("GET {target} HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n"),
        "ws1" => {
            let protocol = "Sec-WebSocket-Protocol: tidewire.v1\r\n";
            format!("GET {target} HTTP/1.1\r\nHost: h\r\n{upgrade}{protocol}\r\n")
        }
        _ => format!("GET {target}&feed={feed} HTTP/1.1\r\nHost: h\r\n\r\n"),
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
