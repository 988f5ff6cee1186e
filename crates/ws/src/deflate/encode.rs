//! Compressed messages that many connections share.

use super::compress::compress_alone;
use super::negotiate::{Config, is_long_enough};
use crate::{Kind, encode};
use alloc::vec::Vec;

/// Appends one whole message as a server's frame. Compresses it if it is long enough (see
/// [`Config::threshold`]) and becomes shorter. Returns whether it is compressed.
///
/// The compression uses the full window and no context. So a hub encodes a message once and shares
/// the bytes among all connections whose parameters [allow it](super::Params::takes_shared). As
/// with [`encode_message`](crate::encode_message), the caller guarantees that the payload of a
/// [`Kind::Text`] is UTF-8.
///
/// ```
/// use tidewire_ws::{Kind, deflate};
/// let mut out = Vec::new();
/// assert!(deflate::encode_message(Kind::Text, &[b'a'; 1000], &deflate::Config::DEFAULT, &mut out));
/// assert_eq!(out[0], 0xc1, "FIN, RSV1, text");
/// assert!(out.len() < 100);
/// ```
pub fn encode_message(kind: Kind, payload: &[u8], config: &Config, out: &mut Vec<u8>) -> bool {
    let compressed = is_long_enough(payload.len(), config.threshold)
        && put_compressed_message(kind, payload, config.level, out);
    if !compressed {
        encode::encode_message(kind, payload, out);
    }
    compressed
}

/// Appends a compressed frame that fits every connection with the full window. Returns false, and
/// appends nothing, if compression does not make the payload shorter.
pub(crate) fn put_compressed_message(kind: Kind, payload: &[u8], level: u8, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    compress_alone(level, payload, |compressed| {
        encode::put_compressed_frame(kind.opcode(), None, compressed, out);
    });
    out.len() > before
}
