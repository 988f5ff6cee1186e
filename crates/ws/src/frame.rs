//! One frame's header (RFC 6455 §5.2).
//!
//! ```text
//!      7   6    5    4   3 2 1 0    7    6 … 0
//!    ┌─────┬────┬────┬────┬────────┬──────┬───────────┬───────────────────┬─────────────┐
//!    │ FIN │RSV1│RSV2│RSV3│ opcode │ MASK │ length    │ 16 or 64 bits of  │ masking key │  payload …
//!    │     │    │    │    │        │      │ 0–125     │ length, if it     │ if MASK     │
//!    │     │    │    │    │        │      │ 126, 127  │ says 126 or 127   │             │
//!    └─────┴────┴────┴────┴────────┴──────┴───────────┴───────────────────┴─────────────┘
//!      byte 0                       byte 1              0, 2 or 8 bytes     0 or 4 bytes
//! ```

use crate::{EncodeError, EncodeErrorKind, Error, ErrorKind};
use alloc::vec::Vec;

/// The six opcodes of RFC 6455 §5.2. Their values are the bits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message that a text or binary frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The last frame in its direction.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// The answer to a ping, or a heartbeat in one direction.
    Pong = 0xa,
}

impl Opcode {
    /// Returns the opcode of these four bits, or `None` for a reserved one.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is close, ping or pong. A control frame has at most 125 bytes, is never
    /// fragmented, and may be sent between the fragments of a message.
    #[inline]
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame's header.
///
/// ```
/// use tidewire_ws::frame::{Header, Opcode};
/// // The masked "Hello" of RFC 6455 §5.7.
/// let wire = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (header, n) = Header::parse(&wire).unwrap().unwrap();
/// assert_eq!((header.opcode, header.len, header.masking_key, n), (Opcode::Text, 5, Some([0x37, 0xfa, 0x21, 0x3d]), 6));
/// // One byte less is not an error: it is not enough yet.
/// assert_eq!(Header::parse(&wire[..5]), Ok(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// RSV1: the message is compressed, on its first frame under permessage-deflate (RFC 7692 §6).
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key of the payload. Frames of a client have one, frames of a server have none.
    pub masking_key: Option<[u8; 4]>,
    /// The payload's length in bytes, below 2^63.
    pub len: u64,
}

impl Header {
    /// The longest header: two bytes, eight of length, four of key.
    pub const MAX_LEN: usize = 14;

    /// Decodes a header at the start of `input`. Returns the header and its length, or `None` if it
    /// is incomplete.
    ///
    /// Checks the rules for a single frame: RSV2 and RSV3, the opcode, the shortest form of the
    /// length, the two rules for control frames, and the length of a close.
    /// [`FrameDecoder`](crate::FrameDecoder) checks the masking, RSV1 and the order of frames.
    ///
    /// # Errors
    /// The first byte that is not valid in a header. The offset counts from the start of `input`.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        parse(input, &Rules::NONE)
    }

    /// The length of the header in bytes, without the payload.
    #[inline]
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let without_key: usize = match self.len {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        without_key.saturating_add(if self.masking_key.is_some() { 4 } else { 0 })
    }

    /// Writes the header to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeErrorKind::BufferTooSmall`], [`EncodeErrorKind::TooLong`] for a length of 2^63 or
    /// more, [`EncodeErrorKind::ControlTooLong`] for a control frame over 125 bytes, and
    /// [`EncodeErrorKind::ControlHeader`] for one that a peer refuses.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let (bytes, n) = self.to_bytes()?;
        let out = out.get_mut(..n).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, n))?;
        out.copy_from_slice(&bytes[..n]);
        Ok(n)
    }

    /// Appends the header to `out`.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), without `BufferTooSmall`.
    #[inline]
    pub fn encode_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.masking_key.is_none() && !self.opcode.is_control() {
            // A fast path for the frames that a server sends most.
            if let Ok(len @ ..=125) = u8::try_from(self.len) {
                out.extend_from_slice(&[self.first(), len]);
                return Ok(());
            }
            if let Ok(len) = u16::try_from(self.len) {
                let [a, b] = len.to_be_bytes();
                out.extend_from_slice(&[self.first(), 126, a, b]);
                return Ok(());
            }
        }
        let (bytes, n) = self.to_bytes()?;
        out.extend_from_slice(&bytes[..n]);
        Ok(())
    }

    #[inline]
    const fn first(self) -> u8 {
        self.opcode as u8 | if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 }
    }

    fn to_bytes(self) -> Result<([u8; Self::MAX_LEN], usize), EncodeError> {
        if self.opcode.is_control() {
            if self.len > MAX_CONTROL as u64 {
                return Err(EncodeError::new(EncodeErrorKind::ControlTooLong, MAX_CONTROL));
            }
            let half_a_code = self.opcode == Opcode::Close && self.len == 1;
            if !self.fin || self.rsv1 || half_a_code {
                return Err(EncodeErrorKind::ControlHeader.into());
            }
        }
        if self.len >> 63 != 0 {
            return Err(EncodeErrorKind::TooLong.into());
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[0] = self.first();
        let mut n = 2_usize;
        bytes[1] = if let Ok(len @ ..=125) = u8::try_from(self.len) {
            len
        } else if let Ok(len) = u16::try_from(self.len) {
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            n = 4;
            126
        } else {
            bytes[2..10].copy_from_slice(&self.len.to_be_bytes());
            n = 10;
            127
        };
        if let Some(key) = self.masking_key {
            bytes[1] |= MASK;
            let end = n.saturating_add(key.len());
            bytes[n..end].copy_from_slice(&key);
            n = end;
        }
        Ok((bytes, n))
    }
}

/// The rules for a header that depend on the frames before it and on the connection.
pub(crate) struct Rules {
    /// `Some(true)`: the peer is a client and must mask.
    pub(crate) masked: Option<bool>,
    /// Whether RSV1 has a meaning on the first frame of a message.
    pub(crate) rsv1: bool,
    /// `Some(true)`: a fragmented message is unfinished.
    pub(crate) in_message: Option<bool>,
    /// The longest data frame.
    pub(crate) max_frame: u64,
    /// The number of bytes by which the message may still grow.
    pub(crate) max_rest: u64,
    /// The frame continues a compressed message.
    pub(crate) compressed: bool,
}

impl Rules {
    pub(crate) const NONE: Self = Self {
        masked: None,
        rsv1: true,
        in_message: None,
        compressed: false,
        max_frame: u64::MAX,
        max_rest: u64::MAX,
    };
}

/// Each rule is checked at the byte that breaks it, as soon as this byte has arrived, and never at
/// a later byte. So the result does not depend on how much of the header has arrived.
// Always inlined: `Header::parse` then knows at compile time that no rule applies, and
// `FrameDecoder` keeps its rules in registers.
#[inline(always)]
pub(crate) fn parse(input: &[u8], rules: &Rules) -> Result<Option<(Header, usize)>, Error> {
    let err = |kind, offset| Err(Error::new(kind, offset));
    let Some(&first) = input.first() else { return Ok(None) };
    // RFC 6455 §5.2 (2)
    if first & RSV23 != 0 {
        return err(ErrorKind::ReservedBits, 0);
    }
    // RFC 6455 §5.2 (3)
    let Some(opcode) = Opcode::from_bits(first & 0x0f) else { return err(ErrorKind::ReservedOpcode, 0) };
    let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
    // RFC 7692 §6 (2): RSV1 belongs to the first frame of a message, and never to a control frame.
    if rsv1
        && (!rules.rsv1
            || opcode.is_control()
            || (opcode == Opcode::Continuation && rules.in_message.is_some()))
    {
        return err(ErrorKind::ReservedBits, 0);
    }
    if opcode.is_control() {
        // RFC 6455 §5.5 (2)
        if !fin {
            return err(ErrorKind::ControlFragmented, 0);
        }
    } else {
        // RFC 6455 §5.4 (3)
        match (rules.in_message, opcode) {
            (Some(false), Opcode::Continuation) => return err(ErrorKind::ContinuationWithoutStart, 0),
            (Some(true), Opcode::Text | Opcode::Binary) => return err(ErrorKind::MessageInterrupted, 0),
            _ => {}
        }
    }

    let Some(&second) = input.get(1) else { return Ok(None) };
    let masked = second & MASK != 0;
    // RFC 6455 §5.1 (2), and RFC 6455 §5.1 (4)
    match rules.masked {
        Some(true) if !masked => return err(ErrorKind::Unmasked, 1),
        Some(false) if masked => return err(ErrorKind::Masked, 1),
        _ => {}
    }
    let (len, mut n): (u64, usize) = match second & 0x7f {
        // RFC 6455 §5.5 (1)
        126 | 127 if opcode.is_control() => return err(ErrorKind::ControlTooLong, 1),
        126 => {
            let Some(&[a, b]) = input.get(2..4) else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes([a, b]));
            // RFC 6455 §5.2 (5)
            if len < 126 {
                return err(ErrorKind::LengthNotMinimal, 3);
            }
            (len, 4)
        }
        127 => {
            // RFC 6455 §5.2 (4)
            if input.get(2).is_some_and(|b| b & 0x80 != 0) {
                return err(ErrorKind::LengthTopBit, 2);
            }
            // With six leading zeros the value fits 16 bits, whatever the last two bytes are.
            if input.get(2..8) == Some(&[0; 6]) {
                return err(ErrorKind::LengthNotMinimal, 7);
            }
            let Some(bytes) = input.get(2..10).and_then(|b| b.first_chunk()) else { return Ok(None) };
            (u64::from_be_bytes(*bytes), 10)
        }
        len => (u64::from(len), 2),
    };
    // RFC 6455 §5.5.1 (1)
    if opcode == Opcode::Close && len == 1 {
        return err(ErrorKind::CloseLength, 1);
    }
    if !opcode.is_control() {
        // RFC 6455 §10.4 (1). The limits are for the uncompressed message. Data that does not
        // compress grows by five bytes for each block of 16 KiB.
        let grown = |limit: u64| {
            if rsv1 || rules.compressed {
                limit.saturating_add(limit / 1024).saturating_add(64)
            } else {
                limit
            }
        };
        let last = n.saturating_sub(1) as u64;
        if len > grown(rules.max_frame) {
            return err(ErrorKind::FrameTooLong, last);
        }
        if len > grown(rules.max_rest) {
            return err(ErrorKind::MessageTooLong, last);
        }
    }
    let mut masking_key = None;
    if masked {
        let Some(&key) = input.get(n..).and_then(|b| b.first_chunk::<4>()) else { return Ok(None) };
        masking_key = Some(key);
        n = n.saturating_add(key.len());
    }
    Ok(Some((Header { fin, rsv1, opcode, masking_key, len }, n)))
}

/// RFC 6455 §5.5.
pub(crate) const MAX_CONTROL: usize = 125;
pub(crate) const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV23: u8 = 0x30;
pub(crate) const MASK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_round_trips_in_its_shortest_form() {
        for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, 1 << 32, (1 << 63) - 1] {
            for masking_key in [None, Some([1, 2, 3, 4])] {
                let header = Header { fin: true, rsv1: false, opcode: Opcode::Binary, masking_key, len };
                let mut wire = Vec::new();
                header.encode_to(&mut wire).unwrap();
                assert_eq!(wire.len(), header.encoded_len());
                assert_eq!(Header::parse(&wire), Ok(Some((header, wire.len()))));
                for cut in 0..wire.len() {
                    assert_eq!(Header::parse(&wire[..cut]), Ok(None), "{len} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_encoded_is_accepted() {
        let opcodes = (0..16).filter_map(Opcode::from_bits);
        let flags = [(true, true), (true, false), (false, true), (false, false)];
        for (opcode, (fin, rsv1)) in opcodes.flat_map(|opcode| flags.map(|flags| (opcode, flags))) {
            for len in [0, 1, 2, 125, 126] {
                let header = Header { fin, rsv1, opcode, masking_key: None, len };
                let mut wire = Vec::new();
                let encoded = header.encode_to(&mut wire);
                if encoded.is_ok() {
                    assert_eq!(Header::parse(&wire), Ok(Some((header, wire.len()))));
                    continue;
                }
                assert!(wire.is_empty() && header.encode(&mut [0; 14]) == encoded.map(|()| 0));
                let wire = [header.first(), len as u8, 0, 0];
                assert!(Header::parse(&wire).is_err(), "{header:?} is refused without a reason");
            }
        }
    }

    #[test]
    fn encoding_refuses_what_the_wire_cannot_hold() {
        let refused = |header: Header| header.encode_to(&mut Vec::new()).unwrap_err().kind();
        let header = Header { fin: true, rsv1: false, opcode: Opcode::Ping, masking_key: None, len: 126 };
        assert_eq!(refused(header), EncodeErrorKind::ControlTooLong);
        assert_eq!(refused(Header { fin: false, len: 1, ..header }), EncodeErrorKind::ControlHeader);
        let header = Header { opcode: Opcode::Text, len: 1 << 63, ..header };
        assert_eq!(refused(header), EncodeErrorKind::TooLong);
        let error = Header { len: 0, ..header }.encode(&mut [0; 1]).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (EncodeErrorKind::BufferTooSmall, 2));
    }
}
