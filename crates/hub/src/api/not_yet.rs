//! What an answer must wait for when the store does not answer at once. Afterwards the same request
//! is answered again, from the beginning.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use tidewire_server::Problem;
use tidewire_store::ChannelName;

use crate::context::SiteContext;
use crate::error::HubError;
use crate::fetching::PageAt;
use crate::pages::PageWaiter;
use crate::positions::{Channels, Positions};
use crate::refusal::{hub_refusal, read_refusal};
use crate::window::is_too_long;

/// The time between two looks at whether the wait for the store is too long.
const LOOK: Duration = Duration::from_secs(5);

/// Why there is no answer yet.
pub(crate) enum NotYet {
    /// There will be none but this.
    Refused(Problem),
    /// The store has not opened the channels.
    Opening,
    /// The store has not fetched the messages after these positions.
    Fetching(Channels, Positions),
}

impl From<Problem> for NotYet {
    fn from(problem: Problem) -> Self {
        NotYet::Refused(problem)
    }
}

impl NotYet {
    /// Waits until the answer can be made.
    ///
    /// # Errors
    /// The refusal: the store has failed or takes too long, or the server stops.
    pub(crate) async fn wait(self, context: &SiteContext, names: &[ChannelName]) -> Result<(), Problem> {
        if let NotYet::Refused(problem) = self {
            return Err(problem);
        }
        let mut stopping = pin!(context.stopping());
        let common = &context.hub.common;
        let since_ms = common.now_ms();
        let mut look = pin!(tokio::time::sleep(LOOK));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = self.poll(cx, context, names) {
                return Poll::Ready(outcome);
            }
            if stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(hub_refusal(HubError::Stopping)));
            }
            while look.as_mut().poll(cx).is_ready() {
                if is_too_long(since_ms, common.answered_ms(), common.now_ms()) {
                    return Poll::Ready(Err(failed()));
                }
                look.as_mut().reset(Instant::now() + LOOK);
            }
            Poll::Pending
        })
        .await
    }

    fn poll(
        &self,
        cx: &mut Context<'_>,
        context: &SiteContext,
        names: &[ChannelName],
    ) -> Poll<Result<(), Problem>> {
        match self {
            NotYet::Refused(_) => {}
            NotYet::Opening => {
                for name in names {
                    match context.hub.poll_open(cx, name) {
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => {
                            return Poll::Ready(Err(read_refusal(error, name, names.len())));
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
            NotYet::Fetching(channels, positions) => {
                let waiter = || PageWaiter::Task(cx.waker().clone());
                return match channels.await_pages(positions, waiter) {
                    PageAt::Ready => Poll::Ready(Ok(())),
                    PageAt::Waiting => Poll::Pending,
                    PageAt::Failed => Poll::Ready(Err(failed())),
                };
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The refusal of a reader whose messages the store did not give.
fn failed() -> Problem {
    hub_refusal(HubError::Store { unknown: false })
}
