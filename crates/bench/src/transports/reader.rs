//! A reader of one technique. It sends requests, counts bytes, and finds messages by their marks.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::response::response;
use super::technique::{How, Technique};

/// Returns `~000042~`. No technique changes these characters, so a message is found in any
/// encoding.
pub(super) fn mark(n: usize) -> String {
    format!("~{n:06}~")
}

pub(super) const MARK_LEN: usize = 8;

/// How long a read waits before it checks whether the test is over.
const LOOK: Duration = Duration::from_millis(50);

/// The state that the publisher and the readers share: when each message was published, and whether
/// the test is over.
pub(super) struct Shared {
    start: Instant,
    published: Vec<AtomicU64>,
    over: AtomicBool,
}

impl Shared {
    pub(super) fn new(messages: usize) -> Self {
        let published = (0..messages).map(|_| AtomicU64::new(0)).collect();
        Shared { start: Instant::now(), published, over: AtomicBool::new(false) }
    }

    /// Records that a message is about to be published.
    pub(super) fn published(&self, n: usize) {
        self.published[n].store(self.start.elapsed().as_nanos() as u64, Ordering::Release);
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// What one reader sent and received.
#[derive(Default)]
pub(super) struct Read {
    pub(super) requests: usize,
    /// Answers without a message.
    pub(super) empty: usize,
    pub(super) up: usize,
    pub(super) down: usize,
    /// Messages, each counted once.
    pub(super) got: usize,
    pub(super) latencies: Vec<Duration>,
}

impl Read {
    /// Finds the marks in `bytes` and records when they came. Returns whether there was one.
    fn note(&mut self, bytes: &[u8], shared: &Shared) -> bool {
        let now = shared.start.elapsed();
        let before = self.got;
        for window in bytes.windows(MARK_LEN) {
            let [b'~', digits @ .., b'~'] = window else { continue };
            let n = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
            // Messages come in order, so an earlier one is a duplicate.
            if n == Some(self.got) {
                let sent = Duration::from_nanos(shared.published[self.got].load(Ordering::Acquire));
                self.latencies.push(now.saturating_sub(sent));
                self.got += 1;
            }
        }
        self.got > before
    }
}

/// Reads until the test is over.
pub(super) fn read(
    technique: &Technique,
    address: &str,
    since: &str,
    shared: &Arc<Shared>,
    ready: &Barrier,
) -> std::io::Result<Read> {
    let stream = TcpStream::connect(address).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        Ok(stream)
    });
    ready.wait();
    let stream = stream?;
    match technique.how {
        How::Once => self::stream(technique, stream, since, shared),
        How::Held => poll(technique, stream, since, shared, Duration::ZERO),
        How::Every(pause) => poll(technique, stream, since, shared, pause),
    }
}

fn stream(
    technique: &Technique,
    mut stream: TcpStream,
    since: &str,
    shared: &Shared,
) -> std::io::Result<Read> {
    let mut read = Read { requests: 1, ..Read::default() };
    let request = technique.request(since);
    read.up = request.len();
    stream.write_all(request.as_bytes())?;
    let (mut piece, mut text) = (vec![0; 64 * 1024], Vec::new());
    while !shared.is_over() {
        match stream.read(&mut piece) {
            Ok(0) => return Err(std::io::Error::other("the server ended the stream")),
            Ok(n) => {
                read.down += n;
                text.extend_from_slice(&piece[..n]);
                read.note(&text, shared);
                // The end of a read may cut a mark.
                text.drain(..text.len().saturating_sub(MARK_LEN - 1));
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn poll(
    technique: &Technique,
    mut stream: TcpStream,
    since: &str,
    shared: &Shared,
    pause: Duration,
) -> std::io::Result<Read> {
    let mut read = Read::default();
    let mut since = since.to_owned();
    while !shared.is_over() {
        let request = technique.request(&since);
        read.up += request.len();
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        let answer = loop {
            match response(&mut stream, &mut bytes) {
                Ok(answer) => break answer,
                // A poll that is still held at the end does not count.
                Err(error) if is_pause(&error) && shared.is_over() => {
                    read.up -= request.len();
                    return Ok(read);
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
        };
        read.requests += 1;
        read.down += bytes.len();
        if !read.note(&bytes, shared) {
            read.empty += 1;
        }
        since = answer.cursor.ok_or_else(|| std::io::Error::other("an answer without a cursor"))?;
        std::thread::sleep(pause);
    }
    Ok(read)
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
