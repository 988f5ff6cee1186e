//! The annotator as a subject of the test kit: bytes of one direction, notes out.

use tidewire_explain::{Annotator, Direction, Note, NoteKind, Refusal};
use tidewire_testkit::{Event, Failure, Subject};

/// One direction of a connection. It returns all notes together at the end, so that a run does not
/// depend on when a note came.
pub struct OneDirection<F> {
    pub annotator: Annotator,
    pub direction: Direction,
    /// What happens in the other direction after the input.
    after: Option<F>,
    notes: Vec<Note>,
    returned: bool,
}

impl<F: FnOnce(&mut Annotator) -> Vec<Note>> OneDirection<F> {
    pub fn new(annotator: Annotator, direction: Direction, after: F) -> Self {
        Self { annotator, direction, after: Some(after), notes: Vec::new(), returned: false }
    }

    fn keep(&mut self, notes: Vec<Note>) {
        self.notes.extend(notes.into_iter().filter(|note| note.direction == self.direction));
    }
}

impl<F: FnOnce(&mut Annotator) -> Vec<Note>> Subject for OneDirection<F> {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Failure> {
        let notes = self.annotator.push(self.direction, input);
        self.keep(notes);
        Ok((input.len(), None))
    }

    fn finish(&mut self) -> Result<Option<Event>, Failure> {
        if let Some(after) = self.after.take() {
            let notes = after(&mut self.annotator);
            self.keep(notes);
        }
        let notes = self.annotator.finish(self.direction);
        self.keep(notes);
        if std::mem::replace(&mut self.returned, true) {
            return Ok(None);
        }
        Ok(Some(Event::other(self.notes.iter().map(line).collect::<Vec<_>>().join("\n"))))
    }
}

/// `12+5 1 chunk-line "5" "a chunk of 5 bytes follows" RFC 9112 §7.1`
pub fn line(note: &Note) -> String {
    let Note { offset, len, depth, kind, label, meaning, section, .. } = note;
    format!("{offset}+{len} {depth} {kind:?} {label:?} {meaning:?} {section}")
}

/// Feeds both directions whole and ends `direction`. Returns its notes.
pub fn notes_of(
    mut annotator: Annotator,
    up: &[u8],
    down: &[u8],
    direction: Direction,
) -> (Vec<Note>, Annotator) {
    let mut notes = annotator.push(Direction::Up, up);
    notes.extend(annotator.push(Direction::Down, down));
    notes.extend(annotator.finish(direction));
    notes.retain(|note| note.direction == direction);
    (notes, annotator)
}

/// Checks the notes of one direction for any input: they are in order, nested, and within the
/// input, and every byte up to the refusal or the end has a note.
pub fn check(notes: &[Note], refusal: Option<&Refusal>, len: u64) {
    let mut outer: Vec<&Note> = Vec::new();
    let (mut covered, mut last) = (0, 0);
    for (index, note) in notes.iter().enumerate() {
        let end = note.offset + note.len;
        // A limit may be exceeded by a byte that has not come.
        let over = u64::from(
            note.kind == NoteKind::Refused
                && refusal.is_some_and(|refusal| refusal.kind.starts_with("Limit")),
        );
        assert!(end <= len + over, "{} is after the {len} bytes of the input", line(note));
        if note.kind == NoteKind::Refused {
            assert_eq!(index + 1, notes.len(), "a note after the refusal: {:?}", notes.last().map(line));
            assert_eq!(refusal.map(|refusal| refusal.offset), Some(note.offset));
            break;
        }
        assert!(note.offset >= last, "{} comes after a note at {last}", line(note));
        last = note.offset;
        while outer
            .last()
            .is_some_and(|outer| outer.depth >= note.depth || outer.offset + outer.len <= note.offset)
        {
            // Except for a message that was inflated from an empty payload.
            if outer.last().is_some_and(|outer| outer.depth < note.depth && outer.len == 0) {
                break;
            }
            outer.pop();
        }
        if let Some(outer) = outer.last() {
            assert!(
                end <= outer.offset + outer.len,
                "{} is neither within nor after {}",
                line(note),
                line(outer)
            );
        }
        assert!(note.offset <= covered, "no note between {covered} and {}", line(note));
        covered = covered.max(end);
        outer.push(note);
    }
    match refusal {
        Some(refusal) => assert!(covered >= refusal.offset, "no note between {covered} and {refusal:?}"),
        None => assert_eq!(covered, len, "no note after {covered}, of {len} bytes"),
    }
}
