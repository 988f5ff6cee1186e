//! UTF-8 that arrives in pieces.
//!
//! A piece may end inside a character. The one to three bytes of it are kept until the rest comes,
//! so that every byte is judged when it arrives and a text fails at its first impossible byte, not
//! at the end of its frame (RFC 6455 §8.1).

/// The character between two pieces of a text: its first bytes, while the others are to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialCharacter {
    bytes: [u8; 3],
    len: u8,
}

impl PartialCharacter {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 3], len: 0 }
    }

    /// Hands every whole character of what has arrived to `text`, in order. An error is the index
    /// in `piece` of the first byte that no UTF-8 text could have there.
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
                // Still possible, still cut. A fourth byte either completes the character or is
                // impossible.
                Err(e) if e.error_len().is_none() => {
                    self.bytes[held] = byte;
                    self.len += 1;
                }
                Err(_) => return Err(done),
            }
            piece = rest;
            done += 1;
        }
        match core::str::from_utf8(piece) {
            Ok(whole) => {
                text(whole);
                Ok(())
            }
            Err(e) => {
                let (valid, rest) = piece.split_at(e.valid_up_to());
                if e.error_len().is_some() {
                    return Err(done + first_impossible(piece, &e));
                }
                // `from_utf8` found these bytes valid a moment ago; the second look costs one scan,
                // once a cut.
                text(core::str::from_utf8(valid).map_err(|_| done)?);
                self.bytes[..rest.len()].copy_from_slice(rest);
                self.len = rest.len() as u8;
                Ok(())
            }
        }
    }

    /// Whether the text may end here: no character is cut.
    pub(crate) fn is_whole(&self) -> bool {
        self.len == 0
    }
}

/// Where in `text` the first impossible byte is, for text that `from_utf8` refused with `e`. A text
/// that ends inside a character is impossible one byte after its end.
pub(crate) fn first_impossible(text: &[u8], e: &core::str::Utf8Error) -> usize {
    let start = e.valid_up_to();
    match e.error_len() {
        None => text.len(),
        // The bytes of `error_len` could have begun a character; it is the next one that cannot
        // follow.
        Some(n) if matches!(text.get(start), Some(0xc2..=0xf4)) => start + n,
        // This byte begins no character at all.
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
