//! Colours.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use tidewire_explain::NoteKind;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum UseColors {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also when the output is a file or a pipe
    Always,
    /// No colours
    Never,
}

/// Writes text with colours, or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colors {
    on: bool,
}

impl Colors {
    pub(super) fn new(when: UseColors) -> Self {
        let on = match when {
            UseColors::Always => true,
            UseColors::Never => false,
            // https://no-color.org: set, and not empty.
            UseColors::Auto => {
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

/// Offsets, sections, remarks.
pub(super) const DIM: Style = Style::new().dimmed();
/// Titles.
pub(super) const BOLD: Style = Style::new().bold();
/// The refused byte.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// All bytes were accepted.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Returns the colour of a note. Each protocol layer has its own.
pub(super) fn of_note(kind: NoteKind) -> Style {
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

/// Returns the colour of the n-th field within another field, and of its bytes.
pub(super) fn of_nested_field(index: usize) -> Style {
    const COLORS: [AnsiColor; 5] =
        [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue];
    COLORS[index % COLORS.len()].on_default()
}
