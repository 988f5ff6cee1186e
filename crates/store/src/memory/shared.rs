//! The messages that a log shares with its forks.
//!
//! ```text
//!   before     source:  log [ 1 2 3 4 5 ]
//!
//!   fork at 3  source:  piece [ 1 2 3 4 5 ]  log [ ]           both point to one segment
//!              fork:    piece [ 1 2 3 ]      log [ ]
//!
//!   later      source:  piece [ 1 2 3 4 5 ]  log [ 6 7 ]
//!              fork:    piece [ 1 2 3 ]      log [ 4' ]
//! ```
//!
//! A fork moves the messages of its source into a segment, which does not change any more. So each
//! message is moved once, however many forks there are, and no message is copied. A segment lives
//! until the last piece of it is gone: a fork keeps what it shares, whatever its source evicts.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::memory::room::Room;
use crate::message::Message;

/// Messages that several logs share.
#[derive(Debug)]
pub(crate) struct Segment {
    /// The number of the first message.
    first: u64,
    kept: Box<[Shared]>,
    room: Arc<Room>,
}

#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) time_ms: u64,
    pub(crate) message: Arc<Message>,
    /// The size of this message and of all before it in the segment.
    sum: usize,
}

impl Segment {
    /// Messages from number `first` on, each with its time and size. The caller has taken room for
    /// them.
    pub(crate) fn new(
        first: u64,
        messages: impl Iterator<Item = (u64, usize, Arc<Message>)>,
        room: Arc<Room>,
    ) -> Self {
        let mut sum = 0_usize;
        let shared = |(time_ms, size, message)| {
            sum = usize::saturating_add(sum, size);
            Shared { time_ms, message, sum }
        };
        Self { first, kept: messages.map(shared).collect(), room }
    }

    /// The size of the first `count` messages.
    fn sum(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.kept.get(last)).map_or(0, |shared| shared.sum)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.room.give_back(self.sum(self.kept.len()));
    }
}

/// A part of a segment, which a log begins with: the messages from index `from` to before `to`.
#[derive(Clone, Debug)]
struct Piece {
    segment: Arc<Segment>,
    from: usize,
    to: usize,
}

impl Piece {
    /// The number of the message at an index.
    fn number(&self, index: usize) -> u64 {
        self.segment.first.saturating_add(index as u64)
    }

    /// The index of a message, within the piece or at one of its ends.
    fn index(&self, number: u64) -> usize {
        let index = usize::try_from(number.saturating_sub(self.segment.first)).unwrap_or(usize::MAX);
        index.clamp(self.from, self.to)
    }

    fn len(&self) -> usize {
        self.to.saturating_sub(self.from)
    }

    fn bytes(&self) -> usize {
        self.segment.sum(self.to).saturating_sub(self.segment.sum(self.from))
    }
}

/// The messages before those of a log of its own. They are contiguous, and so are they with those
/// of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefix {
    /// None is empty.
    pieces: VecDeque<Piece>,
    len: usize,
    bytes: usize,
}

impl Prefix {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the last message; `None` if there is no message.
    pub(crate) fn last(&self) -> Option<u64> {
        self.pieces.back().map(|piece| piece.number(piece.to.saturating_sub(1)))
    }

    /// The time of the last message.
    pub(crate) fn last_time_ms(&self) -> Option<u64> {
        let piece = self.pieces.back()?;
        Some(piece.segment.kept.get(piece.to.saturating_sub(1))?.message.time_ms())
    }

    pub(crate) fn front(&self) -> Option<&Shared> {
        let piece = self.pieces.front()?;
        piece.segment.kept.get(piece.from)
    }

    /// Adds a segment after the others.
    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        let piece = Piece { from: 0, to: segment.kept.len(), segment };
        if piece.len() > 0 {
            self.len = self.len.saturating_add(piece.len());
            self.bytes = self.bytes.saturating_add(piece.bytes());
            self.pieces.push_back(piece);
        }
    }

    /// Evicts the first message.
    pub(crate) fn pop_front(&mut self) {
        let Some(piece) = self.pieces.front_mut() else { return };
        let before = piece.bytes();
        piece.from = piece.from.saturating_add(1);
        self.len = self.len.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(before.saturating_sub(piece.bytes()));
        if piece.len() == 0 {
            self.pieces.pop_front();
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The messages up to a number.
    pub(crate) fn up_to(&self, number: u64) -> Self {
        let mut cut = Self::default();
        for piece in &self.pieces {
            let to = piece.index(number.saturating_add(1));
            let piece = Piece { to, ..piece.clone() };
            if piece.len() == 0 {
                break;
            }
            cut.len = cut.len.saturating_add(piece.len());
            cut.bytes = cut.bytes.saturating_add(piece.bytes());
            cut.pieces.push_back(piece);
        }
        cut
    }

    /// The messages from a number on, each with its number and size. It takes a search in the
    /// pieces, then constant time for each message.
    pub(crate) fn from(&self, number: u64) -> impl Iterator<Item = (u64, usize, &Arc<Message>)> {
        let first = self.pieces.partition_point(|piece| piece.number(piece.to) <= number);
        self.pieces.range(first..).flat_map(move |piece| {
            let from = piece.index(number);
            let kept = piece.segment.kept.get(from..piece.to).unwrap_or_default();
            kept.iter().enumerate().map(move |(offset, shared)| {
                let index = from.saturating_add(offset);
                let size = shared.sum.saturating_sub(piece.segment.sum(index));
                (piece.number(index), size, &shared.message)
            })
        })
    }
}
