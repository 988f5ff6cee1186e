//! Encodes frames.

use crate::frame::{Header, MAX_CONTROL, Opcode};
use crate::{EncodeError, EncodeErrorKind, Kind, close, mask};
use alloc::vec::Vec;

/// Appends one whole message as a server's unmasked frame.
///
/// The bytes are the same for every client, so a server can encode a message once and share them.
/// The caller guarantees that the payload of a [`Kind::Text`] is UTF-8. Otherwise clients close the
/// connection with 1007.
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

/// Appends a close frame as a server sends it, unmasked. [`Connection::send_close`] is for an open
/// connection; this function is for bytes that many connections share.
///
/// # Errors
/// [`EncodeErrorKind::CloseCode`] for a code outside of [`close::is_valid`],
/// [`EncodeErrorKind::ControlTooLong`] for a reason over 123 bytes,
/// [`EncodeErrorKind::ReasonWithoutCode`].
///
/// ```
/// let mut out = Vec::new();
/// tidewire_ws::encode_close(Some(1000), "bye", &mut out)?;
/// assert_eq!(out, b"\x88\x05\x03\xe8bye");
/// # Ok::<(), tidewire_ws::EncodeError>(())
/// ```
///
/// [`Connection::send_close`]: crate::Connection#method.send_close
pub fn encode_close(code: Option<u16>, reason: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    put_close(code, reason, None, out)
}

/// Appends a close frame of either role, with its code and reason checked.
pub(crate) fn put_close(
    code: Option<u16>,
    reason: &str,
    key: Option<[u8; 4]>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut payload = [0; MAX_CONTROL];
    let payload = match code {
        None if reason.is_empty() => &payload[..0],
        None => return Err(EncodeErrorKind::ReasonWithoutCode.into()),
        // RFC 6455 §7.4.1 (1) to (3)
        Some(code) if !close::is_valid(code) => return Err(EncodeErrorKind::CloseCode.into()),
        Some(code) => {
            let len = reason.len().saturating_add(2);
            let too_long = EncodeError::new(EncodeErrorKind::ControlTooLong, MAX_CONTROL - 2);
            let bytes = payload.get_mut(..len).ok_or(too_long)?;
            bytes[..2].copy_from_slice(&code.to_be_bytes());
            bytes[2..].copy_from_slice(reason.as_bytes());
            &payload[..len]
        }
    };
    put_frame(Opcode::Close, true, key, payload, out);
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

/// Appends one frame: the header and the payload, which is masked in `out`.
#[inline]
fn put(header: Header, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len().saturating_add(header.encoded_len()));
    let written = header.encode_to(out);
    debug_assert_eq!(written, Ok(()), "callers bound control frames, and no slice is 2^63 bytes long");
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.masking_key {
        mask::apply(key, &mut out[start..]);
    }
}
