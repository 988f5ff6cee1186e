//! The traffic of the techniques for the same messages.

use super::reader::{MARK_LEN, Read, Shared, mark, read};
use super::server::{Server, post};
use super::technique::TECHNIQUES;
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tidewire_testkit::Rng;

/// The number of messages, their length, and the average time between them.
pub(super) const MESSAGES: usize = 40;
pub(super) const PAYLOAD: usize = 100;
pub(super) const PAUSE: Duration = Duration::from_millis(600);

/// The number of readers of each technique. Their latencies are pooled, their bytes averaged.
pub(super) const READERS: usize = 4;

/// The cost of one technique for all messages.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) requests: f64,
    pub(super) empty: f64,
    pub(super) up: f64,
    pub(super) down: f64,
    pub(super) latencies: Vec<Duration>,
}

/// All readers of all techniques read the same messages at the same time.
pub(super) fn measure() -> std::io::Result<Vec<Traffic>> {
    let server = Server::start()?;
    let shared = Arc::new(Shared::new(MESSAGES));
    let since = server.publish("before the readers came")?;
    let ready = Arc::new(Barrier::new(TECHNIQUES.len() * READERS + 1));
    let mut threads = Vec::new();
    for (index, technique) in TECHNIQUES.iter().enumerate() {
        for _ in 0..READERS {
            let (shared, ready) = (shared.clone(), ready.clone());
            let (address, since) = (server.address.clone(), since.clone());
            threads.push((
                index,
                std::thread::spawn(move || read(technique, &address, &since, &shared, &ready)),
            ));
        }
    }
    ready.wait();
    std::thread::sleep(Duration::from_millis(200));
    let mut publisher = TcpStream::connect(&server.address)?;
    publisher.set_nodelay(true)?;
    // The same random pauses in each run, as between people who write to each other.
    let mut rng = Rng::new(1);
    for n in 0..MESSAGES {
        let even = (rng.below(1_000_000) as f64 + 0.5) / 1_000_000.0;
        std::thread::sleep(PAUSE.mul_f64(-even.ln()).min(PAUSE * 5));
        let text = format!("{}{}", mark(n), "x".repeat(PAYLOAD - MARK_LEN));
        shared.published(n);
        post(&mut publisher, &text)?;
    }
    std::thread::sleep(Duration::from_millis(1500));
    shared.stop();
    let mut all: Vec<Traffic> = TECHNIQUES.iter().map(|_| Traffic::default()).collect();
    for (index, thread) in threads {
        let read: Read = thread.join().map_err(|_| std::io::Error::other("a reader panicked"))??;
        if read.got != MESSAGES {
            let name = TECHNIQUES[index].name;
            return Err(std::io::Error::other(format!("{name} got {} of {MESSAGES} messages", read.got)));
        }
        let part = 1.0 / READERS as f64;
        let one = &mut all[index];
        one.requests += part * read.requests as f64;
        one.empty += part * read.empty as f64;
        one.up += part * read.up as f64;
        one.down += part * read.down as f64;
        one.latencies.extend(read.latencies);
    }
    Ok(all)
}
