//! The payload of a large binary message is read straight into the message, without a buffer
//! between.

use crate::{Connection, Message, Role};
use alloc::vec::Vec;
use bytes::BufMut as _;
use bytes::buf::Limit;

/// Returns free memory after the bytes of a large binary message, for the rest of the current
/// frame. Not for text, which must be checked before it becomes a `String`.
pub(crate) fn payload_room<R: Role>(connection: &mut Connection<R>) -> Option<Limit<&mut Vec<u8>>> {
    let due = connection.frames.payload_due().filter(|_| !connection.state.drops_input())?;
    let due = usize::try_from(due).unwrap_or(usize::MAX);
    let message = connection.message.binary_mut().filter(|_| due >= WORTH_A_READ)?;
    if message.len() == message.capacity() {
        // The memory grows with the bytes that have arrived, not with the declared length. It
        // never exceeds the declared length.
        message.reserve_exact(due.min(message.len().saturating_add(AHEAD)));
    }
    let spare = message.spare_capacity_mut().len();
    Some(message.limit(due.min(spare)))
}

/// Accepts the last `n` bytes of the message, which were read into the memory of [`payload_room`].
pub(crate) fn took_payload<R: Role>(connection: &mut Connection<R>, n: usize) -> Option<Message> {
    let message = connection.message.binary_mut()?;
    let start = message.len().checked_sub(n)?;
    let last = connection.frames.take_payload(&mut message[start..]);
    (last && connection.message.fin).then(|| connection.message.take())
}

/// Below this length, one more read costs as much as a copy.
const WORTH_A_READ: usize = 16 * 1024;
/// How many bytes may be reserved above twice the bytes that have arrived.
const AHEAD: usize = 64 * 1024;
