//! The end of a life: the faults stop, and everyone has to get to the head.

use super::history::Violation;
use super::publisher::Publisher;
use super::world::World;

impl World {
    /// No more faults: everything in flight arrives, everyone comes back, and must get to the head.
    pub(super) fn calm_down(&mut self) -> Result<(), Violation> {
        self.note(|| "the faults stop".into());
        for _ in 0..CALM_ROUNDS {
            while self.links.values().any(|link| link.deserted) {
                self.notice();
            }
            for index in 0..self.readers.len() {
                if self.readers[index].feeds.is_empty() {
                    self.open(index, None)?;
                } else if let Some(feed) = self.readers[index].feeds.iter().position(|feed| !feed.asked) {
                    let id = self.readers[index].feeds[feed].link;
                    let up = &mut self.links.entry(id).or_default().up;
                    self.readers[index].ask(feed, None, up)?;
                }
            }
            self.take_all_up()?;
            for index in 0..self.publishers.len() {
                if !self.publishers[index].is_done() && self.publishers[index].link.is_none() {
                    let link = self.link();
                    let up = &mut self.links.entry(link).or_default().up;
                    self.publishers[index].send(link, "", 0, up)?;
                }
            }
            for id in self.links.keys().copied().collect::<Vec<_>>() {
                self.server.settle(id)?;
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

    /// A reader that is not at the head of its channels.
    fn behind(&mut self) -> Option<String> {
        for (index, reader) in self.readers.iter().enumerate() {
            for (channel, follower) in reader.channels.iter().zip(&reader.followers) {
                let (head, at) = (self.server.head(channel), follower.as_ref()?.cursor());
                if at != head {
                    return Some(format!("reader {index} of {channel} is at {at}, the head at {head},"));
                }
            }
        }
        None
    }
}

/// Enough for the longest log, a message an answer, a byte a read.
const CALM_ROUNDS: usize = 3_000;
