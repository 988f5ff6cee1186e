//! Output of texts of others: on a terminal, without control characters; to a file or a pipe, as
//! they are.

use std::borrow::Cow;
use std::io::IsTerminal;

use tidewire::explain::terminal;

/// One of the standard outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    is_terminal: bool,
}

impl Screen {
    pub(super) fn of(output: &impl IsTerminal) -> Self {
        Self { is_terminal: output.is_terminal() }
    }

    /// A payload, or a text of ours that quotes others. It may have several lines.
    pub(super) fn lines(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        if self.is_terminal { terminal::lines(bytes).into_bytes().into() } else { bytes.into() }
    }

    /// A text that has one line.
    pub(super) fn line(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { terminal::line(text).into() } else { text.into() }
    }
}
