//! Frames out of payloads.

use crate::frame::{self, Header, Opcode};
use crate::{EncodeError, Kind, close, mask};
use alloc::vec::Vec;

/// Appends one whole message as a server's unmasked frame.
///
/// It is the same for every client, so a hub encodes a message once and shares the bytes. The
/// caller vouches that the payload of a [`Kind::Text`] is UTF-8; clients close the connection with
/// 1007 if it is not.
///
/// ```
/// use tidewire_ws::{Kind, encode_message};
/// let mut out = Vec::new();
/// encode_message(Kind::Text, b"Hello", &mut out);
/// assert_eq!(out, b"\x81\x05Hello");
/// ```
#[inline]
pub fn encode_message(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    put_frame(kind.opcode(), true, None, payload, out);
}

/// Appends a close frame. `code` and `reason` are checked, `masking_key` is `None` for a server.
///
/// # Errors
/// As [`Connection::send_close`](crate::Connection::send_close).
pub fn encode_close(
    code: Option<u16>,
    reason: &str,
    masking_key: Option<[u8; 4]>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut payload = [0; MAX_CONTROL];
    let payload = match code {
        None if reason.is_empty() => &payload[..0],
        None => return Err(EncodeError::ControlTooLong),
        // RFC 6455 §7.4.1 (1) to (3)
        Some(code) if !close::is_valid(code) => return Err(EncodeError::CloseCode),
        Some(code) => {
            let len = 2 + reason.len();
            let bytes = payload.get_mut(..len).ok_or(EncodeError::ControlTooLong)?;
            bytes[..2].copy_from_slice(&code.to_be_bytes());
            bytes[2..].copy_from_slice(reason.as_bytes());
            &payload[..len]
        }
    };
    put_frame(Opcode::Close, true, masking_key, payload, out);
    Ok(())
}

/// Appends one frame that is not compressed.
#[inline]
pub(crate) fn put_frame(opcode: Opcode, fin: bool, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    put(Header { fin, rsv1: false, opcode, masking_key: key, len: payload.len() as u64 }, payload, out);
}

/// Appends one whole message that is compressed.
#[cfg(feature = "deflate")]
#[inline]
pub(crate) fn put_compressed_frame(opcode: Opcode, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    put(Header { fin: true, rsv1: true, opcode, masking_key: key, len: payload.len() as u64 }, payload, out);
}

/// Appends one frame: header, and the payload, masked where it lands.
#[inline]
fn put(header: Header, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(header.encoded_len() + payload.len());
    let written = header.encode_to(out);
    debug_assert_eq!(written, Ok(()), "callers bound control frames, and no slice is 2^63 bytes long");
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.masking_key {
        mask::apply(key, &mut out[start..]);
    }
}

/// The same as an index.
const MAX_CONTROL: usize = frame::MAX_CONTROL as usize;
