use crate::frame::MAX_CONTROL;

/// The payload of a ping. The connection holds it behind a pointer, since most connections owe no
/// pong.
#[derive(Debug)]
pub(crate) struct PongPayload {
    len: u8,
    bytes: [u8; MAX_CONTROL],
}

impl PongPayload {
    pub(crate) const EMPTY: Self = Self { len: 0, bytes: [0; MAX_CONTROL] };

    pub(crate) fn set(&mut self, payload: &[u8]) {
        // The decoder refuses a longer control frame.
        self.len = u8::try_from(payload.len()).unwrap_or_default();
        self.bytes[..payload.len()].copy_from_slice(payload);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
