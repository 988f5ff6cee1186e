//! `cargo xtask transports`: every technique on the same publishes, against the release binary on loopback. Writes the tables of
//! `docs/transports.md`; the prose around them is written by hand.
//!
//! ```text
//!   publisher ── POST ──► server ──┬── short polls ──► readers, a few of each technique, all at once
//!     ~000007~ + filler            ├── long polls       each counts what its socket carried, and finds the marks
//!                                  └── streams          of the messages in the bytes, whatever is around them
//! ```
//!
//! The readers are sockets and threads of the standard library: a client library would hide what is on the wire.

mod reader;
mod report;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use tidewire_testkit::Rng;

use crate::run::{Result, cargo, root, run as start};
use reader::{Read as Reading, Shared};

/// A way to read a channel, as a client asks for it.
pub(crate) struct Technique {
    pub(crate) name: &'static str,
    pub(crate) how: How,
    /// The query, but for `since`.
    query: &'static str,
    /// Further field lines of the request.
    fields: &'static str,
}

/// How often a client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Again after a pause.
    Every(Duration),
    /// Again at once: the answer is held until there is something.
    Held,
    /// Once.
    Once,
}

const TECHNIQUES: [Technique; 13] = [
    Technique::new("short poll, each second", How::Every(Duration::from_secs(1)), "feed=poll", ""),
    Technique::new("short poll, ten a second", How::Every(Duration::from_millis(100)), "feed=poll", ""),
    Technique::new("long poll", How::Held, "wait=25", ""),
    Technique::new("Server-Sent Events", How::Once, "feed=sse", ""),
    Technique::new("HTTP stream (NDJSON)", How::Once, "feed=stream", ""),
    Technique::new("WebSocket, bare", How::Once, "", UPGRADE),
    Technique::new("WebSocket, tidewire.v1", How::Once, "", UPGRADE_V1),
    Technique::new("raw bytes", How::Once, "feed=raw", ""),
    Technique::new("JSONP long poll", How::Held, "feed=jsonp&callback=app.on&wait=25", ""),
    Technique::new("forever frame", How::Once, "feed=iframe", ""),
    Technique::new("XHR streaming", How::Once, "feed=xhr", ""),
    Technique::new("multipart/mixed", How::Once, "feed=multipart", ""),
    Technique::new("multipart/x-mixed-replace", How::Once, "feed=replace", ""),
];

/// What a WebSocket handshake has beside the rest.
const UPGRADE: &str =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE_V1: &str = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidewire.v1\r\n";

/// Roughly what a browser of today sends with a request of a page to its own server, without cookies.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"156\", \"Not?A_Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nAccept: */*\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:8080/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n";

/// How many messages, how long, and how far apart on average.
const MESSAGES: usize = 40;
const PAYLOAD: usize = 100;
const PAUSE: Duration = Duration::from_millis(600);

/// Readers of each technique: their latencies are pooled, their bytes averaged.
const READERS: usize = 4;

/// Connections of each technique whose idle cost is measured.
const IDLE: usize = 2_000;

pub(crate) fn run() -> Result {
    if !cfg!(target_os = "linux") {
        return Err("memory is read from /proc; run this on Linux".into());
    }
    start(&mut cargo(&["build", "--quiet", "--release", "--package", "tidewire"]))?;
    rlimit::increase_nofile_limit(u64::MAX).map_err(|error| format!("the limit of descriptors: {error}"))?;
    let begun = Instant::now();
    println!("    {MESSAGES} messages to {READERS} readers of each technique");
    let traffic = traffic().map_err(|error| format!("measuring traffic: {error}"))?;
    let mut idle = Vec::new();
    for technique in &TECHNIQUES {
        println!("    {IDLE} idle connections: {}", technique.name);
        let bytes = idle_cost(technique).map_err(|error| format!("{}: {error}", technique.name))?;
        idle.push(bytes);
    }
    let rows: Vec<_> = TECHNIQUES.iter().zip(traffic).zip(idle).collect();
    let path = report::write(&rows)?;
    println!("    {} written after {:.0} s", path.display(), begun.elapsed().as_secs_f32());
    Ok(())
}

/// What one technique cost for all messages.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) requests: f64,
    pub(crate) empty: f64,
    pub(crate) up: f64,
    pub(crate) down: f64,
    pub(crate) latencies: Vec<Duration>,
}

/// All readers of all techniques read the same messages at the same time.
fn traffic() -> std::io::Result<Vec<Traffic>> {
    let server = Server::start()?;
    let shared = Arc::new(Shared::new(MESSAGES));
    let since = server.publish("before the readers came")?;
    let ready = Arc::new(Barrier::new(TECHNIQUES.len() * READERS + 1));
    let mut threads = Vec::new();
    for (index, technique) in TECHNIQUES.iter().enumerate() {
        for _ in 0..READERS {
            let (shared, ready) = (shared.clone(), ready.clone());
            let (address, since) = (server.address.clone(), since.clone());
            threads
                .push((index, std::thread::spawn(move || technique.read(&address, &since, &shared, &ready))));
        }
    }
    ready.wait();
    std::thread::sleep(Duration::from_millis(200));
    let mut publisher = TcpStream::connect(&server.address)?;
    publisher.set_nodelay(true)?;
    // The same pauses each time: those of people who write to each other.
    let mut rng = Rng::new(1);
    for n in 0..MESSAGES {
        let even = (rng.below(1_000_000) as f64 + 0.5) / 1_000_000.0;
        std::thread::sleep(PAUSE.mul_f64(-even.ln()).min(PAUSE * 5));
        let text = format!("{}{}", reader::mark(n), "x".repeat(PAYLOAD - reader::MARK_LEN));
        shared.published(n);
        post(&mut publisher, &text)?;
    }
    std::thread::sleep(Duration::from_millis(1500));
    shared.stop();
    let mut all: Vec<Traffic> = TECHNIQUES.iter().map(|_| Traffic::default()).collect();
    for (index, thread) in threads {
        let read: Reading = thread.join().map_err(|_| std::io::Error::other("a reader panicked"))??;
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

/// Bytes of the server's memory for each of many connections that wait. The kernel's buffers are not among them.
fn idle_cost(technique: &Technique) -> std::io::Result<f64> {
    let server = Server::start()?;
    // A raw reader has its head when there is a message; the workers have begun when they have answered.
    let since = server.publish("x")?;
    let warm: Vec<_> =
        (0..16).map(|_| technique.open(&server.address, &since)).collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(300));
    let before = server.memory()?;
    let open: Vec<_> =
        (0..IDLE).map(|_| technique.open(&server.address, &since)).collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(700));
    let after = server.memory()?;
    drop((warm, open));
    Ok(after.saturating_sub(before) as f64 / IDLE as f64)
}

impl Technique {
    const fn new(name: &'static str, how: How, query: &'static str, fields: &'static str) -> Self {
        Technique { name, how, query, fields }
    }

    /// The request for what comes after `since`.
    pub(crate) fn request(&self, since: &str) -> String {
        let connection = if self.fields.is_empty() { "keep-alive" } else { "Upgrade" };
        format!(
            "GET /c/same?{}&since={since} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: {connection}\r\n{BROWSER}{}\r\n",
            self.query, self.fields
        )
        .replacen("?&", "?", 1)
    }

    /// A connection that waits: a stream that was greeted, a poll that is held, or one between two polls.
    fn open(&self, address: &str, since: &str) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // Raw bytes need a first message, which all others have read.
        let since = if self.query == "feed=raw" { "earliest" } else { since };
        stream.write_all(self.request(since).as_bytes())?;
        if self.how != How::Held {
            let mut head = [0; 4096];
            if stream.read(&mut head)? == 0 {
                return Err(std::io::Error::other("the server closed the connection"));
            }
        }
        Ok(stream)
    }
}

/// The release binary on a free port; dropping it ends it.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> std::io::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), std::path::PathBuf::from);
        let mut child = Command::new(target.join("release/tidewire"))
            .args(["--listen", "127.0.0.1:0", "--comet", "--log", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().rsplit_once("http://") {
            Some((_, address)) => Ok(Server { address: address.to_owned(), child }),
            None => {
                Err(std::io::Error::other(format!("the server did not say where it listens, but: {line:?}")))
            }
        }
    }

    /// Publishes on a connection of its own; returns the cursor.
    fn publish(&self, text: &str) -> std::io::Result<String> {
        post(&mut TcpStream::connect(&self.address)?, text)
    }

    /// Resident anonymous memory in bytes.
    fn memory(&self) -> std::io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| std::io::Error::other("/proc has no RssAnon"))? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Publishes and waits for the acknowledgement; returns the cursor.
fn post(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    let request = format!(
        "POST /c/same HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(request.as_bytes())?;
    let answer = reader::response(stream, &mut Vec::new())?;
    answer.cursor.ok_or_else(|| std::io::Error::other("a publish was not acknowledged"))
}
