//! A turn of a worker ends in time, even if one client causes much work. The tests check an order
//! and not a time: a GET is answered before the work for another client is done.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::common::{PATIENCE, Raw, Server, eventually};
use super::shared_work::V1;
use super::{UPGRADE, frame, get};

/// A client that checks what has arrived, without waiting.
struct Observer {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Observer {
    /// Sends a request, and waits for the start of the response.
    fn open(address: &str, request: &str, start: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut observer = Observer { stream, got: Vec::new() };
        at_once(start, || observer.has(start));
        observer
    }

    /// Opens a WebSocket of `tidewire.v1`, and waits for its `hello`.
    fn v1(address: &str, path: &str) -> Self {
        Self::open(address, &get(path, &format!("{UPGRADE}{V1}")), "hello")
    }

    /// Sends all bytes, and waits as long as that takes.
    fn send(&mut self, bytes: &[u8]) {
        self.stream.set_nonblocking(false).unwrap();
        self.stream.write_all(bytes).unwrap();
        self.stream.set_nonblocking(true).unwrap();
    }

    /// Whether this text has arrived.
    fn has(&mut self, text: &str) -> bool {
        let mut piece = [0; 64 * 1024];
        while let Ok(n @ 1..) = self.stream.read(&mut piece) {
            self.got.extend_from_slice(&piece[..n]);
        }
        // This search is fast. With a slow one, the work would be done before the search.
        String::from_utf8_lossy(&self.got).contains(text)
    }
}

/// Whether a GET is answered while the only worker does other work. `begin` starts the work and
/// returns when it has begun. The test may lose the processor meanwhile, so it tries several times.
/// If turns did not end early, no attempt would succeed.
fn is_answered_in_between<T>(
    address: &str,
    attack: &mut T,
    begin: impl Fn(&mut T, usize),
    is_over: impl Fn(&mut T, usize) -> bool,
) -> bool {
    let mut probe = Raw::connect(address);
    (0..30).any(|attempt| {
        begin(attack, attempt);
        assert_eq!(probe.send(get("/c/probe?feed=poll", "")).response().status, 200);
        let in_between = !is_over(attack, attempt);
        eventually("the end of it", || is_over(attack, attempt));
        in_between
    })
}

/// Waits without sleeping, for something that happens very soon.
fn at_once(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: still not so after {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Pairs of commands. Each pair creates a group of subscribers and leaves it empty. The ids begin
/// with the number of the attempt.
fn churn(attempt: usize, pairs: usize) -> Vec<u8> {
    let command = |kind: &str, n: usize| {
        let text = format!(r#"{{"type":"{kind}","id":"{attempt}-{kind}-{n}","channel":"u{n}"}}"#);
        frame(0x81, text.as_bytes())
    };
    (0..pairs).flat_map(|n| [command("subscribe", n), command("unsubscribe", n)].concat()).collect()
}

#[test]
fn other_clients_are_served_between_the_commands_of_one() {
    /// Not more than the server reads at once.
    const PAIRS: usize = 350;
    let server = Server::start(&["--threads", "1"]);
    let mut socket = Observer::v1(&server.address, "/c/a");
    let answered = is_answered_in_between(
        &server.address,
        &mut socket,
        |socket, attempt| {
            socket.got.clear();
            socket.send(&churn(attempt, PAIRS));
            at_once("the first answer", || socket.has(&format!("{attempt}-subscribe-0")));
        },
        |socket, attempt| socket.has(&format!("{attempt}-unsubscribe-{}\"", PAIRS - 1)),
    );
    assert!(answered, "no GET is answered before all commands of a client are carried out");
}

/// Subscribes to 15 channels, then sends these pairs of channels to subscribe to and to leave.
/// Returns the processor time of the server, in hundredths of a second.
fn cost_of_changes(pairs: impl Iterator<Item = (String, String)>) -> u64 {
    let server = Server::start(&["--threads", "1", "--heartbeat", "1"]);
    let mut clock = Observer::open(&server.address, &get("/c/clock?feed=sse", ""), "retry");
    let names: Vec<String> = (0..15).map(|n| format!("c{n}")).collect();
    let mut socket = Observer::v1(&server.address, &format!("/c/{}", names.join(",")));
    let command =
        |kind: &str, name: &str| frame(0x81, format!(r#"{{"type":"{kind}","channel":"{name}"}}"#).as_bytes());
    let mut commands: Vec<u8> = pairs
        .flat_map(|(to, from)| [command("subscribe", &to), command("unsubscribe", &from)].concat())
        .collect();
    commands.extend(frame(0x81, br#"{"type":"unsubscribe","id":"the last","channel":"none"}"#));
    let before = server.cpu_ticks();
    let mut writer = socket.stream.try_clone().unwrap();
    socket.stream.set_nonblocking(false).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&commands).unwrap());
        let mut piece = vec![0; 64 * 1024];
        let mut end = Vec::new();
        while !end.windows(8).any(|window| window == b"the last") {
            let n = socket.stream.read(&mut piece).unwrap();
            assert!(n > 0, "the server closed");
            end.drain(..end.len().saturating_sub(8));
            end.extend_from_slice(&piece[..n]);
        }
    });
    // Include the tick that cleans up: it sends heartbeats afterwards.
    while clock.has("\n:\n") {
        clock.got.clear();
    }
    eventually("a tick", || clock.has("\n:\n"));
    server.calm();
    server.cpu_ticks() - before
}

/// If fifteen channels stay, all groups that this client creates contain the same channels. If all
/// channels change one after the other, each is in only a few groups. The commands and the lengths
/// of the lists are the same.
#[test]
fn the_cost_of_a_channel_change_does_not_grow_with_earlier_changes() {
    const PAIRS: usize = 8_000;
    let control = cost_of_changes((0..PAIRS).map(|n| (format!("c{}", n + 15), format!("c{n}"))));
    let attack = cost_of_changes((0..PAIRS).map(|n| (format!("u{n}"), format!("u{n}"))));
    assert!(
        attack < 3 * control + 50,
        "{PAIRS} changes of the last channel take {attack} hundredths of a second of CPU, \
         and {control} where all channels change"
    );
}

/// Readers of one channel, and its publisher.
struct Crowd {
    publisher: Raw,
    readers: Vec<Observer>,
}

impl Crowd {
    /// Publishes a message, and waits until the first reader has it.
    fn publish(&mut self, attempt: usize) {
        self.readers.iter_mut().for_each(|reader| reader.got.clear());
        let text = Self::text(attempt);
        let len = text.len();
        self.publisher
            .send(format!("POST /c/hot HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{text}"));
        at_once("the first of them", || self.readers.iter_mut().any(|reader| reader.has(&text)));
    }

    fn all_have(&mut self, attempt: usize) -> bool {
        self.readers.iter_mut().all(|reader| reader.has(&Self::text(attempt)))
    }

    fn text(attempt: usize) -> String {
        format!("message {attempt}.")
    }
}

/// Whether a GET is answered when only some of these readers have a message.
fn delivery_has_pauses(request: impl Fn(usize) -> String) -> bool {
    let server = Server::start(&["--threads", "1"]);
    let readers = (0..600).map(|n| Observer::open(&server.address, &request(n), "hello")).collect();
    let mut crowd = Crowd { publisher: server.raw(), readers };
    is_answered_in_between(&server.address, &mut crowd, Crowd::publish, |crowd, attempt| {
        crowd.all_have(attempt)
    })
}

#[test]
fn other_clients_are_served_between_deliveries_to_many_channel_lists() {
    let request = |n| get(&format!("/c/hot,u{n}?feed=stream"), "");
    assert!(delivery_has_pauses(request), "no GET is answered before all lists have a message");
}

#[test]
fn other_clients_are_served_between_deliveries_to_many_readers() {
    let request = |_| get("/c/hot?feed=stream", "");
    assert!(delivery_has_pauses(request), "no GET is answered before all readers have a message");
}

#[test]
fn other_clients_are_served_between_the_frames_of_a_burst() {
    /// Not more than the server reads at once, and not more than the log keeps.
    const FRAMES: usize = 1_800;
    let server = Server::start(&["--threads", "1", "--retain-messages", "2000"]);
    let mut socket = Observer::open(&server.address, &get("/c/burst", UPGRADE), "\r\n\r\n");
    let text = |attempt: usize, n: usize| format!("message {n} of {attempt}.");
    let answered = is_answered_in_between(
        &server.address,
        &mut socket,
        |socket, attempt| {
            socket.got.clear();
            let frames = (0..FRAMES).flat_map(|n| frame(0x81, text(attempt, n).as_bytes()));
            socket.send(&frames.collect::<Vec<u8>>());
            at_once("the first message", || socket.has(&text(attempt, 0)));
        },
        |socket, attempt| socket.has(&text(attempt, FRAMES - 1)),
    );
    assert!(answered, "no GET is answered before a client's messages are all delivered");
}
