//! The JSON that a page and its wire exchange, in text messages.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tidewire_explain::Note;

/// A message of the page.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum PageMessage {
    /// Permits one read of at most `max` bytes.
    Read {
        #[serde(deserialize_with = "whole_number")]
        max: usize,
    },
    /// Ends the connection with a reset.
    Cut,
}

/// A message of the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum WireMessage<'a> {
    /// The connection is open.
    Open { address: SocketAddr, comet: bool, retain_messages: usize },
    /// The notes on bytes that the page sent.
    Up { notes: &'a [Note] },
    /// The bytes of one read, and the notes on them. Offsets count from the first byte of the
    /// connection in that direction.
    Down { data_b64: &'a str, notes: &'a [Note] },
    /// The connection has ended.
    End { why: EndReason },
}

/// Why the connection ended.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EndReason {
    /// The server closed it normally.
    Closed,
    /// It failed or was reset.
    Reset,
    /// The page cut it.
    Cut,
}

/// Reads a whole number of any size. JavaScript has only floating-point numbers and writes large
/// ones as `1e+21`.
fn whole_number<'de, D: Deserializer<'de>>(number: D) -> Result<usize, D::Error> {
    let number = f64::deserialize(number)?;
    if number < 0.0 || number.fract() != 0.0 {
        return Err(D::Error::custom("not a whole number"));
    }
    // The conversion turns a number that is too large into the largest one.
    Ok(number as usize)
}
