//! The tokio adapter over streams that buffer, and with halves in two tasks: a flush returns when
//! every byte is written, and every half is woken.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used)] // a test

mod split;

use futures_util::{SinkExt as _, StreamExt};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tidewire_ws::tokio::{Error, WebSocket, WhenFull};
use tidewire_ws::{Limits, Message, Server, close};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufWriter, ReadBuf, duplex};

/// A masked frame of a client.
fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// Counts how often it is woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Task {
    fn new() -> (Arc<Self>, Waker) {
        let task = Arc::new(Self::default());
        (task.clone(), task.into())
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A buffer before a stream, as of TLS, takes bytes that the stream does not take yet. A flush that
/// had to wait once must not be complete the second time.
#[tokio::test(start_paused = true)]
async fn a_flush_waits_until_a_stream_that_buffers_is_flushed() {
    let (server, mut client) = duplex(4);
    let mut server = WebSocket::server(BufWriter::new(server), Limits::DEFAULT);
    server.queue("a long message".into()).await.unwrap();
    let (_, waker) = Task::new();
    let mut cx = Context::from_waker(&waker);
    {
        let mut flush = pin!(server.flush());
        assert!(flush.as_mut().poll(&mut cx).is_pending());
        assert!(flush.as_mut().poll(&mut cx).is_pending(), "twelve bytes are still in the buffer");
        // The flush is dropped. The next one continues it.
    }
    assert!(pin!(server.flush()).poll(&mut cx).is_pending());
    let read = async {
        let mut back = [0; 16];
        client.read_exact(&mut back).await.unwrap();
        back
    };
    let (flushed, back) = tokio::join!(server.flush(), read);
    flushed.unwrap();
    assert_eq!(&back, b"\x81\x0ea long message");
}

/// The reading half writes too, and is then the task that the stream remembers. It may take a
/// message and wait for anything else.
#[tokio::test(start_paused = true)]
async fn the_writing_half_is_woken_when_the_reading_half_polled_last() {
    let (server, mut client) = duplex(64);
    let (mut sink, mut stream) = StreamExt::split(WebSocket::server(server, Limits::DEFAULT));
    let (writer, writing) = Task::new();
    let (_, reading) = Task::new();
    let mut send = pin!(sink.send(Message::Binary(vec![7; 100].into())));
    assert!(send.as_mut().poll(&mut Context::from_waker(&writing)).is_pending());
    assert!(stream.poll_next_unpin(&mut Context::from_waker(&reading)).is_pending());
    let before = writer.wakes();
    client.read_exact(&mut [0; 64]).await.unwrap();
    assert!(writer.wakes() > before, "nobody else writes the other 38 bytes");
    assert!(send.as_mut().poll(&mut Context::from_waker(&writing)).is_ready());
}

/// The other way round: the reading half waits until the full queue is shorter.
#[tokio::test(start_paused = true)]
async fn the_reading_half_is_woken_when_the_writing_half_polled_last() {
    let (server, mut client) = duplex(64);
    let server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(10, WhenFull::Wait);
    let (mut sink, mut stream) = StreamExt::split(server);
    let (_, writing) = Task::new();
    let (reader, reading) = Task::new();
    let mut send = Box::pin(sink.send(Message::Binary(vec![7; 100].into())));
    assert!(send.as_mut().poll(&mut Context::from_waker(&writing)).is_pending());
    assert!(stream.poll_next_unpin(&mut Context::from_waker(&reading)).is_pending());
    assert!(send.as_mut().poll(&mut Context::from_waker(&writing)).is_pending());
    drop(send);
    let before = reader.wakes();
    client.read_exact(&mut [0; 64]).await.unwrap();
    assert!(reader.wakes() > before);
}

/// A stream whose reads fail and whose writes wait.
struct Reset;

impl AsyncRead for Reset {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Reset {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_flush_fails_if_the_reading_half_has_given_up_the_queue() {
    let (mut sink, mut stream) = StreamExt::split(WebSocket::server(Reset, Limits::DEFAULT));
    let (writer, writing) = Task::new();
    let mut cx = Context::from_waker(&writing);
    let mut send = pin!(sink.send("lost".into()));
    assert!(send.as_mut().poll(&mut cx).is_pending());
    let (_, reading) = Task::new();
    let next = stream.poll_next_unpin(&mut Context::from_waker(&reading));
    assert!(matches!(next, Poll::Ready(Some(Err(Error::Io(_))))));
    assert_eq!(writer.wakes(), 1);
    assert!(matches!(send.as_mut().poll(&mut cx), Poll::Ready(Err(Error::Io(_)))));
}

/// A queue that is full because nobody has flushed it says nothing about the peer.
#[tokio::test(start_paused = true)]
async fn a_fast_reader_is_neither_refused_nor_closed_because_of_the_batch() {
    for when_full in [WhenFull::Refuse, WhenFull::Close, WhenFull::Wait] {
        let (server, mut client) = duplex(64 * 1024);
        let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(100, when_full);
        for _ in 0..50 {
            server.queue("ten bytes.".into()).await.unwrap();
            server.feed("ten bytes.".into()).await.unwrap();
        }
        assert!(server.unwritten() <= 200);
        server.flush().await.unwrap();
        let mut back = vec![0; 12 * 100];
        client.read_exact(&mut back).await.unwrap();
    }
}

/// Pings of the application wait in the queue as data does.
#[tokio::test(start_paused = true)]
async fn queued_pings_to_a_peer_that_never_reads_are_bounded() {
    let (server, _client) = duplex(64);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(1000, WhenFull::Refuse);
    let mut refused = 0;
    for _ in 0..10_000 {
        match server.queue(Message::Ping(b"are you there"[..].into())).await {
            Ok(()) => {}
            Err(Error::Full) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0 && server.unwritten() < 1000 + 4096 + 15, "{refused} {}", server.unwritten());
    let close = Message::Close { code: Some(close::NORMAL), reason: "".into() };
    server.queue(close).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_to_a_ping_is_flushed_through_a_buffer_while_next_waits() {
    use tokio::io::AsyncWriteExt as _;
    let (server, mut client) = duplex(4);
    let mut server: WebSocket<_, Server> = WebSocket::server(BufWriter::new(server), Limits::DEFAULT);
    let server = tokio::spawn(async move { while let Some(Ok(_)) = server.next().await {} });
    client.write_all(&client_frame(9, b"ping-ping")).await.unwrap();
    let mut back = [0; 11];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x8a\x09ping-ping");
    drop(client);
    server.await.unwrap();
}

/// A stream that buffers, takes a few bytes at a time, and waits before every second step.
#[derive(Default)]
struct Slow {
    buffer: Vec<u8>,
    wire: Vec<u8>,
    steps: u32,
    input: Vec<u8>,
}

impl Slow {
    fn waits(&mut self) -> bool {
        // Any sequence that is not regular.
        self.steps = self.steps.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.steps >> 31 == 1
    }
}

impl AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() || self.waits() {
            return Poll::Pending;
        }
        buf.put_slice(&self.input);
        self.input.clear();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.waits() {
            return Poll::Pending;
        }
        let n = data.len().min(1 + self.steps as usize % 50);
        self.buffer.extend_from_slice(&data[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waits() {
            return Poll::Pending;
        }
        let buffer = std::mem::take(&mut self.buffer);
        self.wire.extend_from_slice(&buffer);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Futures are polled a few times and dropped. Whenever a `send` or a `flush` is ready, the stream
/// has everything. Messages arrive in order, and each at most once.
#[test]
fn a_flush_that_is_ready_has_written_all_whatever_was_dropped_before() {
    for when_full in [WhenFull::Wait, WhenFull::Refuse] {
        for seed in 0..300_u32 {
            let mut steps = Slow { steps: seed, ..Slow::default() };
            let io = Slow { steps: seed ^ 0x5555, input: client_frame(9, b"p").repeat(3), ..Slow::default() };
            let mut socket: WebSocket<_, Server> =
                WebSocket::server(io, Limits::DEFAULT).with_write_limit(100, when_full);
            let mut cx = Context::from_waker(Waker::noop());
            let mut sent = 0;
            for number in 0..60_u32 {
                let message = || Message::Binary(format!("message {number:05}").into_bytes().into());
                steps.waits();
                let polls = 1 + steps.steps % 3;
                let flushes = match steps.steps >> 29 {
                    0..=2 => {
                        poll_some(&mut cx, polls, pin!(socket.send(message()))).is_some_and(|r| r.is_ok())
                    }
                    3..=4 => {
                        poll_some(&mut cx, polls, pin!(socket.queue(message())));
                        false
                    }
                    5 => {
                        poll_some(&mut cx, polls, pin!(socket.next()));
                        false
                    }
                    _ => poll_some(&mut cx, polls, pin!(socket.flush())).is_some_and(|r| r.is_ok()),
                };
                if flushes {
                    sent += 1;
                    assert_eq!((socket.unwritten(), socket.get_ref().buffer.len()), (0, 0), "seed {seed}");
                    assert!(!socket.connection().has_output());
                }
            }
            assert!(sent > 0, "seed {seed}");
            while poll_some(&mut cx, 100, pin!(socket.flush())).is_none() {}
            let wire = socket.get_ref().wire.escape_ascii().to_string();
            let numbers: Vec<&str> = wire.split("message ").skip(1).map(|part| &part[..5]).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
            let pongs = wire.matches(r"\x8a\x01p").count();
            assert_eq!(socket.get_ref().wire.len(), numbers.len() * 15 + pongs * 3);
        }
    }
}

fn poll_some<F: Future>(cx: &mut Context<'_>, polls: u32, mut future: Pin<&mut F>) -> Option<F::Output> {
    (0..polls).find_map(|_| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}
