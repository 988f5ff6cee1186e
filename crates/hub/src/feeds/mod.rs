//! The feeds: one file for each technique, all with the same structure. A feed defines how messages
//! look on the wire. It knows nothing of sockets, logs or positions. A feed writes units; [`Wire`]
//! wraps a unit in a chunk if the transfer coding is chunked. `feed.rs` has what the feeds of
//! streams share, and `format.rs` chooses a feed.
//!
//! A test writes the heartbeat and the end of each feed, and compares the bytes with this table.
//! The last columns say what the feed writes when one of its channels has ended, what its last
//! bytes are when all have ended, and what they are when a channel was deleted.
//!
//! | `feed=` | in | start | message | gap, reset | heartbeat | the server stops | a channel has ended | all have ended | deleted |
//! |---|---|---|---|---|---|---|---|---|---|
//! | `poll` | `poll.rs` | – | a JSON array | 410 | – | an empty answer | – | `"closed":true` | 404 |
//! | `longpoll` | `longpoll.rs` | – | a JSON array | 410 | – | an empty answer | – | `"closed":true` | 404 |
//! | `jsonp` | `jsonp.rs` | – | one call with a poll's answer | in the answer | – | an empty answer | – | `"closed":true` | in the answer |
//! | `raw` | `raw.rs` | – | the payload | a cut | – | a cut | – | the end of the body | a cut |
//! | `sse` | `sse.rs: Sse` | `retry:` and `id:` | `id: event: data:` | `event: gap` | `:\n\n` | `retry: 7\n\n` | `event: end` | nothing more | `event: deleted` |
//! | `sse` with `objects=1` | `sse.rs: Objects` | a JSON object | a JSON object | a JSON object | `data:\n\n` | `retry: 7\n\n` | a JSON object | nothing more | a JSON object |
//! | `stream` | `json_lines.rs` | a JSON line | a JSON line | a JSON line | `\n` | nothing more | a JSON line | nothing more | a JSON line |
//! | `xhr` | `xhr.rs` | padding, a JSON line | a JSON line | a JSON line | `\n` | nothing more | a JSON line | nothing more | a JSON line |
//! | `multipart` | `multipart.rs: Mixed` | a JSON part | a JSON part | a JSON part | `\r\n\r\n--tidewire\r\n` | `\r\n\r\n--tidewire--\r\n` | a JSON part | `\r\n\r\n--tidewire--\r\n` | a JSON part, and the same |
//! | `replace` | `multipart.rs: Replace` | a delimiter | a part: the payload | a field of the next part | `Tidewire-Beat: 1\r\n` | `\r\n\r\n--tidewire--\r\n` | – | `\r\n\r\n--tidewire--\r\n` | `\r\n\r\n--tidewire--\r\n` |
//! | `iframe` | `iframe.rs` | a page, padding, a call | a script with a call | a call | `\n` | nothing more | a call | nothing more | a call |
//! | WebSocket, bare | `ws.rs: Bare` | – | the payload | close 4410 | ping | close 1012 | – | close 1000 | close 4404 |
//! | WebSocket, `tidewire.v1` | `ws.rs: V1` | a JSON object | a JSON object | a JSON object | ping, `{"type":"heartbeat"}` | close 1012 | a JSON object | close 1000 | a JSON object, close 4404 |

pub(crate) mod boundary;
mod catalogue;
mod feed;
mod format;
pub(crate) mod iframe;
mod json_lines;
pub(crate) mod jsonp;
pub(crate) mod longpoll;
mod multipart;
pub(crate) mod poll;
pub(crate) mod raw;
pub(crate) mod script;
mod sse;
#[cfg(test)]
mod table_tests;
mod wire;
pub(crate) mod ws;
mod xhr;

pub(crate) use catalogue::{Delivery, FeedName};
pub(crate) use feed::{ChannelEnd, Discontinuity, Ending, Envelope, Flow, StreamStart};
pub(crate) use format::{HttpFormat, StreamFormat};
pub(crate) use wire::Wire;
