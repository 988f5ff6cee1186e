//! WebSocket frames in one direction.

use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Client, Connection, Error, Event, Limits, Role, Server, mask};

use crate::api_object;
use crate::close_code;
use crate::direction::Direction;
use crate::frame_header;
use crate::note::{NoteKind, Notes};
use crate::refusal::Refusal;
use crate::text::{byte_count, grouped, keep_start, quote};

/// Notes of the frames of one direction. A connection of the ws crate, in the role of the
/// recipient, checks every byte. This type says what the bytes are.
#[derive(Debug)]
pub(crate) struct Frames {
    decoder: Recipient,
    /// The offset in the direction of the first byte after the handshake.
    base: u64,
    /// The offset in the direction of the next byte.
    at: u64,
    /// The frame whose payload comes next.
    frame: Option<Frame>,
    message: Message,
    /// Whether text messages are JSON objects of the HTTP API.
    tidewire_v1: bool,
    closed: bool,
}

/// The end that receives the frames.
#[derive(Debug)]
enum Recipient {
    Server(Connection<Server>),
    Client(Connection<Client>),
}

impl Recipient {
    fn new(direction: Direction, deflate: Option<Params>, limits: Limits) -> Self {
        match direction {
            Direction::Up => Self::Server(in_pieces(Connection::new(limits), deflate)),
            Direction::Down => Self::Client(in_pieces(Connection::new(limits), deflate)),
        }
    }

    fn decode<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        match self {
            Self::Server(connection) => connection.decode(input),
            Self::Client(connection) => connection.decode(input),
        }
    }

    fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        match self {
            Self::Server(connection) => connection.finish(),
            Self::Client(connection) => connection.finish(),
        }
    }
}

fn in_pieces<R: Role>(connection: Connection<R>, deflate: Option<Params>) -> Connection<R> {
    let connection = connection.in_pieces();
    match deflate {
        Some(params) => connection.with_deflate(params, &Config::DEFAULT),
        None => connection,
    }
}

/// A frame whose payload is not complete.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// Bytes of the payload that are still to come.
    remaining: u64,
    /// The masking key, rotated to the next byte of the payload.
    key: [u8; 4],
    /// The first bytes of the payload, unmasked.
    kept: Vec<u8>,
}

/// The current message.
#[derive(Debug, Default)]
struct Message {
    compressed: bool,
    is_text: bool,
    frames: u32,
    /// The first bytes of the message, unmasked and inflated, and its length so far.
    kept: Vec<u8>,
    len: u64,
}

/// What the opening handshake agreed on, as far as notes need it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) deflate: Option<Params>,
    /// The subprotocol is `tidewire.v1`.
    pub(crate) tidewire_v1: bool,
}

impl Frames {
    /// Creates the state for frames in this direction, from the offset `base` on.
    pub(crate) fn new(direction: Direction, negotiated: Negotiated, limits: Limits, base: u64) -> Self {
        Self {
            decoder: Recipient::new(direction, negotiated.deflate, limits),
            base,
            at: base,
            frame: None,
            message: Message::default(),
            tidewire_v1: negotiated.tidewire_v1,
            closed: false,
        }
    }

    /// Returns whether a close frame has come. Nothing after it is read.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Decodes as much of `input` as possible. Returns how much that was.
    pub(crate) fn decode(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
        let mut taken = 0;
        while !self.closed {
            let n = match &self.frame {
                None => self.header(&input[taken..], notes)?,
                Some(_) => self.payload(&input[taken..], notes)?,
            };
            if n == 0 {
                break;
            }
            taken += n;
        }
        Ok(taken)
    }

    /// Takes the end of the input. `rest` is what is still incomplete.
    pub(crate) fn finish(&mut self, rest: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        let Err(error) = self.decoder.finish().map(|_| ()) else { return Ok(()) };
        match self.frame.take() {
            Some(mut frame) => {
                let start = self.at - (frame.header.len - frame.remaining);
                let mut plain = rest.to_vec();
                if frame.header.masking_key.is_some() {
                    mask::apply(frame.key, &mut plain);
                }
                frame.kept.append(&mut plain);
                frame.note_part((start, self.at + rest.len() as u64), notes);
            }
            None => frame_header::partial(self.at, rest, notes),
        }
        Err(Refusal::ws(notes.direction(), self.base, error))
    }

    /// Decodes one header, if it is complete.
    fn header(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
        let parsed = Header::parse(input).ok().flatten();
        let n = parsed.map_or(input.len().min(Header::MAX_LEN), |(_, n)| n);
        let compressed = self.message.compressed;
        if let Err(error) = self.check(&input[..n]) {
            let good = (self.base + error.offset()).saturating_sub(self.at);
            let good = usize::try_from(good).unwrap_or(n).min(n);
            let refusal = Refusal::ws(notes.direction(), self.base, error);
            if good < n {
                frame_header::partial(self.at, &input[..good], notes);
                return Err(refusal);
            }
            // The header is correct. The error is that the message ends here, within a character.
            if let Some((header, _)) = parsed {
                frame_header::whole(self.at, &input[..n], &header, compressed, notes);
            }
            return Err(Refusal { len: 0, ..refusal });
        }
        let Some((header, n)) = parsed else { return Ok(0) };
        if !header.opcode.is_control() {
            if header.opcode != Opcode::Continuation {
                self.message.compressed = header.rsv1;
                self.message.is_text = header.opcode == Opcode::Text;
                self.message.frames = 0;
            }
            self.message.frames = self.message.frames.saturating_add(1);
        }
        let compressed = if header.opcode == Opcode::Continuation { compressed } else { header.rsv1 };
        frame_header::whole(self.at, &input[..n], &header, compressed, notes);
        self.at += n as u64;
        if header.len == 0 {
            self.frame_is_complete(&header, (self.at, self.at), notes);
        } else {
            let key = header.masking_key.unwrap_or_default();
            self.frame = Some(Frame { remaining: header.len, key, header, kept: Vec::new() });
        }
        Ok(n)
    }

    /// Decodes a piece of the payload. The payload of a control frame is decoded whole.
    fn payload(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
        let Some(mut frame) = self.frame.take() else { return Ok(0) };
        let n = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.len());
        if n == 0 || frame.header.opcode.is_control() && (n as u64) < frame.remaining {
            self.frame = Some(frame);
            return Ok(0);
        }
        let raw = &input[..n];
        let mut plain = raw.to_vec();
        if frame.header.masking_key.is_some() {
            frame.key = mask::apply(frame.key, &mut plain);
        }
        let start = self.at - (frame.header.len - frame.remaining);
        let end = start + frame.header.len;
        if let Err(error) = self.check(raw) {
            let fault = self.base + error.offset();
            if fault >= start {
                let good = usize::try_from(fault.saturating_sub(self.at)).unwrap_or(n).min(n);
                keep_start(&mut frame.kept, &plain[..good], MAX_KEPT);
                frame.note_part((start, self.at + good as u64), notes);
            }
            // If a text ends within a character, the error is at the end, and no byte is wrong.
            let len = u64::from(fault != end);
            return Err(Refusal { len, ..Refusal::ws(notes.direction(), self.base, error) });
        }
        self.at += n as u64;
        keep_start(&mut frame.kept, &plain, MAX_KEPT);
        frame.remaining -= n as u64;
        if frame.remaining == 0 {
            frame.note_payload(self.message.compressed, (start, self.at), notes);
            self.frame_is_complete(&frame.header, (start, self.at), notes);
        } else {
            self.frame = Some(frame);
        }
        Ok(n)
    }

    /// Passes bytes to the decoder as they were received.
    fn check(&mut self, raw: &[u8]) -> Result<(), Error> {
        let mut copy = raw.to_vec();
        let mut at = 0;
        loop {
            let (n, event) = self.decoder.decode(&mut copy[at..])?;
            match event {
                Some(Event::Piece { data, .. }) => {
                    keep_start(&mut self.message.kept, data, MAX_KEPT);
                    self.message.len += data.len() as u64;
                }
                Some(Event::Close { .. }) => self.closed = true,
                Some(_) => {}
                None => return Ok(()),
            }
            at += n;
        }
    }

    /// Adds the notes of the whole message if this frame completes it. `span` is the payload of the
    /// frame.
    fn frame_is_complete(&mut self, header: &Header, span: (u64, u64), notes: &mut Notes) {
        if header.opcode.is_control() || !header.fin {
            return;
        }
        let message = std::mem::take(&mut self.message);
        let is_whole = message.len == message.kept.len() as u64;
        if message.compressed {
            let label = format!("{} inflated", byte_count(message.len));
            let meaning = quote(&message.kept, message.len);
            notes.add(span, 2, NoteKind::Inflated, "RFC 7692 §7.2.2", label, meaning);
        } else if message.frames > 1 {
            let len = byte_count(message.len);
            let label = format!("the message is complete: {len} in {} frames", message.frames);
            let meaning = quote(&message.kept, message.len);
            notes.add(span, 2, NoteKind::Payload, "RFC 6455 §5.4", label, meaning);
        }
        if self.tidewire_v1 && message.is_text {
            let meaning = api_object::meaning(&message.kept, is_whole);
            notes.add(span, 2, NoteKind::JsonLine, "HTTP API, tidewire.v1", "tidewire.v1 object", meaning);
        }
    }
}

impl Frame {
    /// Adds the notes of a complete payload.
    fn note_payload(&self, compressed: bool, span: (u64, u64), notes: &mut Notes) {
        let Self { header, kept, .. } = self;
        let unmasked = if header.masking_key.is_some() { "unmasked: " } else { "" };
        if header.opcode == Opcode::Close && kept.len() >= 2 {
            let code = u16::from_be_bytes([kept[0], kept[1]]);
            let code_end = span.0 + 2;
            let label = format!("close code {code}");
            let meaning = close_code::meaning(code);
            notes.add((span.0, code_end), 1, NoteKind::CloseCode, "RFC 6455 §7.4", label, meaning);
            if code_end < span.1 {
                let meaning = format!("{unmasked}{}", quote(&kept[2..], kept.len() as u64 - 2));
                let reason = (code_end, span.1);
                notes.add(reason, 1, NoteKind::CloseReason, "RFC 6455 §5.5.1", "reason", meaning);
            }
            return;
        }
        let remark = match header.opcode {
            Opcode::Ping => "; the pong must have the same payload",
            Opcode::Pong => "; the payload of the ping, or a heartbeat",
            _ if compressed => ", compressed",
            _ => "",
        };
        let label = format!("payload, {}", byte_count(header.len));
        let meaning = format!("{unmasked}{}{remark}", quote(kept, header.len));
        let section = if header.masking_key.is_some() { "RFC 6455 §5.3" } else { "RFC 6455 §5.2" };
        notes.add(span, 1, NoteKind::Payload, section, label, meaning);
    }

    /// Adds the note of a payload that is incomplete, or wrong after `span`.
    fn note_part(&self, span: (u64, u64), notes: &mut Notes) {
        if span.0 < span.1 {
            let len = span.1 - span.0;
            let kept = &self.kept[..self.kept.len().min(len as usize)];
            let label = format!("payload, {} of {}", grouped(len), byte_count(self.header.len));
            notes.add(span, 1, NoteKind::Part, "RFC 6455 §5.2", label, quote(kept, len));
        }
    }
}

/// The number of bytes of a message that are kept: enough for a message of 64 KiB in a JSON object.
const MAX_KEPT: usize = 128 * 1024;
