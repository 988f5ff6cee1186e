//! The feeds: one file for each technique, all with the same structure. A feed defines how messages
//! look on the wire. It knows nothing of sockets, logs or positions. A feed writes units; [`Wire`]
//! wraps a unit in a chunk if the transfer coding is chunked. `feed.rs` has what the feeds of
//! streams share, and `format.rs` chooses a feed.
//!
//! | file | start | message | gap, reset | heartbeat | end |
//! |---|---|---|---|---|---|
//! | `poll.rs`, `longpoll.rs` | – | JSON array | 410 | – | an empty answer |
//! | `sse.rs` | `retry:` and `id:` | `id: event: data:` | `event: gap` | `:` | `retry:` |
//! | `sse.rs` objects | a JSON object | a JSON object | a JSON object | empty data | `retry:` |
//! | `json_lines.rs` | a JSON line | a JSON line | a JSON line | an empty line | end of body |
//! | `xhr.rs` | padding, a JSON line | a JSON line | a JSON line | an empty line | end of body |
//! | `multipart.rs` mixed | a JSON part | a JSON part | a JSON part | an empty part | closing delimiter |
//! | `multipart.rs` replace | a delimiter | a part: the payload | a field of the next part | a field of the next part | closing delimiter |
//! | `iframe.rs` | a page, padding, a call | a script with a call | a call | an empty line | end of page |
//! | `jsonp.rs` | – | one call with a poll's answer | in the answer | – | an empty answer |
//! | `raw.rs` | – | the payload | a cut | – | a cut |
//! | `ws.rs` bare | – | the payload | close 4410 | ping | close 1012 |
//! | `ws.rs` tidewire.v1 | a JSON object | a JSON object | a JSON object | ping | close 1012 |

pub(crate) mod boundary;
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
mod wire;
pub(crate) mod ws;
mod xhr;

pub(crate) use feed::{Discontinuity, Envelope, Flow, StreamStart};
pub(crate) use format::{HttpFormat, StreamFormat};
pub(crate) use wire::Wire;
