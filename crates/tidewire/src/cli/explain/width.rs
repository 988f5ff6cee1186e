//! How wide the output is.

#[cfg(unix)]
use std::io;

/// Returns the columns that a line may have: those of the terminal, or 100.
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
