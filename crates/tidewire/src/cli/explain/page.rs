//! The annotated hex dump.
//!
//! ```text
//!  offset  bytes in hexadecimal     as text   what they are
//!      0  47 45 54 20 2f 20 48 54  GET / HT  request line  RFC 9112 §3
//!      8  54 50 2f 31 2e 31 0d 0a  TP/1.1··    GET → asks for what is at the target  RFC 9110 §9.3.1
//! ```
//! A field and all that is within it is one block: its bytes on the left, what is said about them on the right, wrapped to the page.

use std::io::{self, Write};

use anstyle::Style;
use tidewire::explain::{Direction, Note, NoteKind, Refusal};

use super::paint::{self, BAD, BOLD, DIM, GOOD, Paint};
use super::tape::Tape;

/// Where notes are printed to.
pub(super) struct Page<W> {
    out: W,
    paint: Paint,
    columns: usize,
    /// Bytes of one row.
    row: usize,
    /// Bytes that are shown of one field.
    limit: usize,
    up: Tape,
    down: Tape,
    /// The direction of the last block, and whether to say when it changes.
    last: Option<Direction>,
    both: bool,
}

impl<W: Write> Page<W> {
    /// `both`: bytes of both directions will come, so each change is told.
    pub(super) fn new(out: W, paint: Paint, columns: usize, limit: usize, both: bool) -> Self {
        let row = match columns {
            132.. => 16,
            108.. => 12,
            72.. => 8,
            _ => 4,
        };
        Self { out, paint, columns, row, limit, up: Tape::default(), down: Tape::default(), last: None, both }
    }

    /// The bytes of both directions will come.
    pub(super) fn both_ways(&mut self) {
        self.both = true;
    }

    /// Bytes that the next notes may be about.
    pub(super) fn push(&mut self, direction: Direction, bytes: &[u8]) {
        self.tape(direction).push(bytes);
    }

    fn tape(&mut self, direction: Direction) -> &mut Tape {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// A line of ours, between the blocks.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        let line = self.paint.text(DIM, &format!("# {text}"));
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Everything that notes say. Those of a refusal are printed by [`refused`](Self::refused).
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
            self.tape(first.direction).shown(end);
            rest = later;
        }
        self.out.flush()
    }

    /// One field, and what is within it.
    fn block(&mut self, notes: &[Note]) -> io::Result<()> {
        let Some(first) = notes.first() else { return Ok(()) };
        self.turn(first.direction)?;
        if matches!(first.kind, NoteKind::RequestLine | NoteKind::StatusLine | NoteKind::FrameHeader)
            && first.offset > 0
        {
            writeln!(self.out)?;
        }
        let shown = usize::try_from(first.len).unwrap_or(usize::MAX).min(self.limit);
        let bytes = self.tape(first.direction).get(first.offset, shown);
        let mut styles = vec![paint::of(first.kind); bytes.len()];
        if notes.len() > 1 {
            styles.fill(Style::new());
        }
        let width = self.columns - self.left();
        let mut right = Vec::new();
        let (mut child, mut section) = (0, "");
        for note in notes {
            let style = if note.depth == first.depth { paint::of(note.kind) } else { paint::nth(child) };
            if note.depth > first.depth {
                let start = (note.offset - first.offset) as usize;
                let end = start + note.len as usize;
                if let Some(part) = styles.get_mut(start.min(bytes.len())..end.min(bytes.len())) {
                    part.fill(style);
                }
                child += 1;
            }
            let indent = 2 * usize::from(note.depth - first.depth) + 2 * usize::from(first.depth);
            let raw = bytes.get((note.offset - first.offset) as usize..).unwrap_or_default();
            let lead = bits(note.kind, raw);
            // Once is enough.
            let new = std::mem::replace(&mut section, note.section) != note.section;
            right.extend(self.wrap(note, new, &lead, style, indent, width));
        }
        let left = self.rows(first.offset, first.len, &bytes, &styles);
        for index in 0..left.len().max(right.len()) {
            let blank = " ".repeat(self.left());
            let left = left.get(index).map_or(blank.as_str(), String::as_str);
            let line = format!("{left}{}", right.get(index).map_or("", String::as_str));
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Says when the other side speaks; whether it does.
    fn turn(&mut self, direction: Direction) -> io::Result<bool> {
        let turns = self.both && self.last != Some(direction);
        if turns {
            let text = match direction {
                Direction::Up => "──► client to server ",
                Direction::Down => "◄── server to client ",
            };
            let line = format!("{text}{}", "─".repeat(self.columns.saturating_sub(text.chars().count())));
            writeln!(self.out, "\n{}", self.paint.text(BOLD, &line))?;
        }
        self.last = Some(direction);
        Ok(turns)
    }

    /// The columns that offset, hexadecimal and text take.
    const fn left(&self) -> usize {
        OFFSET + 2 + self.row * 3 + 1 + self.row + 2
    }

    /// The rows of a dump, each as wide as [`left`](Self::left).
    fn rows(&self, offset: u64, len: u64, bytes: &[u8], styles: &[Style]) -> Vec<String> {
        let mut rows: Vec<_> = bytes
            .chunks(self.row)
            .zip(styles.chunks(self.row))
            .enumerate()
            .map(|(index, (bytes, styles))| {
                let at = offset + (index * self.row) as u64;
                let mut line = self.paint.text(DIM, &format!("{at:>OFFSET$}"));
                line.push_str("  ");
                let (mut hex, mut text) = (String::new(), String::new());
                // Bytes of one style are one run: the blanks between them have it too.
                let mut at = 0;
                for run in styles.chunk_by(|a, b| a == b) {
                    let bytes = &bytes[at..at + run.len()];
                    at += run.len();
                    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    hex += &self.paint.text(run[0], &digits.join(" "));
                    hex.push(' ');
                    text +=
                        &self.paint.text(run[0], &bytes.iter().map(|&byte| glyph(byte)).collect::<String>());
                }
                let missing = self.row - bytes.len();
                line += &format!("{hex}{} {text}{}  ", "   ".repeat(missing), " ".repeat(missing));
                line
            })
            .collect();
        if (bytes.len() as u64) < len {
            let text = format!("… {} more bytes", len - bytes.len() as u64);
            let line = format!("{:>OFFSET$}  {text:<width$}", "", width = self.left() - OFFSET - 2);
            rows.push(self.paint.text(DIM, &line));
        }
        if rows.is_empty() {
            let line = format!("{offset:>OFFSET$}{:width$}", "", width = self.left() - OFFSET);
            rows.push(self.paint.text(DIM, &line));
        }
        rows
    }

    /// What a note says, in lines of `width` columns, the first of them indented.
    fn wrap(
        &self,
        note: &Note,
        cite: bool,
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
        // A section is one word: "RFC 9112" on one line and its number on the next would be hard to find.
        if cite {
            words.push((DIM, format!("[{}]", note.section)));
        }

        let hang = indent + lead.chars().count();
        let room = width.saturating_sub(hang).max(20);
        let mut lines = Vec::new();
        let mut line = format!("{}{}", " ".repeat(indent), self.paint.text(DIM, lead));
        let mut used = 0;
        for (style, word) in words {
            for piece in cut(&word, room) {
                let len = piece.chars().count();
                if used > 0 && used + 1 + len > room {
                    lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
                    used = 0;
                }
                if used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line += &self.paint.text(style, piece);
                used += len;
            }
        }
        lines.push(line);
        lines
    }

    /// The verdict on a direction that was refused: where, which byte, why, and what the other end does.
    pub(super) fn refused(&mut self, refusal: &Refusal, hint: Option<&str>) -> io::Result<()> {
        let Refusal { direction, offset, len, sentence, answer, section, kind, .. } = refusal;
        let tape = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        let (end, byte) = (tape.end(), tape.get(*offset, 1).first().copied().filter(|_| *len > 0));
        let from = offset - (offset % self.row as u64);
        let around = tape.get(from, self.row);
        let which = match byte {
            Some(byte) => format!("byte {offset}: {byte:02x}{}", readable(byte)),
            None if *offset >= end => format!("byte {offset}: the input ends here"),
            None => format!("byte {offset}: what ends here is not complete"),
        };
        let what =
            if *offset >= end && kind.ends_with("Truncated)") { "ended too early at" } else { "refused at" };
        writeln!(self.out, "\n{} {which}", self.paint.text(BAD, what))?;
        if byte.is_some() {
            let styles: Vec<_> = (0..around.len() as u64)
                .map(|index| if from + index == *offset { BAD } else { Style::new() })
                .collect();
            for row in self.rows(from, around.len() as u64, &around, &styles) {
                writeln!(self.out, "{}", row.trim_end())?;
            }
            let before = OFFSET + 2 + 3 * (offset - from) as usize;
            writeln!(self.out, "{}{}", " ".repeat(before), self.paint.text(BAD, "^^"))?;
        }
        let mut line = |name: &str, text: &str| {
            writeln!(self.out, "{}{text}", self.paint.text(BOLD, &format!("{name:<9}")))
        };
        line("why", &format!("{sentence} [{section}]"))?;
        line("then", answer)?;
        line("decoder", kind)?;
        if let Some(hint) = hint {
            line("hint", hint)?;
        }
        if end > offset + len {
            let rest = end - offset - len;
            let bytes = if rest == 1 { "byte" } else { "bytes" };
            line("unread", &format!("{rest} {bytes} behind it"))?;
        }
        self.out.flush()
    }

    /// Nothing was refused.
    pub(super) fn accepted(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{} {text}", self.paint.text(GOOD, "accepted"))?;
        self.out.flush()
    }

    /// How many bytes went in a direction.
    pub(super) const fn total(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.up.end(),
            Direction::Down => self.down.end(),
        }
    }
}

/// The bits of a frame header that a note is about: the others are dots.
fn bits(kind: NoteKind, raw: &[u8]) -> String {
    let mask = match kind {
        NoteKind::Fin | NoteKind::Mask => 0x80,
        NoteKind::Rsv => 0x70,
        NoteKind::Opcode => 0x0f,
        NoteKind::Length => 0x7f,
        _ => return String::new(),
    };
    let Some(&byte) = raw.first() else { return String::new() };
    let picture: String = (0..8)
        .map(|index| {
            let bit = 0x80 >> index;
            match (mask & bit != 0, byte & bit != 0) {
                (true, true) => '1',
                (true, false) => '0',
                (false, _) => '·',
            }
        })
        .collect();
    format!(
        "{} {} ",
        &picture.chars().take(4).collect::<String>(),
        &picture.chars().skip(4).collect::<String>()
    )
}

/// A byte as one character.
const fn glyph(byte: u8) -> char {
    match byte {
        b' '..=b'~' => byte as char,
        b'\r' => '␍',
        b'\n' => '␊',
        b'\t' => '␉',
        0 => '␀',
        _ => '·',
    }
}

/// ` 'x'`, or nothing for a byte that is none to read.
fn readable(byte: u8) -> String {
    match byte {
        b' ' => " (a space)".into(),
        b'\r' => " (CR)".into(),
        b'\n' => " (LF)".into(),
        b'\t' => " (a tab)".into(),
        0 => " (NUL)".into(),
        b'!'..=b'~' => format!(" '{}'", char::from(byte)),
        _ => String::new(),
    }
}

/// A word in pieces of at most `max` characters.
fn cut(word: &str, max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while let Some((at, _)) = rest.char_indices().nth(max) {
        let (piece, more) = rest.split_at(at);
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// Columns of an offset.
const OFFSET: usize = 6;
