//! Publishing over HTTP through a store that answers later, compared with the store in memory.
//!
//! The store has a thread. It takes all appends that wait, carries them out in memory, works for a
//! while for each message, and then answers all of them: as a store on a disk does with one commit.
//!
//! ```text
//! cargo run --release -p tidewire-bench --example later_store
//! cargo run --release -p tidewire-bench --example later_store -- serve later 4000 2 3000
//! cargo run --release -p tidewire-bench --example later_store -- load 4000 1 16 5
//! ```
//! `serve STORE PORT THREADS NANOSECONDS` serves with the store `memory` or `later`, or `serial`:
//! the later one, and the publishes of a connection wait for each other. `load PORT CHANNELS DEPTH
//! SECONDS` publishes from 50 connections. Without arguments, all of them run interleaved.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tidewire_hub::server::http1::RequestHead;
use tidewire_hub::server::{Handler, Listen, Parked, Reply, Request, Server};
use tidewire_hub::store::{
    Answer, Append, AppendError, Appended, ChannelName, Create, CreateError, Created, Failed, Limits,
    MemoryStore, Opened, Page, ReadError, Responder, Store, Swept, later,
};
use tidewire_hub::{Budget, Hub, HubConfig, Settings, Since, Site, Ticket};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| args[n].parse::<usize>().unwrap();
    match args.first().map(String::as_str) {
        Some("serve") => serve(&args[1], number(2) as u16, number(3), number(4) as u64),
        Some("load") => {
            let rate = load(number(1) as u16, number(2), number(3), Duration::from_secs(number(4) as u64));
            println!("{rate:.0} publishes a second");
        }
        _ => compare(),
    }
}

/// Measures both stores in turn, and prints the ratios.
fn compare() {
    for threads in [1, 2] {
        for channels in [1, 1000] {
            let servers = [("memory", 0), ("later", 0), ("later", 3000), ("serial", 0)]
                .map(|(store, spin)| Started::start(store, threads, spin));
            let mut figures = [const { (Vec::new(), Vec::new()) }; 4];
            for _ in 0..7 {
                for (server, (rates, costs)) in servers.iter().zip(&mut figures) {
                    let (before, start) = (server.cpu(), Instant::now());
                    let rate = load(server.port, channels, 16, Duration::from_secs(1));
                    costs.push((server.cpu() - before) / (rate * start.elapsed().as_secs_f64()));
                    rates.push(rate);
                }
            }
            let figures = figures.map(|(rates, costs)| (median(rates), median(costs)));
            println!("{threads} threads, {channels} channels");
            for (name, (rate, cost)) in ["memory", "later", "later, 3 µs", "one by one"].iter().zip(figures)
            {
                let part = 100.0 * rate / figures[0].0;
                println!("  {name:12} {rate:7.0}/s {part:4.0} %  {:.2} µs of CPU in the server", cost * 1e6);
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Started {
    child: Child,
    port: u16,
}

impl Started {
    fn start(store: &str, threads: usize, spin: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", store, "0", &threads.to_string(), &spin.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        Started { child, port }
    }

    /// The CPU time of the server so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let ticks: u64 = stat.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        ticks as f64 / 100.0
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A site whose publishes wait for each other, as they did once.
struct Serial(Site, bool);

impl Handler for Serial {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        match self.0.handle(request) {
            Reply::Pipelined(answer) if self.1 => Reply::Later(Box::pin(async { answer.await.into() })),
            reply => reply,
        }
    }

    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        self.0.is_pipelined(head)
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        self.0.detached(connection, ticket);
    }
}

fn serve(store: &str, port: u16, threads: usize, spin: u64) {
    let memory = MemoryStore::new(Limits::DEFAULT);
    let is_serial = store == "serial";
    let store: Arc<dyn Store> = match store {
        "memory" => Arc::new(memory),
        _ => LaterStore::start(memory, Duration::from_nanos(spin)),
    };
    let listen: Listen = format!("127.0.0.1:{port}").parse().unwrap();
    let server = Server::builder().listen(listen).threads(threads).bind().unwrap();
    let hub = Hub::with_store(HubConfig::DEFAULT, server.threads(), store);
    let settings = Arc::new(Settings::DEFAULT);
    let site = move |worker| Serial(Site::new(hub.clone(), settings.clone(), worker), is_serial);
    let running = server.serve(site).unwrap();
    println!("{}", running.addresses()[0]);
    running.join().unwrap();
}

/// A store that carries out the appends that wait, and then answers all of them.
#[derive(Debug)]
struct LaterStore {
    inner: MemoryStore,
    waiting: Mutex<Vec<Job>>,
    news: Condvar,
}

type Outcome = Result<Appended, AppendError>;
type Job = (ChannelName, Append, Responder<Outcome>);

impl LaterStore {
    fn start(inner: MemoryStore, work: Duration) -> Arc<Self> {
        let store = Arc::new(LaterStore { inner, waiting: Mutex::default(), news: Condvar::new() });
        let this = store.clone();
        std::thread::spawn(move || this.run(work));
        store
    }

    fn run(&self, work: Duration) {
        let (mut jobs, mut answers) = (Vec::new(), Vec::new());
        loop {
            let mut waiting = self.waiting.lock().unwrap();
            while waiting.is_empty() {
                waiting = self.news.wait(waiting).unwrap();
            }
            std::mem::swap(&mut *waiting, &mut jobs);
            drop(waiting);
            for (name, append, responder) in jobs.drain(..) {
                let until = Instant::now() + work;
                let answer = self.inner.append(&name, append).now().unwrap();
                while !work.is_zero() && Instant::now() < until {
                    std::hint::spin_loop();
                }
                answers.push((responder, answer));
            }
            answers.drain(..).for_each(|(responder, answer)| responder.answer(answer));
        }
    }
}

impl Store for LaterStore {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        self.inner.open(name, now_ms)
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.inner.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Outcome> {
        let (responder, answer) = later();
        let mut waiting = self.waiting.lock().unwrap();
        waiting.push((name.clone(), append, responder));
        if waiting.len() == 1 {
            self.news.notify_one();
        }
        Answer::Later(answer)
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        self.inner.read(name, since, budget, now_ms)
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        self.inner.create(name, create)
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        self.inner.delete(name, now_ms)
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        self.inner.touch(name, now_ms)
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.inner.sweep(now_ms)
    }
}

const CONNECTIONS: usize = 50;

/// Publishes from 50 connections, each with `depth` requests in flight. Returns the answers in a
/// second.
fn load(port: u16, channels: usize, depth: usize, time: Duration) -> f64 {
    let mut poll = Poll::new().unwrap();
    let (mut connections, mut next) = (Vec::new(), 0);
    for number in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(([127, 0, 0, 1], port).into()).unwrap();
        stream.set_nodelay(true).unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(number), interest).unwrap();
        connections.push((stream, Vec::new(), 0_usize));
    }
    let (mut events, mut buffer) = (Events::with_capacity(CONNECTIONS), vec![0; 64 << 10]);
    let message = "0123456789".repeat(10);
    let (mut start, mut answers, mut is_warm) = (Instant::now(), 0_u64, false);
    loop {
        // The first part of the time is not measured.
        if !is_warm && start.elapsed() > time / 4 {
            (start, answers, is_warm) = (Instant::now(), 0, true);
        }
        if start.elapsed() > time {
            return answers as f64 / start.elapsed().as_secs_f64();
        }
        poll.poll(&mut events, Some(Duration::from_millis(100))).unwrap();
        for event in &events {
            let (stream, input, left) = &mut connections[event.token().0];
            while event.is_readable() {
                let Ok(n) = stream.read(&mut buffer) else { break };
                input.extend_from_slice(&buffer[..n]);
                let mut at = 0;
                while let Some(len) = answer(&input[at..]) {
                    (at, *left, answers) = (at + len, *left - 1, answers + 1);
                }
                input.drain(..at);
                if n < buffer.len() {
                    break;
                }
            }
            if *left == 0 {
                let mut requests = String::new();
                for _ in 0..depth {
                    next = (next + 1) % channels;
                    let length = message.len();
                    requests.push_str(&format!(
                        "POST /c/channel{next} HTTP/1.1\r\nHost: localhost\r\n\
                         Content-Length: {length}\r\n\r\n{message}"
                    ));
                }
                if stream.write_all(requests.as_bytes()).is_ok() {
                    *left = depth;
                }
            }
        }
    }
}

/// The length of the first answer in these bytes.
fn answer(bytes: &[u8]) -> Option<usize> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    assert!(bytes.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&bytes[..end]));
    let at = memchr::memmem::find(&bytes[..end], b"Content-Length: ")? + 16;
    let length = bytes[at..end].iter().take_while(|byte| byte.is_ascii_digit());
    let len = end + length.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    (bytes.len() >= len).then_some(len)
}
