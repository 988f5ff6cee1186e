//! WebSocket messages that never end. A client that sends a byte from time to time must not hold a
//! connection and an unfinished message for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidewire::{ChannelName, HubConfig, Message, Settings};

use super::common::{Deadline, PATIENCE, tail};
use super::{UPGRADE, frame, get, in_process};

const V1: &str = "Sec-WebSocket-Protocol: tidewire.v1\r\n";
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// The case of a wire of the playground.
const WIRE: &str = "a wire";

const GRACE: Duration = Duration::from_secs(2);
const RATE: u64 = 1_000;

fn settings() -> Settings {
    let mut settings = Settings::default();
    (settings.message_grace, settings.message_min_rate) = (GRACE, RATE);
    settings
}

/// Opens a WebSocket.
fn switched(address: &str, path: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    Deadline::soon().limit(&stream);
    stream.write_all(get(path, &format!("{UPGRADE}{fields}")).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    stream
}

/// Returns the code of the server's close frame, if it has arrived.
fn close_in(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(4).position(|four| four[0] == 0x88 && four[1] >= 2)?;
    Some(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]))
}

/// Sends the first bytes at once, then a piece from time to time. Returns when the server closed,
/// and the close code.
fn dribble(name: &str, mut stream: TcpStream, first: &[u8], piece: &[u8]) -> (Duration, u16) {
    let start = Instant::now();
    stream.write_all(first).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => got.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            end => panic!("{name}: no close came before the end: {end:?}, only {got:x?}"),
        }
        if let Some(code) = close_in(&got) {
            return (start.elapsed(), code);
        }
        assert!(start.elapsed() < PATIENCE, "{name}: it is still served");
        // Twenty pieces per second, even if an answer came at once.
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(piece).unwrap();
    }
}

#[test]
fn a_message_that_does_not_end_closes_the_connection() {
    let (_hub, running) = in_process(HubConfig::default(), settings());
    let address = running.addresses()[0].to_string();
    // Frames of 1,000 bytes, which arrive byte by byte.
    let text = [0x81, 0x80 | 126, 0x03, 0xe8, 0, 0, 0, 0];
    let compressed = [0xc1, 0x80 | 126, 0x03, 0xe8, 0, 0, 0, 0];
    let fragment = frame(0x00, b"x");
    let with_pings = [fragment.clone(), frame(0x89, b"")].concat();
    let first_fragment = frame(0x01, b"x");
    std::thread::scope(|scope| {
        let cases: [(&str, &str, &[u8], &[u8]); 8] = [
            ("a frame", "", &text, b"x"),
            ("a command", V1, &text, b"x"),
            ("a compressed frame", DEFLATE, &compressed, b"x"),
            ("a header", "", &text[..1], b""),
            ("a ping", "", &[0x89, 0x84, 0, 0, 0, 0, b'x'], b""),
            ("fragments", V1, &first_fragment, &fragment),
            ("fragments with pings between", "", &first_fragment, &with_pings),
            (WIRE, "", &text, b"x"),
        ];
        let address = &address;
        let cases = cases.map(|(name, fields, first, piece)| {
            let path = if name == WIRE { "/playground/wire" } else { "/c/slow" };
            (name, scope.spawn(move || dribble(name, switched(address, path, fields), first, piece)))
        });
        for (name, case) in cases {
            let (took, code) = case.join().unwrap();
            assert_eq!(code, 1008, "{name}");
            assert!(took >= GRACE, "{name}: {took:?}");
        }
    });
}

/// A client that keeps the minimum rate may take much longer than the grace time.
#[test]
fn a_slow_but_steady_message_is_accepted() {
    let (hub, running) = in_process(HubConfig::default(), settings());
    let mut stream = switched(&running.addresses()[0].to_string(), "/c/slow", "");
    let name = ChannelName::new("slow").unwrap();
    let payload = vec![b'x'; 12_000];
    let message = frame(0x81, &payload);
    let start = Instant::now();
    let mut sent = 0;
    while sent < message.len() {
        // The amount depends on the clock: after a longer sleep, more is sent.
        let due = (start.elapsed().as_millis() as usize * 4).min(message.len());
        stream.write_all(&message[sent..due]).unwrap();
        sent = due;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > GRACE, "the test must take longer than the grace time");
    let channel = hub.channel(&name).unwrap();
    super::eventually("the message", || channel.head().seq() == 1);
}

/// A socket that is behind gets no pings. While it reads messages, it need not send anything. When
/// it has caught up, it must answer pings.
#[test]
fn a_socket_that_is_behind_but_reads_does_not_count_as_silent() {
    let mut settings = Settings::default();
    settings.heartbeat = Duration::from_secs(1);
    let (hub, running) = in_process(HubConfig::default(), settings);
    let name = ChannelName::new("slow").unwrap();
    let channel = hub.channel(&name).unwrap();
    let mut stream = super::narrow(&running.addresses()[0].to_string());
    stream.write_all(get("/c/slow", UPGRADE).as_bytes()).unwrap();
    super::eventually("the subscriber", || channel.subscribers() == 1);
    for _ in 0..140 {
        hub.publish(&name, Message::new(vec![b'x'; 50_000].into(), 0), None).unwrap();
    }
    // More than three heartbeats must pass without a byte from the client. It reads slowly, so that
    // it stays behind.
    Deadline::soon().limit(&stream);
    let start = Instant::now();
    let mut piece = [0; 8 * 1024];
    while start.elapsed() < Duration::from_millis(4_500) {
        assert!(stream.read(&mut piece).unwrap() > 0, "dropped after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(channel.subscribers(), 1);
    let deadline = Deadline::soon();
    deadline.limit(&stream);
    while matches!(stream.read(&mut piece), Ok(1..)) {
        deadline.check("the end of the connection", || tail(&piece));
    }
    super::eventually("the end of one that answers no ping", || channel.subscribers() == 0);
}
