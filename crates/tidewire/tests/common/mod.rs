//! The real server, and clients that use libraries of others.
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | starts and stops the command, and measures its costs |
//! | `feeds.rs` | a reader for each feed, all behind one trait |
//! | `polls.rs` | a reader for polls |
//! | `checked_reader.rs` | a reader that checks what it receives |
//! | `comet.rs` | readers for the old Comet feeds |
//! | `websockets.rs` | readers for WebSockets |
//! | `publish.rs` | publishes messages, and records them |
//! | `retries.rs` | publishers that repeat what fails |
//! | `ws.rs` | a WebSocket that blocks |
//! | `changes.rs` | a simple `tidewire.v1` client that changes its channels |
//! | `cutting_proxy.rs` | a proxy that cuts connections at random bytes |
//! | `recording_proxy.rs` | a proxy that records the bytes from the server |
// Each test binary uses only a part.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub mod changes;
pub mod checked_reader;
pub mod comet;
pub mod cutting_proxy;
pub mod feeds;
pub mod polls;
pub mod publish;
pub mod recording_proxy;
pub mod retries;
pub mod server;
pub mod websockets;
pub mod ws;

use std::future::Future;
use std::net::{SocketAddr, TcpStream};

pub use changes::ChannelChanger;
pub use checked_reader::Client;
pub use cutting_proxy::CuttingProxy;
pub use feeds::{Ended, Feed, FeedEvent, Reader, Received, open};
pub use publish::{Post, Published};
pub use recording_proxy::RecordingProxy;
pub use server::Server;
use socket2::{Domain, Socket, Type};
pub use tidewire_testkit::Rng;
pub use tidewire_testkit::deadline::{Deadline, Output, PATIENCE, tail};
pub use tidewire_testkit::raw::{Raw, Response};
pub use ws::Ws;

/// Waits for something that a correct server does at once. The time is for the whole future, so a
/// loop that skips heartbeats belongs into it.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: it has not come within {PATIENCE:?}"),
    }
}

/// Polls until `done` returns true.
#[track_caller]
pub fn eventually(what: &str, done: impl FnMut() -> bool) {
    Deadline::soon().until(what, done);
}

/// Connects with a small receive buffer: the server can send only little before the client reads.
pub fn narrow(address: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// The seed of a random test: a new one in each run, or `TIDEWIRE_TEST_SEED`. A failing test prints
/// it.
pub struct Seed(pub u64);

impl Seed {
    pub fn draw() -> Self {
        let given = std::env::var("TIDEWIRE_TEST_SEED").ok();
        Seed(match given {
            Some(text) => text.parse().expect("TIDEWIRE_TEST_SEED is a number"),
            None => fastrand::u64(..),
        })
    }

    /// Returns a generator for one part of a test, which is independent of the other parts.
    pub fn rng(&self, part: u64) -> Rng {
        Rng::new(self.0.wrapping_add(part.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat this: TIDEWIRE_TEST_SEED={}", self.0);
        }
    }
}

/// Returns the number of a message in its channel: the last part of its cursor.
pub fn seq(cursor: &str) -> u64 {
    let (_, seq) = cursor.rsplit_once('-').unwrap_or_else(|| panic!("not a cursor: {cursor:?}"));
    seq.parse().unwrap_or_else(|_| panic!("not a cursor: {cursor:?}"))
}

/// Returns the cursor `n` messages after `cursor`. Sequence numbers have no holes.
pub fn after(cursor: &str, n: u64) -> String {
    let (epoch, _) = cursor.rsplit_once('-').unwrap_or_else(|| panic!("not a cursor: {cursor:?}"));
    format!("{epoch}-{}", seq(cursor) + n)
}
