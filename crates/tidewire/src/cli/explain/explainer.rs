//! Explains a connection while its bytes arrive.

use std::io::{self, BufWriter, StdoutLock};

use tidewire_explain::{Annotator, Direction, Note, Refusal};

use super::hex_dump::HexDump;

/// The output of the dump. It is buffered, because a file may make thousands of lines from one
/// read. It is flushed before each wait for input.
pub(super) type Output = BufWriter<StdoutLock<'static>>;

/// Prints the notes of an annotator beside their bytes.
pub(super) struct Explainer {
    annotator: Annotator,
    dump: HexDump<Output>,
}

impl Explainer {
    pub(super) const fn new(annotator: Annotator, dump: HexDump<Output>) -> Self {
        Self { annotator, dump }
    }

    /// Takes the next bytes of a direction. Prints the notes that are complete, and returns them.
    pub(super) fn push(&mut self, direction: Direction, bytes: &[u8]) -> io::Result<Vec<Note>> {
        self.dump.push(direction, bytes);
        let notes = self.annotator.push(direction, bytes);
        self.dump.notes(&notes)?;
        Ok(notes)
    }

    /// Takes the end of a direction, and prints the notes on what is incomplete.
    pub(super) fn finish(&mut self, direction: Direction) -> io::Result<()> {
        self.dump.notes(&self.annotator.finish(direction))
    }

    /// The refusal of a direction, if its bytes were refused. Nothing after them is read.
    pub(super) const fn refusal(&self, direction: Direction) -> Option<&Refusal> {
        self.annotator.refusal(direction)
    }

    /// The refusal of the client's bytes, or else of the server's.
    pub(super) fn first_refusal(&self) -> Option<&Refusal> {
        first_refusal(&self.annotator)
    }

    /// The number of bytes that went in a direction.
    pub(super) const fn total(&self, direction: Direction) -> u64 {
        self.dump.total(direction)
    }

    /// Prints that all bytes were accepted.
    pub(super) fn print_accepted(&mut self, text: &str) -> io::Result<()> {
        self.dump.accepted(text)
    }

    /// Prints a hint about the whole input.
    pub(super) fn print_hint(&mut self, text: &str) -> io::Result<()> {
        self.dump.hint(text)
    }

    /// Prints why bytes were refused. Returns whether any were.
    pub(super) fn print_refusal(&mut self) -> io::Result<bool> {
        match first_refusal(&self.annotator) {
            Some(refusal) => self.dump.refused(refusal).map(|()| true),
            None => Ok(false),
        }
    }
}

fn first_refusal(annotator: &Annotator) -> Option<&Refusal> {
    annotator.refusal(Direction::Up).or(annotator.refusal(Direction::Down))
}
