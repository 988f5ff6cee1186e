//! Texts of other programs on a standard output. A terminal would obey their control characters, so
//! these are replaced there. A file or a pipe gets the text unchanged.

use std::borrow::Cow;
use std::io::IsTerminal;

use tidewire::explain::terminal;

/// Makes texts safe for one of the standard outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sanitizer {
    is_terminal: bool,
}

impl Sanitizer {
    /// Returns the sanitizer for this output.
    pub(super) fn of(output: &impl IsTerminal) -> Self {
        Self { is_terminal: output.is_terminal() }
    }

    /// Returns a safe form of a payload, or of a text of this program that quotes others. It may
    /// have several lines.
    pub(super) fn lines(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self.is_terminal { terminal::lines(bytes).into_bytes().into() } else { bytes.into() }
    }

    /// Returns a safe form of a text that must stay on one line.
    pub(super) fn line(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { terminal::line(text).into() } else { text.into() }
    }
}
