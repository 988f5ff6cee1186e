//! HTTP streaming: newline-delimited JSON, one object per line. An empty line is a heartbeat.

use super::decoder::ItemDecoder;
use crate::item::Item;
use crate::{Error, object};

/// The media type of the answer.
pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";

/// The body of the feed.
pub(crate) struct Lines {
    /// The first part of a line that is not complete.
    partial: Vec<u8>,
    max: usize,
}

impl Lines {
    pub(crate) const fn new(max: usize) -> Self {
        Self { partial: Vec::new(), max }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.partial.len() + bytes.len() > self.max {
            return Err(Error::TooLarge { limit: self.max });
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

impl ItemDecoder for Lines {
    fn decode(&mut self, mut bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Error> {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.append(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.partial);
            if !line.trim_ascii().is_empty() {
                items.extend(object::parse(&line)?);
            }
        }
        self.append(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::decoder::tests::at_every_cut;
    use crate::item::tests::texts;

    #[test]
    fn the_lines_of_the_server_are_decoded_at_every_cut() {
        let wire = "{\"type\":\"hello\",\"cursor\":\"e-4\"}\n\n\
            {\"type\":\"message\",\"cursor\":\"e-5\",\"time\":7,\"event\":\"tide\",\
            \"data\":\"high\\nlow\"}\n\r\n{\"type\":\"news\"}\n\
            {\"type\":\"reset\",\"reason\":\"unknown-epoch\",\"cursor\":\"f-0\"}\n{\"type\"";
        let items = at_every_cut(wire.as_bytes(), || Lines::new(1000));
        assert_eq!(texts(&items), ["hello e-4", "e-5 tide \"high\\nlow\"", "reset unknown-epoch f-0"]);
    }

    #[test]
    fn a_line_over_the_limit_is_refused_whole_and_in_pieces() {
        let refused = |pieces: &[&[u8]]| {
            let mut lines = Lines::new(5);
            pieces.iter().try_for_each(|piece| lines.decode(piece, &mut Vec::new())).unwrap_err()
        };
        assert!(matches!(refused(&[b"123456"]), Error::TooLarge { limit: 5 }));
        assert!(matches!(refused(&[b"123", b"456\n"]), Error::TooLarge { limit: 5 }));
        assert!(matches!(refused(&[b"12", b"34\n"]), Error::Protocol(_)), "not an object, but not too long");
    }
}
