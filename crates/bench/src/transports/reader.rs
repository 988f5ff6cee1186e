//! A reader of one technique: sends requests, counts bytes, and finds messages by their marks.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::response::response;
use super::technique::{How, Technique};

/// `~000042~`: no technique changes these characters, so a message is found without knowing what is
/// around it.
pub(super) fn mark(n: usize) -> String {
    format!("~{n:06}~")
}

pub(super) const MARK_LEN: usize = 8;

/// How long a read waits before it looks whether the test is over.
const LOOK: Duration = Duration::from_millis(50);

/// What the publisher and the readers know of each other: when each message was published, and
/// whether it is over.
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

    /// Notes that a message is about to be published.
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

/// What one reader did and got.
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
    /// Finds the marks in `bytes` and notes when they came; says whether there was one.
    fn note(&mut self, bytes: &[u8], shared: &Shared) -> bool {
        let now = shared.start.elapsed();
        let before = self.got;
        for window in bytes.windows(MARK_LEN) {
            let [b'~', digits @ .., b'~'] = window else { continue };
            let n = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<usize>().ok());
            // Messages come in their order; one that came before is not news.
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
                // A mark may be cut by the end of a read.
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
                // A poll that is held when all is over counts for nothing.
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
