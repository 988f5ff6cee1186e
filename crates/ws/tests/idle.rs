//! The memory that a waiting connection holds.
#![cfg(all(feature = "tokio", feature = "deflate"))]
#![allow(clippy::unwrap_used)] // a test

use futures_util::FutureExt as _;
use tidewire_testkit::heap::{CountingAllocator, held, measure};
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Client, Connection, Event, Limits, Message, Role, Server};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const PARAMS: Params = Params {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

fn with_deflate<R: Role>() -> Connection<R> {
    Connection::new(Limits::DEFAULT).with_deflate(PARAMS, &Config::DEFAULT)
}

/// The count includes the task that serves the connection, tokio's state of its socket, and the
/// whole client at the other end. Small, large and compressed messages and a ping have passed
/// before.
#[tokio::test]
async fn a_waiting_connection_holds_at_most_4_kib() {
    const CONNECTIONS: isize = 50;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::with_capacity(CONNECTIONS.unsigned_abs());
    let mut before = 0;
    // One extra connection comes first and fills what all connections of a thread share.
    for i in 0..=CONNECTIONS {
        let mut client = WebSocket::new(TcpStream::connect(address).await.unwrap(), with_deflate::<Client>());
        let (server, _) = listener.accept().await.unwrap();
        let mut server = WebSocket::new(server, with_deflate::<Server>());
        tokio::spawn(async move {
            while let Some(Ok(message)) = server.next().await {
                if message.is_data() {
                    server.send(message).await.unwrap();
                }
            }
        });
        for len in [1, 1000, 20_000] {
            let text = Message::text("tide ".repeat(len / 5));
            let noise = Message::Binary((0..len).map(|i| ((i * i * 31) >> 3) as u8).collect());
            for message in [text, noise] {
                client.send(message.clone()).await.unwrap();
                assert!(client.next().await.unwrap().unwrap() == message);
            }
        }
        client.send(Message::Ping("p".into())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
        clients.push(client);
        if i == 0 {
            before = held();
        }
    }
    let each = (held() - before) / CONNECTIONS;
    assert!(each <= 4096, "{each} bytes for each connection");
    assert!(each > 200, "{each} bytes: the allocator did not count");
}

/// A stalled message keeps none of the large buffers that earlier messages of the thread have left,
/// received or inflated.
#[test]
fn a_stalled_large_message_holds_at_most_twice_its_received_bytes() {
    const RECEIVED: usize = 70_000;
    let limits = Limits::DEFAULT.with_max_frame(1 << 20);
    let head = |opcode: u8| [&[0x80 | opcode, 0xff][..], &(1u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let letters = vec![b'a'; 1 << 20];
    let large = |opcode| [head(opcode), letters.clone()].concat();
    let mut inflates = Vec::new();
    let mut sender = Connection::<Client>::new(limits).with_deflate(PARAMS, &Config::DEFAULT);
    sender.send_binary(&letters, [0; 4], &mut inflates).unwrap();
    assert!(inflates.len() < 16 << 10);
    let mut neighbour = Connection::<Server>::new(limits).with_deflate(PARAMS, &Config::DEFAULT);
    let mut receive = |mut wire: Vec<u8>| {
        // In pieces, so that the connection gathers the message in a buffer.
        let mut whole = false;
        for piece in wire.chunks_mut(1024) {
            whole |= neighbour.decode(piece).unwrap().1.is_some();
        }
        assert!(whole && neighbour.decode(&mut []) == Ok((0, None)));
    };
    for opcode in [2, 1] {
        let mut begun = letters[..RECEIVED].to_vec();
        for wire in [large(2), large(1), inflates.clone()] {
            receive(wire);
            let mut server = Connection::<Server>::new(limits);
            assert!(matches!(server.decode(&mut head(opcode)), Ok((14, None))));
            for piece in begun.chunks_mut(1024) {
                assert!(matches!(server.decode(piece), Ok((_, None))));
            }
            let (freed, ()) = measure(|| drop(server));
            let held = freed.kept.unsigned_abs();
            assert!((RECEIVED..=2 * RECEIVED + 4096).contains(&held), "{held} bytes");
        }
    }
    // It keeps no buffer of an earlier message of its own connection and read either.
    let mut server = Connection::<Server>::new(limits).with_deflate(PARAMS, &Config::DEFAULT);
    let mut wire = [&inflates[..], &head(2), b"a"].concat();
    let (stalled, ()) = measure(|| {
        let (n, event) = server.decode(&mut wire).unwrap();
        assert!(matches!(event, Some(Event::Binary(data)) if data.len() == 1 << 20));
        assert!(matches!(server.decode(&mut wire[n..]), Ok((15, None))));
    });
    assert!(stalled.kept <= 64 << 10, "{stalled:?}");
}

/// A batch is decoded in the thread's read buffer. The connection returns this buffer when its last
/// message is taken.
#[tokio::test]
async fn a_connection_without_unread_messages_holds_no_read_buffer() {
    let wire = b"\x81\x8a\0\0\0\x000123456789".repeat(1000);
    let mut server = WebSocket::server(tokio::io::join(&wire[..], tokio::io::sink()), Limits::DEFAULT);
    for _ in 0..1000 {
        let message = server.next().await.unwrap().unwrap();
        assert_eq!(message, Message::Text("0123456789".into()));
    }
    let (freed, ()) = measure(|| drop(server));
    assert!(freed.kept > -1024, "{freed:?}");
}

/// The limit of the queue is a limit of memory. A few unwritten bytes must not keep the thread's
/// large write buffer.
#[tokio::test]
async fn a_connection_to_a_slow_reader_holds_little_more_than_its_unwritten_bytes() {
    let busy = async || {
        let mut server = WebSocket::server(tokio::io::join(&[][..], tokio::io::sink()), Limits::DEFAULT);
        for _ in 0..7000 {
            server.queue(Message::Text("0123456789abcdef".into())).await.unwrap();
        }
        server.flush().await.unwrap();
    };
    // With only a short message, and with the header of a large message, whose payload is not
    // copied.
    for message in [Message::Text("ten bytes!".into()), Message::Binary(vec![0; 100_000].into())] {
        busy().await;
        let (io, _slow) = tokio::io::duplex(1);
        let mut server = WebSocket::server(io, Limits::DEFAULT);
        server.queue("first".into()).await.unwrap();
        assert!(server.send(message).now_or_never().is_none());
        let unwritten = server.unwritten();
        let (freed, ()) = measure(|| drop(server));
        let held = freed.kept.unsigned_abs();
        assert!((unwritten..unwritten + 2048).contains(&held), "{held} bytes for {unwritten}");
    }
}

/// RUSTSEC-2022-0035 (websocket allocated a buffer of the declared length). Here the payload is
/// read directly into the buffer of its message.
#[test]
fn an_unfinished_large_message_holds_memory_only_for_its_received_bytes() {
    let mut wire = [&[0x82, 0xff][..], &(16u64 << 20).to_be_bytes(), &[0; 4]].concat();
    for received in [100, 70_000, 300_000] {
        wire.resize(14 + received, 0);
        let limits = Limits::DEFAULT.with_max_frame(1 << 30).with_max_message(1 << 30);
        let io = tokio::io::join(&wire[..], tokio::io::sink());
        let (used, ended) = measure(|| WebSocket::server(io, limits).next().now_or_never());
        assert!(matches!(ended, Some(Some(Err(_)))), "the end of the stream is an error: {ended:?}");
        // One read, the room reserved ahead, and the old buffer while the buffer grows.
        assert!(used.peak <= (128 << 10) + 3 * received, "{received}: {used:?}");
    }
}
