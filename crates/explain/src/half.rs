//! One direction of a connection: which layer its bytes belong to, and what each of them is.
//!
//! ```text
//!            ┌──────────────── the message is complete ───────────────┐
//!            ▼                                                        │
//!          Head ──a head──► Body (by length, in chunks, until close) ─┤
//!                                                                     ├─ an offer to upgrade ─► Held ─101─► Frames, Opaque
//!          any of them: a byte that cannot be accepted ─► Refused     └─ close ─► Unread
//! ```

use tidewire_http1::{Client, Connection, Error, Event, Fields, Server};

use super::asked::{Asked, Offer, Switched};
use super::body::Content;
use super::buffer::Buffer;
use super::chunk::{Chunks, Stop};
use super::data::Data;
use super::frames::{Agreed, Frames};
use super::message::{self, After, Bare, Body, answer, ask, chunk_limits, empty_lines};
use super::note::{Direction, Kind, Note, Notes, Refusal};
use super::{Limits, head, sections};

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    limits: Limits,
    machine: Machine,
    fields: Fields,
    stage: Stage,
    /// Bytes that no decoder has taken.
    buffer: Buffer,
    /// Where they start.
    at: u64,
    notes: Notes,
    refusal: Option<Refusal>,
    /// The input has ended.
    ended: bool,
}

/// The judge of the HTTP messages of this direction.
#[derive(Debug)]
enum Machine {
    Server(Box<Connection<Server>>),
    Client(Box<Connection<Client>>),
}

impl Machine {
    fn decode<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        match self {
            Self::Server(server) => server.decode(input, fields),
            Self::Client(client) => client.decode(input, fields),
        }
    }
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Box<Body>),
    /// A chunked body or an event stream with no head before it.
    Bare(Bare),
    /// What the bytes are depends on an answer that has not come.
    Held,
    Frames(Box<Frames>),
    Opaque(Data),
    Unread(Data),
    Refused,
}

/// What the two directions tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Requests without an answer, in their order.
    pub(super) asked: std::collections::VecDeque<Asked>,
    /// The client has sent something.
    pub(super) client_spoke: bool,
    /// The server has sent something.
    pub(super) server_spoke: bool,
    /// The answer to the request that holds the client's direction up.
    pub(super) verdict: Option<Verdict>,
}

/// What became of an offer to change the protocol.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Switched(Switched),
    Stayed,
}

/// What a direction that begins in the middle begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Middle {
    Chunked,
    Events,
    Frames,
}

impl Half {
    pub(super) fn new(direction: Direction, limits: Limits) -> Self {
        let machine = match direction {
            Direction::Up => Machine::Server(Box::new(Connection::new(limits.http1))),
            Direction::Down => Machine::Client(Box::new(Connection::new(limits.http1))),
        };
        Self {
            limits,
            machine,
            fields: Fields::new(),
            stage: Stage::Head,
            buffer: Buffer::default(),
            at: 0,
            notes: Notes::new(direction),
            refusal: None,
            ended: false,
        }
    }

    /// A direction whose first byte is not the first byte of a message.
    pub(super) fn within(direction: Direction, middle: Middle, limits: Limits) -> Self {
        let mut half = Self::new(direction, limits);
        half.stage = match middle {
            Middle::Chunked => Stage::Bare(Bare::Chunked {
                chunks: Chunks::new(chunk_limits(&limits), 0, 0),
                content: Content::new(b"", limits.sse, 1),
            }),
            Middle::Events => Stage::Bare(Bare::Content(Content::new(b"text/event-stream", limits.sse, 0))),
            Middle::Frames => {
                Stage::Frames(Box::new(Frames::new(direction, Agreed::default(), limits.ws, 0)))
            }
        };
        half
    }

    pub(super) const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// More bytes. What is refused or not followed is not kept.
    pub(super) fn push(&mut self, bytes: &[u8], shared: &mut Shared) {
        if matches!(self.stage, Stage::Refused) || self.ended {
            return;
        }
        self.buffer.bytes.extend_from_slice(bytes);
        self.run(shared);
    }

    /// Reads on, as far as the buffer goes.
    pub(super) fn run(&mut self, shared: &mut Shared) {
        while self.step(shared) {}
        self.buffer.compact();
    }

    /// One step; `false` if there is nothing to do until something changes.
    fn step(&mut self, shared: &mut Shared) -> bool {
        let outcome = match &mut self.stage {
            Stage::Refused => {
                self.buffer.clear();
                return false;
            }
            Stage::Head => return self.head(shared),
            Stage::Body(_) => return self.body(shared),
            Stage::Held => return self.held(shared),
            Stage::Bare(Bare::Chunked { chunks, .. }) if chunks.is_done() => {
                self.stage =
                    Stage::Unread(Data::new(Kind::Unread, 0, "RFC 9112 §7.1", "bytes behind the body"));
                return true;
            }
            Stage::Bare(bare) => bare.decode(&self.buffer, self.at, &mut self.notes),
            Stage::Frames(frames) if frames.is_closed() => {
                let run = Data::new(
                    Kind::Unread,
                    0,
                    "RFC 6455 §5.5.1",
                    "bytes after the close frame: nobody reads them",
                );
                self.stage = Stage::Unread(run);
                return true;
            }
            Stage::Frames(frames) => frames.decode(&self.buffer, &mut self.notes),
            Stage::Opaque(run) | Stage::Unread(run) => {
                run.push(self.at, &self.buffer, &mut self.notes);
                Ok(self.buffer.len())
            }
        };
        match outcome {
            Ok(0) => false,
            Ok(n) => {
                self.consume(n);
                !self.buffer.is_empty() || matches!(&self.stage, Stage::Frames(frames) if frames.is_closed())
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn consume(&mut self, n: usize) {
        self.buffer.taken += n;
        self.at += n as u64;
    }

    /// The last note of this direction.
    fn refuse(&mut self, refusal: Refusal) -> bool {
        self.notes.refuse(&refusal);
        self.refusal = Some(refusal);
        self.stage = Stage::Refused;
        self.buffer.clear();
        false
    }

    /// A head, or what is before one.
    fn head(&mut self, shared: &mut Shared) -> bool {
        let answers = match (&mut self.machine, self.buffer.is_empty()) {
            (_, true) => return false,
            (Machine::Server(_), _) => None,
            (Machine::Client(client), _) => {
                // An interim answer leaves its request where it is.
                if client.is_sent() || shared.asked.front().is_some() || !shared.client_spoke {
                    if !client.is_sent() {
                        let asked = shared.asked.front().cloned().unwrap_or_else(Asked::unseen);
                        ask(client, &asked);
                    }
                    Some(shared.asked.front().cloned().unwrap_or_else(Asked::unseen))
                } else {
                    let run = Data::new(
                        Kind::Unread,
                        0,
                        "RFC 9112 §9.2",
                        "bytes that no request asked for: a client does not read them",
                    );
                    self.stage = Stage::Unread(run);
                    return true;
                }
            }
        };
        let decoded = self.machine.decode(&self.buffer, &mut self.fields);
        let (n, event) = match decoded {
            Ok((0, None)) => return false,
            Ok(decoded) => decoded,
            Err(error) => {
                let len = error.offset().saturating_sub(self.at) as usize;
                let before = &self.buffer[..len.min(self.buffer.len())];
                let empty = empty_lines(self.at, before, &mut self.notes);
                head::partial(self.at + empty as u64, &before[empty..], &mut self.notes);
                if matches!(self.machine, Machine::Server(_)) {
                    shared.asked.push_back(Asked::refused(&self.buffer[empty..]));
                }
                let refusal = sections::http(self.notes.direction(), error);
                return self.refuse(refusal);
            }
        };
        let after = match event {
            None => {
                empty_lines(self.at, &self.buffer[..n], &mut self.notes);
                After::Head
            }
            Some(Event::Request(head)) => {
                let empty = n - head.as_bytes().len();
                empty_lines(self.at, &self.buffer[..empty], &mut self.notes);
                let at = self.at + empty as u64;
                After::Body(Box::new(message::request(at, &head, &self.limits, shared, &mut self.notes)))
            }
            Some(Event::Response(head)) => {
                let asked = answers.unwrap_or_else(Asked::unseen);
                let after = match message::response(self.at, &head, &asked, &self.limits, &mut self.notes) {
                    Ok(after) => after,
                    Err(refusal) => return self.refuse(refusal),
                };
                if !matches!(after, After::Head) {
                    shared.asked.pop_front();
                }
                let verdict = match &after {
                    After::Head => None,
                    After::Body(_) => Some(Verdict::Stayed),
                    After::Protocol(switched) => Some(Verdict::Switched(*switched)),
                };
                if asked.decides() && asked.line.is_some() && verdict.is_some() {
                    shared.verdict = verdict;
                }
                after
            }
            Some(_) => return false,
        };
        self.consume(n);
        match after {
            After::Head => self.stage = Stage::Head,
            After::Body(body) => self.stage = Stage::Body(body),
            After::Protocol(switched) => self.switch(switched),
        }
        true
    }

    /// From here on it is another protocol.
    fn switch(&mut self, switched: Switched) {
        self.stage = match switched {
            Switched::WebSocket(agreed) => {
                let direction = self.notes.direction();
                Stage::Frames(Box::new(Frames::new(direction, agreed, self.limits.ws, self.at)))
            }
            Switched::Other => Stage::Opaque(Data::new(Kind::Opaque, 0, "RFC 9110 §7.8", "another protocol")),
        };
    }

    /// A piece of a body, or its end.
    fn body(&mut self, shared: &mut Shared) -> bool {
        let Stage::Body(body) = &mut self.stage else { return false };
        let decoded = self.machine.decode(&self.buffer, &mut self.fields);
        let (n, event) = match decoded {
            Ok((0, None)) => return false,
            Ok(decoded) => decoded,
            Err(error) => {
                // What the judge took before the fault has no notes yet.
                let told = match &mut body.chunks {
                    Some(chunks) => chunks.decode(&self.buffer, &mut body.content, &mut self.notes).err(),
                    None => None,
                };
                body.content.cut(&mut self.notes);
                let refusal = match told {
                    Some(Stop::Content(refusal)) => refusal,
                    _ => sections::http(self.notes.direction(), error),
                };
                return self.refuse(refusal);
            }
        };
        let over = matches!(event, Some(Event::End));
        let outcome = match (&mut body.chunks, event) {
            (Some(chunks), _) => match chunks.decode(&self.buffer[..n], &mut body.content, &mut self.notes) {
                Ok(_) | Err(Stop::Framing(_)) => Ok(()),
                Err(Stop::Content(refusal)) => Err(refusal),
            },
            (None, Some(Event::Data(data))) => body.content.push(self.at, data, &mut self.notes),
            (None, _) => Ok(()),
        };
        if let Err(refusal) = outcome {
            body.content.cut(&mut self.notes);
            return self.refuse(refusal);
        }
        if over {
            body.content.end(&mut self.notes);
            let asked = body.asked.take();
            self.stage = Stage::Head;
            self.consume(n);
            return self.over(asked, shared);
        }
        self.consume(n);
        true
    }

    /// A message is complete.
    fn over(&mut self, asked: Option<Asked>, shared: &mut Shared) -> bool {
        if asked.as_ref().is_some_and(Asked::decides) {
            self.stage = Stage::Held;
            return self.held(shared);
        }
        self.next_message()
    }

    fn next_message(&mut self) -> bool {
        let (goes_on, text) = match &mut self.machine {
            Machine::Server(server) => {
                answer(server);
                (
                    server.next_message(),
                    "bytes after a request with \"Connection: close\": a server does not read them",
                )
            }
            Machine::Client(client) => (
                client.next_message(),
                "bytes after the last answer of a connection that closes: a client does not read them",
            ),
        };
        self.stage = if goes_on {
            Stage::Head
        } else {
            Stage::Unread(Data::new(Kind::Unread, 0, "RFC 9112 §9.6", text))
        };
        true
    }

    /// Bytes behind an offer to change the protocol.
    fn held(&mut self, shared: &mut Shared) -> bool {
        match shared.verdict.take() {
            None if self.buffer.len() > MAX_HELD => {
                let run = Data::new(
                    Kind::Unread,
                    0,
                    "RFC 9110 §7.8",
                    "bytes behind an offer that has no answer: not followed",
                );
                self.stage = Stage::Unread(run);
                true
            }
            None => false,
            Some(Verdict::Stayed) => self.next_message(),
            Some(Verdict::Switched(switched)) => {
                self.switch(switched);
                true
            }
        }
    }

    /// The end of the input.
    pub(super) fn finish(&mut self, shared: &mut Shared) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if matches!(self.stage, Stage::Held) && !self.buffer.is_empty() && !shared.server_spoke {
            // Only the client's bytes are there: what follows its offer was meant for a server that took it.
            let switched = match shared.asked.back() {
                Some(Asked { upgrade: Some(Offer::WebSocket { .. }), .. }) => {
                    Switched::WebSocket(Agreed::default())
                }
                _ => Switched::Other,
            };
            shared.verdict = Some(Verdict::Switched(switched));
            self.run(shared);
        }
        let direction = self.notes.direction();
        let refusal = match &mut self.stage {
            Stage::Refused => return,
            Stage::Head => self.cut_head(shared),
            Stage::Body(_) => self.cut_body(),
            Stage::Held => {
                let mut run =
                    Data::new(Kind::Unread, 0, "RFC 9110 §7.8", "bytes behind an offer that has no answer");
                run.push(self.at, &self.buffer, &mut self.notes);
                run.flush(&mut self.notes);
                None
            }
            Stage::Bare(Bare::Chunked { chunks, content }) => {
                let outcome = chunks.finish(&self.buffer, content, &mut self.notes);
                outcome.err().map(|error| sections::chunked(direction, 0, error))
            }
            Stage::Bare(Bare::Content(content)) => {
                content.end(&mut self.notes);
                None
            }
            Stage::Frames(frames) => frames.finish(&self.buffer, &mut self.notes).err(),
            Stage::Opaque(run) | Stage::Unread(run) => {
                run.flush(&mut self.notes);
                None
            }
        };
        if let Some(refusal) = refusal {
            self.refuse(Refusal { len: 0, ..refusal });
        }
    }

    fn machine_finish(&mut self) -> Option<Refusal> {
        let outcome = match &mut self.machine {
            Machine::Server(server) => server.finish().map(|_| ()),
            Machine::Client(client) => client.finish().map(|_| ()),
        };
        outcome.err().map(|error| sections::http(self.notes.direction(), error))
    }

    fn cut_head(&mut self, shared: &Shared) -> Option<Refusal> {
        if let (Machine::Client(client), Some(asked)) = (&mut self.machine, shared.asked.front())
            && !client.is_sent()
        {
            ask(client, asked);
        }
        let refusal = self.machine_finish();
        let empty = empty_lines(self.at, &self.buffer, &mut self.notes);
        head::partial(self.at + empty as u64, &self.buffer[empty..], &mut self.notes);
        refusal
    }

    fn cut_body(&mut self) -> Option<Refusal> {
        let refusal = self.machine_finish();
        let Stage::Body(body) = &mut self.stage else { return refusal };
        match &mut body.chunks {
            Some(chunks) => {
                // The decoder behind `machine` has the same to say.
                let _ = chunks.finish(&self.buffer, &mut body.content, &mut self.notes);
            }
            None => body.content.end(&mut self.notes),
        }
        refusal
    }
}

/// Bytes that are kept of what a client sends before its offer is answered. None of it may come then.
const MAX_HELD: usize = 1 << 20;
