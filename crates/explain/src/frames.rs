//! WebSocket frames in one direction.

use tidewire_ws::deflate::{Config, Params};
use tidewire_ws::frame::{Header, Opcode};
use tidewire_ws::{Connection, Error, Event, Limits, Role, mask};

use super::json;
use super::note::{Direction, Kind, Notes, Refusal, SHOWN, bytes, grouped, show};
use super::sections;

/// Follows the frames of one direction. The connection, in the role of the recipient, judges every byte; what the bits are is read here.
#[derive(Debug)]
pub(super) struct Frames {
    judge: Connection,
    /// The offset in the direction of the first byte after the handshake.
    base: u64,
    at: u64,
    frame: Option<Frame>,
    message: Message,
    /// Text messages are JSON objects: the subprotocol is `tidewire.v1`.
    objects: bool,
    closed: bool,
}

/// The frame whose payload is due.
#[derive(Debug)]
struct Frame {
    header: Header,
    left: u64,
    key: [u8; 4],
    /// The payload so far, unmasked: its first bytes.
    seen: Vec<u8>,
}

/// The message under way.
#[derive(Debug, Default)]
struct Message {
    compressed: bool,
    is_text: bool,
    /// The message as the judge inflated or unmasked it: its first bytes, and how many there were.
    seen: Vec<u8>,
    len: u64,
    frames: u32,
}

/// What the opening handshake agreed on, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agreed {
    pub(super) deflate: Option<Params>,
    /// The subprotocol is `tidewire.v1`.
    pub(super) objects: bool,
}

impl Frames {
    /// Frames that go in this direction, from the offset `base` on.
    pub(super) fn new(direction: Direction, agreed: Agreed, limits: Limits, base: u64) -> Self {
        let role = match direction {
            Direction::Up => Role::Server,
            Direction::Down => Role::Client,
        };
        let mut judge = Connection::new(role, limits).in_pieces();
        if let Some(params) = agreed.deflate {
            judge = judge.with_deflate(params, &Config::DEFAULT);
        }
        Self {
            judge,
            base,
            at: base,
            frame: None,
            message: Message::default(),
            objects: agreed.objects,
            closed: false,
        }
    }

    /// A close frame has come: nothing behind it is read.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes what it can of `input`; says how much that was.
    pub(super) fn decode(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
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

    /// The end of the input, behind bytes that are still incomplete.
    pub(super) fn finish(&mut self, rest: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        let Err(error) = self.judge.finish().map(|_| ()) else { return Ok(()) };
        match self.frame.take() {
            Some(mut frame) => {
                let start = self.at - (frame.header.len - frame.left);
                let mut plain = rest.to_vec();
                if frame.header.masking_key.is_some() {
                    mask::apply(frame.key, &mut plain);
                }
                frame.seen.append(&mut plain);
                self.cut(&frame, (start, self.at + rest.len() as u64), notes);
            }
            None => self.cut_header(rest, notes),
        }
        Err(sections::ws(notes.direction(), self.base, error))
    }

    /// One header, if it is whole.
    fn header(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
        let parsed = Header::parse(input).ok().flatten();
        let n = parsed.map_or(input.len().min(Header::MAX_LEN), |(_, n)| n);
        let compressed = self.message.compressed;
        if let Err(error) = self.ask(&input[..n]) {
            let good = (self.base + error.offset()).saturating_sub(self.at);
            let good = usize::try_from(good).unwrap_or(n).min(n);
            let refusal = sections::ws(notes.direction(), self.base, error);
            if good < n {
                self.cut_header(&input[..good], notes);
                return Err(refusal);
            }
            // The header is good; that the message ends with it is not.
            if let Some((header, _)) = parsed {
                bits(self.at, &input[..n], &header, compressed, notes);
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
        bits(self.at, &input[..n], &header, compressed, notes);
        self.at += n as u64;
        if header.len == 0 {
            self.ended(&header, (self.at, self.at), notes);
        } else {
            let key = header.masking_key.unwrap_or_default();
            self.frame = Some(Frame { left: header.len, key, header, seen: Vec::new() });
        }
        Ok(n)
    }

    /// A piece of the payload; of a control frame, all of it at once.
    fn payload(&mut self, input: &[u8], notes: &mut Notes) -> Result<usize, Refusal> {
        let Some(frame) = &mut self.frame else { return Ok(0) };
        let n = usize::try_from(frame.left).unwrap_or(usize::MAX).min(input.len());
        if n == 0 || frame.header.opcode.is_control() && (n as u64) < frame.left {
            return Ok(0);
        }
        let piece = &input[..n];
        let mut plain = piece.to_vec();
        if frame.header.masking_key.is_some() {
            frame.key = mask::apply(frame.key, &mut plain);
        }
        let room = KEPT.saturating_sub(frame.seen.len());
        let start = self.at - (frame.header.len - frame.left);
        let end = start + frame.header.len;
        if let Err(error) = self.ask(piece) {
            let fault = self.base + error.offset();
            if let Some(mut frame) = self.frame.take()
                && fault >= start
            {
                let good = usize::try_from(fault.saturating_sub(self.at)).unwrap_or(n).min(n);
                frame.seen.extend_from_slice(&plain[..good.min(room)]);
                self.cut(&frame, (start, self.at + good as u64), notes);
            }
            // A text that ends within a character is wrong behind its last byte.
            let len = u64::from(fault != end);
            return Err(Refusal { len, ..sections::ws(notes.direction(), self.base, error) });
        }
        self.at += n as u64;
        let Some(frame) = &mut self.frame else { return Ok(n) };
        frame.seen.extend_from_slice(&plain[..n.min(room)]);
        frame.left -= n as u64;
        if frame.left == 0
            && let Some(frame) = self.frame.take()
        {
            self.describe(&frame, (start, self.at), notes);
            self.ended(&frame.header, (start, self.at), notes);
        }
        Ok(n)
    }

    /// Hands raw bytes to the judge.
    fn ask(&mut self, raw: &[u8]) -> Result<(), Error> {
        let mut copy = raw.to_vec();
        let mut at = 0;
        loop {
            let (n, event) = self.judge.decode(&mut copy[at..])?;
            match event {
                Some(Event::Piece { data, .. }) => {
                    let room = KEPT.saturating_sub(self.message.seen.len());
                    self.message.seen.extend_from_slice(&data[..data.len().min(room)]);
                    self.message.len += data.len() as u64;
                }
                Some(Event::Close { .. }) => self.closed = true,
                Some(_) => {}
                None => return Ok(()),
            }
            at += n;
        }
    }

    /// The frame is complete.
    fn ended(&mut self, header: &Header, span: (u64, u64), notes: &mut Notes) {
        if header.opcode.is_control() || !header.fin {
            return;
        }
        let message = std::mem::take(&mut self.message);
        let is_whole = message.len == message.seen.len() as u64;
        let about = |kind: &str| {
            let label = format!("{} {kind}", bytes(message.len));
            let shown = show(&message.seen, message.len);
            (label, shown)
        };
        if message.compressed {
            let (label, shown) = about("inflated");
            notes.add(span, 2, Kind::Inflated, "RFC 7692 §7.2.2", label, shown);
        } else if message.frames > 1 {
            let label =
                format!("the message is complete: {} in {} frames", bytes(message.len), message.frames);
            notes.add(span, 2, Kind::Payload, "RFC 6455 §5.4", label, show(&message.seen, message.len));
        }
        if self.objects && message.is_text {
            let label = "tidewire.v1 object";
            let said = json::describe(&message.seen, is_whole);
            notes.add(span, 2, Kind::JsonLine, "HTTP API, tidewire.v1", label, said);
        }
    }

    /// The payload of a whole frame.
    fn describe(&self, frame: &Frame, span: (u64, u64), notes: &mut Notes) {
        let Frame { header, seen, .. } = frame;
        let unmasked = if header.masking_key.is_some() { "unmasked: " } else { "" };
        if header.opcode == Opcode::Close && seen.len() >= 2 {
            let code = u16::from_be_bytes([seen[0], seen[1]]);
            let code_end = span.0 + 2;
            let label = format!("close code {code}");
            notes.add(
                (span.0, code_end),
                1,
                Kind::CloseCode,
                "RFC 6455 §7.4",
                label,
                sections::close_name(code),
            );
            if code_end < span.1 {
                let reason = show(&seen[2..], seen.len() as u64 - 2);
                notes.add(
                    (code_end, span.1),
                    1,
                    Kind::CloseReason,
                    "RFC 6455 §5.5.1",
                    "reason",
                    format!("{unmasked}{reason}"),
                );
            }
            return;
        }
        let what = match header.opcode {
            Opcode::Ping => "the pong must hold the same",
            Opcode::Pong => "as in the ping, or a heartbeat",
            _ => "",
        };
        let shown = show(seen, header.len);
        let meaning = match (self.message.compressed && !header.opcode.is_control(), what) {
            (true, _) => format!("{unmasked}{shown}, compressed"),
            (false, "") => format!("{unmasked}{shown}"),
            (false, what) => format!("{unmasked}{shown}; {what}"),
        };
        let section = if header.masking_key.is_some() { "RFC 6455 §5.3" } else { "RFC 6455 §5.2" };
        notes.add(span, 1, Kind::Payload, section, format!("payload, {}", bytes(header.len)), meaning);
    }

    /// The payload of a frame that is not whole, or not good from the end of `span` on.
    fn cut(&self, frame: &Frame, span: (u64, u64), notes: &mut Notes) {
        if span.0 < span.1 {
            let seen = &frame.seen[..frame.seen.len().min((span.1 - span.0) as usize)];
            let label = format!("payload, {} of {}", grouped(span.1 - span.0), bytes(frame.header.len));
            notes.add(span, 1, Kind::Part, "RFC 6455 §5.2", label, show(seen, span.1 - span.0));
        }
    }

    /// A header that is not whole, or not good behind `bytes`.
    fn cut_header(&self, bytes: &[u8], notes: &mut Notes) {
        if !bytes.is_empty() {
            let end = self.at + bytes.len() as u64;
            let label = show_bits(bytes);
            notes.add(
                (self.at, end),
                0,
                Kind::Part,
                "RFC 6455 §5.2",
                label,
                "the beginning of a frame header",
            );
        }
    }
}

/// A header, bit by bit.
fn bits(at: u64, raw: &[u8], header: &Header, compressed: bool, notes: &mut Notes) {
    let name = match header.opcode {
        Opcode::Continuation => "continuation",
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Close => "close",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
    };
    const BASE: &str = "RFC 6455 §5.2";
    let mut flags = Vec::new();
    if !header.fin {
        flags.push("not the last");
    }
    if header.rsv1 {
        flags.push("compressed");
    }
    if header.masking_key.is_some() {
        flags.push("masked");
    }
    let flags = if flags.is_empty() { String::new() } else { format!(", {}", flags.join(", ")) };
    let meaning = format!("{} of payload{flags}", bytes(header.len));
    let end = at + raw.len() as u64;
    notes.add((at, end), 0, Kind::FrameHeader, BASE, format!("{name} frame"), meaning);

    let (first, second) = ((at, at + 1), (at + 1, at + 2));
    let fin = match (header.fin, header.opcode) {
        (false, Opcode::Continuation) => "the message goes on in another continuation frame",
        (false, _) => "the first of several frames: continuations follow",
        (true, Opcode::Continuation) => "the last frame of its message",
        (true, opcode) if opcode.is_control() => "a control frame is never fragmented",
        (true, _) => "the whole message is in this frame",
    };
    let fin_bit = u8::from(header.fin);
    notes.add(first, 1, Kind::Fin, BASE, format!("FIN = {fin_bit}"), fin);
    let rsv = match (header.rsv1, compressed && !header.opcode.is_control()) {
        (true, _) => ("RSV1-3 = 100", "RSV1: the message is compressed (permessage-deflate)", "RFC 7692 §6"),
        (false, true) => {
            ("RSV1-3 = 000", "only the first frame of a compressed message has RSV1", "RFC 7692 §6.1")
        }
        (false, false) => ("RSV1-3 = 000", "no extension changes this frame", BASE),
    };
    notes.add(first, 1, Kind::Rsv, rsv.2, rsv.0, rsv.1);
    let control = if header.opcode.is_control() { "a control frame" } else { "a data frame" };
    notes.add(
        first,
        1,
        Kind::Opcode,
        BASE,
        format!("opcode = 0x{:x}", raw[0] & 0xf),
        format!("{name}, {control}"),
    );
    let masked = match header.masking_key {
        Some(_) => ("MASK = 1", "a client masks all it sends"),
        None => ("MASK = 0", "a server never masks"),
    };
    notes.add(second, 1, Kind::Mask, "RFC 6455 §5.1", masked.0, masked.1);
    let key_len = if header.masking_key.is_some() { 4 } else { 0 };
    let length_end = end - key_len;
    let seven = raw[1] & 0x7f;
    let length = match seven {
        126 => format!("126: the length is in the next 16 bits, {}", grouped(header.len)),
        127 => format!("127: the length is in the next 64 bits, {}", grouped(header.len)),
        _ => format!("the payload is {}", bytes(header.len)),
    };
    notes.add((at + 1, length_end), 1, Kind::Length, BASE, format!("length = {seven}"), length);
    if let Some(key) = header.masking_key {
        let hex: Vec<_> = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let meaning = "byte i of the payload is XORed with byte i mod 4 of it";
        notes.add(
            (length_end, end),
            1,
            Kind::MaskingKey,
            "RFC 6455 §5.3",
            format!("masking key {}", hex.join(" ")),
            meaning,
        );
    }
}

fn show_bits(bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().take(SHOWN / 4).map(|byte| format!("{byte:02x}")).collect();
    hex.join(" ")
}

/// Bytes of a message that are kept, to be shown.
const KEPT: usize = 128 * 1024;
