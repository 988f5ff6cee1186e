//! The subscribers of one worker. They are rows of a table, not tasks.
//!
//! ```text
//!   Hub inbox ── "channel has news" ──► on_news, run: read the log once, encode once, write the same bytes to each live member
//!   reactor ──── "socket 7 is ready" ─► on_ready: finish a partial write;  read: what the client sent
//!   clock ────── tick, deadlines ─────► on_time: heartbeats, polls whose time is over, readers that are stuck
//! ```
//!
//! Each of the three has a turn of 2 ms. Work that is left is done in the next turn. In between,
//! all other connections of the worker run.
//!
//! A subscriber is *live* when it has everything that its group has. Then it keeps no bytes to send
//! and no position of its own. When the socket accepts only a part of a write, the subscriber is
//! *behind*: it keeps the rest of that one slice and a position, and reads the log at its own pace.
//! When it has caught up, it is live again. No subscriber has a queue. `state.rs` draws the states
//! of a row.
//!
//! | file | contains |
//! |---|---|
//! | `table.rs` | the events from outside, and what is reported to the owner of the table |
//! | `sockets.rs` | the WebSockets, for the code that handles their commands |
//! | `due.rs`, `tick.rs` | timed work: polls, heartbeats, time-outs |
//! | `delivery.rs` | all parts of the table, and how a row moves through its states |
//! | `advance.rs` | how a batch reaches the members of a group |
//! | `todo.rs`, `turn.rs` | the work list, and the time limit of a turn (with a diagram) |
//! | `state.rs` | the states of a row (with a diagram) |
//! | `rows.rs`, `row.rs` | connections, by number |
//! | `groups.rs`, `group.rs`, `live.rs` | groups of subscribers that get the same bytes |
//! | `audience.rs`, `watches.rs` | which groups read which channels, and the registrations there |
//! | `deadlines.rs`, `clock.rs` | times |
//! | `holds.rs` | the connections that publishers wait for, and until when |
//! | `slow_readers.rs` | drops readers that hold too many bytes |
//! | `websocket.rs` | the protocol state of a WebSocket |
//! | `incoming.rs`, `stalled.rs` | what WebSocket clients send, and what of it waits for room |
//! | `subscription.rs` | how a request hands its connection over to the table |
//!
//! The table does not know HTTP requests. When a connection sends a new request after its poll was
//! answered, or a WebSocket sends messages, the table reports that to its owner ([`Report`]). The
//! owner says how to continue.

mod advance;
#[cfg(test)]
mod advance_tests;
mod audience;
mod clock;
mod deadlines;
mod delivery;
mod due;
mod group;
mod groups;
mod holds;
mod ids;
mod incoming;
mod live;
mod row;
mod rows;
mod slow_readers;
mod sockets;
mod stalled;
mod state;
mod subscription;
#[allow(clippy::module_inception, reason = "it is the table itself")]
mod table;
mod tick;
mod todo;
mod turn;
mod watches;
mod websocket;

pub(crate) use clock::TICK;
pub(crate) use ids::RowId;
pub(crate) use incoming::{Incoming, Waiting};
pub use subscription::Ticket;
pub(crate) use subscription::{HeldPoll, OpenStream, Subscription};
pub(crate) use table::{Next, Report, Table};
pub(crate) use websocket::WebSocket;
