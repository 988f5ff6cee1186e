//! What must be true of the server, whatever the readers report.

use tidewire_channel::{Channel, Cursor};

use super::history::Violation;
use super::server::Server;

impl Server {
    /// What must be true of the server at any time.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        for (name, channel) in self.channels.iter() {
            let (stats, retention) = (channel.log().stats(), channel.log().retention());
            if stats.messages > retention.max_messages.max(1)
                || (stats.bytes > retention.max_bytes && stats.messages > 1)
            {
                return Err(format!("{name} keeps more than it may: {stats:?}"));
            }
            if stats.head.seq() - stats.earliest.seq() != stats.messages as u64 {
                return Err(format!("{name} is not one run: {stats:?}"));
            }
            let log = self.store.log(name);
            if log.is_some_and(|log| !log.has(stats.head)) {
                return Err(format!("the window of {name} has {}, and the store does not", stats.head));
            }
        }
        Ok(())
    }

    /// When no client is connected, no waiter may be left.
    pub(crate) fn check_empty(&self) -> Result<(), Violation> {
        match self.channels.iter().find(|(_, channel)| channel.waiters() > 0) {
            Some((name, channel)) => Err(format!("{name} has {} waiters left", channel.waiters())),
            None => Ok(()),
        }
    }

    /// The server reported a gap: messages must really be missing.
    pub(crate) fn check_gap(&self, name: &str, to: Cursor) -> Result<(), Violation> {
        match self.channels.get(name).map(Channel::log) {
            Some(log) if log.has(to) && log.earliest().seq() < to.seq() => {
                let earliest = log.earliest();
                Err(format!("{name}: a gap to {to} was reported, but everything after {earliest} is kept"))
            }
            _ => Ok(()),
        }
    }

    /// The server reported a reset to a reader at `from`, or that the log was deleted: it must be
    /// gone, or at least this position of it.
    pub(crate) fn check_reset(&self, name: &str, from: Cursor) -> Result<(), Violation> {
        let is_absent = self.store.log(name).is_none() && self.store.absent(name) == from;
        if self.history.has(name, from) || (is_absent && !self.store.is_deleted(name)) {
            return Err(format!("{name}: a reset from {from} was reported, but that is in the log"));
        }
        Ok(())
    }
}
