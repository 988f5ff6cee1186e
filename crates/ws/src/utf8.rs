//! Checks UTF-8 that arrives in pieces.
//!
//! A piece may end inside a character. The one to three bytes of this character are kept until the
//! rest arrives. So each byte is checked when it arrives, and a text fails at its first invalid
//! byte, not at the end of its frame (RFC 6455 §8.1).

/// The first bytes of a character that is cut between two pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialCharacter {
    bytes: [u8; 3],
    len: u8,
}

impl PartialCharacter {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 3], len: 0 }
    }

    /// Gives all complete characters to `text`, in order. The error is the index in `piece` of the
    /// first byte that is not valid UTF-8.
    pub(crate) fn push(&mut self, mut piece: &[u8], mut text: impl FnMut(&str)) -> Result<(), usize> {
        let mut done = 0;
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            let mut bytes = [0; 4];
            let held = usize::from(self.len);
            bytes[..held].copy_from_slice(&self.bytes[..held]);
            bytes[held] = byte;
            match core::str::from_utf8(&bytes[..=held]) {
                Ok(character) => {
                    text(character);
                    self.len = 0;
                }
                // The character is valid so far, and still incomplete. A fourth byte either
                // completes it or is invalid.
                Err(e) if e.error_len().is_none() => {
                    self.bytes[held] = byte;
                    self.len = self.len.saturating_add(1);
                }
                Err(_) => return Err(done),
            }
            piece = rest;
            done = done.saturating_add(1);
        }
        match core::str::from_utf8(piece) {
            Ok(whole) => {
                text(whole);
                Ok(())
            }
            Err(e) => {
                let (valid, rest) = piece.split_at(e.valid_up_to());
                if e.error_len().is_some() {
                    return Err(first_impossible(piece, &e).saturating_add(done));
                }
                // `from_utf8` has checked these bytes already. Checking again costs one scan for
                // each cut.
                text(core::str::from_utf8(valid).map_err(|_| done)?);
                for (held, byte) in self.bytes.iter_mut().zip(rest) {
                    *held = *byte;
                    self.len = self.len.saturating_add(1);
                }
                Ok(())
            }
        }
    }

    /// Whether the text may end here, with no incomplete character.
    pub(crate) fn is_whole(&self) -> bool {
        self.len == 0
    }
}

/// The index of the first invalid byte in a text that `from_utf8` refused with `e`. In a text that
/// ends inside a character, it is the length of the text.
pub(crate) fn first_impossible(text: &[u8], e: &core::str::Utf8Error) -> usize {
    let start = e.valid_up_to();
    match e.error_len() {
        None => text.len(),
        // These bytes are a valid start of a character. The byte after them is invalid.
        Some(n) if matches!(text.get(start), Some(0xc2..=0xf4)) => start.saturating_add(n),
        // No character begins with this byte.
        Some(_) => start,
    }
}

#[cfg(test)]
mod tests {
    use super::PartialCharacter;
    use alloc::{string::String, vec::Vec};

    fn in_pieces(pieces: &[&[u8]]) -> Result<String, usize> {
        let (mut utf8, mut text, mut at) = (PartialCharacter::new(), String::new(), 0);
        for piece in pieces {
            utf8.push(piece, |s| text.push_str(s)).map_err(|i| at + i)?;
            at += piece.len();
        }
        if utf8.is_whole() { Ok(text) } else { Err(at) }
    }

    #[test]
    fn every_cut_gives_the_same_text_or_the_same_impossible_byte() {
        let cases: &[(&[u8], Result<&str, usize>)] = &[
            (b"", Ok("")),
            ("κόσμε".as_bytes(), Ok("κόσμε")),
            (
                "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}".as_bytes(),
                Ok("\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"),
            ),
            (b"ab\x80", Err(2)),
            (b"\xc0\xaf", Err(0)),
            (b"\xc1\xbf", Err(0)),
            (b"\xe0\x80\xaf", Err(1)),
            (b"\xf0\x80\x80\xaf", Err(1)),
            (b"\xed\xa0\x80", Err(1)),
            (b"\xf4\x90\x80\x80", Err(1)),
            (b"\xf5\x80\x80\x80", Err(0)),
            (b"\xe2\x82(", Err(2)),
            (b"\xf0\x9f\x8c(", Err(3)),
            (b"a\xe2\x82", Err(3)),
            (b"\xff", Err(0)),
        ];
        for (bytes, expected) in cases {
            for i in 0..=bytes.len() {
                for j in i..=bytes.len() {
                    let got = in_pieces(&[&bytes[..i], &bytes[i..j], &bytes[j..]]);
                    assert_eq!(got.as_deref().map_err(|e| *e), *expected, "{bytes:x?} cut at {i} and {j}");
                }
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(in_pieces(&single).as_deref().map_err(|e| *e), *expected, "{bytes:x?}");
        }
    }
}
