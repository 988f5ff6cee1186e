//! WebSocket messages that never end: with a byte now and then, a client must not keep a connection
//! and its unfinished message for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidewire::{ChannelName, HubConfig, Message, Settings};

use super::common::PATIENCE;
use super::{UPGRADE, frame, get, in_process};

const V1: &str = "Sec-WebSocket-Protocol: tidewire.v1\r\n";
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// A page's end of a wire of the playground.
const WIRE: &str = "a wire";

const GRACE: Duration = Duration::from_secs(2);
const RATE: u64 = 1_000;

fn settings() -> Settings {
    let mut settings = Settings::default();
    (settings.message_grace, settings.message_min_rate) = (GRACE, RATE);
    settings
}

/// A connection after its handshake.
fn switched(address: &str, path: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
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

/// The first four bytes of the server's close, if it has come.
fn close_in(bytes: &[u8]) -> Option<u16> {
    let at = bytes.windows(4).position(|four| four[0] == 0x88 && four[1] >= 2)?;
    Some(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]))
}

/// Sends the first bytes at once, and then a piece now and then; says when the server closed, and with which code.
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
        // Also where an answer came at once: twenty pieces a second.
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(piece).unwrap();
    }
}

#[test]
fn a_message_that_does_not_end_is_given_up() {
    let (_hub, running) = in_process(HubConfig::default(), settings());
    let address = running.addresses()[0].to_string();
    // Frames of 1,000 bytes, of which one comes at a time.
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

/// Who is slow and keeps to the lowest rate may take much longer than the time of grace.
#[test]
fn a_message_that_comes_slowly_and_steadily_arrives() {
    let (hub, running) = in_process(HubConfig::default(), settings());
    let mut stream = switched(&running.addresses()[0].to_string(), "/c/slow", "");
    let name = ChannelName::new("slow").unwrap();
    let payload = vec![b'x'; 12_000];
    let message = frame(0x81, &payload);
    let start = Instant::now();
    let mut sent = 0;
    while sent < message.len() {
        // By the clock and not by the sleep: who sleeps for too long sends more next time.
        let due = (start.elapsed().as_millis() as usize * 4).min(message.len());
        stream.write_all(&message[sent..due]).unwrap();
        sent = due;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > GRACE, "it has to take longer than the grace to show something");
    let channel = hub.channel(&name).unwrap();
    super::eventually("the message", || channel.head().seq() == 1);
}

/// Who is behind gets no pings: as long as it takes what it gets, it does not have to say anything. When it is not behind any more, it has to
/// answer them.
#[test]
fn a_socket_that_is_behind_and_takes_its_messages_is_not_silent() {
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
    // Time itself has to pass: three heartbeats and more without a word of the client. It takes little, so that there is more.
    let start = Instant::now();
    let mut piece = [0; 8 * 1024];
    while start.elapsed() < Duration::from_millis(4_500) {
        assert!(stream.read(&mut piece).unwrap() > 0, "dropped after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(channel.subscribers(), 1);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while matches!(stream.read(&mut piece), Ok(1..)) {}
    super::eventually("the end of one that answers no ping", || channel.subscribers() == 0);
}
