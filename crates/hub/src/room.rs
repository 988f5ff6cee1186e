//! Room in a log: which readers a publisher waits for, and the line of publishers that wait.
//!
//! ```text
//!   publisher ──► is there room? ── yes ──► append ──► the next in line, if there is room for it
//!                    │ no                      ▲
//!                    ▼                         │ woken
//!                  line: first ─ second ─ …  ──┘
//!                    ▲
//!   worker ── served more, or left; messages expired; the first has waited for too long
//! ```
//!
//! A message has room when its append evicts nothing that a worker had no chance to serve. So a
//! flood slows its publisher, and readers that keep up lose nothing. Only the progress of *workers*
//! counts, not of subscribers: a worker serves all fast readers, and goes on without the slow ones.
//! A worker *holds* a channel while it does not report how far it has served there. Then publishers
//! wait.
//!
//! A new publisher does not take the room of those in the line. Otherwise the first in line could
//! wait so long that it appends without room. If there is room for all in the line and for one
//! message more, a new publisher does not wait. So a publisher that was just served continues at
//! full speed.

use std::collections::BTreeMap;
use std::task::Waker;

use tidewire_channel::{Cursor, Log, WaitKey};

use crate::credit::ChannelCredit;

/// Longest wait of a publisher for one message. Then it appends without room, and slow readers get
/// a gap. A worker that hangs must not stop publishers; a normal turn of a worker takes
/// milliseconds.
pub(crate) const LONGEST_WAIT_MS: u64 = 5_000;

/// The workers that publishers wait for, and the line of publishers.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The workers that read the channel. There are few.
    readers: Vec<Reader>,
    line: BTreeMap<PlaceInLine, Waiting>,
    /// The number of all messages in the line, and the sum of their sizes.
    line_messages: usize,
    line_bytes: usize,
    /// The same for messages that the store has not answered for. They will be in the log soon.
    flying_messages: usize,
    flying_bytes: usize,
    next: PlaceInLine,
    /// The number of workers that hold the channel, for readers that are behind for a moment.
    holders: usize,
    /// How long all of these workers together may do so.
    credit: ChannelCredit,
}

#[derive(Debug)]
struct Reader {
    worker: u16,
    /// The sequence number of the last message that the worker has served.
    served: u64,
    /// Its registration for new messages. It may be gone: a publish removes it when it wakes the
    /// worker.
    wait: Option<WaitKey>,
}

#[derive(Debug)]
struct Waiting {
    messages: usize,
    size: usize,
    since_ms: u64,
    /// Empty after the publisher was woken.
    waker: Option<Waker>,
}

/// The place of a publisher in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlaceInLine(u64);

impl Room {
    /// Messages are on their way to the store.
    pub(crate) fn departs(&mut self, messages: usize, bytes: usize) {
        self.flying_messages += messages;
        self.flying_bytes = self.flying_bytes.saturating_add(bytes);
    }

    /// The store has answered for these messages.
    pub(crate) fn arrives(&mut self, messages: usize, bytes: usize) {
        self.flying_messages -= messages;
        self.flying_bytes = self.flying_bytes.saturating_sub(bytes);
    }

    /// Whether nobody reads and nobody waits.
    pub(crate) fn is_unused(&self) -> bool {
        self.readers.is_empty() && self.line.is_empty()
    }

    /// Notes that a worker reads, how far it has served, and its registration for new messages.
    /// Returns its previous registration.
    pub(crate) fn read_by<T>(
        &mut self,
        log: &Log<T>,
        worker: u16,
        served: Cursor,
        wait: Option<WaitKey>,
    ) -> Option<WaitKey> {
        let served = served_seq(log, served);
        match self.readers.iter_mut().find(|reader| reader.worker == worker) {
            Some(reader) => {
                reader.served = served;
                std::mem::replace(&mut reader.wait, wait)
            }
            None => {
                self.readers.push(Reader { worker, served, wait });
                None
            }
        }
    }

    /// Notes how far a worker has served, if it reads.
    pub(crate) fn served<T>(&mut self, log: &Log<T>, worker: u16, served: Cursor) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.worker == worker) {
            reader.served = served_seq(log, served);
        }
    }

    /// Notes that a worker no longer reads. Returns its registration.
    pub(crate) fn left_by(&mut self, worker: u16) -> Option<WaitKey> {
        let index = self.readers.iter().position(|reader| reader.worker == worker)?;
        self.readers.swap_remove(index).wait
    }

    /// The time until which a worker may hold the channel, if it begins now.
    pub(crate) fn may_hold_until(&self, now_ms: u64) -> u64 {
        self.credit.end_ms(now_ms)
    }

    /// A worker begins to hold the channel. Returns the time until which it may do so.
    pub(crate) fn hold(&mut self, now_ms: u64) -> u64 {
        self.holders += 1;
        self.credit.begin(now_ms);
        self.credit.end_ms(now_ms)
    }

    /// A worker no longer holds the channel.
    pub(crate) fn release(&mut self, now_ms: u64) {
        self.holders -= 1;
        if self.holders == 0 {
            self.credit.end(now_ms);
        }
    }

    /// Whether an append of this size evicts nothing that a worker has still to serve. O(workers)
    /// while the log is not full.
    pub(crate) fn has<T>(&self, log: &Log<T>, size: usize) -> bool {
        self.has_for(log, 1, size)
    }

    /// The same for several messages.
    fn has_for<T>(&self, log: &Log<T>, messages: usize, bytes: usize) -> bool {
        let (earliest, messages) = (log.earliest().seq(), messages + self.flying_messages);
        let bytes = bytes.saturating_add(self.flying_bytes);
        // Do not wait for a worker that has lost messages since its last report: it may hang.
        let served = self.readers.iter().map(|reader| reader.served).filter(|&seq| seq >= earliest);
        served.min().is_none_or(|least| log.earliest_after(messages, bytes).seq() <= least)
    }

    /// Whether a publisher may append. A publisher in the line may if it is the first and there is
    /// room for its message, or if it has waited for the longest time. A new publisher may if there
    /// is room for the whole line and for its own message. Otherwise the publisher is in the line
    /// afterwards.
    pub(crate) fn admit<T>(
        &mut self,
        log: &Log<T>,
        place: &mut Option<PlaceInLine>,
        (messages, size): (usize, usize),
        now_ms: u64,
        waker: &Waker,
    ) -> bool {
        let first = self.line.first_key_value().map(|(&first, _)| first);
        let may = match *place {
            None => self.has_for(log, self.line_messages + messages, self.line_bytes.saturating_add(size)),
            place => place == first && self.has_for(log, messages, size),
        };
        if may {
            return true;
        }
        let place = *place.get_or_insert_with(|| {
            self.next.0 += 1;
            self.next
        });
        let waiting = self.line.entry(place).or_insert_with(|| {
            self.line_messages += messages;
            self.line_bytes += size;
            Waiting { messages, size, since_ms: now_ms, waker: None }
        });
        if waiting.is_late(now_ms) {
            return true;
        }
        match &mut waiting.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        false
    }

    /// Removes a publisher from the line.
    pub(crate) fn leave_line(&mut self, place: PlaceInLine) {
        if let Some(waiting) = self.line.remove(&place) {
            self.line_messages -= waiting.messages;
            self.line_bytes -= waiting.size;
        }
    }

    /// Returns the waker of the first in line, if there is room for it now or it has waited for too
    /// long.
    pub(crate) fn next<T>(&mut self, log: &Log<T>, now_ms: u64) -> Option<Waker> {
        let first = self.line.first_key_value()?.1;
        let has_room = self.has_for(log, first.messages, first.size);
        let mut first = self.line.first_entry()?;
        let first = first.get_mut();
        if has_room || first.is_late(now_ms) { first.waker.take() } else { None }
    }

    /// Returns the wakers of all in the line: there is nothing to wait for any more.
    pub(crate) fn wake_all(&mut self) -> Vec<Waker> {
        self.line.values_mut().filter_map(|waiting| waiting.waker.take()).collect()
    }
}

impl Waiting {
    fn is_late(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= LONGEST_WAIT_MS
    }
}

/// If the position of a reader is lost or of another log, the reader continues at the earliest
/// message. From then on publishers wait for it. Otherwise a reader that lost messages in a flood
/// would lose all later ones too.
fn served_seq<T>(log: &Log<T>, served: Cursor) -> u64 {
    let earliest = log.earliest().seq();
    if log.has(served) { served.seq().max(earliest) } else { earliest }
}

#[cfg(test)]
mod tests {
    use tidewire_channel::{Epoch, Retention};

    use super::*;

    const EPOCH: Epoch = Epoch::new(1);

    fn at(seq: u64) -> Cursor {
        Cursor::new(EPOCH, seq)
    }

    /// A full log of two messages. Worker 0 has served none of them.
    fn full() -> (Log<()>, Room) {
        let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_messages(2));
        let mut room = Room::default();
        room.read_by(&log, 0, at(0), None);
        for _ in 0..2 {
            assert!(room.has(&log, 1));
            log.append(0, 1, ()).unwrap();
        }
        assert!(!room.has(&log, 1));
        (log, room)
    }

    /// A publisher that tries to append, for the first time or again.
    fn comes(room: &mut Room, log: &Log<()>, place: &mut Option<PlaceInLine>, now_ms: u64) -> bool {
        room.admit(log, place, (1, 1), now_ms, Waker::noop())
    }

    #[test]
    fn the_slowest_worker_counts_until_it_leaves() {
        let (mut log, mut room) = full();
        room.served(&log, 0, at(1));
        assert!(room.has(&log, 1));
        room.read_by(&log, 1, at(0), None);
        assert!(!room.has(&log, 1));
        room.served(&log, 2, at(0));
        assert_eq!(room.left_by(2), None);
        room.served(&log, 1, at(2));
        log.append(0, 1, ()).unwrap();
        assert!(!room.has(&log, 1));
        assert_eq!(room.left_by(0), None);
        assert!(room.has(&log, 1));
        assert_eq!(room.left_by(1), None);
        assert!(room.is_unused());
    }

    #[test]
    fn a_long_message_needs_the_room_of_all_that_it_evicts() {
        let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_bytes(100));
        let mut room = Room::default();
        for _ in 0..4 {
            log.append(0, 25, ()).unwrap();
        }
        room.read_by(&log, 0, at(2), None);
        assert!(room.has(&log, 50) && !room.has(&log, 51) && !room.has(&log, 1_000));
        room.served(&log, 0, at(4));
        assert!(room.has(&log, 1_000), "the newest message is kept whatever its size");
    }

    #[test]
    fn a_reader_that_has_lost_messages_is_not_waited_for() {
        let (mut log, mut room) = full();
        log.append(0, 1, ()).unwrap();
        assert!(room.has(&log, 1));
        // The position is of another log, so the reader begins at the earliest message.
        room.read_by(&log, 0, Cursor::new(Epoch::new(2), 9), None);
        assert!(!room.has(&log, 1));
    }

    #[test]
    fn a_reader_that_reports_again_after_a_loss_is_waited_for() {
        let (mut log, mut room) = full();
        log.append(0, 1, ()).unwrap();
        assert!(room.has(&log, 1), "worker 0 may hang");
        room.read_by(&log, 0, at(0), None);
        assert!(!room.has(&log, 1), "worker 0 is to read the kept messages");
        room.served(&log, 0, at(2));
        assert!(room.has(&log, 1));
    }

    #[test]
    fn a_new_publisher_leaves_room_for_the_line() {
        let (mut log, mut room) = full();
        let mut place = None;
        assert!(!comes(&mut room, &log, &mut place, 0));
        room.served(&log, 0, at(2));
        assert!(comes(&mut room, &log, &mut None, 0), "there is room for two messages");
        log.append(0, 1, ()).unwrap();
        let mut last = None;
        assert!(!comes(&mut room, &log, &mut last, 0) && last.is_some());
        assert!(comes(&mut room, &log, &mut place, 0));
        room.leave_line(place.unwrap());
        room.leave_line(last.unwrap());
        assert_eq!(room.line_bytes, 0);
    }

    #[test]
    fn publishers_go_in_the_order_in_which_they_came() {
        let (mut log, mut room) = full();
        let mut places = [None; 3];
        assert!(places.iter_mut().all(|place| !comes(&mut room, &log, place, 0)));
        assert!(room.next(&log, 0).is_none(), "there is no room yet");
        room.served(&log, 0, at(2));
        assert!(!comes(&mut room, &log, &mut places[1], 0), "another is the first");
        let mut last = None;
        assert!(!comes(&mut room, &log, &mut last, 0), "a new publisher is the last");
        room.leave_line(last.unwrap());
        assert!(room.next(&log, 0).is_some());
        assert!(room.next(&log, 0).is_none(), "the first in line is woken once");
        for mut place in places {
            room.served(&log, 0, log.head());
            assert!(comes(&mut room, &log, &mut place, 0));
            log.append(0, 1, ()).unwrap();
            room.leave_line(place.unwrap());
            assert_eq!(room.next(&log, 0).is_some(), place != places[2], "the next one is woken");
        }
    }

    #[test]
    fn leaving_the_line_lets_the_next_publisher_go() {
        let (log, mut room) = full();
        let mut places = [None; 2];
        assert!(places.iter_mut().all(|place| !comes(&mut room, &log, place, 0)));
        room.served(&log, 0, at(2));
        room.leave_line(places[0].unwrap());
        assert!(room.next(&log, 0).is_some());
        assert!(comes(&mut room, &log, &mut places[1], 0));
    }

    #[test]
    fn nobody_waits_longer_than_the_longest_wait() {
        let (log, mut room) = full();
        let mut places = [None; 2];
        assert!(!comes(&mut room, &log, &mut places[0], 100));
        assert!(!comes(&mut room, &log, &mut places[1], 200));
        assert!(room.next(&log, 99 + LONGEST_WAIT_MS).is_none());
        assert!(room.next(&log, 100 + LONGEST_WAIT_MS).is_some());
        assert!(!comes(&mut room, &log, &mut places[0], 99 + LONGEST_WAIT_MS));
        // The first was woken but does not come. It does not delay the others for longer.
        assert!(comes(&mut room, &log, &mut places[1], 200 + LONGEST_WAIT_MS));
    }
}
