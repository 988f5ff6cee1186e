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
