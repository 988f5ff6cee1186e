//! The end of a simulation: the faults stop, and every reader must reach the head.

use tidewire_channel::Log;

use super::history::Violation;
use super::publisher::Publisher;
use super::world::World;

impl World {
    /// No more faults: everything in flight arrives, and all readers come back. They must reach the
    /// head.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        self.note(|| "the faults stop".into());
        self.settle_store()?;
        // A reader that has seen a lost tail may have a feed that has not. It notices at the next
        // message.
        self.publish_everywhere()?;
        for _ in 0..FINISH_ROUNDS {
            self.settle_store()?;
            while self.links.values().any(|link| link.client_gone) {
                self.notice_vanished();
            }
            for index in 0..self.readers.len() {
                if self.readers[index].is_done() {
                    continue;
                }
                if self.readers[index].feeds.is_empty() {
                    self.open(index, None)?;
                } else if let Some(feed) = self.readers[index].feeds.iter().position(|feed| !feed.is_waiting)
                {
                    let id = self.readers[index].feeds[feed].link;
                    let up = &mut self.links.entry(id).or_default().up;
                    self.readers[index].send_request(feed, None, up)?;
                }
            }
            self.rejoin_all()?;
            for index in 0..self.publishers.len() {
                if !self.publishers[index].is_done() && self.publishers[index].link.is_none() {
                    let link = self.link();
                    let up = &mut self.links.entry(link).or_default().up;
                    self.publishers[index].send(link, "", &mut self.rng, up)?;
                }
            }
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.server.register_waits(id)?;
            }
            while self.server.has_wakes() {
                self.server.wake()?;
            }
            for _ in 0..self.links.len() * 3 {
                self.up(64)?;
                self.flush(256)?;
                self.down(256)?;
            }
            self.check()?;
            if self.publishers.iter().all(Publisher::is_done) && self.behind().is_none() {
                return Ok(());
            }
        }
        match self.behind() {
            Some(behind) => Err(format!("{behind} and nothing moves it")),
            None => Err("a publish is never acknowledged".into()),
        }
    }

    /// A reader that was not told everything, or a feed that was not told the end.
    fn behind(&mut self) -> Option<String> {
        for (index, reader) in self.readers.iter().enumerate() {
            for (channel, merger) in reader.channels.iter().zip(&reader.mergers) {
                let (target, merger) = (self.server.target(channel), merger.as_ref()?);
                // A reader that was told an end has no reason to come back.
                if merger.cursor() != target && !merger.is_ended {
                    let at = merger.cursor();
                    return Some(format!("reader {index} of {channel} is at {at}, the head at {target},"));
                }
            }
            for feed in reader.feeds.iter().filter(|feed| feed.is_waiting) {
                for (channel, at) in reader.channels.iter().zip(&feed.positions) {
                    let (Some(at), true) = (*at, self.server.store.log(channel).is_some_and(Log::is_closed))
                    else {
                        continue;
                    };
                    // The feed may have been told the end of an earlier log.
                    if !self.server.history.is_end(channel, at) {
                        let name = feed.name;
                        return Some(format!("{name} of reader {index} is at {at}, and not told the end,"));
                    }
                }
            }
        }
        None
    }
}

/// Enough for the longest log with one message per answer and one byte per read.
const FINISH_ROUNDS: usize = 3_000;
