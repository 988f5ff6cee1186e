//! A WebSocket reader leaves channels and joins them again while messages are on their way.
//!
//! ```text
//!   reader ── "leave 0" ──────────────────────────────► server: cancels its wait
//!          ◄─ … messages of 0 … "left 0 E-5" ──────────         E-5 is the last that it sent
//!          ── "join 0 E-7" (another feed got two) ────►         goes on from there
//!          ◄─ "joined 0 E-7" … messages of 0 from 8 on ─
//! ```

use tidewire_channel::Cursor;
use tidewire_ws::{Client, Connection};

use super::connection::{ConnectionState, Framing, Wait};
use super::fault::Fault;
use super::feed::Feed;
use super::history::Violation;
use super::item::Item;
use super::reader::Reader;
use super::server::Server;
use super::world::World;

/// Whether a feed reads a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    Joined,
    /// The reader has left it, and the server has not answered with the last position.
    Leaving,
    Left,
    /// The reader has joined it at this cursor, and the server has not confirmed it.
    Joining(Cursor),
}

impl Server {
    /// Carries out the commands of a WebSocket client.
    pub(super) fn carry_out_commands(&mut self, id: u32) -> Result<(), Violation> {
        while let Some(command) =
            self.connections.get_mut(&id).and_then(|connection| connection.commands.pop_front())
        {
            let Some((index, since)) = parse(&command) else { return Err(format!("a command {command:?}")) };
            self.carry_out(id, index, since)?;
        }
        Ok(())
    }

    /// Leaves a channel of a connection, or joins it at a cursor. The answer is written before any
    /// further messages.
    fn carry_out(&mut self, id: u32, index: usize, since: Option<Cursor>) -> Result<(), Violation> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let ConnectionState::Stream(Framing::Ws(socket), positions) = &mut connection.state else {
            return Ok(());
        };
        if !socket.is_open() {
            return Ok(());
        }
        let position = &mut positions[index];
        if let Wait::On(key, _) = position.wait
            && let Some(channel) = self.channels.get_mut(&position.channel)
        {
            channel.cancel(key);
        }
        let item = match since {
            None => {
                position.wait = Wait::Off;
                Item::Left { channel: index, cursor: position.cursor }
            }
            Some(cursor) => {
                (position.cursor, position.wait) = (cursor, Wait::No);
                Item::Joined { channel: index, cursor }
            }
        };
        let before: Vec<Cursor> = positions.iter().map(|position| position.cursor).collect();
        connection.write(&item)?;
        self.write_stream(id)?;
        if self.fault == Some(Fault::PutsPositionsBack)
            && let Some(connection) = self.connections.get_mut(&id)
            && let ConnectionState::Stream(_, positions) = &mut connection.state
        {
            for (position, cursor) in positions.iter_mut().zip(before) {
                position.cursor = cursor;
            }
        }
        Ok(())
    }
}

/// `leave INDEX` or `join INDEX CURSOR`.
fn parse(command: &str) -> Option<(usize, Option<Cursor>)> {
    let mut words = command.split(' ');
    match (words.next()?, words.next()?.parse().ok()?, words.next()) {
        ("leave", index, None) => Some((index, None)),
        ("join", index, Some(cursor)) => Some((index, Some(cursor.parse().ok()?))),
        _ => None,
    }
}

impl Feed {
    /// The WebSocket, if commands can be sent on it.
    fn socket(&mut self) -> Option<&mut Connection<Client>> {
        self.ws.as_mut().filter(|socket| socket.is_open())
    }
}

impl Reader {
    /// Leaves a channel of a feed, or joins it where the reader is. Returns the command, if one is
    /// possible.
    pub(super) fn send_command(
        &mut self,
        feed: usize,
        channel: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, Violation> {
        let merger = self.mergers[channel].as_ref();
        let feed = &mut self.feeds[feed];
        let (membership, command) = match (feed.membership[channel], feed.positions[channel], merger) {
            (Membership::Joined, Some(_), Some(_)) => (Membership::Leaving, format!("leave {channel}")),
            (Membership::Left, None, Some(merger)) => {
                (Membership::Joining(merger.cursor()), format!("join {channel} {}", merger.cursor()))
            }
            _ => return Ok(None),
        };
        let Some(socket) = feed.socket() else { return Ok(None) };
        socket.send_text(&command, [1, 2, 3, 4], out).map_err(|error| format!("reader: {error}"))?;
        feed.membership[channel] = membership;
        Ok(Some(command))
    }

    /// The server says where it stopped: after the last message that it sent.
    pub(super) fn left(&mut self, feed: usize, channel: usize, cursor: Cursor) -> Result<(), Violation> {
        let at = self.at(feed, channel)?;
        if self.feeds[feed].membership[channel] != Membership::Leaving || at != cursor {
            return Err(format!(
                "{}: at {at} the feed says that it left at {cursor}",
                self.name(feed, channel)
            ));
        }
        self.feeds[feed].membership[channel] = Membership::Left;
        self.feeds[feed].positions[channel] = None;
        self.counts.channel_changes += 1;
        Ok(())
    }

    /// The server says where it begins. This must be the requested place.
    pub(super) fn joined(&mut self, feed: usize, channel: usize, cursor: Cursor) -> Result<(), Violation> {
        if self.feeds[feed].membership[channel] != Membership::Joining(cursor) {
            return Err(format!("{}: the feed says that it joined at {cursor}", self.name(feed, channel)));
        }
        self.feeds[feed].membership[channel] = Membership::Joined;
        self.feeds[feed].positions[channel] = Some(cursor);
        self.counts.channel_changes += 1;
        Ok(())
    }
}

impl World {
    /// A reader leaves or joins a channel.
    pub(super) fn change_channels(&mut self) -> Result<(), Violation> {
        let index = self.rng.below(self.readers.len());
        let feeds = self.readers[index].feeds.len();
        if feeds == 0 {
            return Ok(());
        }
        let feed = self.rng.below(feeds);
        let channel = self.rng.below(self.readers[index].channels.len());
        self.change_channel(index, feed, channel)
    }

    /// All readers join the channels that they have left.
    pub(super) fn rejoin_all(&mut self) -> Result<(), Violation> {
        for index in 0..self.readers.len() {
            for feed in 0..self.readers[index].feeds.len() {
                for channel in 0..self.readers[index].channels.len() {
                    if self.readers[index].feeds[feed].membership[channel] == Membership::Left {
                        self.change_channel(index, feed, channel)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn change_channel(&mut self, index: usize, feed: usize, channel: usize) -> Result<(), Violation> {
        let id = self.readers[index].feeds[feed].link;
        let up = &mut self.links.entry(id).or_default().up;
        if let Some(command) = self.readers[index].send_command(feed, channel, up)? {
            self.note(|| format!("reader {index} says on {id}: {command}"));
        }
        Ok(())
    }
}
