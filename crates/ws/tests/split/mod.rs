//! A reader and many writers: who waits, who is woken, and what a cancelled call has queued.

mod chaos;
mod ends;
mod messages;
mod wakes;

use super::{Task, client_frame};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tidewire_ws::tokio::{Error, Reader, WebSocket, WhenFull, Writer};
use tidewire_ws::{Client, EncodeErrorKind, Kind, Limits, Message, PreparedMessage, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;

type Parts = (Reader<DuplexStream, Server>, Writer<DuplexStream, Server>);

/// A server in two parts with a pipe of `pipe` bytes and a write limit, and its client.
fn server(pipe: usize, limit: usize) -> (Parts, WebSocket<DuplexStream, Client>) {
    let (server, client) = duplex(pipe);
    let server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(limit, WhenFull::Wait);
    (server.split(), WebSocket::client(client, Limits::DEFAULT))
}

/// Longer than any wait, on a clock that advances only when every task waits. So a lost wake-up
/// ends the test.
const FOREVER: Duration = Duration::from_secs(1_000_000);

/// Polls a future some times, and drops it if it is not ready.
async fn cancelled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

fn number(message: &Message) -> usize {
    message.as_text().unwrap().parse().unwrap()
}

/// A caller that gives up after a moment and tries again. It sends 2,000 messages with `retry`, and
/// this returns those that the peer gets.
async fn retried(
    retry: impl AsyncFn(&Writer<DuplexStream, Server>, usize, usize) -> bool + 'static,
) -> Vec<usize> {
    const MESSAGES: usize = 2000;
    let ((mut reader, writer), mut client) = server(16, 64);
    let sent = async move {
        let mut rng = tidewire_testkit::Rng::new(7);
        for message in 0..MESSAGES {
            while !retry(&writer, message, 1 + rng.below(4)).await {}
        }
        writer.close(Some(1000), "").await.unwrap();
    };
    let received = async move {
        let mut got = Vec::new();
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Close { .. } => break got,
                message => got.push(number(&message)),
            }
            tokio::task::yield_now().await;
        }
    };
    let read = async move { while reader.next().await.is_some_and(|message| message.is_ok()) {} };
    let (_, got, _) = timeout(FOREVER, async { tokio::join!(sent, received, read) }).await.unwrap();
    got
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_cancelled_reserve_neither_repeats_nor_loses_a_message() {
    let got = retried(async |writer, message, polls| {
        let Some(permit) = cancelled(polls, writer.reserve()).await else { return false };
        permit.unwrap().send(message.to_string().into()).unwrap();
        cancelled(polls, writer.flush()).await;
        true
    })
    .await;
    assert!(got.iter().copied().eq(0..2000), "{got:?}");
}

/// The reason for `reserve`. If this fails, `send` has become better than its documentation.
#[tokio::test(start_paused = true)]
async fn a_retry_after_a_cancelled_send_repeats_messages_but_loses_none() {
    let mut got = retried(async |writer, message, polls| {
        cancelled(polls, writer.send(message.to_string().into())).await.is_some()
    })
    .await;
    assert!(got.len() > 2000, "no message came twice");
    assert!(got.is_sorted());
    got.dedup();
    assert!(got.into_iter().eq(0..2000));
}

/// The same for a socket that is not split.
#[tokio::test(start_paused = true)]
async fn a_cancelled_reserve_of_a_whole_socket_has_queued_nothing() {
    let (server, mut client) = duplex(16);
    let mut server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(20, WhenFull::Wait);
    server.reserve().await.unwrap().send("x".repeat(60).into()).unwrap();
    for _ in 0..10 {
        let unwritten = server.unwritten();
        assert!(server.reserve().now_or_never().is_none());
        assert!(server.unwritten() <= unwritten);
    }
    // A permit that is not used has queued nothing either.
    let mut back = [0; 62];
    let (reserved, read) = tokio::join!(server.reserve(), client.read_exact(&mut back[..40]));
    drop(reserved.unwrap());
    read.unwrap();
    let (flushed, read) = tokio::join!(server.flush(), client.read_exact(&mut back[40..]));
    assert!(flushed.is_ok() && read.is_ok() && server.unwritten() == 0);
    let prepared = PreparedMessage::text("p");
    server.reserve().await.unwrap().send_prepared(&prepared).unwrap();
    assert_eq!(server.unwritten(), 3, "queued, and not written");
}

#[tokio::test(start_paused = true)]
async fn what_a_writer_queues_is_written_while_the_reader_waits() {
    let ((mut reader, writer), mut client) = server(1024, 1 << 20);
    let reading = tokio::spawn(async move { reader.next().await });
    // The reader waits.
    tokio::task::yield_now().await;
    writer.queue("queued".into()).await.unwrap();
    assert_eq!(writer.unwritten(), 8, "not written by `queue`");
    let next = timeout(FOREVER, client.next()).await.expect("the reader writes it");
    assert_eq!(next.unwrap().unwrap(), Message::text("queued"));
    // In several steps, and through a permit.
    let long = "x".repeat(5000);
    writer.reserve().await.unwrap().send(Message::text(long.clone())).unwrap();
    writer.queue_prepared(&PreparedMessage::text("prepared")).await.unwrap();
    for expected in [&long[..], "prepared"] {
        let next = timeout(FOREVER, client.next()).await.expect("the reader goes on");
        assert_eq!(next.unwrap().unwrap().as_text(), Some(expected));
    }
    reading.abort();
}

/// A flush that is dropped must not take the reader's wake-up with it.
#[tokio::test(start_paused = true)]
async fn the_reader_goes_on_with_the_queue_of_a_cancelled_send() {
    let ((mut reader, writer), mut client) = server(8, 1 << 20);
    let reading = tokio::spawn(async move { reader.next().await });
    tokio::task::yield_now().await;
    let sent = cancelled(2, writer.send("a message of some length".into())).await;
    assert!(sent.is_none());
    let next = timeout(FOREVER, client.next()).await.unwrap();
    assert_eq!(next.unwrap().unwrap(), Message::text("a message of some length"));
    reading.abort();
}

/// The stream is full, nobody reads, and every call waits for its turn.
#[tokio::test(start_paused = true)]
async fn waiting_writers_are_served_in_their_order_also_if_some_give_up() {
    for polls_of_quitters in [1, 3] {
        let ((_reader, writer), mut client) = server(8, 1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for index in 0..100 {
            let (writer, order) = (writer.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                if index % 3 == 1 {
                    cancelled(polls_of_quitters, writer.reserve()).await;
                    return;
                }
                let permit = writer.reserve().await.unwrap();
                order.lock().unwrap().push(index);
                permit.send(index.to_string().into()).unwrap();
                writer.flush().await.unwrap();
            }));
            tokio::task::yield_now().await;
        }
        let expected: Vec<usize> = (0..100).filter(|index| index % 3 != 1).collect();
        for index in &expected {
            let message = timeout(FOREVER, client.next()).await.expect("somebody writes").unwrap().unwrap();
            assert_eq!(number(&message), *index);
        }
        for task in tasks {
            timeout(FOREVER, task).await.expect("every writer is woken").unwrap();
        }
        assert_eq!(*order.lock().unwrap(), expected);
    }
}

/// A writer that sends without end must not keep another one waiting for its flush.
#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_later_messages() {
    let (io, mut client) = duplex(64);
    // This buffer is flushed only if somebody asks for it.
    let io = tokio::io::BufWriter::with_capacity(32, io);
    let (_reader, writer) =
        WebSocket::server(io, Limits::DEFAULT).with_write_limit(100, WhenFull::Wait).split();
    let busy = writer.clone();
    let busy = tokio::spawn(async move {
        loop {
            busy.queue("without an end".into()).await.unwrap();
        }
    });
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 40];
        while client.read(&mut buffer).await.is_ok_and(|n| n > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    for _ in 0..20 {
        timeout(Duration::from_secs(100), writer.send("mine".into())).await.expect("it is flushed").unwrap();
    }
    busy.abort();
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn permits_count_against_the_limit() {
    let ((_reader, writer), mut client) = server(1 << 20, 10_000);
    let permits: Vec<_> = [writer.reserve().await.unwrap(), writer.reserve().await.unwrap()].into();
    let third = writer.reserve().await.unwrap();
    let clone = writer.clone();
    let mut fourth = pin!(clone.reserve());
    let (task, waker) = Task::new();
    assert!(fourth.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(third);
    assert_eq!(task.wakes(), 1, "a permit that is not used gives its place back");
    let Poll::Ready(Ok(fourth)) = fourth.as_mut().poll(&mut Context::from_waker(&waker)) else { panic!() };
    for (index, permit) in permits.into_iter().chain([fourth]).enumerate() {
        permit.send(index.to_string().into()).unwrap();
    }
    writer.flush().await.unwrap();
    for index in 0..3 {
        assert_eq!(number(&client.next().await.unwrap().unwrap()), index);
    }
}

/// Nobody else writes what is queued, so a writer that waits for a permit must do it.
#[tokio::test(start_paused = true)]
async fn a_permit_that_is_held_does_not_keep_the_queue_from_being_written() {
    let ((reader, writer), mut client) = server(1 << 20, 5_000);
    drop(reader);
    writer.queue(Message::binary(vec![0; 1_000])).await.unwrap();
    let held = writer.reserve().await.unwrap();
    timeout(FOREVER, writer.send("goes on".into())).await.expect("the queue is written").unwrap();
    held.send("last".into()).unwrap();
    writer.flush().await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap().len(), 1_000);
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("goes on"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("last"));
}

/// Also a call that does not wait counts the permits of others, and then it closes nothing.
#[test]
fn permits_are_refused_over_the_limit_also_while_the_queue_has_room() {
    for when_full in [WhenFull::Refuse, WhenFull::Close] {
        let (io, _client) = duplex(8);
        let (_reader, writer) =
            WebSocket::server(io, Limits::DEFAULT).with_write_limit(5_000, when_full).split();
        writer.queue(Message::binary(vec![0; 1_000])).now_or_never().unwrap().unwrap();
        let held = writer.try_reserve().unwrap();
        assert!(matches!(writer.try_reserve(), Err(Error::Full)));
        assert!(matches!(writer.reserve().now_or_never().unwrap(), Err(Error::Full)));
        held.send("goes on".into()).unwrap();
    }
}

/// Each peer reads in one task and writes in another one. If a full queue kept a reader from
/// reading, both would wait for the other one for ever.
#[tokio::test(start_paused = true)]
async fn two_peers_with_full_queues_go_on_reading() {
    const MESSAGES: usize = 100;
    async fn read(mut messages: impl futures_util::Stream<Item = Result<Message, Error>> + Unpin) {
        for _ in 0..MESSAGES {
            messages.next().await.unwrap().unwrap();
        }
    }
    async fn write(mut messages: impl futures_util::Sink<Message, Error = Error> + Unpin) {
        for _ in 0..MESSAGES {
            messages.feed(Message::binary(vec![0; 50])).await.unwrap();
        }
        messages.flush().await.unwrap();
    }
    let (server, client) = duplex(64);
    let (from_client, to_client) =
        WebSocket::server(server, Limits::DEFAULT).with_write_limit(200, WhenFull::Wait).split();
    let (from_server, to_server) =
        WebSocket::client(client, Limits::DEFAULT).with_write_limit(200, WhenFull::Wait).split();
    let all =
        async { tokio::join!(read(from_client), write(to_client), read(from_server), write(to_server)) };
    timeout(FOREVER, all).await.expect("both go on");
}

/// A queue that refuses more messages must not keep the reader from reading either.
#[tokio::test(start_paused = true)]
async fn two_peers_with_queues_that_refuse_go_on_reading() {
    let (server, client) = duplex(64);
    let (mut from_client, to_client) =
        WebSocket::server(server, Limits::DEFAULT).with_write_limit(200, WhenFull::Refuse).split();
    let (mut from_server, to_server) =
        WebSocket::client(client, Limits::DEFAULT).with_write_limit(200, WhenFull::Refuse).split();
    while to_client.queue(Message::binary(vec![0; 50])).await.is_ok() {}
    while to_server.queue(Message::binary(vec![0; 50])).await.is_ok() {}
    tokio::spawn(async move { while from_client.next().await.is_some() {} });
    tokio::spawn(async move { while from_server.next().await.is_some() {} });
    let (one, two) = timeout(FOREVER, async { tokio::join!(to_client.flush(), to_server.flush()) })
        .await
        .expect("both queues are read");
    one.and(two).unwrap();
}

/// As above, with the `split` of `futures`.
#[tokio::test(start_paused = true)]
async fn the_halves_of_two_peers_with_full_queues_go_on_reading() {
    let (server, client) = duplex(64);
    let server = WebSocket::server(server, Limits::DEFAULT).with_write_limit(200, WhenFull::Wait);
    let client = WebSocket::client(client, Limits::DEFAULT).with_write_limit(200, WhenFull::Wait);
    let (mut to_client, from_client) = futures_util::StreamExt::split(server);
    let (mut to_server, from_server) = futures_util::StreamExt::split(client);
    let messages = || futures_util::stream::iter((0..100).map(|_| Ok(Message::binary(vec![0; 50]))));
    let all = async {
        tokio::join!(
            async { to_client.send_all(&mut messages()).await.unwrap() },
            async { to_server.send_all(&mut messages()).await.unwrap() },
            async { assert_eq!(from_client.take(100).count().await, 100) },
            async { assert_eq!(from_server.take(100).count().await, 100) },
        )
    };
    timeout(FOREVER, all).await.expect("both go on");
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_refused_or_closes_the_connection() {
    for when_full in [WhenFull::Refuse, WhenFull::Close] {
        let (io, _client) = duplex(8);
        let (_reader, writer) =
            WebSocket::server(io, Limits::DEFAULT).with_write_limit(10, when_full).split();
        writer.queue("more than ten bytes".into()).await.unwrap();
        let tried = [
            writer.queue("x".into()).now_or_never().unwrap(),
            writer.send("x".into()).now_or_never().unwrap(),
            writer.try_reserve().map(drop),
            writer.reserve().now_or_never().unwrap().map(drop),
        ];
        let close = when_full == WhenFull::Close;
        assert!(matches!(tried[0], Err(Error::Full)), "{tried:?}");
        for tried in &tried[1..] {
            match tried {
                Err(Error::Full) => assert!(!close),
                Err(Error::Encode(error)) => assert!(close && error.kind() == EncodeErrorKind::Closing),
                _ => panic!("{tried:?}"),
            }
        }
        assert_eq!(writer.with_ref(|socket| socket.connection().awaiting_close()), close);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_can_reserve_without_waiting() {
    let ((_reader, writer), mut client) = server(8, 10);
    writer.try_reserve().unwrap().send("more than ten bytes".into()).unwrap();
    assert!(matches!(writer.try_reserve(), Err(Error::Full)), "the stream takes only eight bytes");
    let mut waiting = pin!(writer.reserve());
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    let mut back = [0; 21];
    let (flushed, read) = tokio::join!(writer.flush(), client.get_mut().read_exact(&mut back));
    assert!(flushed.is_ok() && read.is_ok());
    assert!(matches!(writer.try_reserve(), Err(Error::Full)), "the one that waits comes first");
    drop(waiting.await.unwrap());
    let message = writer.message(Kind::Text).await.unwrap();
    let Err(Error::Encode(error)) = writer.try_reserve() else { panic!() };
    assert_eq!(error.kind(), EncodeErrorKind::MessageUnfinished);
    drop(message);
    writer.try_reserve().unwrap().send("x".into()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_sink_of_each_writer_sends_whole_messages_in_order() {
    let ((reader, writer), client) = server(32, 50);
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let mut writer = writer.clone();
            tokio::spawn(async move {
                for index in 0..50 {
                    let message = Message::text(format!("{task} {index}"));
                    if index % 3 == 0 {
                        writer.feed(message).await.unwrap();
                    } else {
                        futures_util::SinkExt::send(&mut writer, message).await.unwrap();
                    }
                }
                futures_util::SinkExt::flush(&mut writer).await.unwrap();
            })
        })
        .collect();
    // The reader is a stream.
    let reading = tokio::spawn(reader.map(|message| message.is_ok()).collect::<Vec<_>>());
    let mut next = [0; 4];
    let mut client = client.take(200);
    while let Some(message) = timeout(FOREVER, client.next()).await.unwrap() {
        let message = message.unwrap();
        let (task, index) = message.as_text().unwrap().split_once(' ').unwrap();
        let task: usize = task.parse().unwrap();
        assert_eq!(index.parse(), Ok(next[task]));
        next[task] += 1;
    }
    for task in tasks {
        timeout(FOREVER, task).await.unwrap().unwrap();
    }
    assert_eq!(next, [50; 4]);
    // A sink that is dropped gives its place back.
    let mut sink = writer.clone();
    poll_fn(|cx| sink.poll_ready_unpin(cx)).await.unwrap();
    assert!(writer.message(Kind::Text).now_or_never().is_none());
    drop(sink);
    assert!(writer.message(Kind::Text).now_or_never().is_some());
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn an_uncontended_send_writes_at_once() {
    let ((mut reader, writer), mut client) = server(1024, 100);
    for _ in 0..3 {
        assert!(writer.send("now".into()).now_or_never().unwrap().is_ok());
        assert_eq!(client.next().now_or_never().unwrap().unwrap().unwrap(), Message::text("now"));
    }
    client.get_mut().write_all(b"\x81\x80\0\0\0\0").await.unwrap();
    assert_eq!(reader.next().now_or_never().unwrap().unwrap().unwrap(), Message::text(""));
    assert!(client_frame(1, b"").len() == 6);
}

/// One task reads and answers. It reads nothing while its queue is full, so no answer is refused.
/// Each read has at most one request.
#[tokio::test(start_paused = true)]
async fn a_loop_that_answers_reads_nothing_while_its_queue_is_full() {
    let (io, client) = duplex(64);
    let mut server = WebSocket::server(io, Limits::DEFAULT).with_write_limit(200, WhenFull::Refuse);
    let (mut requests, mut answers) =
        futures_util::StreamExt::split(WebSocket::client(client, Limits::DEFAULT));
    let asked = tokio::spawn(async move {
        for _ in 0..100 {
            requests.feed("x".repeat(60).into()).await.unwrap();
        }
        requests.close().await.unwrap();
    });
    let answered = tokio::spawn(async move {
        while let Some(message) = server.next().await {
            if message.unwrap().is_data() {
                server.queue(Message::binary(vec![0; 50])).await.expect("there is room");
            }
        }
    });
    let mut got = 0;
    while let Some(message) = answers.next().await {
        got += usize::from(message.unwrap().is_data());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(got, 100);
    asked.await.unwrap();
    answered.await.unwrap();
}
