//! Raw bytes: the payloads alone, one after another, as one body with the publisher's media type. What is uploaded with PUT comes
//! out as it went in, while it is still going in: a player plays what is not complete yet.
//!
//! Between bytes nothing can be told, so the end of the body says it. It ends in good order where the upload did (the last
//! chunk comes, the connection goes on), and in no other case. An upload that was aborted, a gap, a server that stops: the body is
//! cut, without its last chunk, and every HTTP/1.1 client sees that it is not complete.
//!
//! Quirk: a player takes the media type for the truth, so the head waits for the first piece, which has it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tidewire_server::{BodyCut, LocalFuture, Response};

use crate::channel::{Followed, Follower};
use crate::message::{Mark, Message};

/// Bytes that are gathered from small messages for one write.
const GATHER: usize = 64 * 1024;

/// Adds the media type of a message, if a head can hold it. Payloads have the types that their publishers gave them: as a document, none
/// of them may act for this origin.
pub(crate) fn head(response: Response, first: Option<&Message>) -> Response {
    let media = first.and_then(Message::content_type).unwrap_or(UNKNOWN);
    let is_good = Response::new(200).try_with("Content-Type", media).is_ok();
    response
        .with("Content-Type", if is_good { media } else { UNKNOWN })
        .with("Content-Security-Policy", "sandbox")
        .with("Accept-Ranges", "none")
}

/// Bytes of which nobody said what they are.
const UNKNOWN: &str = "application/octet-stream";

/// The body of a raw reader. It holds at most one gathering of messages: what it has not asked for stays in the log.
pub(crate) struct RawBody {
    follower: Follower,
    stopping: LocalFuture<()>,
    /// What follows the bytes that were given last.
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Go,
    End,
    Cut(BodyCut),
}

// Why a body is not complete. None of it is a fault of the server, and each may happen to every
// reader of a channel.
const ABORTED: BodyCut = BodyCut("the upload was aborted");
const LOST: BodyCut = BodyCut("the reader was too slow: its next bytes are no longer kept");
const STOPPING: BodyCut = BodyCut("the server stops");

impl RawBody {
    pub(crate) fn new(follower: Follower, stopping: LocalFuture<()>) -> Self {
        RawBody { follower, stopping, then: Then::Go }
    }

    /// Waits for the first message, without taking it. `None`: there will be none.
    pub(crate) async fn first(&mut self) -> Option<Arc<Message>> {
        poll_fn(|cx| {
            if self.stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            self.follower.poll_peek(cx).map(|followed| match followed {
                Followed::Message(message) => Some(message),
                Followed::Lost => None,
            })
        })
        .await
    }

    /// The first message, if it is there already.
    pub(crate) fn first_now(&mut self) -> Option<Arc<Message>> {
        match self.follower.poll_peek(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Followed::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Takes what is there, up to a gathering; sets what comes then.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut bytes = Bytes::new();
        while self.then == Then::Go && bytes.len() < GATHER {
            let Poll::Ready(followed) = self.follower.poll_next(cx) else {
                if !bytes.is_empty() {
                    break;
                }
                if self.stopping.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.then = Then::Cut(STOPPING);
                break;
            };
            match followed {
                Followed::Message(message) => match message.as_mark() {
                    None => bytes = joined(bytes, message.data()),
                    Some(Mark::End) => self.then = Then::End,
                    Some(Mark::Aborted) => self.then = Then::Cut(ABORTED),
                },
                Followed::Lost => self.then = Then::Cut(LOST),
            }
        }
        Poll::Ready(bytes)
    }
}

/// A large piece passes as it is; small ones are joined, so that each is not a chunk and a write of its own.
fn joined(bytes: Bytes, piece: &Bytes) -> Bytes {
    if bytes.is_empty() {
        return piece.clone();
    }
    let mut joined = bytes.try_into_mut().unwrap_or_else(|bytes| {
        let mut joined = BytesMut::with_capacity(GATHER);
        joined.extend_from_slice(&bytes);
        joined
    });
    joined.extend_from_slice(piece);
    joined.freeze()
}

impl Body for RawBody {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let Poll::Ready(bytes) = self.poll_bytes(cx) else { return Poll::Pending };
        Poll::Ready(match self.then {
            _ if !bytes.is_empty() => Some(Ok(Frame::data(bytes))),
            Then::Cut(cut) => Some(Err(cut)),
            _ => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBody")
            .field("follower", &self.follower)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}
