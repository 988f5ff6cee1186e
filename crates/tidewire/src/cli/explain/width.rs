//! The width of the output.

#[cfg(unix)]
use std::io;

/// Returns the width of a line: that of the terminal, or 100 columns.
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

/// With less, the notes have no room.
pub(super) const NARROWEST: usize = 50;
/// Longer lines are hard to read.
pub(super) const WIDEST: usize = 160;
