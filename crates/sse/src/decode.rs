//! Bytes to events, by HTML §9.2.6 "Interpreting an event stream".

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::scan::{is_line_end, line_end};
use crate::state::{Field, Name, Retry, State};

/// What a stream says. It borrows the decoder until the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received<'a> {
    /// An event, at the blank line that ends it.
    Message {
        /// The name from the `event` field; `message` if there was none or an empty one.
        event_type: &'a str,
        /// The `data` lines, joined by line feeds.
        data: &'a str,
        /// The last id that the stream has set, in this event or before; empty if none or unset.
        last_event_id: &'a str,
    },
    /// A block without data has set the id, at its blank line: no event, but a client has to come back with this id.
    Id(&'a str),
    /// The time to wait before a reconnection, in milliseconds, at the end of its line: it holds without a blank line.
    Retry(u64),
}

/// Decodes an event stream. It takes all the bytes it is given, and holds one event at most.
///
/// ```
/// use tidewire_sse::{Decoder, Limits, Received};
///
/// let mut decoder = Decoder::new(Limits::default());
/// let stream = b"id: 7\ndata: tide\ndata: wire\n\ndata: cut of";
///
/// let (n, received) = decoder.decode(stream)?;
/// assert_eq!(n, 29); // up to and with the blank line
/// let message = Received::Message { event_type: "message", data: "tide\nwire", last_event_id: "7" };
/// assert_eq!(received, Some(message));
///
/// assert_eq!(decoder.decode(&stream[n..])?, (12, None));
/// assert_eq!(decoder.finish()?, None); // an unfinished event is thrown away
/// assert_eq!(decoder.last_event_id(), "7");
/// # Ok::<(), tidewire_sse::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    /// A CR has ended the line: an LF that comes next belongs to it.
    after_cr: bool,
    /// What is in `data` and `event` has been handed out.
    delivered: bool,
    has_data: bool,
    has_id: bool,
    retry: Retry,
    /// Bytes taken so far.
    position: u64,
    failed: Option<Error>,
    /// The data of this event, as it came.
    data: Vec<u8>,
    /// The event type of this event, as it came.
    event: Vec<u8>,
    /// The value of the `id` field whose line is not at its end; it may yet turn out to hold NUL.
    id_line: Vec<u8>,
    /// The id of this block; it counts when the block ends.
    id: Vec<u8>,
    last_event_id: String,
    /// Holds `event` and `data` where they were not UTF-8, made so.
    event_text: String,
    data_text: String,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Bom(0),
            after_cr: false,
            delivered: false,
            has_data: false,
            has_id: false,
            retry: Retry::Empty,
            position: 0,
            failed: None,
            data: Vec::new(),
            event: Vec::new(),
            id_line: Vec::new(),
            id: Vec::new(),
            last_event_id: String::new(),
            event_text: String::new(),
            data_text: String::new(),
        }
    }

    /// The same with the id that an earlier connection ended with: events that set none carry it on, as in a browser.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &str) -> Self {
        self.last_event_id.clear();
        self.last_event_id.push_str(id);
        self
    }

    /// Takes bytes up to the end of the first thing that they say, or all of them.
    ///
    /// # Errors
    /// Only where a limit is broken; every other input is a valid stream.
    pub fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Received<'a>>), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.delivered {
            self.delivered = false;
            self.data.clear();
            self.event.clear();
        }
        match self.advance(input) {
            Ok((n, signal)) => {
                self.position += n as u64;
                Ok((n, signal.map(|signal| self.received(signal))))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// The end of the stream, which may come anywhere: an unfinished event, its id included, is thrown away (HTML §9.2.6).
    ///
    /// # Errors
    /// Only one that was returned before.
    pub fn finish(&mut self) -> Result<Option<Received<'static>>, Error> {
        self.failed.map_or(Ok(None), Err)
    }

    /// The id to come back with, in the field `Last-Event-ID`; no field is sent if it is empty.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Runs the state machine up to the first signal.
    fn advance(&mut self, input: &[u8]) -> Result<(usize, Option<Signal>), Error> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            let here = self.position + at as u64;
            let line_ends = is_line_end(byte);
            match self.state {
                // HTML §9.2.5 (2)
                State::Bom(seen) => match BOM.get(usize::from(seen)) {
                    Some(&next) if next == byte => {
                        self.state = State::Bom(seen + 1);
                        at += 1;
                    }
                    // A part of the mark is the start of a name that no field has.
                    Some(_) if seen > 0 => self.state = State::Skip,
                    _ => self.state = State::LineStart,
                },
                // HTML §9.2.5 (3)
                State::LineStart if byte == b'\n' && self.after_cr => {
                    self.after_cr = false;
                    at += 1;
                }
                State::LineStart if line_ends => {
                    at += 1;
                    self.end_line(byte);
                    if let Some(signal) = self.end_block() {
                        return Ok((at, Some(signal)));
                    }
                }
                State::LineStart => {
                    self.after_cr = false;
                    self.state = State::Name(Name::default());
                    // A whole name at once, where all of it is there; byte by byte otherwise, with the same result.
                    if let Some((field, colon)) = Field::starts(&input[at..]) {
                        self.open(field, here + colon as u64)?;
                        self.state = State::Space(field);
                        at += colon + 1;
                    }
                }
                State::Name(name) if line_ends || byte == b':' => match name.field() {
                    Some(field) => {
                        self.open(field, here)?;
                        if line_ends {
                            // HTML §9.2.6 (4): a name alone is a field with an empty value; `Value` sees to the end of its line.
                            self.state = State::Value(field);
                        } else {
                            self.state = State::Space(field);
                            at += 1;
                        }
                    }
                    // HTML §9.2.6 (2), HTML §9.2.6 (10): a comment is a field whose name is empty.
                    None => self.state = State::Skip,
                },
                State::Name(name) => {
                    self.state = name.push(byte).map_or(State::Skip, State::Name);
                    at += 1;
                }
                // HTML §9.2.6 (3)
                State::Space(field) => {
                    self.state = State::Value(field);
                    at += usize::from(byte == b' ');
                }
                State::Value(field) if line_ends => {
                    at += 1;
                    self.end_line(byte);
                    if let Some(signal) = self.close(field) {
                        return Ok((at, Some(signal)));
                    }
                }
                State::Value(field) => {
                    let len = line_end(&input[at..]);
                    self.fill(field, &input[at..at + len], here)?;
                    at += len;
                }
                State::Skip if line_ends => {
                    at += 1;
                    self.end_line(byte);
                }
                State::Skip => at += line_end(&input[at..]),
            }
        }
        Ok((at, None))
    }

    fn end_line(&mut self, byte: u8) {
        self.after_cr = byte == b'\r';
        self.state = State::LineStart;
    }

    /// The name of a field is known; its value begins. `here` is the offset of the byte after the name.
    fn open(&mut self, field: Field, here: u64) -> Result<(), Error> {
        match field {
            // HTML §9.2.6 (13): joined by LF before each line but the first, there is none at the end to be removed.
            Field::Data if self.has_data => self.fill(Field::Data, b"\n", here)?,
            Field::Data => self.has_data = true,
            Field::Event => self.event.clear(),
            Field::Id => self.id_line.clear(),
            Field::Retry => self.retry = Retry::Empty,
        }
        Ok(())
    }

    /// More bytes of a value, the first of them at the offset `here`.
    fn fill(&mut self, field: Field, bytes: &[u8], here: u64) -> Result<(), Error> {
        let (buffer, max, kind) = match field {
            Field::Data => (&mut self.data, self.limits.max_data, ErrorKind::DataTooLong),
            Field::Event => (&mut self.event, self.limits.max_name, ErrorKind::EventTooLong),
            Field::Id => (&mut self.id_line, self.limits.max_name, ErrorKind::IdTooLong),
            Field::Retry => {
                self.retry = self.retry.push(bytes);
                return Ok(());
            }
        };
        let room = max - buffer.len();
        if bytes.len() > room {
            return Err(Error::new(kind, here + room as u64));
        }
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The line of a field has ended.
    fn close(&mut self, field: Field) -> Option<Signal> {
        match (field, self.retry) {
            (Field::Retry, Retry::Millis(ms)) => return Some(Signal::Retry(ms)),
            // HTML §9.2.6 (8)
            (Field::Id, _) if !self.id_line.contains(&0) => {
                core::mem::swap(&mut self.id, &mut self.id_line);
                self.has_id = true;
            }
            _ => {}
        }
        None
    }

    /// A blank line: the event is dispatched if it has data; the id counts in any case.
    fn end_block(&mut self) -> Option<Signal> {
        let set_id = core::mem::take(&mut self.has_id);
        // HTML §9.2.6 (11)
        if set_id {
            self.last_event_id.clear();
            self.last_event_id.push_str(&String::from_utf8_lossy(&self.id));
        }
        if core::mem::take(&mut self.has_data) {
            self.delivered = true;
            return Some(Signal::Message);
        }
        // HTML §9.2.6 (12)
        self.event.clear();
        set_id.then_some(Signal::Id)
    }

    fn received(&mut self, signal: Signal) -> Received<'_> {
        match signal {
            Signal::Message => Received::Message {
                event_type: match &self.event[..] {
                    b"" => "message",
                    event => utf8(event, &mut self.event_text),
                },
                data: utf8(&self.data, &mut self.data_text),
                last_event_id: &self.last_event_id,
            },
            Signal::Id => Received::Id(&self.last_event_id),
            Signal::Retry(ms) => Received::Retry(ms),
        }
    }
}

/// What [`Received`] becomes of, without the borrow.
enum Signal {
    Message,
    Id,
    Retry(u64),
}

/// The bytes as text. Where they are no UTF-8, each maximal subpart becomes U+FFFD, as the standard's decoder does, in `made`.
fn utf8<'a>(bytes: &'a [u8], made: &'a mut String) -> &'a str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            *made = String::from_utf8_lossy(bytes).into_owned();
            made
        }
    }
}

/// The byte order mark; one is dropped at the start of a stream.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
