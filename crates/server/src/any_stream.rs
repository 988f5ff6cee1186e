//! A connection over any async stream: TLS, a pipe in memory, vsock.
//!
//! A socket says whether it is ready; an `AsyncRead + AsyncWrite` does not. A parked connection
//! needs this, so it is emulated:
//!
//! ```text
//!   poll_read_ready    reads up to AHEAD bytes and keeps them for the next read
//!   try_write          writes and flushes; the waker of poll_write_ready is woken when there is room
//!                      not flushed yet: one byte less is reported, and the caller comes back for it
//! ```
//!
//! The last line matters because such a stream may keep bytes that it took, as TLS does. If the
//! caller were told that all is written, nobody would flush the rest.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that one wait for readiness may read. A larger number would only need more stack.
const AHEAD: usize = 1024;

pub(crate) struct AnyStream {
    state: Mutex<State>,
    writable: Arc<Writable>,
}

struct State {
    io: Pin<Box<dyn Io>>,
    /// What a wait for readiness has read.
    ahead: Vec<u8>,
    /// The result of that read, if it was not bytes.
    ended: Option<io::Result<()>>,
    /// The stream has taken one byte that was not reported yet.
    owes_one: bool,
}

trait Io: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

impl AnyStream {
    pub(crate) fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let state = State { io: Box::pin(io), ahead: Vec::new(), ended: None, owes_one: false };
        AnyStream { state: Mutex::new(state), writable: Arc::default() }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = self.state_mut();
        if !state.ahead.is_empty() {
            let n = buf.remaining().min(state.ahead.len());
            buf.put_slice(&state.ahead[..n]);
            state.ahead.drain(..n);
            if state.ahead.is_empty() {
                state.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        match state.ended.take() {
            Some(ended) => Poll::Ready(ended),
            None => state.io.as_mut().poll_read(cx, buf),
        }
    }

    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.ahead.is_empty() && state.ended.is_none() {
            let mut bytes = [0; AHEAD];
            let mut buf = ReadBuf::new(&mut bytes);
            let read = ready!(state.io.as_mut().poll_read(cx, &mut buf));
            if buf.filled().is_empty() {
                state.ended = Some(read);
            } else {
                state.ahead.extend_from_slice(buf.filled());
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = self.state_mut();
        if std::mem::take(&mut state.owes_one) {
            return Poll::Ready(Ok(1));
        }
        state.write(cx, bufs)
    }

    /// Writes as much as the stream takes and passes on now.
    pub(crate) fn try_write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let waker = Waker::from(self.writable.clone());
        let mut cx = Context::from_waker(&waker);
        self.writable.is_full(true);
        let written = self.state().try_write(&mut cx, bufs);
        match written {
            Poll::Ready(result) => {
                self.writable.is_full(false);
                result
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Waits until [`try_write`](Self::try_write) is worth another try.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writable.wait(cx) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state_mut().io.as_mut().poll_flush(cx)
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state_mut().io.as_mut().poll_shutdown(cx)
    }

    /// Only one thread owns the stream. The lock makes it `Sync`, and is never contended.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match bufs {
            [one] => self.io.as_mut().poll_write(cx, one),
            many => self.io.as_mut().poll_write_vectored(cx, many),
        }
    }

    fn try_write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.owes_one {
            ready!(self.io.as_mut().poll_flush(cx))?;
            self.owes_one = false;
            return Poll::Ready(Ok(1));
        }
        let written = ready!(self.write(cx, bufs))?;
        if written == 0 || self.io.as_mut().poll_flush(cx)?.is_ready() {
            return Poll::Ready(Ok(written));
        }
        self.owes_one = true;
        if written == 1 { Poll::Pending } else { Poll::Ready(Ok(written - 1)) }
    }
}

impl fmt::Debug for AnyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStream")
    }
}

/// The waker of writes. It passes a wake-up on to the task that waits for room.
#[derive(Default)]
struct Writable(Mutex<Full>);

#[derive(Default)]
struct Full {
    is_full: bool,
    waits: Option<Waker>,
}

impl Writable {
    fn is_full(&self, is_full: bool) {
        self.full().is_full = is_full;
    }

    /// Registers the task if the stream is full. Returns whether it is.
    fn wait(&self, cx: &Context<'_>) -> bool {
        let mut full = self.full();
        if full.is_full {
            full.waits = Some(cx.waker().clone());
        }
        full.is_full
    }

    fn full(&self) -> MutexGuard<'_, Full> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Writable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waits = {
            let mut full = self.full();
            full.is_full = false;
            full.waits.take()
        };
        if let Some(task) = waits {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};

    use super::*;

    #[derive(Default)]
    struct WakeUps(AtomicUsize);

    impl Wake for WakeUps {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl WakeUps {
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::SeqCst)
        }
    }

    fn block_on<T>(future: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn bytes_that_a_wait_has_read_come_first() {
        let (mut peer, end) = duplex(4096);
        let mut stream = AnyStream::new(end);
        let wake_ups = Arc::new(WakeUps::default());
        let waker = Waker::from(wake_ups.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(stream.poll_read_ready(&mut cx).is_pending());
        let sent: Vec<u8> = (0..3000_u32).map(|n| n as u8).collect();
        block_on(peer.write_all(&sent)).unwrap();
        assert_eq!(wake_ups.take(), 1);
        let mut came = Vec::new();
        while came.len() < sent.len() {
            // Two waits without a read keep no more than one does.
            assert!(stream.poll_read_ready(&mut cx).is_ready() && stream.poll_read_ready(&mut cx).is_ready());
            let mut bytes = [0; 700];
            let mut buf = ReadBuf::new(&mut bytes);
            assert!(stream.poll_read(&mut cx, &mut buf).is_ready());
            assert!(!buf.filled().is_empty());
            came.extend_from_slice(buf.filled());
        }
        assert_eq!(came, sent);
        assert_eq!(stream.state_mut().ahead.capacity(), 0, "an idle stream holds no buffer");
        assert!(stream.poll_read_ready(&mut cx).is_pending());
        drop(peer);
        assert_eq!(wake_ups.take(), 1);
        for _ in 0..2 {
            let mut bytes = [0; 8];
            let mut buf = ReadBuf::new(&mut bytes);
            assert!(stream.poll_read_ready(&mut cx).is_ready());
            assert!(matches!(stream.poll_read(&mut cx, &mut buf), Poll::Ready(Ok(()))));
            assert!(buf.filled().is_empty(), "the end");
        }
    }

    /// A stream that keeps bytes back: nothing is lost or sent twice, and every wait is woken.
    #[test]
    fn what_is_reported_as_written_is_flushed_or_asked_for_again() {
        for capacity in [1, 2, 7, 8, 9, 100] {
            let (mut peer, io) = duplex(capacity);
            let stream = AnyStream::new(BufWriter::with_capacity(8, io));
            let wake_ups = Arc::new(WakeUps::default());
            let waker = Waker::from(wake_ups.clone());
            let mut cx = Context::from_waker(&waker);
            let all: Vec<u8> = (0..200).collect();
            let (mut written, mut came) = (0, Vec::new());
            while written < all.len() {
                // A write of 8 bytes or more would go past the buffer.
                let most = (all.len() - written).min(5);
                let (first, second) = all[written..][..most].split_at(most / 2);
                match stream.try_write(&[IoSlice::new(first), IoSlice::new(second)]) {
                    Ok(n) => {
                        assert!(n > 0);
                        written += n;
                        continue;
                    }
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
                assert!(stream.poll_write_ready(&mut cx).is_pending());
                assert_eq!(wake_ups.take(), 0);
                let mut bytes = [0; 3];
                let n = block_on(peer.read(&mut bytes)).unwrap();
                came.extend_from_slice(&bytes[..n]);
                assert_eq!(wake_ups.take(), 1, "there is room now");
                assert!(stream.poll_write_ready(&mut cx).is_ready());
            }
            // Nobody flushes any more, and all of it arrives.
            assert!(came.len() + capacity >= all.len(), "{} of {} bytes", came.len() + capacity, all.len());
            let mut bytes = vec![0; all.len() - came.len()];
            block_on(peer.read_exact(&mut bytes)).unwrap();
            came.extend_from_slice(&bytes);
            assert_eq!(came, all, "a capacity of {capacity}");
        }
    }
}
