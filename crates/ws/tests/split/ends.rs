//! What both parts get when the connection ends, in any way.

use super::*;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A writer that waits for the flush of a piece, and one that waits for its turn. The queue is not
/// full, so the reader reads.
fn waiting_writers(writer: &Writer<DuplexStream, Server>) -> [tokio::task::JoinHandle<Result<(), Error>>; 2] {
    let (first, second) = (writer.clone(), writer.clone());
    [
        tokio::spawn(async move { first.message(Kind::Text).await?.send("x".repeat(90)).await }),
        tokio::spawn(async move { second.reserve().await.map(drop) }),
    ]
}

fn is_closing(result: &Result<(), Error>) -> bool {
    matches!(result, Err(Error::Encode(error)) if error.kind() == EncodeErrorKind::Closing)
}

#[tokio::test(start_paused = true)]
async fn the_close_of_the_peer_ends_both_parts() {
    let ((mut reader, writer), mut client) = server(64, 100);
    let waiting = waiting_writers(&writer);
    tokio::task::yield_now().await;
    client.close(Some(1000), "bye").now_or_never().unwrap().unwrap();
    let close = reader.next().await.unwrap().unwrap();
    assert!(close.is_close() && close.into_data() == "bye");
    let reading = tokio::spawn(async move { reader.next().await.is_none() });
    let mut got = Vec::new();
    while let Some(message) = timeout(FOREVER, client.next()).await.unwrap() {
        got.push(message.unwrap().len());
    }
    // The message is not complete. The reply and the end of the stream follow.
    assert_eq!(got, [0]);
    assert!(timeout(FOREVER, reading).await.unwrap().unwrap());
    let [sent, reserved] = waiting;
    assert!(timeout(FOREVER, sent).await.unwrap().unwrap().is_ok(), "it was queued before");
    assert!(is_closing(&timeout(FOREVER, reserved).await.unwrap().unwrap()));
    assert!(is_closing(&writer.send("late".into()).await));
    assert!(is_closing(&writer.message(Kind::Text).await.map(drop)));
    writer.close(None, "").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_close_of_a_writer_ends_both_parts() {
    let ((mut reader, writer), mut client) = server(64, 100);
    let closing = writer.clone();
    closing.close(Some(4000), "enough").await.unwrap();
    assert!(is_closing(&writer.queue("late".into()).await));
    assert!(matches!(client.next().await, Some(Ok(Message::Close { code: Some(4000), .. }))));
    let client = tokio::spawn(async move { client.next().await.is_none() });
    assert!(matches!(reader.next().await, Some(Ok(Message::Close { code: Some(4000), .. }))));
    assert!(reader.next().await.is_none());
    assert!(client.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_peer_ends_both_parts() {
    let ((mut reader, writer), mut client) = server(64, 100);
    writer.send("before".into()).await.unwrap();
    let waiting = waiting_writers(&writer);
    tokio::task::yield_now().await;
    client.get_mut().write_all(b"\xff\xff").await.unwrap();
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await.is_none()) });
    let mut got = Vec::new();
    while let Some(message) = timeout(FOREVER, client.next()).await.unwrap() {
        got.push(message.unwrap());
    }
    assert_eq!(got.len(), 2, "a message and the close");
    assert!(matches!(got[1], Message::Close { code: Some(1002), .. }));
    drop(client);
    let (error, over) = timeout(FOREVER, reading).await.unwrap().unwrap();
    assert!(matches!(error, Some(Err(Error::Protocol(_)))) && over);
    let [sent, reserved] = waiting;
    assert!(timeout(FOREVER, sent).await.unwrap().unwrap().is_ok(), "it was queued before");
    assert!(is_closing(&timeout(FOREVER, reserved).await.unwrap().unwrap()));
}

/// The peer is gone, with bytes in the queue. The reader finds out, or a writer does.
#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_wakes_every_writer_that_waits() {
    for reads in [true, false] {
        let ((mut reader, writer), client) = server(64, 100);
        let waiting = waiting_writers(&writer);
        tokio::task::yield_now().await;
        let reading = reads.then(|| tokio::spawn(async move { reader.next().await }));
        tokio::task::yield_now().await;
        drop(client);
        for task in waiting {
            let result = timeout(FOREVER, task).await.expect("it is woken").unwrap();
            assert!(matches!(result, Err(Error::Io(_))), "{result:?}");
        }
        assert!(matches!(writer.send("late".into()).await, Err(Error::Io(_) | Error::Encode(_))));
        if let Some(reading) = reading {
            assert!(matches!(timeout(FOREVER, reading).await.unwrap().unwrap(), Some(Err(_))));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_part_goes_on_without_the_other() {
    // No writers: pings and closes are answered.
    let ((mut reader, writer), mut client) = server(1024, 100);
    writer.queue("the last one".into()).await.unwrap();
    drop(writer);
    let reading = tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
    client.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("the last one"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    client.close(None, "").await.unwrap();
    assert!(client.next().await.unwrap().unwrap().is_close());
    reading.await.unwrap();

    // No reader: messages are sent.
    let ((reader, writer), mut client) = server(512, 10);
    drop(reader);
    let writing = tokio::spawn(async move {
        for _ in 0..10 {
            writer.send("a long message, for this pipe".into()).await.unwrap();
        }
        writer.queue("the last one".into()).await.unwrap();
    });
    for _ in 0..10 {
        assert!(timeout(FOREVER, client.next()).await.unwrap().unwrap().unwrap().is_text());
    }
    // Both are dropped: the queue is written, as far as the stream takes it.
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("the last one"));
    assert!(client.next().await.unwrap().is_err());
    writing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn parts_are_put_together_again() {
    let ((reader, writer), mut client) = server(1024, 100);
    let ((other_reader, _other_writer), _other_client) = server(1024, 100);
    writer.queue("queued".into()).await.unwrap();
    let refused = other_reader.reunite(writer).unwrap_err();
    let clone = refused.writer.clone();
    let refused = reader.reunite(refused.writer).unwrap_err();
    assert!(refused.to_string().contains("clones"));
    drop(clone);
    let mut server = refused.reader.reunite(refused.writer).unwrap();
    assert_eq!(server.unwritten(), 8);
    server.send("whole".into()).await.unwrap();
    for expected in ["queued", "whole"] {
        assert_eq!(client.next().await.unwrap().unwrap().as_text(), Some(expected));
    }
    let (reader, writer) = server.split();
    assert!(reader.reunite(writer).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_socket_gives_back_everything_that_it_holds() {
    let (io, mut client) = duplex(1024);
    let mut server = WebSocket::server(io, Limits::DEFAULT);
    let wire = [client_frame(1, b"one"), client_frame(1, b"two"), client_frame(1, b"three")].concat();
    client.write_all(&wire).await.unwrap();
    server.next().await.unwrap().unwrap();
    server.queue("unwritten".into()).await.unwrap();
    let parts = server.into_inner();
    assert_eq!(parts.unread, wire[9..]);
    assert_eq!(parts.unwritten.len(), 11);
    let mut server = WebSocket::new(parts.io, parts.connection).with_read_ahead(parts.unread);
    for expected in ["two", "three"] {
        assert_eq!(server.next().await.unwrap().unwrap().as_text(), Some(expected));
    }
}

/// A stream that panics when it is written.
struct Panics;

impl AsyncRead for Panics {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Panics {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        panic!("a bug in the stream")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_task_is_an_error_in_the_others() {
    let (mut reader, writer) = WebSocket::server(Panics, Limits::DEFAULT).split();
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await.is_none()) });
    let permit = writer.reserve().await.unwrap();
    let other = writer.clone();
    let waiting = tokio::spawn(async move { other.message(Kind::Text).await.map(drop) });
    tokio::task::yield_now().await;
    let panicking = writer.clone();
    assert!(tokio::spawn(async move { panicking.close(None, "").await }).await.unwrap_err().is_panic());
    let (error, over) = timeout(FOREVER, reading).await.expect("the reader is woken").unwrap();
    assert!(matches!(error, Some(Err(Error::Io(error))) if error.to_string().contains("panicked")) && over);
    let waiting = timeout(FOREVER, waiting).await.expect("a waiting writer is woken").unwrap();
    assert!(matches!(waiting, Err(Error::Io(_))));
    assert!(matches!(permit.send("x".into()), Err(Error::Io(_))));
    assert!(matches!(writer.flush().await, Err(Error::Io(_))));
    // The stream is not used again, not even when the last part is dropped.
    writer.with_ref(|socket| assert!(socket.connection().awaiting_close()));
}
