//! Streams that wake a task early, late, or not at all because another task has gone on.

use super::*;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that takes no bytes while it is shut. When it opens, it wakes nobody: the task that
/// writes next finds it open. Its only input is a close of the peer.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<AtomicBool>,
    /// So often it calls the waker during the write, as tokio does with a task that takes too long.
    yields: Arc<AtomicU32>,
    closes: Arc<AtomicBool>,
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.closes.swap(false, Ordering::Relaxed) {
            return Poll::Pending;
        }
        buf.put_slice(&client_frame(8, b""));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if let Ok(1..) = self.yields.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.open.load(Ordering::Relaxed) { Poll::Ready(Ok(data.len())) } else { Poll::Pending }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn gate() -> (Gate, Reader<Gate, Server>, Writer<Gate, Server>) {
    let gate = Gate::default();
    let socket = WebSocket::server(gate.clone(), Limits::DEFAULT).with_write_limit(10, WhenFull::Wait);
    let (reader, writer) = socket.split();
    (gate, reader, writer)
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &std::task::Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn who_finishes_the_write_wakes_all_writers_that_waited_for_it() {
    let (gate, _reader, writer) = gate();
    let (sending, send_waker) = Task::new();
    let (reserving, reserve_waker) = Task::new();
    let mut send = pin!(writer.send("more than ten bytes".into()));
    assert!(poll(send.as_mut(), &send_waker).is_pending());
    let mut reserve = pin!(writer.reserve());
    assert!(poll(reserve.as_mut(), &reserve_waker).is_pending());
    gate.open.store(true, Ordering::Relaxed);
    assert!(writer.flush().now_or_never().unwrap().is_ok());
    assert_eq!((sending.wakes(), reserving.wakes()), (1, 1));
    assert!(poll(send, &send_waker).is_ready());
    assert!(poll(reserve, &reserve_waker).is_ready());
}

/// After the peer's close, the reader waits only until the queue is written.
#[test]
fn a_writer_that_finishes_the_queue_wakes_the_reader_that_waits_for_the_end() {
    let (gate, mut reader, writer) = gate();
    writer.queue("queued".into()).now_or_never().unwrap().unwrap();
    gate.closes.store(true, Ordering::Relaxed);
    assert!(reader.next().now_or_never().unwrap().unwrap().unwrap().is_close());
    let (reading, waker) = Task::new();
    let mut next = pin!(reader.next());
    assert!(poll(next.as_mut(), &waker).is_pending());
    gate.open.store(true, Ordering::Relaxed);
    assert!(writer.flush().now_or_never().unwrap().is_ok());
    assert_eq!(reading.wakes(), 1);
    assert!(matches!(poll(next, &waker), Poll::Ready(None)));
}

/// The waker is called before the task is in the list of those that wait.
#[test]
fn a_stream_that_wakes_at_once_is_not_missed() {
    let (gate, mut reader, writer) = gate();
    gate.open.store(true, Ordering::Relaxed);
    let (task, waker) = Task::new();
    let yields = || gate.yields.store(1, Ordering::Relaxed);

    yields();
    let mut send = pin!(writer.send("more than ten bytes".into()));
    assert!(poll(send.as_mut(), &waker).is_pending());
    assert_eq!(task.wakes(), 1);
    assert!(poll(send, &waker).is_ready());

    writer.queue("more than ten bytes".into()).now_or_never().unwrap().unwrap();
    yields();
    let mut reserve = pin!(writer.reserve());
    assert!(poll(reserve.as_mut(), &waker).is_pending());
    assert_eq!(task.wakes(), 2);
    assert!(poll(reserve, &waker).is_ready());

    writer.queue("more than ten bytes".into()).now_or_never().unwrap().unwrap();
    yields();
    let mut next = pin!(reader.next());
    assert!(poll(next.as_mut(), &waker).is_pending());
    assert_eq!(task.wakes(), 3);
    assert!(poll(next, &waker).is_pending());
    assert_eq!(writer.unwritten(), 0);
}

/// The stream has woken the first of those that wait, which is then dropped.
#[test]
fn the_next_one_writes_when_the_first_is_dropped() {
    let (gate, _reader, writer) = gate();
    writer.queue("more than ten bytes".into()).now_or_never().unwrap().unwrap();
    let (first_task, first_waker) = Task::new();
    let (second_task, second_waker) = Task::new();
    let mut first = Box::pin(writer.reserve());
    assert!(poll(first.as_mut(), &first_waker).is_pending());
    let mut second = pin!(writer.reserve());
    assert!(poll(second.as_mut(), &second_waker).is_pending());
    gate.open.store(true, Ordering::Relaxed);
    // The waker of the stream, from the last write.
    gate.yields.store(1, Ordering::Relaxed);
    assert!(poll(pin!(writer.flush()), std::task::Waker::noop()).is_pending());
    assert_eq!((first_task.wakes(), second_task.wakes()), (1, 0));
    drop(first);
    assert_eq!(second_task.wakes(), 1);
    assert!(poll(second, &second_waker).is_ready());
}
