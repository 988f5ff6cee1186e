//! What the reader and the writers share: the WebSocket, behind a lock that is never held across an
//! await.
//!
//! ```text
//!          poll of a half
//!               │ lock
//!               ▼
//!   act on the WebSocket ──► Pending: the task is added to `Waiting`
//!               │
//!   `settle`: which other tasks may go on now?
//!               │ unlock
//!               ▼
//!           wake them
//! ```
//! A task that waits is woken by the stream, which can be written again, or by `settle`. `settle`
//! looks at the state after each action, whoever acted.

use super::super::payload::Incoming;
use super::super::waiting::{Goal, Need, Ticket, Waiting, wake};
use super::super::wakers::Half;
use super::super::websocket::{WebSocket, WhenFull};
use crate::socket::{Error, Phase};
use crate::{EncodeError, EncodeErrorKind, Role};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker, ready};
use std::io;
use std::sync::{Mutex, PoisonError};

pub(in super::super) struct Shared<IO: AsyncWrite + Unpin, R: Role> {
    state: Mutex<State<IO, R>>,
    waiting: Arc<Waiting>,
}

pub(in super::super) struct State<IO: AsyncWrite + Unpin, R: Role> {
    pub(in super::super) socket: WebSocket<IO, R>,
    waiting: Arc<Waiting>,
    /// Permits that were given and not used.
    pub(in super::super) permits: usize,
    /// A writer sends a message in pieces.
    pub(super) message_begun: bool,
    /// How many tasks are in each list of `waiting`. If there are none, that lock is not taken.
    goals: usize,
    turns: usize,
    reader: ReaderState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReaderState {
    /// Not in `next`, or woken.
    Away,
    /// It was polled by this action, so nothing has changed for it since.
    Polled,
    /// In `next`, where it waits for input.
    Reads,
    /// In `next`, where it waits until the queue is written.
    Writes,
}

/// A task's place in a list of `Waiting`.
#[derive(Debug, Default)]
pub(super) struct Place {
    goal: Option<Ticket>,
    turn: Option<Ticket>,
}

impl Place {
    pub(super) const fn is_empty(&self) -> bool {
        self.goal.is_none() && self.turn.is_none()
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> Shared<IO, R> {
    pub(super) fn new(mut socket: WebSocket<IO, R>) -> Self {
        let waiting = Arc::new(Waiting::default());
        socket.wakers.share(Some(waiting.clone()));
        let state = State {
            socket,
            waiting: waiting.clone(),
            permits: 0,
            message_begun: false,
            goals: 0,
            turns: 0,
            reader: ReaderState::Away,
        };
        Self { state: Mutex::new(state), waiting }
    }

    /// Acts on the WebSocket, then wakes the tasks that may go on.
    ///
    /// # Errors
    /// A task panicked while it held the lock, inside the stream. The WebSocket may be in any
    /// state.
    pub(in super::super) fn with<T>(&self, act: impl FnOnce(&mut State<IO, R>) -> T) -> Result<T, Error> {
        // Before the lock, so that it is dropped after it.
        let _alarm = Alarm(&self.waiting);
        let mut state = self.state.lock().map_err(|_| panicked())?;
        let before = Progress::of(&state.socket);
        let result = act(&mut state);
        let woken = state.settle(before);
        drop(state);
        wake(woken);
        Ok(result)
    }

    /// Looks at the WebSocket, also after a panic.
    pub(super) fn look<T>(&self, look: impl FnOnce(&WebSocket<IO, R>) -> T) -> T {
        let _alarm = Alarm(&self.waiting);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        look(&state.socket)
    }

    pub(super) fn into_socket(self) -> WebSocket<IO, R> {
        let (state, panicked) = match self.state.into_inner() {
            Ok(state) => (state, false),
            Err(poisoned) => (poisoned.into_inner(), true),
        };
        let mut socket = state.socket;
        socket.wakers.share(None);
        socket.flush_at = u64::MAX;
        if panicked {
            socket.lose(io::ErrorKind::Other);
            socket.phase = Phase::Over;
        }
        socket
    }
}

fn panicked() -> Error {
    Error::Io(io::Error::other("a task panicked inside the stream of this WebSocket, or in `with_ref`"))
}

/// Wakes all tasks when the stream panics. They find the lock poisoned and return an error.
struct Alarm<'a>(&'a Waiting);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.wake_all();
        }
    }
}

/// What a write changes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Progress {
    written: u64,
    flushed: u64,
    lost: bool,
}

impl Progress {
    fn of<IO: AsyncWrite + Unpin, R: Role>(socket: &WebSocket<IO, R>) -> Self {
        Self { written: socket.written, flushed: socket.flushed, lost: socket.lost.is_some() }
    }
}

/// Whether a writer may go on.
enum Ready {
    Yes,
    /// The queue must be written first: with the permits it exceeds the limit.
    Full,
    /// Other writers hold permits, or one is inside a message.
    Held,
}

impl<IO: AsyncWrite + Unpin, R: Role> State<IO, R> {
    /// Returns the wakers of the tasks that may go on.
    fn settle(&mut self, before: Progress) -> Vec<Waker> {
        let now = Progress::of(&self.socket);
        let mut woken = Vec::new();
        if now != before && self.goals > 0 {
            let mut tasks = self.waiting.tasks();
            woken = tasks.take_reached(now.written, now.flushed, now.lost);
            self.socket.flush_at = tasks.next_flush(now.flushed);
        }
        // Somebody must write what was queued, unless the stream will wake a task for it.
        let must_write = self.socket.is_writing() && !self.waiting.is_armed();
        let reader_goes_on = match self.reader {
            ReaderState::Away => false,
            ReaderState::Polled => {
                let writes = self.socket.is_writing() && self.socket.ends_after_write();
                self.reader = if writes { ReaderState::Writes } else { ReaderState::Reads };
                false
            }
            ReaderState::Reads => must_write || (now.lost && !before.lost),
            ReaderState::Writes => must_write || now != before,
        };
        if reader_goes_on {
            self.reader = ReaderState::Away;
            woken.extend(self.waiting.tasks().take_reader());
        }
        if self.turns > 0 {
            let mut tasks = self.waiting.tasks();
            let goes_on = tasks.first_turn().is_some_and(|(_, need)| match self.ready(need) {
                Ready::Yes => true,
                Ready::Full => !self.waiting.is_armed(),
                Ready::Held => false,
            });
            if goes_on {
                woken.extend(tasks.take_first_turn());
            }
        }
        woken
    }

    fn ready(&self, need: Need) -> Ready {
        let socket = &self.socket;
        if socket.lost.is_some() || !socket.connection.is_open() {
            // The caller gets the error.
            return Ready::Yes;
        }
        match need {
            _ if self.message_begun => Ready::Held,
            Need::Message if self.permits > 0 => Ready::Held,
            Need::Message => Ready::Yes,
            Need::Room if self.reserved().saturating_add(socket.outbox.len()) < socket.write_limit => {
                Ready::Yes
            }
            Need::Room if socket.outbox.is_empty() => Ready::Held,
            Need::Room => Ready::Full,
        }
    }

    /// How many bytes the permits take.
    const fn reserved(&self) -> usize {
        self.permits.saturating_mul(PERMIT)
    }

    /// The stream may have called its waker before this task was added to the list.
    fn check_armed(&self, cx: &Context<'_>) {
        if !self.waiting.is_armed() {
            cx.waker().wake_by_ref();
        }
    }

    fn await_goal(&mut self, place: &mut Place, goal: Goal, cx: &Context<'_>) {
        self.goals = self.goals.saturating_add(place.goal.is_none().into());
        let mut tasks = self.waiting.tasks();
        place.goal = Some(tasks.add_goal(place.goal, goal, cx));
        self.socket.flush_at = tasks.next_flush(self.socket.flushed);
        drop(tasks);
        self.check_armed(cx);
    }

    pub(super) fn leave_goal(&mut self, place: &mut Place) {
        let Some(ticket) = place.goal.take() else { return };
        self.goals = self.goals.saturating_sub(1);
        let mut tasks = self.waiting.tasks();
        tasks.remove_goal(ticket);
        self.socket.flush_at = tasks.next_flush(self.socket.flushed);
    }

    /// Leaves the list of turns. `settle` then looks at the next one.
    pub(super) fn leave_turn(&mut self, place: &mut Place) {
        if let Some(ticket) = place.turn.take() {
            self.turns = self.turns.saturating_sub(1);
            self.waiting.tasks().remove_turn(ticket);
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> State<IO, R> {
    /// The reader's poll.
    pub(super) fn poll_item<T: Incoming<R>>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, Error>>> {
        let item = self.socket.poll_item(cx);
        self.reader = ReaderState::Away;
        if item.is_pending() {
            self.reader = ReaderState::Polled;
            self.waiting.tasks().set_reader(cx);
            if self.socket.is_writing() {
                self.check_armed(cx);
            }
        }
        item
    }

    /// Waits for the caller's turn. Applies [`WhenFull`].
    pub(super) fn poll_turn(
        &mut self,
        place: &mut Place,
        need: Need,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if self.turns > 0 && self.waiting.tasks().first_turn().map(|(first, _)| first) != place.turn {
            return self.await_turn(place, need, cx);
        }
        let mut ready = self.ready(need);
        if matches!(ready, Ready::Full) {
            if let Poll::Ready(Err(error)) = self.socket.poll_write_out(cx, Half::Writer) {
                self.leave_turn(place);
                return Poll::Ready(Err(error));
            }
            ready = self.ready(need);
        }
        let waits = self.socket.when_full == WhenFull::Wait;
        let result = match ready {
            Ready::Yes => self.check_open(),
            Ready::Full | Ready::Held if waits => return self.await_turn(place, need, cx),
            Ready::Full => self.socket.make_room().and(Err(Error::Full)),
            Ready::Held if self.message_begun => {
                Err(EncodeError::from(EncodeErrorKind::MessageUnfinished).into())
            }
            Ready::Held => Err(Error::Full),
        };
        self.leave_turn(place);
        Poll::Ready(result)
    }

    /// As [`poll_turn`](Self::poll_turn), but does not wait.
    pub(super) fn try_room(&mut self) -> Result<(), Error> {
        if let Ready::Full = self.ready(Need::Room) {
            // The stream gets the waker of `waiting`, not this one.
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(written) = self.socket.poll_write_out(&mut cx, Half::Writer) {
                written?;
            }
        }
        match self.ready(Need::Room) {
            // Those that wait come first.
            Ready::Yes if self.turns == 0 => self.check_open(),
            Ready::Full if self.socket.when_full == WhenFull::Close => {
                self.socket.make_room().and(Err(Error::Full))
            }
            Ready::Held if self.message_begun => {
                Err(EncodeError::from(EncodeErrorKind::MessageUnfinished).into())
            }
            _ => Err(Error::Full),
        }
    }

    fn await_turn(&mut self, place: &mut Place, need: Need, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.turns = self.turns.saturating_add(place.turn.is_none().into());
        place.turn = Some(self.waiting.tasks().add_turn(place.turn, need, cx));
        Poll::Pending
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.socket.lost {
            Some(kind) => Err(io::Error::from(kind).into()),
            None if !self.socket.connection.is_open() => Err(Error::Encode(EncodeErrorKind::Closing.into())),
            None => Ok(()),
        }
    }

    /// Waits for room without a turn: for control frames, which are short, and for the pieces of
    /// the message that was begun.
    pub(super) fn poll_room(
        &mut self,
        place: &mut Place,
        control: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        for written in [false, true] {
            let has_room = if control { self.socket.has_control_room() } else { self.socket.has_room() };
            if has_room || !self.socket.connection.is_open() {
                self.leave_goal(place);
                return Poll::Ready(self.check_open());
            }
            if !written {
                if let Poll::Ready(Err(error)) = self.socket.poll_write_out(cx, Half::Writer) {
                    self.leave_goal(place);
                    return Poll::Ready(Err(error));
                }
            }
        }
        if self.socket.when_full != WhenFull::Wait {
            return Poll::Ready(self.socket.make_room());
        }
        let excess = self.socket.outbox.len().saturating_sub(self.socket.write_limit);
        self.await_goal(
            place,
            Goal::Written(self.socket.written.saturating_add(excess as u64).saturating_add(1)),
            cx,
        );
        Poll::Pending
    }

    /// Writes until the stream has flushed the bytes before `end`.
    pub(super) fn poll_flush_to(
        &mut self,
        place: &mut Place,
        end: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let written = if self.socket.flushed >= end && !self.socket.connection.has_output() {
            Poll::Ready(Ok(()))
        } else {
            self.socket.flush_at = self.socket.flush_at.min(end);
            self.socket.poll_write_out(cx, Half::Writer)
        };
        if written.is_pending() && self.socket.flushed < end {
            self.await_goal(place, Goal::Flushed(end), cx);
            return Poll::Pending;
        }
        self.leave_goal(place);
        if self.socket.flushed >= end { Poll::Ready(Ok(())) } else { Poll::Ready(ready!(written)) }
    }

    /// Queues a frame with `put`, unless the stream has failed.
    pub(in super::super) fn put(
        &mut self,
        put: impl FnOnce(&mut WebSocket<IO, R>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.socket.lost {
            Some(kind) => Err(io::Error::from(kind).into()),
            None => put(&mut self.socket),
        }
    }

    /// Writes as much as the stream takes, if the queue is long.
    pub(in super::super) fn write_batch(&mut self) -> Result<(), Error> {
        if self.socket.is_batch() {
            // The stream gets the waker of `waiting`, not this one.
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(written) = self.socket.poll_write_out(&mut cx, Half::Writer) {
                return written;
            }
        }
        Ok(())
    }
}

/// How many bytes of the queue a permit takes until it is used. The length of its message is not
/// known.
const PERMIT: usize = 4 * 1024;
