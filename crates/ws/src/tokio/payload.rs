//! A large payload read to its place, without a buffer between.

use crate::{Connection, Message, Role};
use alloc::vec::Vec;
use bytes::BufMut as _;
use bytes::buf::Limit;

impl<R: Role> Connection<R> {
    /// Room behind a large binary message that gathers, for more of the present frame: what is read
    /// to there is not copied. Tell of it with [`took_payload`](Self::took_payload). A text is
    /// checked before it becomes one, and goes the other way.
    pub(super) fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let due = self.frames.payload_due().filter(|_| !self.state.drops_input())?;
        let due = usize::try_from(due).unwrap_or(usize::MAX);
        let message = self.message.binary_mut().filter(|_| due >= WORTH_A_READ)?;
        if message.len() == message.capacity() {
            // By what has come, never by what was declared; and nothing beyond that, so that the
            // last step ends at the end.
            message.reserve_exact(due.min(message.len() + AHEAD));
        }
        let spare = message.capacity() - message.len();
        Some(message.limit(due.min(spare)))
    }

    /// Takes the last `n` bytes of the message, which were read to its [room](Self::payload_room).
    pub(super) fn took_payload(&mut self, n: usize) -> Option<Message> {
        let message = self.message.binary_mut()?;
        let start = message.len() - n;
        let last = self.frames.take_payload(&mut message[start..]);
        (last && self.message.fin).then(|| self.message.take())
    }
}

/// Below this a read more costs as much as a copy.
const WORTH_A_READ: usize = 16 * 1024;
/// What may be reserved above twice the bytes that have come.
const AHEAD: usize = 64 * 1024;
