//! The network: links carry bytes in any portions, and are cut anywhere.

use super::history::Violation;
use super::world::World;

/// The bytes on their way between the two ends of a connection.
#[derive(Default)]
pub(super) struct Link {
    pub(super) up: Vec<u8>,
    down: Vec<u8>,
    /// The client has gone and the server does not know yet.
    pub(super) client_gone: bool,
}

impl World {
    /// Some bytes of a link reach the server.
    pub(super) fn up(&mut self, most: usize) -> Result<(), Violation> {
        let Some(id) = self.some_link_where(|link, _| !link.up.is_empty()) else { return Ok(()) };
        let many = self.some_of(most);
        let link = self.links.entry(id).or_default();
        let bytes: Vec<u8> = link.up.drain(..many.min(link.up.len())).collect();
        self.note(|| format!("{id} up   {}", bytes.escape_ascii()));
        self.server.receive(id, &bytes)
    }

    /// The server's socket takes some bytes.
    pub(super) fn flush(&mut self, most: usize) -> Result<(), Violation> {
        let Some(id) = self.some_link_where(|_, output| output) else { return Ok(()) };
        let many = self.some_of(most);
        let bytes = self.server.take_output(id, many)?;
        self.links.entry(id).or_default().down.extend(bytes);
        Ok(())
    }

    /// Some bytes of a link reach the client.
    pub(super) fn down(&mut self, most: usize) -> Result<(), Violation> {
        let Some(id) = self.some_link_where(|link, _| !link.down.is_empty()) else { return Ok(()) };
        let many = self.some_of(most);
        let link = self.links.entry(id).or_default();
        let bytes: Vec<u8> = link.down.drain(..many.min(link.down.len())).collect();
        if link.client_gone {
            return Ok(());
        }
        self.note(|| format!("{id} down {}", bytes.escape_ascii()));
        if let Some(publisher) = self.publishers.iter_mut().find(|publisher| publisher.link == Some(id)) {
            if let Some((channel, cursor)) = publisher.receive(&bytes)? {
                self.server.history.check_acknowledged(&channel, cursor)?;
            }
            if publisher.link.is_none() {
                self.cut(id);
            }
            return Ok(());
        }
        for reader in &mut self.readers {
            if let Some(feed) = reader.feeds.iter().position(|feed| feed.link == id) {
                reader.receive(feed, &bytes, &self.server)?;
                let (is_outdated, is_closed) = (reader.feeds[feed].is_outdated, reader.feeds[feed].is_closed);
                if is_outdated {
                    reader.close_feed(feed);
                }
                if is_outdated || is_closed {
                    self.client_vanishes(id);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// A connection breaks, and both ends notice. Bytes on the way are lost.
    pub(super) fn cut(&mut self, id: u32) {
        self.note(|| format!("{id} is cut"));
        self.counts.cuts += 1;
        self.forget(id);
        self.links.remove(&id);
        self.server.disconnect(id);
    }

    /// A client goes away, and the server does not notice.
    pub(super) fn client_vanishes(&mut self, id: u32) {
        self.note(|| format!("the client of {id} is gone"));
        self.forget(id);
        if let Some(link) = self.links.get_mut(&id) {
            link.client_gone = true;
        }
    }

    fn forget(&mut self, id: u32) {
        for reader in &mut self.readers {
            reader.feeds.retain(|feed| feed.link != id);
        }
        for publisher in self.publishers.iter_mut().filter(|publisher| publisher.link == Some(id)) {
            publisher.link = None;
        }
    }

    /// The server notices the oldest connection whose client has gone.
    pub(super) fn notice_vanished(&mut self) {
        if let Some(id) = self.links.iter().find(|(_, link)| link.client_gone).map(|(id, _)| *id) {
            self.cut(id);
        }
    }

    pub(super) fn link(&mut self) -> u32 {
        self.next_link += 1;
        self.links.insert(self.next_link, Link::default());
        self.server.accept(self.next_link);
        self.next_link
    }

    pub(super) fn some_link(&mut self) -> Option<u32> {
        self.some_link_where(|_, _| true)
    }

    /// Returns one of the links that fit. The second argument is whether the server has output for
    /// it.
    fn some_link_where(&mut self, fits: impl Fn(&Link, bool) -> bool) -> Option<u32> {
        let fits = |(id, link): &(&u32, &Link)| fits(link, self.server.has_output(**id));
        let ids: Vec<u32> = self.links.iter().filter(fits).map(|(id, _)| *id).collect();
        ids.get(self.rng.below(ids.len())).copied()
    }

    /// Returns a number of bytes: often one, sometimes a few, sometimes all.
    fn some_of(&mut self, most: usize) -> usize {
        match self.rng.below(6) {
            0 | 1 => 1,
            2 | 3 => 1 + self.rng.below(30),
            4 => 1 + self.rng.below(200),
            _ => most,
        }
        .min(most)
    }
}
