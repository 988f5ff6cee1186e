//! Colours, and how wide the page is.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use tidewire::explain::NoteKind;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Not at all
    Never,
}

/// Styles, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    pub(super) fn new(color: Color) -> Self {
        let on = match color {
            Color::Always => true,
            Color::Never => false,
            // https://no-color.org: set, and not empty.
            Color::Auto => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                io::stdout().is_terminal() && !no_color && !dumb
            }
        };
        Self { on }
    }

    /// The text in this style.
    pub(super) fn text(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() && style != Style::new() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

/// What is not the main thing.
pub(super) const DIM: Style = Style::new().dimmed();
/// Titles.
pub(super) const BOLD: Style = Style::new().bold();
/// The refused byte.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Accepted, all of it.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();

/// The layer of a note has a colour.
pub(super) fn of(kind: NoteKind) -> Style {
    let color = match kind {
        NoteKind::Refused => return BAD,
        NoteKind::Warning => AnsiColor::Yellow,
        NoteKind::Part | NoteKind::Unread | NoteKind::Opaque | NoteKind::Data => return BOLD,
        NoteKind::ChunkLine
        | NoteKind::ChunkSize
        | NoteKind::ChunkExtension
        | NoteKind::ChunkEnd
        | NoteKind::LastChunk => AnsiColor::Yellow,
        NoteKind::Trailer | NoteKind::EndOfBody => AnsiColor::Yellow,
        NoteKind::EventId
        | NoteKind::EventName
        | NoteKind::EventData
        | NoteKind::EventRetry
        | NoteKind::EventComment
        | NoteKind::EventUnknown
        | NoteKind::Dispatch
        | NoteKind::EventEnd
        | NoteKind::ByteOrderMark
        | NoteKind::JsonLine
        | NoteKind::Heartbeat => AnsiColor::Green,
        NoteKind::FrameHeader
        | NoteKind::Payload
        | NoteKind::CloseCode
        | NoteKind::CloseReason
        | NoteKind::Inflated => AnsiColor::Magenta,
        _ => AnsiColor::Cyan,
    };
    color.on_default().bold()
}

/// The colour of the n-th field within another: its bytes have it too.
pub(super) fn nth(index: usize) -> Style {
    const COLORS: [AnsiColor; 5] =
        [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue];
    COLORS[index % COLORS.len()].on_default()
}

/// Columns of the page: of the terminal, or 100.
pub(super) fn columns() -> usize {
    let from_environment = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    from_environment.or_else(terminal).unwrap_or(100).clamp(NARROWEST, WIDEST)
}

#[cfg(unix)]
fn terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(not(unix))]
fn terminal() -> Option<usize> {
    None
}

/// Narrower pages are no help, and wider ones are hard to read.
pub(super) const NARROWEST: usize = 50;
pub(super) const WIDEST: usize = 160;
