//! The deadlines of a wire. They count only the time in which the process runs. If the machine is
//! suspended, no deadline passes.

use std::pin::pin;
use std::time::Duration;

use tidewire_hub::Settings;
use tidewire_server::Upgraded;
use tidewire_ws::Server;
use tidewire_ws::tokio::WebSocket;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

/// How often the deadlines are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The state of a wire's deadlines.
pub(super) struct Deadlines {
    /// How long the wire may be idle.
    idle: Duration,
    /// When something was last sent, in either direction.
    last_activity: Instant,
    /// When a message of the page was first found incomplete.
    message_began: Option<Instant>,
    /// Time that is added to that message's age, because a burst of bytes had gained too much time.
    excess_ms: u64,
    /// When to check next.
    pub(super) next_check: Instant,
}

/// A deadline that has passed.
pub(super) enum Expired {
    /// Nothing was sent for too long.
    Idle,
    /// A message of the page took too long.
    Message,
}

impl Deadlines {
    pub(super) fn new(idle: Duration) -> Self {
        let now = Instant::now();
        Deadlines {
            idle,
            last_activity: now,
            message_began: None,
            excess_ms: 0,
            next_check: now + CHECK_INTERVAL,
        }
    }

    /// Records that something was sent.
    pub(super) fn active(&mut self) {
        self.last_activity = Instant::now();
    }

    /// Records that a message of the page is complete.
    pub(super) fn message_complete(&mut self) {
        self.message_began = None;
    }

    /// Returns the deadline that has passed, if any. If a check is late, the process did not run,
    /// and that time does not count.
    pub(super) fn check(
        &mut self,
        page: &WebSocket<Upgraded, Server>,
        settings: &Settings,
    ) -> Result<(), Expired> {
        let now = Instant::now();
        let late = now.saturating_duration_since(self.next_check);
        self.last_activity += late;
        self.next_check = now + CHECK_INTERVAL;
        if now.saturating_duration_since(self.last_activity) >= self.idle {
            return Err(Expired::Idle);
        }
        if !page.connection().message_unfinished() {
            self.message_began = None;
            return Ok(());
        }
        if self.message_began.is_none() {
            self.excess_ms = 0;
        }
        let began = self.message_began.map_or(now, |began| began + late);
        self.message_began = Some(began);
        let received = page.connection().unfinished_len();
        let took = now.saturating_duration_since(began).as_millis() as u64 + self.excess_ms;
        if took >= settings.message_ms(received) {
            return Err(Expired::Message);
        }
        self.excess_ms += settings.excess_message_ms(received, took);
        Ok(())
    }
}

/// A time-out that counts only the time in which the process runs. A suspension counts as one
/// interval at most, however long it is.
pub(super) async fn running_timeout<T>(
    mut time: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    loop {
        let step = time.min(CHECK_INTERVAL);
        time -= step;
        match timeout(step, future.as_mut()).await {
            Err(_) if !time.is_zero() => {}
            done => return done,
        }
    }
}
