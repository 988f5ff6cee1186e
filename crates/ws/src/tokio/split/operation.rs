//! One call of a writer: it waits for its turn, queues, and waits for the stream.

use super::super::waiting::Need;
use super::shared::{Place, Shared, State};
use crate::Role;
use crate::socket::Error;
use ::tokio::io::{AsyncRead, AsyncWrite};
use core::future::poll_fn;
use core::task::{Context, Poll, ready};

/// What a frame waits for before it is queued.
#[derive(Clone, Copy)]
pub(super) enum Before {
    /// A turn. For messages, which must not come between the pieces of another message.
    Turn,
    /// Room for a ping or a pong.
    ControlRoom,
    /// Room for a piece of the message that was begun.
    PieceRoom,
    /// Nothing. For a close.
    Nothing,
}

/// What the caller waits for afterwards.
#[derive(Clone, Copy)]
pub(super) enum After {
    /// Nothing, but a long queue is written as far as the stream takes it.
    Queued,
    /// The stream has taken every byte.
    Flushed,
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Shared<IO, R> {
    /// Queues a frame with `put`.
    pub(super) async fn send<P>(&self, before: Before, after: After, put: P) -> Result<(), Error>
    where
        P: FnOnce(&mut State<IO, R>) -> Result<(), Error>,
    {
        let (mut put, mut end) = (Some(put), 0);
        self.wait(|state, place, cx| {
            if put.is_some() {
                ready!(state.poll_before(place, before, cx))?;
                if let Some(put) = put.take() {
                    put(state)?;
                }
                end = state.socket.queued();
            }
            match after {
                After::Queued => Poll::Ready(state.write_batch()),
                After::Flushed => state.poll_flush_to(place, end, cx),
            }
        })
        .await
    }

    /// Waits until all that is queued now is flushed.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        self.send(Before::Nothing, After::Flushed, |_| Ok(())).await
    }

    /// Takes a turn.
    pub(super) async fn turn(&self, need: Need, take: impl Fn(&mut State<IO, R>)) -> Result<(), Error> {
        self.wait(|state, place, cx| {
            ready!(state.poll_turn(place, need, cx))?;
            take(state);
            Poll::Ready(Ok(()))
        })
        .await
    }

    async fn wait<T>(
        &self,
        mut poll: impl FnMut(&mut State<IO, R>, &mut Place, &mut Context<'_>) -> Poll<Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut waits = Waits { shared: self, place: Place::default() };
        poll_fn(|cx| match waits.shared.with(|state| poll(state, &mut waits.place, cx)) {
            Ok(polled) => polled,
            Err(error) => Poll::Ready(Err(error)),
        })
        .await
    }

    /// Leaves the lists of those that wait.
    pub(super) fn leave(&self, place: &mut Place) {
        if !place.is_empty() {
            // After a panic, the lists do not matter.
            let _ = self.with(|state| {
                state.leave_goal(place);
                state.leave_turn(place);
            });
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> State<IO, R> {
    fn poll_before(
        &mut self,
        place: &mut Place,
        before: Before,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        match before {
            Before::Turn => self.poll_turn(place, Need::Room, cx),
            Before::ControlRoom => self.poll_room(place, true, cx),
            Before::PieceRoom => self.poll_room(place, false, cx),
            Before::Nothing => Poll::Ready(Ok(())),
        }
    }
}

/// The places of a call in the lists of those that wait. It leaves them if it is dropped.
struct Waits<'a, IO: AsyncRead + AsyncWrite + Unpin, R: Role> {
    shared: &'a Shared<IO, R>,
    place: Place,
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Drop for Waits<'_, IO, R> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.place);
    }
}
