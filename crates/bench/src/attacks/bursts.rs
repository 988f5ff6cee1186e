//! Publishers that send many messages at once, and readers that take everything. A reader that
//! keeps up must not lose a message.

use std::io::{Error, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::clients::{Coding, Feed, frame, open, post, request};
use super::marks::{Counter, mark};
use super::ordinary::pipeline;
use super::row::{Attack, Outcome, Row, Setup};
use super::server::Server;

/// The messages of one burst: five times what a log keeps.
const BURST: usize = 5_000;

pub(super) fn rows() -> Vec<Row> {
    let short: &'static [&'static str] = &["--retain-messages", "100"];
    vec![
        Row::new("bursts frames", &[], |setup| burst(setup, frames)),
        Row::new("bursts commands", &[], |setup| burst(setup, commands)),
        Row::new("bursts posts", &[], |setup| burst(setup, posts)),
        Row::new("bursts frames short", short, |setup| burst(setup, frames)),
        Row::new("bursts commands short", short, |setup| burst(setup, commands)),
        Row::new("bursts posts short", short, |setup| burst(setup, posts)),
        Row::new("bursts posts publishers", &[], publishers),
    ]
}

/// One burst, with readers of all kinds.
fn burst(setup: &mut Setup<'_>, send: fn(&Server) -> Result<Option<TcpStream>>) -> Result<Attack> {
    let readers = readers(setup)?;
    Ok(Box::new(move |setup| {
        let publisher = send(setup.server)?;
        let outcome = count(readers, BURST)?;
        drop(publisher);
        Ok(outcome)
    }))
}

/// Fast readers of the channel `busy`, one of each kind.
fn readers(setup: &Setup<'_>) -> Result<Vec<Counter>> {
    let feeds = [Feed::Bare, Feed::V1, Feed::Sse, Feed::Stream];
    let open = |feed| open(&setup.server.address, &request(feed, Coding::Plain, "busy", ""));
    feeds.into_iter().map(|feed| open(feed).and_then(Counter::start)).collect()
}

/// Waits until the readers have everything, or nothing more comes.
fn count(readers: Vec<Counter>, published: usize) -> Result<Outcome> {
    let sum = || readers.iter().map(Counter::count).sum::<usize>();
    let expected = published * readers.len();
    let (mut had, mut since) = (sum(), Instant::now());
    while had < expected && since.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
        let now = sum();
        if now > had {
            (had, since) = (now, Instant::now());
        }
    }
    let mut got = 0;
    for reader in readers {
        got += reader.end()?.min(published);
    }
    Ok(Outcome { lost: expected - got, expected })
}

/// Bare frames in one write.
fn frames(server: &Server) -> Result<Option<TcpStream>> {
    let mut publisher = open(&server.address, &request(Feed::Bare, Coding::Plain, "busy", ""))?;
    let bytes: Vec<u8> = (0..BURST).flat_map(|n| frame(mark(n).as_bytes())).collect();
    publisher.write_all(&bytes)?;
    // The publisher also receives the messages, and reads them.
    drain(&publisher)?;
    Ok(Some(publisher))
}

/// Commands of `tidewire.v1` in one write.
fn commands(server: &Server) -> Result<Option<TcpStream>> {
    let mut publisher = open(&server.address, &request(Feed::V1, Coding::Plain, "elsewhere", ""))?;
    let command = |n| format!(r#"{{"type":"publish","channel":"busy","data":"{}"}}"#, mark(n));
    let bytes: Vec<u8> = (0..BURST).flat_map(|n| frame(command(n).as_bytes())).collect();
    drain(&publisher)?;
    publisher.write_all(&bytes)?;
    Ok(Some(publisher))
}

/// Reads in its own thread until the connection ends.
fn drain(stream: &TcpStream) -> Result<()> {
    let mut stream = stream.try_clone()?;
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 * 1024];
        while matches!(stream.read(&mut piece), Ok(1..)) {}
    });
    Ok(())
}

/// Pipelined requests.
fn posts(server: &Server) -> Result<Option<TcpStream>> {
    let requests = (0..BURST).flat_map(|n| post("busy", mark(n).as_bytes())).collect();
    match pipeline(server, requests, BURST)? {
        BURST => Ok(None),
        accepted => Err(Error::other(format!("{accepted} of {BURST} posts were accepted"))),
    }
}

/// Ten publishers that send their bursts at the same time.
fn publishers(setup: &mut Setup<'_>) -> Result<Attack> {
    let readers = readers(setup)?;
    Ok(Box::new(move |setup| {
        let server = setup.server;
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..10).map(|_| scope.spawn(|| posts(server))).collect();
            all.into_iter().try_for_each(|one| one.join().expect("publishing does not panic").map(|_| ()))
        })?;
        count(readers, 10 * BURST)
    }))
}
