//! Connections and frame decoders in the form that the test kit drives. The fuzz targets use this
//! file too.

use std::collections::VecDeque;
use tidewire_testkit as kit;
use tidewire_ws::frame::Header;
use tidewire_ws::{
    Client, Connection, Error, ErrorKind, Event, FrameDecoder, FrameEvent, Kind, Limits, Role, Server,
};

/// The pending replies of a connection, for code that is generic over the role. A client masks with
/// zeros.
pub trait Replies {
    fn replies(&mut self, out: &mut Vec<u8>);
}

impl Replies for Connection<Server> {
    fn replies(&mut self, out: &mut Vec<u8>) {
        self.take_output(out);
    }
}

impl Replies for Connection<Client> {
    fn replies(&mut self, out: &mut Vec<u8>) {
        self.take_output(|| [0; 4], out);
    }
}

/// A connection whose events are written as in `docs/wire/websocket.md`. Its pending replies are
/// taken after each event and written as `send`.
///
/// An input that ends between two messages is logged as `open`. To the library it is
/// [`ErrorKind::NoClose`], because a connection must not end without a close frame. In a document,
/// only the example ends there, and its sender has made no mistake.
pub struct Messages<R> {
    connection: Connection<R>,
    waiting: VecDeque<kit::Event>,
    /// The bytes at the end of the input that are the beginning of a header.
    begun: usize,
    /// `open` was logged.
    is_open: bool,
    /// The inflated pieces of the current message, joined until it ends.
    inflated: Option<Vec<u8>>,
}

impl<R: Role> Messages<R> {
    pub fn new(connection: Connection<R>) -> Self {
        Self { connection, waiting: VecDeque::new(), begun: 0, is_open: false, inflated: None }
    }

    /// A subject for compressed messages in pieces, which it joins.
    #[allow(dead_code)] // needed with compression and by the fuzz targets
    pub fn joining(connection: Connection<R>) -> Self {
        Self { inflated: Some(Vec::new()), ..Self::new(connection) }
    }

    fn note(&mut self, event: kit::Event) {
        self.waiting.push_back(event);
    }
}

impl<R: Role> kit::Subject for Messages<R>
where
    Connection<R>: Replies,
{
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok((0, Some(event)));
        }
        let given = input.len();
        let (n, event) = self.connection.decode(input).map_err(failure)?;
        self.begun = given - n;
        let mut ended = None;
        let event = match event {
            None => return Ok((n, None)),
            Some(Event::Text(text)) => line("text", text.as_bytes()),
            Some(Event::Binary(data)) => line("binary", data),
            Some(Event::Ping(data)) => line("ping", data),
            Some(Event::Pong(data)) => line("pong", data),
            Some(Event::Close { code: None, .. }) => kit::Event::other("close"),
            Some(Event::Close { code: Some(code), reason }) => {
                kit::Event::other(format_args!("close {code} {}", kit::show(reason.as_bytes())))
            }
            Some(Event::Piece { kind, data, last }) => {
                let name = if kind == Kind::Text { "text" } else { "binary" };
                if last {
                    ended = Some(kit::Event::other(format_args!("end of {name}")));
                }
                match &mut self.inflated {
                    Some(all) => {
                        all.extend_from_slice(data);
                        if last {
                            let event = line("inflated", all);
                            all.clear();
                            event
                        } else {
                            // Inflated bytes are not bytes of the input. They are compared at the
                            // end.
                            return self.after(n, input);
                        }
                    }
                    None if data.is_empty() => match ended.take() {
                        Some(ended) => ended,
                        None => return Ok((n, None)),
                    },
                    None => kit::Event::data(data),
                }
            }
            Some(other) => kit::Event::other(format_args!("{other:?}")),
        };
        ended.into_iter().for_each(|ended| self.note(ended));
        let mut output = Vec::new();
        self.connection.replies(&mut output);
        if !output.is_empty() {
            self.note(line("send", &output));
        }
        Ok((n, Some(event)))
    }

    fn finish(&mut self) -> Result<Option<kit::Event>, kit::Failure> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(Some(event));
        }
        match self.connection.finish() {
            Err(error) if error.kind() == ErrorKind::NoClose && self.begun == 0 => {
                let first = !std::mem::replace(&mut self.is_open, true);
                Ok(first.then(|| kit::Event::other("open")))
            }
            finished => finished.map(|_| None).map_err(failure),
        }
    }
}

impl<R: Role> Messages<R>
where
    Connection<R>: Replies,
{
    fn after(&mut self, n: usize, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        let (more, event) = kit::Subject::decode(self, &mut input[n..])?;
        Ok((n + more, event))
    }
}

/// A frame decoder.
pub struct Frames<R>(FrameDecoder<R>);

impl<R: Role> Frames<R> {
    pub fn new(limits: Limits) -> Self {
        Self(FrameDecoder::new(limits))
    }
}

impl<R: Role> kit::Subject for Frames<R> {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<kit::Event>), kit::Failure> {
        let (n, event) = self.0.decode(input).map_err(failure)?;
        let event = event.map(|event| match event {
            FrameEvent::Header(header) => kit::Event::other(describe(&header)),
            FrameEvent::Payload { data, .. } => kit::Event::data(data),
        });
        Ok((n, event))
    }

    fn finish(&mut self) -> Result<Option<kit::Event>, kit::Failure> {
        self.0.finish().map(|_| None).map_err(failure)
    }
}

fn describe(header: &Header) -> String {
    let Header { fin, rsv1, opcode, masking_key, len } = header;
    let flags = [(*fin, " FIN"), (*rsv1, " RSV1"), (masking_key.is_some(), " MASK")];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("header {opcode:?}{flags} len={len}")
}

fn line(name: &str, bytes: &[u8]) -> kit::Event {
    kit::Event::other(format_args!("{name} {}", kit::show(bytes)))
}

fn failure(error: Error) -> kit::Failure {
    kit::Failure::new(error.offset(), error.kind())
}
