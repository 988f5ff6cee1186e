//! The annotated hex dump.
//!
//! ```text
//!  offset  bytes in hexadecimal     as text   what they are
//!      0  47 45 54 20 2f 20 48 54  GET / HT  request line [RFC 9112 §3]
//!      8  54 50 2f 31 2e 31 0d 0a  TP/1.1··    GET → asks for what is at the target
//!                                              [RFC 9110 §9.3.1]
//! ```
//! A field and the fields within it are one block: the bytes on the left, the notes on the right,
//! wrapped to the width of the output.

use std::io::{self, Write};

use anstyle::Style;
use tidewire_explain::{Direction, Note, NoteKind, Refusal};

use super::byte_text::{bits, character, in_quotes};
use super::colors::{self, BAD, BOLD, Colors, DIM, GOOD};
use super::hint;
use super::recent_bytes::RecentBytes;

/// Prints bytes, and the notes about them.
pub(super) struct HexDump<W> {
    out: W,
    colors: Colors,
    columns: usize,
    bytes_per_row: usize,
    /// The most bytes that are shown of one field.
    max_shown: usize,
    up: RecentBytes,
    down: RecentBytes,
    /// Whether a line is printed when the direction changes.
    names_directions: bool,
    /// The direction of the last block.
    last: Option<Direction>,
}

impl<W: Write> HexDump<W> {
    pub(super) fn new(out: W, colors: Colors, columns: usize, max_shown: usize) -> Self {
        let bytes_per_row = match columns {
            132.. => 16,
            108.. => 12,
            72.. => 8,
            _ => 4,
        };
        Self {
            out,
            colors,
            columns,
            bytes_per_row,
            max_shown,
            up: RecentBytes::default(),
            down: RecentBytes::default(),
            names_directions: false,
            last: None,
        }
    }

    /// From now on prints a line when the direction changes: bytes of both directions follow.
    pub(super) fn name_directions(&mut self) {
        self.names_directions = true;
    }

    /// Takes bytes, which the next notes may describe.
    pub(super) fn push(&mut self, direction: Direction, bytes: &[u8]) {
        self.recent_mut(direction).push(bytes);
    }

    /// The number of bytes that went in a direction.
    pub(super) const fn total(&self, direction: Direction) -> u64 {
        self.recent(direction).end()
    }

    /// Prints a remark of this program, between the blocks.
    pub(super) fn remark(&mut self, text: &str) -> io::Result<()> {
        let line = self.colors.text(DIM, &format!("# {text}"));
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Prints notes, except the note of a refusal: [`refused`](Self::refused) prints that.
    pub(super) fn notes(&mut self, notes: &[Note]) -> io::Result<()> {
        let mut rest = notes;
        while let Some(first) = rest.first() {
            let end = first.offset + first.len;
            let inside = |note: &Note| {
                note.direction == first.direction && note.depth > first.depth && note.offset + note.len <= end
            };
            let more = rest[1..].iter().take_while(|note| inside(note)).count();
            let (block, later) = rest.split_at(more + 1);
            if first.kind != NoteKind::Refused {
                self.block(block)?;
            }
            self.recent_mut(first.direction).discard_before(end);
            rest = later;
        }
        self.out.flush()
    }

    /// Prints one field and the fields within it.
    fn block(&mut self, notes: &[Note]) -> io::Result<()> {
        let Some(first) = notes.first() else { return Ok(()) };
        let has_title = self.name_direction(first.direction)?;
        if matches!(first.kind, NoteKind::RequestLine | NoteKind::StatusLine | NoteKind::FrameHeader)
            && first.offset > 0
            && !has_title
        {
            writeln!(self.out)?;
        }
        let shown = usize::try_from(first.len).unwrap_or(usize::MAX).min(self.max_shown);
        let bytes = self.recent(first.direction).get(first.offset, shown);
        let mut styles = vec![colors::of_note(first.kind); bytes.len()];
        if notes.len() > 1 {
            styles.fill(Style::new());
        }
        let width = self.columns - self.left_width();
        let mut right = Vec::new();
        let (mut child, mut section) = (0, "");
        for note in notes {
            let style = if note.depth == first.depth {
                colors::of_note(note.kind)
            } else {
                colors::of_nested_field(child)
            };
            if note.depth > first.depth {
                let start = (note.offset - first.offset) as usize;
                let end = start + note.len as usize;
                if let Some(part) = styles.get_mut(start.min(bytes.len())..end.min(bytes.len())) {
                    part.fill(style);
                }
                child += 1;
            }
            let indent = 2 * usize::from(note.depth);
            let raw = bytes.get((note.offset - first.offset) as usize..).unwrap_or_default();
            let lead = bits(note.kind, raw);
            // If several notes share a section, only the first one names it.
            let cites = std::mem::replace(&mut section, note.section) != note.section;
            right.extend(self.wrap(note, cites, &lead, style, indent, width));
        }
        let left = self.rows(first.offset, first.len, &bytes, &styles);
        for index in 0..left.len().max(right.len()) {
            let blank = " ".repeat(self.left_width());
            let left = left.get(index).map_or(blank.as_str(), String::as_str);
            let line = format!("{left}{}", right.get(index).map_or("", String::as_str));
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Prints a title where the direction changes. Returns whether it has.
    fn name_direction(&mut self, direction: Direction) -> io::Result<bool> {
        let changes = self.names_directions && self.last != Some(direction);
        if changes {
            let text = match direction {
                Direction::Up => "──► client to server ",
                Direction::Down => "◄── server to client ",
            };
            let line = format!("{text}{}", "─".repeat(self.columns.saturating_sub(text.chars().count())));
            writeln!(self.out, "\n{}", self.colors.text(BOLD, &line))?;
        }
        self.last = Some(direction);
        Ok(changes)
    }

    /// The columns of offset, hexadecimal and text.
    const fn left_width(&self) -> usize {
        OFFSET_WIDTH + 2 + self.bytes_per_row * 3 + 1 + self.bytes_per_row + 2
    }

    /// Returns the rows of a dump, each as wide as [`left_width`](Self::left_width).
    fn rows(&self, offset: u64, len: u64, bytes: &[u8], styles: &[Style]) -> Vec<String> {
        let mut rows: Vec<_> = bytes
            .chunks(self.bytes_per_row)
            .zip(styles.chunks(self.bytes_per_row))
            .enumerate()
            .map(|(index, (bytes, styles))| {
                let at = offset + (index * self.bytes_per_row) as u64;
                let mut line = self.colors.text(DIM, &format!("{at:>OFFSET_WIDTH$}"));
                line.push_str("  ");
                let (mut hex, mut text) = (String::new(), String::new());
                // Bytes of one style are one run. The spaces between them have the style too.
                let mut at = 0;
                for run in styles.chunk_by(|a, b| a == b) {
                    let bytes = &bytes[at..at + run.len()];
                    at += run.len();
                    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    hex += &self.colors.text(run[0], &digits.join(" "));
                    hex.push(' ');
                    text += &self
                        .colors
                        .text(run[0], &bytes.iter().map(|&byte| character(byte)).collect::<String>());
                }
                let missing = self.bytes_per_row - bytes.len();
                line += &format!("{hex}{} {text}{}  ", "   ".repeat(missing), " ".repeat(missing));
                line
            })
            .collect();
        if (bytes.len() as u64) < len {
            let text = format!("… {} more bytes", len - bytes.len() as u64);
            let line = format!(
                "{:>OFFSET_WIDTH$}  {text:<width$}",
                "",
                width = self.left_width() - OFFSET_WIDTH - 2
            );
            rows.push(self.colors.text(DIM, &line));
        }
        if rows.is_empty() {
            let line =
                format!("{offset:>OFFSET_WIDTH$}{:width$}", "", width = self.left_width() - OFFSET_WIDTH);
            rows.push(self.colors.text(DIM, &line));
        }
        rows
    }

    /// Returns the text of a note, in lines of `width` columns. The first line begins with `lead`.
    fn wrap(
        &self,
        note: &Note,
        cites: bool,
        lead: &str,
        style: Style,
        indent: usize,
        width: usize,
    ) -> Vec<String> {
        let mut words: Vec<(Style, String)> = Vec::new();
        let mut add = |style: Style, text: &str| {
            words.extend(text.split_whitespace().map(|word| (style, word.to_owned())));
        };
        add(style, &note.label);
        if !note.meaning.is_empty() {
            add(Style::new(), "→");
            add(Style::new(), &note.meaning);
        }
        // A section is never broken: a reader may search for "RFC 9112 §7.1".
        if cites {
            words.push((DIM, format!("[{}]", note.section)));
        }

        let hang = indent + lead.chars().count();
        let room = width.saturating_sub(hang).max(20);
        let mut lines = Vec::new();
        let mut line = format!("{}{}", " ".repeat(indent), self.colors.text(DIM, lead));
        let mut used = 0;
        for (style, word) in words {
            for piece in pieces_of(&word, room) {
                let len = piece.chars().count();
                if used > 0 && used + 1 + len > room {
                    lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
                    used = 0;
                }
                if used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line += &self.colors.text(style, piece);
                used += len;
            }
        }
        lines.push(line);
        lines
    }

    /// Prints why a direction was refused: where, which byte, why, and what the recipient does.
    pub(super) fn refused(&mut self, refusal: &Refusal) -> io::Result<()> {
        self.name_direction(refusal.direction)?;
        let Refusal { direction, offset, len, sentence, answer, section, kind, .. } = refusal;
        let recent = self.recent(*direction);
        let (end, byte) = (recent.end(), recent.get(*offset, 1).first().copied().filter(|_| *len > 0));
        let from = offset - (offset % self.bytes_per_row as u64);
        let around = recent.get(from, self.bytes_per_row);
        let which = match byte {
            Some(byte) => format!("byte {offset}: {byte:02x}{}", in_quotes(byte)),
            None if *offset >= end => format!("byte {offset}: the input ends here"),
            None => format!("byte {offset}: the element that ends here is not complete"),
        };
        let what = if *offset >= end && kind.ends_with("UnexpectedEnd)") {
            "ended too early at"
        } else {
            "refused at"
        };
        writeln!(self.out, "\n{} {which}", self.colors.text(BAD, what))?;
        if byte.is_some() {
            let styles: Vec<_> = (0..around.len() as u64)
                .map(|index| if from + index == *offset { BAD } else { Style::new() })
                .collect();
            for row in self.rows(from, around.len() as u64, &around, &styles) {
                writeln!(self.out, "{}", row.trim_end())?;
            }
            let before = OFFSET_WIDTH + 2 + 3 * (offset - from) as usize;
            writeln!(self.out, "{}{}", " ".repeat(before), self.colors.text(BAD, "^^"))?;
        }
        self.line("why", &format!("{sentence} [{section}]"))?;
        self.line("then", answer)?;
        self.line("decoder", kind)?;
        if let Some(hint) = hint::of(refusal) {
            self.line("hint", hint)?;
        }
        if end > offset + len {
            let rest = end - offset - len;
            let bytes = if rest == 1 { "byte" } else { "bytes" };
            self.line("unread", &format!("{rest} more {bytes}"))?;
        }
        self.out.flush()
    }

    /// Prints a hint about the whole input.
    pub(super) fn hint(&mut self, text: &str) -> io::Result<()> {
        self.line("hint", text)?;
        self.out.flush()
    }

    /// Prints a line below the dump, with its name.
    fn line(&mut self, name: &str, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}{text}", self.colors.text(BOLD, &format!("{name:<9}")))
    }

    /// Prints that nothing was refused.
    pub(super) fn accepted(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{} {text}", self.colors.text(GOOD, "accepted"))?;
        self.out.flush()
    }

    const fn recent(&self, direction: Direction) -> &RecentBytes {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    const fn recent_mut(&mut self, direction: Direction) -> &mut RecentBytes {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// Returns a word in pieces of at most `max` characters. An escape such as `\n` stays in one piece.
fn pieces_of(word: &str, max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((at, _)) = rest.char_indices().nth(max) {
        let backslashes = rest[..at].len() - rest[..at].trim_end_matches('\\').len();
        // A piece must not be empty.
        let at = if backslashes % 2 == 1 && at > 1 { at - 1 } else { at };
        let (piece, more) = rest.split_at(at);
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// Columns of an offset.
const OFFSET_WIDTH: usize = 6;
