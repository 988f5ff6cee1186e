//! What a connection costs that waits.
#![cfg(all(feature = "tokio", feature = "deflate"))]
#![allow(clippy::unwrap_used, unsafe_code)] // a test; its allocator counts

#[allow(dead_code, unreachable_pub)] // shared with the other tests that count
mod counting;

use counting::{heap, live};
use futures_util::FutureExt as _;
use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::tokio::WebSocket;
use tidewire_ws::{Connection, Event, Limits, Message, Role};
use tokio::net::{TcpListener, TcpStream};

/// With the task that serves it, with what tokio keeps of its socket, and with the whole client at the other end: after messages small
/// and large, compressed ones, and pings.
#[tokio::test]
async fn a_connection_that_waits_holds_four_kibibytes_at_most() {
    const CONNECTIONS: isize = 50;
    let params = Params {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let with_deflate = |role| Connection::new(role, Limits::DEFAULT).with_deflate(params, &Config::DEFAULT);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::with_capacity(CONNECTIONS.unsigned_abs());
    let mut before = 0;
    // One more, first, to fill what all connections of a thread share.
    for i in 0..=CONNECTIONS {
        let mut client =
            WebSocket::new(TcpStream::connect(address).await.unwrap(), with_deflate(Role::Client));
        let (server, _) = listener.accept().await.unwrap();
        let mut server = WebSocket::new(server, with_deflate(Role::Server));
        tokio::spawn(async move {
            while let Some(Ok(message)) = server.next().await {
                if message.is_data() {
                    server.send(message).await.unwrap();
                }
            }
        });
        for len in [1, 1000, 20_000] {
            let text = Message::Text("tide ".repeat(len / 5));
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
            before = live();
        }
    }
    let each = (live() - before) / CONNECTIONS;
    assert!(each <= 4096, "{each} bytes for each connection");
    assert!(each > 200, "{each} bytes: this has not counted");
}

/// One buffer for large messages stays with the thread, and none with a connection: the next message finds it, whoever gets it.
#[test]
fn a_thread_keeps_one_buffer_for_large_messages_and_a_connection_none() {
    let gather = |opcode: u8| {
        let mut server = Connection::new(Role::Server, Limits { max_frame: 1 << 20, ..Limits::DEFAULT });
        let mut header = [&[0x80 | opcode, 0xff][..], &(1u64 << 20).to_be_bytes(), &[0; 4]].concat();
        assert!(matches!(server.decode(&mut header), Ok((14, None))));
        let mut piece = vec![b'a'; 64 << 10];
        for _ in 1..16 {
            assert!(matches!(server.decode(&mut piece), Ok((65_536, None))));
        }
        let (_, event) = server.decode(&mut piece).unwrap();
        assert!(
            matches!(event, Some(Event::Binary(data)) if data.len() == 1 << 20)
                || matches!(event, Some(Event::Text(text)) if text.len() == 1 << 20)
        );
        assert_eq!(server.decode(&mut []), Ok((0, None)));
        server
    };
    let (first, server) = heap(|| gather(2));
    assert!((1 << 20..=2 << 20).contains(&first.kept), "the thread keeps it: {first:?}");
    let (drop_it, ()) = heap(|| drop(server));
    assert_eq!(drop_it.kept, 0, "the connection held none");
    for opcode in [2, 1, 2] {
        let (again, _server) = heap(|| gather(opcode));
        // The piece itself, and a buffer that grows up to 64 KiB before the thread's takes its place.
        assert!(again.peak <= 256 << 10 && again.kept == 0, "{again:?}");
    }
}

/// RUSTSEC-2022-0035 (websocket: a buffer of the declared length), where a payload is read straight to its place.
#[test]
fn a_large_message_under_way_holds_twice_what_has_come() {
    let mut wire = [&[0x82, 0xff][..], &(16u64 << 20).to_be_bytes(), &[0; 4]].concat();
    for come in [100, 70_000, 300_000] {
        wire.resize(14 + come, 0);
        let limits = Limits { max_frame: 1 << 30, max_message: 1 << 30, ..Limits::DEFAULT };
        let io = tokio::io::join(&wire[..], tokio::io::sink());
        let (heap, ended) = heap(|| WebSocket::server(io, limits).next().now_or_never());
        assert!(matches!(ended, Some(Some(Err(_)))), "the stream has ended: {ended:?}");
        // What one read takes and what is reserved ahead, and while the buffer grows, the one before it.
        assert!(heap.peak <= (128 << 10) + 3 * come, "{come}: {heap:?}");
    }
}
