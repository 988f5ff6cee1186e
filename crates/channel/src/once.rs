//! What makes a repeated append harmless: an idempotency key, or a producer with sequence numbers.

use crate::keys::Fingerprint;

/// How [`Channel::append_batch`](crate::Channel::append_batch) recognises an append that was sent
/// before. It belongs to the whole batch: one key, or one sequence number.
///
/// ```
/// use tidewire_channel::{Appended, Channel, Epoch, Limits, Once, ProducerSeq, Retention};
///
/// let mut channel: Channel<&str, ()> = Channel::new(Epoch::new(7), Retention::DEFAULT, Limits::DEFAULT);
/// let first = Once::Producer(ProducerSeq { id: b"gauge", epoch: 0, seq: 0 });
/// let (appended, _) = channel.append_batch(0, [(4, "high"), (3, "low")], true, first)?;
/// // The answer is lost, so the producer sends the same again.
/// let (again, _) = channel.append_batch(0, [(4, "high"), (3, "low")], true, first)?;
/// assert_eq!(again, Appended::Duplicate(appended.cursor()));
/// assert_eq!((channel.log().len(), channel.log().is_closed()), (2, true));
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once<'a> {
    /// Not at all: each append is new.
    No,
    /// By an idempotency key. It is remembered for a time, and bound to its messages.
    Key {
        /// The key, as its publisher sent it.
        text: &'a [u8],
        /// Identifies the messages, and whether the log is closed after them.
        fingerprint: Fingerprint,
    },
    /// By a producer and its sequence number.
    Producer(ProducerSeq<'a>),
}

/// The place of an append in the sequence of its producer: a program that writes a channel, and
/// numbers its appends 0, 1, 2, …
///
/// A program that takes the place of another one raises the epoch and begins with number 0. From
/// then on the other one is refused, should it still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSeq<'a> {
    /// Which producer.
    pub id: &'a [u8],
    /// Which run of it.
    pub epoch: u64,
    /// The number of this append in its epoch, from 0 on.
    pub seq: u64,
}
