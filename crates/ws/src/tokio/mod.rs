//! A WebSocket over any tokio stream.
//!
//! ```text
//!           poll_next                                             start_send
//! socket ──► the thread's read buffer ──► Connection ──► Message ──► (you) ──► Outbox ──► socket
//!            shared by all, 64 KiB         pong, close ─────────────────────►  one write, when
//!                                                                              nothing is left to decode
//! ```
//! A large binary message is read to its place, once its head and what came with it went that way,
//! and written from there.
//!
//! # Batching
//!
//! What one read leads to leaves in one write: while a whole message that has arrived waits to be
//! taken, `flush` (and so `send`) leaves the bytes in the queue; they leave when `next` has nothing
//! more to hand out. A loop that answers each message, written the simplest way, so needs one write
//! per read, which is six to nine times less work under pipelining. A handler that is slow is not
//! made slower: a millisecond after the read, flushing means writing.
//! [`WebSocket::without_batching`] turns it off.
//!
//! The clock is asked with the first flush after a read. A later one passes it over if `next`
//! handed out a message since the flush before, but never more than three do so in a row. So while
//! one message is handled, the second flush and all that follow go by the clock; and with slow
//! messages between, what waits leaves with the fourth flush behind its own at the latest, or when
//! nothing is left to be taken.
//!
//! # Deadlines
//!
//! There is no clock in here, and so no deadline: a peer may take any time over one message. Set a
//! bound of your own. `tokio::time::timeout` around [`WebSocket::next`] bounds the silence between
//! two messages. For a message that has begun, [`WebSocket::connection`] says whether one is
//! unfinished and how much of it has come. Check it once a second, and give up a peer that is
//! slower than you allow. It also says whether a close is awaited.

mod error;
mod keys;
mod payload;
mod read;
mod wakers;
mod websocket;
mod write;

pub use error::Error;
pub use websocket::{WebSocket, WhenFull};
