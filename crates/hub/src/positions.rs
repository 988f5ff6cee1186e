//! The channels of a connection, and a position in each of them.

use std::sync::Arc;

use tidewire_channel::{Cursor, Cursors};

use crate::channel::Channel;
use crate::fetching::PageAt;
use crate::pages::PageWaiter;

/// The channels of a connection, in the order in which the client named them.
#[derive(Clone, Debug)]
pub(crate) struct Channels(pub(crate) Arc<[Arc<Channel>]>);

/// A position in each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Positions(pub(crate) Box<[Cursor]>);

/// The position at which a client wants to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Before the oldest message kept.
    Earliest,
    /// After the newest message.
    Now,
    /// Before the newest message. For raw bytes: before the newest upload.
    Newest,
    /// After these positions, one for each channel.
    After(Vec<Cursor>),
}

/// The text is not a valid start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartError {
    #[error("this text is not a cursor; pass a cursor as you received it, or since=earliest, or since=now")]
    NoCursor,
    #[error("the cursor is for another number of channels; use it with the channels that it came from")]
    OtherChannels,
}

impl Channels {
    /// The position after the newest message of each channel.
    pub(crate) fn heads(&self) -> Positions {
        Positions(self.0.iter().map(|channel| channel.head()).collect())
    }

    /// The positions of a reader that has everything: after the newest message of each channel, or
    /// at its end. Also whether all channels have ended.
    pub(crate) fn reach(&self) -> (Positions, bool) {
        let mut has_ended = !self.0.is_empty();
        let reached = self.0.iter().map(|channel| {
            let end = channel.end();
            has_ended &= end.is_some();
            end.unwrap_or_else(|| channel.head())
        });
        (Positions(reached.collect()), has_ended)
    }

    /// The positions for a client with this start.
    pub(crate) fn start(&self, start: &Start) -> Positions {
        match start {
            Start::Earliest => Positions(self.0.iter().map(|channel| channel.earliest()).collect()),
            Start::Now => self.heads(),
            Start::Newest => Positions(self.0.iter().map(|channel| channel.before_newest()).collect()),
            Start::After(cursors) => Positions(cursors.as_slice().into()),
        }
    }
}

impl Channels {
    /// Whether the messages at these positions can be read, or must be waited for.
    pub(crate) fn await_pages(&self, positions: &Positions, waiter: impl Fn() -> PageWaiter) -> PageAt {
        let mut all = PageAt::Ready;
        for (channel, &position) in self.0.iter().zip(&positions.0) {
            match channel.await_page(position, waiter()) {
                PageAt::Ready => {}
                PageAt::Waiting => all = PageAt::Waiting,
                PageAt::Failed => return PageAt::Failed,
            }
        }
        all
    }
}

impl Positions {
    /// The one cursor text that the client sees.
    pub(crate) fn to_text(&self) -> String {
        if let [one] = *self.0 {
            return one.to_string();
        }
        let mut all = Cursors::new();
        for cursor in &self.0 {
            all.push(*cursor);
        }
        all.to_string()
    }
}

impl Start {
    /// Reads the cursor of a client, or `earliest`, or `now`, for this number of channels.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn parse(text: &[u8], channels: usize) -> Result<Self, StartError> {
        match text {
            b"earliest" => return Ok(Start::Earliest),
            b"now" => return Ok(Start::Now),
            _ => {}
        }
        let cursors = Cursors::parse(text).map_err(|_| StartError::NoCursor)?;
        if cursors.as_slice().len() != channels {
            return Err(StartError::OtherChannels);
        }
        Ok(Start::After(cursors.as_slice().to_vec()))
    }

    /// Whether the client has read something before.
    pub(crate) fn is_cursor(&self) -> bool {
        matches!(self, Start::After(_))
    }

    /// Reads the last event id that a client sends. A text that is not a cursor for these channels
    /// comes from another server, or from a page that stored something else. A refusal would stop
    /// an `EventSource` for good. So the text becomes a position in no log, and the client gets a
    /// reset.
    pub(crate) fn after_event(id: &[u8], channels: usize) -> Self {
        Start::parse(id, channels).unwrap_or_else(|_| Start::After(vec![Cursor::FOREIGN; channels]))
    }
}
