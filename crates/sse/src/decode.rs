//! Decodes bytes to events, by HTML §9.2.6 "Interpreting an event stream".

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::scan::{is_line_end, line_end};
use crate::state::{Field, Name, Retry, State};

/// What a decoder yields. It borrows the decoder until the next call.
///
/// ```
/// use tidewire_sse::{Decoder, Event, Limits};
///
/// let mut decoder = Decoder::new(Limits::DEFAULT);
/// match decoder.decode(b"id: 7\ndata: high\n\n")? {
///     (_, Some(Event::Message { event_type, data, last_event_id })) => {
///         assert_eq!((event_type, data, last_event_id), ("message", "high", "7"));
///     }
///     (_, Some(Event::Id(id))) => println!("resume after {id}"),
///     (_, Some(Event::Retry(ms))) => println!("reconnect after {ms} ms"),
///     (_, other) => println!("read more, or ignore it: {other:?}"),
/// }
/// # Ok::<(), tidewire_sse::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A block with data: what a browser dispatches to a page. It comes at the blank line that ends
    /// the block.
    Message {
        /// The value of the `event` field; `message` if there was none or an empty one.
        event_type: &'a str,
        /// The `data` lines, joined by line feeds.
        data: &'a str,
        /// The last id that the stream has set, in this block or before. Empty if there is none.
        last_event_id: &'a str,
    },
    /// A block without data has set the id. It comes at the blank line that ends the block. A
    /// browser dispatches no event, but reconnects with this id.
    Id(&'a str),
    /// The time to wait before reconnecting, in milliseconds. It comes at the end of its line,
    /// since it holds without a blank line.
    Retry(u64),
}

/// Decodes an event stream. It consumes all bytes that it gets, and holds one event at most.
///
/// ```
/// use tidewire_sse::{Decoder, Event, Limits};
///
/// let mut decoder = Decoder::new(Limits::default());
/// let stream = b"id: 7\ndata: tide\ndata: wire\n\ndata: cut of";
///
/// let (n, event) = decoder.decode(stream)?;
/// assert_eq!(n, 29); // up to the blank line, which is included
/// let message = Event::Message { event_type: "message", data: "tide\nwire", last_event_id: "7" };
/// assert_eq!(event, Some(message));
///
/// assert_eq!(decoder.decode(&stream[n..])?, (12, None));
/// assert_eq!(decoder.finish()?, None); // an unfinished event is discarded
/// assert_eq!(decoder.last_event_id(), "7");
/// # Ok::<(), tidewire_sse::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    /// A CR has ended the line. If LF comes next, it is the second half of a CRLF.
    after_cr: bool,
    /// The last call yielded `data` and `event`; the next call clears them.
    delivered: bool,
    has_data: bool,
    has_id: bool,
    retry: Retry,
    /// Bytes consumed so far.
    position: u64,
    failed: Option<Error>,
    /// The data of this block, not yet checked for UTF-8.
    data: Vec<u8>,
    /// The event type of this block, not yet checked for UTF-8.
    event: Vec<u8>,
    /// The value of an `id` field whose line has not ended. It is ignored if it has a NUL.
    id_line: Vec<u8>,
    /// The id of this block. It becomes `last_event_id` when the block ends.
    id: Vec<u8>,
    last_event_id: String,
    /// `event` and `data` with U+FFFD, where they were not UTF-8.
    event_text: String,
    data_text: String,
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
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

    /// Sets the last id of an earlier connection. Events that set no id have this id, as in a
    /// browser.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &str) -> Self {
        self.last_event_id.clear();
        self.last_event_id.push_str(id);
        self
    }

    /// Sets the limits. What is held already may exceed the new ones, but cannot grow.
    #[cfg(feature = "stream")]
    pub(crate) const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Returns the next event and the number of bytes consumed.
    ///
    /// `Ok((n, Some(event)))`: call again with the bytes after the first `n`. `Ok((n, None))`: all
    /// bytes are consumed, and no event is complete.
    ///
    /// # Errors
    /// Only if a limit is passed: every sequence of bytes is a valid stream. Each later call
    /// returns the same error.
    pub fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
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
                self.position = self.position.saturating_add(n as u64);
                Ok((n, signal.map(|signal| self.event(signal))))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// The end of the stream, which may come anywhere. An unfinished event is discarded, also its
    /// id (HTML §9.2.6).
    ///
    /// # Errors
    /// The error that [`decode`](Self::decode) returned before, if it did.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        self.failed.map_or(Ok(None), Err)
    }

    /// The last event ID, to send in the header field `Last-Event-ID` when reconnecting. If it is
    /// empty, the client sends no such field.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Whether the stream would lose something if it ended here: a field whose line has not ended,
    /// or a block whose blank line is missing. Comments do not count.
    ///
    /// The standard discards this part without notice (HTML §9.2.6). A caller that expects the
    /// stream to end after a whole event can report it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        let in_line = match self.state {
            State::Bom(_) | State::LineStart | State::Skip => false,
            State::Name(_) | State::Space(_) | State::Value(_) => true,
        };
        in_line || self.has_data || self.has_id || (!self.delivered && !self.event.is_empty())
    }

    /// Runs the state machine until an event is complete.
    fn advance(&mut self, input: &[u8]) -> Result<(usize, Option<Signal>), Error> {
        let mut at = 0_usize;
        while let Some(&byte) = input.get(at) {
            let next = at.saturating_add(1);
            let here = self.position.saturating_add(at as u64);
            let line_ends = is_line_end(byte);
            match self.state {
                // HTML §9.2.5 (2)
                State::Bom(seen) => match BOM.get(usize::from(seen)) {
                    Some(&expected) if expected == byte => {
                        self.state = State::Bom(seen.saturating_add(1));
                        at = next;
                    }
                    // These bytes begin a name that no field has.
                    Some(_) if seen > 0 => self.state = State::Skip,
                    _ => self.state = State::LineStart,
                },
                // HTML §9.2.5 (3)
                State::LineStart if byte == b'\n' && self.after_cr => {
                    self.after_cr = false;
                    at = next;
                }
                State::LineStart if line_ends => {
                    at = next;
                    self.end_line(byte);
                    if let Some(signal) = self.end_block() {
                        return Ok((at, Some(signal)));
                    }
                }
                State::LineStart => {
                    self.after_cr = false;
                    self.state = State::Name(Name::default());
                    // A shortcut if the name and the colon have arrived. Otherwise the name is
                    // read byte by byte, with the same result.
                    if let Some((field, colon)) = Field::starts(&input[at..]) {
                        self.open(field, here.saturating_add(colon as u64))?;
                        self.state = State::Space(field);
                        at = at.saturating_add(colon).saturating_add(1);
                    }
                }
                State::Name(name) if line_ends || byte == b':' => match name.field() {
                    Some(field) => {
                        self.open(field, here)?;
                        if line_ends {
                            // HTML §9.2.6 (4): a name alone is a field with an empty value. The
                            // state `Value` ends its line.
                            self.state = State::Value(field);
                        } else {
                            self.state = State::Space(field);
                            at = next;
                        }
                    }
                    // HTML §9.2.6 (2), HTML §9.2.6 (10): a comment is a field with an empty name.
                    None => self.state = State::Skip,
                },
                State::Name(name) => {
                    self.state = name.push(byte).map_or(State::Skip, State::Name);
                    at = next;
                }
                // HTML §9.2.6 (3)
                State::Space(field) => {
                    self.state = State::Value(field);
                    at = at.saturating_add((byte == b' ').into());
                }
                State::Value(field) if line_ends => {
                    at = next;
                    self.end_line(byte);
                    if let Some(signal) = self.close(field) {
                        return Ok((at, Some(signal)));
                    }
                }
                State::Value(field) => {
                    let len = line_end(&input[at..]);
                    self.fill(field, &input[at..][..len], here)?;
                    at = at.saturating_add(len);
                }
                State::Skip if line_ends => {
                    at = next;
                    self.end_line(byte);
                }
                State::Skip => at = at.saturating_add(line_end(&input[at..])),
            }
        }
        Ok((at, None))
    }

    fn end_line(&mut self, byte: u8) {
        self.after_cr = byte == b'\r';
        self.state = State::LineStart;
    }

    /// Begins the value of a field. `here` is the offset of the byte after the name.
    fn open(&mut self, field: Field, here: u64) -> Result<(), Error> {
        match field {
            // HTML §9.2.6 (13): LF before each line but the first, so that none at the end has to
            // be removed.
            Field::Data if self.has_data => self.fill(Field::Data, b"\n", here)?,
            Field::Data => self.has_data = true,
            Field::Event => self.event.clear(),
            Field::Id => self.id_line.clear(),
            Field::Retry => self.retry = Retry::Empty,
        }
        Ok(())
    }

    /// Appends bytes to a value. `here` is the offset of the first byte.
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
        let room = max.saturating_sub(buffer.len());
        if bytes.len() > room {
            return Err(Error::new(kind, here.saturating_add(room as u64)));
        }
        buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the line of a field.
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

    /// Ends the block at a blank line. The id is set, also if the block has no data.
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

    fn event(&mut self, signal: Signal) -> Event<'_> {
        match signal {
            Signal::Message => Event::Message {
                event_type: match &self.event[..] {
                    b"" => DEFAULT_EVENT_TYPE,
                    event => utf8(event, &mut self.event_text),
                },
                data: utf8(&self.data, &mut self.data_text),
                last_event_id: &self.last_event_id,
            },
            Signal::Id => Event::Id(&self.last_event_id),
            Signal::Retry(ms) => Event::Retry(ms),
        }
    }
}

/// The kind of an [`Event`], which borrows nothing.
enum Signal {
    Message,
    Id,
    Retry(u64),
}

/// The bytes as text. If they are not UTF-8, `replaced` holds the text, with U+FFFD for each
/// maximal subpart, as in the standard's decoder.
fn utf8<'a>(bytes: &'a [u8], replaced: &'a mut String) -> &'a str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            *replaced = String::from_utf8_lossy(bytes).into_owned();
            replaced
        }
    }
}

/// The event type of a block that sets none.
pub(crate) const DEFAULT_EVENT_TYPE: &str = "message";

/// The byte order mark. One is dropped at the start of a stream.
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
