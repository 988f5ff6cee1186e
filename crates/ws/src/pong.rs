use crate::frame;

/// A ping's payload. Behind a pointer, since most connections owe no pong.
#[derive(Debug)]
pub(crate) struct PongPayload {
    len: u8,
    bytes: [u8; frame::MAX_CONTROL as usize],
}

impl PongPayload {
    pub(crate) const EMPTY: Self = Self { len: 0, bytes: [0; frame::MAX_CONTROL as usize] };

    pub(crate) fn set(&mut self, payload: &[u8]) {
        // The decoder lets no control frame through that is longer.
        self.len = payload.len() as u8;
        self.bytes[..payload.len()].copy_from_slice(payload);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
