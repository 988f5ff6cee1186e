//! The clock of a table.
//!
//! A process can be stopped for any time (SIGSTOP, a debugger, `docker pause`, a laptop that
//! sleeps), or a busy machine may not run it. Meanwhile the input of its clients waits in the
//! sockets. So time in which the table did not run does not count for time-outs. A late tick moves
//! all time-outs of clients by its lateness. It also ends no connection, because the runtime has
//! not yet asked the kernel what the clients have sent.

use std::time::Duration;

/// Interval of the tick, which checks heartbeats and time-outs.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// A tick that is later than this means that the process did not run.
const LATE_MS: u64 = TICK.as_millis() as u64 / 2;

/// The clock of a table. Times are in milliseconds.
#[derive(Debug)]
pub(super) struct Clock {
    /// The clock of the hub, which the logs use too.
    now_ms: u64,
    /// The same without the time in which this worker did not run. Time-outs of clients use it.
    ran_ms: u64,
    /// The lateness of the current tick.
    late_ms: u64,
    /// Whether this tick ends no connection, because it was late.
    spares_connections: bool,
    next_tick_ms: u64,
    ticks: u64,
}

impl Clock {
    pub(super) fn new(now_ms: u64) -> Self {
        let next_tick_ms = now_ms + TICK.as_millis() as u64;
        Clock { now_ms, ran_ms: now_ms, late_ms: 0, spares_connections: false, next_tick_ms, ticks: 0 }
    }

    /// Takes the time of the hub. Call it once in each turn, not once for each ready socket.
    pub(super) fn set(&mut self, now_ms: u64) {
        let late = now_ms.saturating_sub(self.next_tick_ms);
        self.next_tick_ms += late;
        self.late_ms += late;
        self.ran_ms += now_ms.saturating_sub(self.now_ms).saturating_sub(late);
        self.now_ms = now_ms;
    }

    /// Begins a tick if one is due. Returns whether it did.
    pub(super) fn tick(&mut self) -> bool {
        if self.now_ms < self.next_tick_ms {
            return false;
        }
        self.next_tick_ms = self.now_ms + TICK.as_millis() as u64;
        let is_late = std::mem::take(&mut self.late_ms) >= LATE_MS;
        // Not twice in a row: otherwise an overloaded worker would never end a connection.
        self.spares_connections = is_late && !self.spares_connections;
        self.ticks += 1;
        true
    }

    /// The time of the hub.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The time in which this worker ran.
    pub(super) fn ran_ms(&self) -> u64 {
        self.ran_ms
    }

    /// The number of ticks so far.
    pub(super) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Whether no connection may be ended in this tick.
    pub(super) fn spares_connections(&self) -> bool {
        self.spares_connections
    }

    pub(super) fn next_tick_ms(&self) -> u64 {
        self.next_tick_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_of_the_process_does_not_count_and_one_tick_drops_nobody() {
        let mut clock = Clock::new(0);
        clock.set(1_000);
        assert!(clock.tick() && !clock.spares_connections());
        clock.set(61_000);
        assert_eq!((clock.now_ms(), clock.ran_ms()), (61_000, 2_000));
        assert!(clock.tick() && clock.spares_connections());
        clock.set(121_000);
        assert!(clock.tick() && !clock.spares_connections(), "not twice in a row");
        clock.set(121_500);
        assert!(!clock.tick());
        assert_eq!((clock.ticks(), clock.ran_ms()), (3, 3_500));
    }
}
