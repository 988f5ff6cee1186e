//! The tokio adapter: flushing and queueing, backpressure, cancelling, closing.
//!
//! The clock is paused and advances only when every task waits. So no time-out depends on the load
//! of the machine.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used)] // a test

mod pieces;

use futures_util::{SinkExt as _, StreamExt};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire_ws::tokio::{Error, WebSocket, WhenFull};
use tidewire_ws::{Client, Connection, ErrorKind, Kind, Limits, Message, Server, close};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};

/// A stream that counts its writes.
struct Counted<IO>(IO, Arc<AtomicUsize>);

impl<IO: AsyncRead + Unpin> AsyncRead for Counted<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Counted<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The loop of the documentation: it queues an echo of each message.
async fn echo<IO: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<IO, Server>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_data() {
            socket.queue(message).await?;
        }
    }
    Ok(())
}

/// A masked frame of a client.
fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// Over TCP, where sixteen messages of one write arrive in one read.
#[tokio::test(start_paused = true)]
async fn a_loop_that_queues_needs_one_write_for_sixteen_pipelined_messages() {
    let writes = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let server = tokio::spawn(echo(WebSocket::server(Counted(server, writes.clone()), Limits::DEFAULT)));
    let sixteen = client_frame(2, &[b'x'; 20]).repeat(16);
    let mut back = vec![0; 22 * 16];
    for round in 1..=100 {
        client.write_all(&sixteen).await.unwrap();
        client.read_exact(&mut back).await.unwrap();
        // One write a round is 1/16 = 0.0625 writes a message. The goal is at most 0.07.
        assert_eq!(writes.load(Ordering::Relaxed), round);
    }
    drop(client);
    assert!(matches!(server.await.unwrap(), Err(Error::Protocol(e)) if e.kind() == ErrorKind::NoClose));
}

/// Two messages arrive in one read. The server answers the first one and then waits for the peer,
/// which acts only after it has read the answer.
#[tokio::test(start_paused = true)]
async fn a_sent_message_is_written_while_another_one_waits_to_be_read() {
    let (server, mut client) = duplex(64 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"a").repeat(2)).await.unwrap();
    for _ in 0..2 {
        server.next().await.unwrap().unwrap();
        server.send("question".into()).await.unwrap();
        assert_eq!(server.unwritten(), 0);
        let mut question = [0; 10];
        client.read_exact(&mut question).await.unwrap();
        assert_eq!(&question, b"\x81\x08question");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_writes_all_that_is_queued() {
    let (server, mut client) = duplex(64 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"a").repeat(2)).await.unwrap();
    server.next().await.unwrap().unwrap();
    server.queue("one".into()).await.unwrap();
    server.queue("two".into()).await.unwrap();
    assert_eq!(server.unwritten(), 10, "queueing does not write");
    server.flush().await.unwrap();
    assert_eq!(server.unwritten(), 0);
    let mut back = [0; 10];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x81\x03one\x81\x03two");
}

/// The same through the `Sink` trait, as `SinkExt` and `forward` call it.
#[tokio::test(start_paused = true)]
async fn a_flush_of_the_sink_writes_all_that_is_queued() {
    let (server, mut client) = duplex(64 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"a").repeat(3)).await.unwrap();
    server.next().await.unwrap().unwrap();
    futures_util::SinkExt::feed(&mut server, "one".into()).await.unwrap();
    assert_eq!(server.unwritten(), 5);
    futures_util::SinkExt::<Message>::flush(&mut server).await.unwrap();
    assert_eq!(server.unwritten(), 0);
    futures_util::SinkExt::send(&mut server, "two".into()).await.unwrap();
    assert_eq!(server.unwritten(), 0);
    let mut back = [0; 10];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x81\x03one\x81\x03two");
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_until_the_stream_has_taken_every_byte() {
    let (server, mut client) = duplex(100);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    server.queue(Message::Binary(vec![7; 1000].into())).await.unwrap();
    let pause = Duration::from_secs(1);
    assert!(tokio::time::timeout(pause, server.flush()).await.is_err());
    assert_eq!(server.unwritten(), 1004 - 100);
    let mut back = vec![0; 1004];
    let (flushed, read) = tokio::join!(server.flush(), client.read_exact(&mut back));
    assert!(flushed.is_ok() && read.is_ok());
    assert_eq!(server.unwritten(), 0);
}

#[tokio::test(start_paused = true)]
async fn queued_messages_are_written_before_the_wait_for_the_next_message() {
    let (server, mut client) = duplex(64 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"a").repeat(2)).await.unwrap();
    for queued in [3, 6] {
        let message = server.next().await.unwrap().unwrap();
        server.queue(message).await.unwrap();
        assert_eq!(server.unwritten(), queued, "the message that has come is returned first");
    }
    let pause = Duration::from_secs(1);
    assert!(tokio::time::timeout(pause, server.next()).await.is_err());
    assert_eq!(server.unwritten(), 0);
    let mut back = [0; 6];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x81\x01a\x81\x01a");
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_written_without_a_flush() {
    let (server, mut client) = duplex(1 << 20);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    for i in 1..=100 {
        server.queue(Message::Binary(vec![0; 1000].into())).await.unwrap();
        assert!(server.unwritten() < 64 * 1024, "{} bytes after {i} messages", server.unwritten());
    }
    // Below the limit of the queue, a peer that does not read does not block the sender.
    let (slow, _peer) = duplex(1);
    let mut server = WebSocket::server(slow, Limits::DEFAULT);
    for _ in 0..100 {
        server.queue(Message::Binary(vec![0; 1000].into())).await.unwrap();
    }
    assert_eq!(server.unwritten(), 100 * 1004 - 1);
    let mut some = vec![0; 64 * 1024];
    client.read_exact(&mut some).await.unwrap();
}

/// A small batch is copied for the connection. A large one is decoded in the read buffer. Both end
/// inside a frame.
#[tokio::test]
async fn batches_of_all_sizes_come_back_whole() {
    for (size, count) in [(1, 3), (20, 16), (20, 2000), (1000, 16), (1000, 200), (20_000, 5)] {
        let (server, mut client) = duplex(1 << 20);
        let serving = tokio::spawn(echo(WebSocket::server(server, Limits::DEFAULT)));
        let payloads: Vec<Vec<u8>> = (0..count).map(|i| vec![i as u8; size]).collect();
        let mut wire = Vec::new();
        let mut sender = Connection::<Client>::new(Limits::DEFAULT);
        for payload in &payloads {
            sender.send_binary(payload, [1, 2, 3, 4], &mut wire).unwrap();
        }
        for part in wire.chunks(wire.len() / 3 + 1) {
            client.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut client = WebSocket::client(client, Limits::DEFAULT);
        for payload in payloads {
            assert_eq!(client.next().await.unwrap().unwrap(), Message::Binary(payload.into()));
        }
        client.close(None, "").await.unwrap();
        assert!(matches!(client.next().await, Some(Ok(Message::Close { .. }))));
        assert!(client.next().await.is_none());
        serving.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn queued_answers_are_written_when_the_socket_is_dropped() {
    let (server, mut client) = duplex(64 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT);
    client.write_all(&client_frame(1, b"a").repeat(2)).await.unwrap();
    let first = server.next().await.unwrap().unwrap();
    server.queue(first).await.unwrap();
    drop(server);
    let mut back = Vec::new();
    client.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, b"\x81\x01a");
}

fn pair() -> (WebSocket<DuplexStream, Server>, WebSocket<DuplexStream, Client>) {
    let (server, client) = duplex(8 * 1024);
    (WebSocket::server(server, Limits::DEFAULT), WebSocket::client(client, Limits::DEFAULT))
}

#[tokio::test(start_paused = true)]
async fn messages_of_every_size_go_both_ways() {
    let (server, mut client) = pair();
    let server = tokio::spawn(echo(server));
    for len in [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 1 << 20] {
        let data = vec![b'x'; len];
        for message in [Message::Binary(data.clone().into()), Message::text(String::from_utf8(data).unwrap())]
        {
            let (sent, received) = tokio::join!(
                async {
                    let (mut sink, stream) = futures_util::stream::StreamExt::split(&mut client);
                    let send = sink.send(message.clone());
                    let mut stream = stream;
                    let (sent, received) = tokio::join!(send, stream.next());
                    sent.unwrap();
                    received.unwrap().unwrap()
                },
                async { message.clone() }
            );
            assert!(sent == received, "{len}");
        }
    }
    client.close(Some(close::NORMAL), "done").await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(client.next().await.is_none());
    server.await.unwrap().unwrap();
}

/// A large payload is read directly into its message. A ping between its fragments, and frames
/// after the message, must not be.
#[tokio::test(start_paused = true)]
async fn a_large_message_contains_only_its_own_payload() {
    const KEY: [u8; 4] = [1, 2, 3, 4];
    let data: Vec<u8> = (0..700_001u32).map(|i| (i ^ (i >> 9)) as u8).collect();
    let (first, second) = data.split_at(300_000);
    let mut connection = Connection::<Client>::new(Limits::DEFAULT);
    let mut wire = Vec::new();
    connection.send_binary_fragment(first, false, KEY, &mut wire).unwrap();
    connection.send_ping(b"between", KEY, &mut wire).unwrap();
    connection.send_binary_fragment(second, true, KEY, &mut wire).unwrap();
    connection.send_text("behind", KEY, &mut wire).unwrap();
    connection.send_binary(&data, KEY, &mut wire).unwrap();
    let cut = wire.len() - 100_000;
    // Reads of many sizes, up to reads that fill the whole buffer.
    for pipe in [997, 65_536, 1 << 22] {
        let (server, mut client) = duplex(pipe);
        let mut server = WebSocket::server(server, Limits::DEFAULT);
        let sent = wire[..cut].to_vec();
        let writer = tokio::spawn(async move { client.write_all(&sent).await.map(|()| client) });
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Ping("between".into()));
        assert!(server.next().await.unwrap().unwrap() == Message::Binary(data.clone().into()), "{pipe}");
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Text("behind".into()));
        // The call may be cancelled while it waits for the rest.
        assert!(tokio::time::timeout(Duration::from_secs(1), server.next()).await.is_err());
        let mut client = writer.await.unwrap().unwrap();
        let rest = wire[cut..].to_vec();
        let writer = tokio::spawn(async move { client.write_all(&rest[..99_999]).await.map(|()| client) });
        assert!(tokio::time::timeout(Duration::from_secs(1), server.next()).await.is_err());
        drop(writer.await.unwrap().unwrap());
        let ended = server.next().await.unwrap().unwrap_err();
        assert!(matches!(ended, Error::Protocol(e) if e.kind() == ErrorKind::UnexpectedEnd), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_halves_of_a_split_socket_work_in_two_tasks() {
    let (server, client) = pair();
    let server = tokio::spawn(echo(server));
    let (mut sink, mut stream) = StreamExt::split(client);
    let reader = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(data) => sum += data.len(),
                Message::Close { .. } => break,
                _ => {}
            }
        }
        sum
    });
    for i in 0..200 {
        sink.send(Message::Binary(vec![1; i * 100].into())).await.unwrap();
    }
    sink.close().await.unwrap();
    assert_eq!(reader.await.unwrap(), (0..200).map(|i| i * 100).sum::<usize>());
    server.await.unwrap().unwrap();
}

/// The peer sends pings and never reads. The size of the queued pongs stays bounded.
#[tokio::test(start_paused = true)]
async fn pings_from_a_peer_that_never_reads_take_bounded_memory() {
    let (server, mut client) = duplex(4 * 1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(16 * 1024, WhenFull::Wait);
    let flood = tokio::spawn(async move {
        let pings = client_frame(9, &[b'p'; 125]).repeat(20);
        for _ in 0..500 {
            client.write_all(&pings).await.unwrap();
        }
        client
    });
    let mut pings = 0;
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_millis(300), server.next()).await {
        assert!(matches!(message, Message::Ping(_)));
        pings += 1;
        assert!(server.unwritten() <= 4096 + 127, "{} bytes are queued", server.unwritten());
    }
    assert_eq!(pings, 10_000);
    drop(flood.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_waits_refuses_or_closes() {
    let big = || Message::Binary(vec![0; 7000].into());
    // Refuse: the queue keeps its messages and refuses the new one. Control frames still pass.
    let (server, mut client) = duplex(1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(5000, WhenFull::Refuse);
    server.queue(big()).await.unwrap();
    assert!(matches!(server.queue(big()).await, Err(Error::Full)));
    assert!(server.queue(Message::Ping("still".into())).await.is_ok(), "control frames pass the bound");
    let mut first = vec![0; 4 + 7000 + 2 + 5];
    let (flushed, read) = tokio::join!(server.flush(), client.read_exact(&mut first));
    assert!(flushed.is_ok() && read.is_ok());
    assert!(server.queue(big()).await.is_ok());

    // Close: a close frame is queued after the waiting messages, and nothing after it.
    let (server, mut client) = duplex(1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(5000, WhenFull::Close);
    server.queue(big()).await.unwrap();
    assert!(matches!(server.queue(big()).await, Err(Error::Full)));
    assert!(matches!(server.queue(Message::Ping("late".into())).await, Err(Error::Encode(_))));
    assert!(server.connection().awaiting_close());
    let mut all = vec![0; 7004 + 4];
    let (flushed, _) = tokio::join!(server.flush(), client.read_exact(&mut all));
    flushed.unwrap();
    assert_eq!((all[7004], u16::from_be_bytes([all[7006], all[7007]])), (0x88, close::TRY_AGAIN_LATER));

    // Wait: the sender continues when the peer reads.
    let (server, mut client) = duplex(1024);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(1000, WhenFull::Wait);
    server.queue(big()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), server.queue(big())).await.is_err());
    let mut some = vec![0; 5000];
    let (fed, _) = tokio::join!(server.queue(big()), client.read_exact(&mut some));
    fed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pending_replies_are_written_before_the_close_of_an_error() {
    let (server, mut client) = duplex(64 * 1024);
    let server = tokio::spawn(echo(WebSocket::server(server, Limits::DEFAULT)));
    let mut bytes = client_frame(1, b"one");
    bytes.extend(client_frame(9, b"two"));
    bytes.extend(client_frame(3, b"bad"));
    bytes.extend([0; 5000]);
    client.write_all(&bytes).await.unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).await.unwrap();
    assert!(back.starts_with(b"\x81\x03one\x8a\x03two\x88"), "{}", back.escape_ascii());
    assert_eq!(&back[12..14], close::PROTOCOL_ERROR.to_be_bytes());
    drop(client);
    let ended = server.await.unwrap();
    let Err(Error::Protocol(error)) = ended else { panic!("{ended:?}") };
    assert_eq!((error.kind(), error.offset()), (ErrorKind::ReservedOpcode, 18));
}

#[tokio::test(start_paused = true)]
async fn the_server_closes_first_and_the_client_waits_for_it() {
    let (mut server, mut client) = pair();
    client.close(Some(4000), "bye").await.unwrap();
    assert!(client.connection().awaiting_close());
    let Some(Ok(Message::Close { code: Some(4000), reason })) = server.next().await else { panic!() };
    assert_eq!(reason, "bye");
    assert!(tokio::time::timeout(Duration::from_millis(20), client.next()).await.is_err(), "no reply yet");
    assert!(server.next().await.is_none());
    assert!(matches!(client.next().await, Some(Ok(Message::Close { code: Some(4000), .. }))));
    assert!(client.next().await.is_none());
    assert!(matches!(client.send("late".into()).await, Err(Error::Encode(_))));
}

/// A stream that yields these bytes. After them every operation fails with this error.
struct Broken(Vec<u8>, io::ErrorKind);

impl AsyncRead for Broken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(self.1.into()));
        }
        buf.put_slice(&std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(if self.0.is_empty() { Err(self.1.into()) } else { Ok(data.len()) })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.1.into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_only_before_both_closes() {
    let reset = io::ErrorKind::ConnectionReset;
    // The client has sent its close. The reset meets the reply or the shutdown.
    for close in [client_frame(8, b""), client_frame(8, b"\x03\xe8")] {
        let mut server = WebSocket::server(Broken(close, reset), Limits::DEFAULT);
        assert!(matches!(server.next().await, Some(Ok(Message::Close { .. }))));
        assert!(server.next().await.is_none());
    }
    // Both closes are exchanged, and the client waits until the server disconnects.
    let mut client = WebSocket::client(Broken(b"\x88\x02\x03\xe8".into(), reset), Limits::DEFAULT);
    client.close(Some(1000), "").await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(Message::Close { code: Some(1000), .. }))));
    assert!(client.next().await.is_none());
    // Before both closes are exchanged, the reset is an error.
    let mut server = WebSocket::server(Broken(client_frame(1, b"hi"), reset), Limits::DEFAULT);
    assert!(matches!(server.next().await, Some(Ok(_))));
    assert!(matches!(server.next().await, Some(Err(Error::Io(e))) if e.kind() == reset));
    assert!(server.next().await.is_none());
    let mut client = WebSocket::client(Broken(b"\x81\x00".into(), reset), Limits::DEFAULT);
    client.close(Some(1000), "").await.unwrap();
    assert!(matches!(client.next().await, Some(Ok(_))));
    assert!(matches!(client.next().await, Some(Err(Error::Io(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_message_read_together_with_the_handshake_is_decoded() {
    let (server, _client) = duplex(64);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_read_ahead(client_frame(1, b"early"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Text("early".into()));
}

#[tokio::test(start_paused = true)]
async fn prepared_messages_are_written_as_they_are() {
    let (server, mut client) = pair();
    let mut server = server;
    let message = tidewire_ws::PreparedMessage::text("all the same");
    server.queue_prepared(&message).await.unwrap();
    server.send_prepared(&message).await.unwrap();
    assert_eq!(server.unwritten(), 0);
    for _ in 0..2 {
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Text("all the same".into()));
    }
}

#[test]
fn a_socket_takes_less_than_1_kib() {
    assert!(size_of::<WebSocket<tokio::net::TcpStream, Server>>() < 1024);
    let _ = (Kind::Text, Connection::<Server>::new(Limits::DEFAULT));
}
