//! A WebSocket over any tokio stream.
//!
//! ```text
//!           poll_next                                             start_send
//! socket ──► the thread's read buffer ──► Connection ──► Message ──► (you) ──► Outbox ──► socket
//!            shared by all, 64 KiB         pong, close ─────────────────────►  one write, when
//!                                                                              nothing is left to decode
//! ```
//! The rest of a large binary message is read straight into the memory of that message, and a large
//! message is written from its own memory.
//!
//! # Flushing, and batching
//!
//! [`send`](WebSocket::send), [`flush`](WebSocket::flush) and the `Sink`'s `poll_flush` write: when
//! they return, the stream has taken every byte.
//!
//! [`queue`](WebSocket::queue) only adds a message to a queue. The following `send` or `flush`
//! writes the queue. [`next`](WebSocket::next) also writes it, before it waits for a message. A
//! queue of 64 KiB is written at once. So a loop that queues an answer to each message needs one
//! write for each read, instead of one for each message:
//!
//! ```
//! # use tokio::io::{AsyncRead, AsyncWrite};
//! # use tidewire_ws::{Server, tokio::{Error, WebSocket}};
//! async fn echo<IO: AsyncRead + AsyncWrite + Unpin>(
//!     mut socket: WebSocket<IO, Server>,
//! ) -> Result<(), Error> {
//!     while let Some(message) = socket.next().await {
//!         let message = message?;
//!         if message.is_data() {
//!             socket.queue(message).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//! If the loop also waits for a timer, a database or another socket, call `flush` first.
//!
//! # Several tasks
//!
//! [`split`](WebSocket::split) gives a [`Reader`] and a [`Writer`]. The writer can be cloned, and
//! all its methods take `&self`. Its documentation says what a cancelled call has queued.
//! [`reserve`](Writer::reserve) and [`try_reserve`](Writer::try_reserve) give a [`Permit`], which
//! sends one message without an await.
//!
//! # Long messages
//!
//! [`in_pieces`](WebSocket::in_pieces) and [`next_piece`](WebSocket::next_piece) receive a message
//! of any length in little memory. [`send_piece`](WebSocket::send_piece) sends one, and after a
//! split [`Writer::message`] does.
//!
//! # Deadlines
//!
//! The adapter has no clock, so it sets no deadline: a peer may take any time over one message. Set
//! your own. `tokio::time::timeout` around [`WebSocket::next`] limits the silence between two
//! messages. For a message that has begun, look at [`WebSocket::connection`] once a second: it says
//! whether a message is unfinished, how many of its bytes have arrived, and whether it waits for
//! the peer's close. Give up a peer that is slower than you allow.

mod payload;
mod permit;
mod piece;
mod read;
mod split;
mod waiting;
mod wakers;
mod websocket;
mod write;

pub use crate::socket::{Error, Parts};
pub use permit::Permit;
pub use piece::Piece;
pub use split::{MessageWriter, Reader, ReuniteError, Writer};
pub use websocket::{WebSocket, WhenFull};
