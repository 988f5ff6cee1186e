//! The heartbeat of a body that has nothing to send.

use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::encode::HEARTBEAT;

/// The timer of heartbeats. It starts when the source has nothing, not with each event: a busy
/// stream does not touch it.
pub(crate) struct Heartbeat {
    /// Zero if there are none.
    period: Duration,
    bytes: Bytes,
    timer: Option<Pin<Box<Sleep>>>,
    runs: bool,
}

impl Heartbeat {
    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    pub(crate) const fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    pub(crate) fn set_bytes(&mut self, bytes: Bytes) {
        self.bytes = bytes;
    }

    /// Something is sent: the time of silence begins again.
    pub(crate) const fn restart(&mut self) {
        self.runs = false;
    }

    /// What to send now, if nothing was sent for the period.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if self.period.is_zero() {
            return Poll::Pending;
        }
        if !self.runs {
            // A time that no clock reaches.
            let Some(end) = Instant::now().checked_add(self.period) else { return Poll::Pending };
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(end),
                None => self.timer = Some(Box::pin(sleep_until(end))),
            }
            self.runs = true;
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        ready!(timer.as_mut().poll(context));
        self.runs = false;
        Poll::Ready(self.bytes.clone())
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { period: Duration::ZERO, bytes: Bytes::from_static(HEARTBEAT), timer: None, runs: false }
    }
}

/// A good time between heartbeats, 15 s. The standard suggests it, since proxies close connections
/// that are silent for longer (HTML §9.2.7).
pub const HEARTBEAT_PERIOD: Duration = Duration::from_secs(15);
