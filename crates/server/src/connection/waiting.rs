//! What a connection does while its handler works: it waits for the reply, or for the next frame of
//! a streamed answer. Meanwhile it forwards the body of the request, writes, and notices when the
//! peer leaves.

use std::future::poll_fn;
use std::task::{Context, Poll};

use http_body::Body as _;

use tidewire_http1::{Connection, Server};

use super::log;
use super::request_body::RequestBody;
use super::transport::{Failure, Transport};
use crate::StreamBody;
use crate::reply::{LocalFuture, Reply};

/// The parts of a connection that work while its handler does.
pub(super) struct Waiting<'a> {
    pub(super) http: &'a mut Connection<Server>,
    pub(super) request_body: &'a mut RequestBody,
    pub(super) transport: &'a mut Transport,
    /// Whether the request is given up when the peer leaves: see
    /// [`Handler::gives_up`](crate::Handler::gives_up).
    pub(super) gives_up: bool,
}

impl Waiting<'_> {
    /// Waits for a handler, and forwards the body to it on demand.
    pub(super) async fn later<T>(&mut self, mut future: LocalFuture<Reply<T>>) -> Result<Reply<T>, Failure> {
        self.transport.deadline.clear();
        poll_fn(|cx| {
            if let Poll::Ready(reply) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(reply));
            }
            // Answers to earlier requests do not wait for this answer.
            if let Poll::Ready(Err(failure)) = self.transport.poll_flush(cx) {
                return Poll::Ready(Err(failure));
            }
            if let Poll::Ready(failure) = self.poll_forward(cx) {
                return Poll::Ready(Err(failure));
            }
            if self.gives_up && self.peer_left(cx) {
                return Poll::Ready(Err(Failure::Disconnected));
            }
            Poll::Pending
        })
        .await
    }

    /// Streams an answer frame by frame. It asks for a frame when the one before is written. The
    /// first frame is asked for at once: if it is ready, it leaves in one write with the head.
    pub(super) async fn stream(&mut self, mut body: StreamBody) -> Result<(), Failure> {
        let gives_up = body.size_hint().exact().is_none() || self.gives_up;
        let mut is_first = true;
        loop {
            let frame = poll_fn(|cx| {
                if std::mem::take(&mut is_first)
                    && let Poll::Ready(frame) = body.as_mut().poll_frame(cx)
                {
                    return Poll::Ready(Ok(frame));
                }
                match self.transport.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => return Poll::Pending,
                }
                if let Poll::Ready(failure) = self.poll_forward(cx) {
                    return Poll::Ready(Err(failure));
                }
                match body.as_mut().poll_frame(cx) {
                    Poll::Pending if gives_up && self.peer_left(cx) => {
                        Poll::Ready(Err(Failure::Disconnected))
                    }
                    polled => polled.map(Ok),
                }
            })
            .await?;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        // A body that is longer than its size hint is cut.
                        let sent = self.transport.output.send_data(self.http, data);
                        sent.map_err(|_| wrong_size())?;
                    }
                    if self.transport.shared.turns.is_over() {
                        self.transport.pause().await?;
                    }
                }
                // The head is sent, so the missing end must show the error.
                Some(Err(error)) => {
                    log::failed_body(error.as_ref());
                    let _ = self.transport.flush().await;
                    return Err(Failure::Disconnected);
                }
                None => {
                    let ended = self.http.send_end(self.transport.output.own());
                    return ended.map_err(|_| wrong_size());
                }
            }
        }
    }

    /// Returns whether the peer has closed, if the whole request has come.
    fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
        (self.request_body.is_whole() || self.http.is_paused()) && self.transport.peer_left(cx)
    }

    fn poll_forward(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        self.request_body.poll_forward(self.http, self.transport, cx)
    }
}

/// A streamed body is not as long as its size hint says.
fn wrong_size() -> Failure {
    log::wrong_size();
    Failure::Disconnected
}
