//! What must be true of the server, whatever the readers report.

use tidewire_channel::Cursor;

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
        match self.channels.get(name).map(|channel| channel.log().earliest()) {
            Some(earliest) if earliest.epoch() == to.epoch() && earliest.seq() < to.seq() => {
                Err(format!("{name}: a gap to {to} was reported, but everything after {earliest} is kept"))
            }
            _ => Ok(()),
        }
    }

    /// The server reported a reset to a reader at `from`: that log must be gone.
    pub(crate) fn check_reset(&self, name: &str, from: Cursor) -> Result<(), Violation> {
        match self.channels.get(name).map(|channel| channel.log().head()) {
            Some(head) if head.epoch() == from.epoch() && head.seq() >= from.seq() => {
                Err(format!("{name}: a reset from {from} was reported, but the log is there, at {head}"))
            }
            _ => Ok(()),
        }
    }
}
