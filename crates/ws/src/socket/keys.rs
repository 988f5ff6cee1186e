//! Masking keys (RFC 6455 §5.3 (2), RFC 6455 §10.3 (1)): a new one for each frame, which nobody can
//! guess from earlier ones.

use std::io;

/// Random bytes of the operating system, read 256 at a time.
#[derive(Debug)]
pub(crate) struct MaskingKeys {
    bytes: [u8; 256],
    used: usize,
}

impl Default for MaskingKeys {
    fn default() -> Self {
        Self { bytes: [0; 256], used: 256 }
    }
}

impl MaskingKeys {
    pub(crate) fn next(&mut self) -> io::Result<[u8; 4]> {
        if self.used == self.bytes.len() {
            getrandom::fill(&mut self.bytes)?;
            self.used = 0;
        }
        let mut key = [0; 4];
        let bytes = &mut self.bytes[self.used..][..key.len()];
        key.copy_from_slice(bytes);
        // A used key is on the wire. Do not keep it in memory.
        bytes.fill(0);
        self.used = self.used.saturating_add(key.len());
        Ok(key)
    }
}
