//! What a peer may cost.

/// Bounds for what a decoder holds of one event. Each is checked on every byte, so it does not matter how the input is cut.
///
/// Comments and fields with unknown names are skipped as they come and may have any length: nothing of them is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of data in one event, the line feeds that join its lines included. Default 2 MiB: a message of 1 MiB in
    /// base64 and a JSON object around it.
    pub max_data: usize,
    /// Bytes of one `event` or `id` field. Default 4 KiB: the cursors of 64 channels in one id take 2,239, and a client has to send the id
    /// back in a header field, of which few servers take more than 8 KiB.
    pub max_name: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self { max_data: 2 << 20, max_name: 4 << 10 };

    /// The same with another bound of data.
    #[must_use]
    pub const fn with_max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// The same with another bound of `event` and `id`.
    #[must_use]
    pub const fn with_max_name(mut self, bytes: usize) -> Self {
        self.max_name = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_the_same() {
        let Limits { max_data, max_name } = Limits::DEFAULT;
        tidewire_testkit::limits::check(
            "tidewire-sse",
            &[("max_data", max_data as u64), ("max_name", max_name as u64)],
        );
    }
}
