//! Feeds the two directions of a capture to an observer, and writes down what it yields.
#![allow(dead_code, clippy::unwrap_used)] // each user takes a part

use super::common::{request_line, response_line};
use tidewire_http1::{Error, Event, Fields, Limits, Observer, Reading};
use tidewire_testkit::{Event as Log, Failure, Outcome, Rng};

/// A direction of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    Responses,
}

/// What an observer yielded, for each direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: Outcome,
    pub(crate) responses: Outcome,
}

/// An observer, and the bytes that it has not consumed.
pub(crate) struct Capture {
    pub(crate) observer: Observer,
    fields: Fields,
    up: Vec<u8>,
    down: Vec<u8>,
    pub(crate) seen: Seen,
}

impl Capture {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            observer: Observer::new(limits),
            fields: Fields::new(),
            up: Vec::new(),
            down: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Appends bytes to a direction, and decodes only this direction.
    pub(crate) fn push(&mut self, side: Side, bytes: &[u8]) -> &mut Self {
        match side {
            Side::Requests => self.up.extend_from_slice(bytes),
            Side::Responses => self.down.extend_from_slice(bytes),
        }
        self.read(side);
        self
    }

    /// Decodes one direction as far as possible. Returns whether anything came of it.
    fn read(&mut self, side: Side) -> bool {
        let mut idle = 0;
        let mut came = false;
        loop {
            let before = self.observer.answered();
            let buffer = if side == Side::Requests { &self.up } else { &self.down };
            let decoded = match side {
                Side::Requests => self.observer.decode_requests(buffer, &mut self.fields),
                Side::Responses => self.observer.decode_responses(buffer, &mut self.fields),
            };
            let (used, event) = match decoded {
                Ok((used, event)) => (used, event.map(|event| log(side, event))),
                // An error is news for the other direction too.
                Err(error) => return self.fail(side, error) || came,
            };
            assert!(used <= buffer.len(), "consumed {used} of {}", buffer.len());
            if let Some(Log::Data(data)) = &event {
                assert!(!data.is_empty() && buffer[..used].ends_with(data));
            }
            self.drop_bytes(side, used);
            came |= used > 0 || event.is_some();
            idle = if used == 0 { idle + 1 } else { 0 };
            assert!(idle < 4, "{idle} events without a byte, the last {event:?}");
            let Some(mut event) = event else {
                self.is_stable(side);
                return came;
            };
            if let (Side::Responses, Log::Other(line)) = (side, &mut event)
                && line.starts_with("response")
            {
                let answered = self.observer.answered();
                assert!(answered.is_some() && answered >= before);
                *line += &format!(" to={}", answered.unwrap_or_default());
            }
            self.keep(side, event);
        }
    }

    /// The same call again consumes nothing.
    fn is_stable(&mut self, side: Side) {
        let again = match side {
            Side::Requests => self.observer.decode_requests(&self.up, &mut self.fields),
            Side::Responses => self.observer.decode_responses(&self.down, &mut self.fields),
        };
        assert!(matches!(again, Ok((0, None))), "None is stable: {again:?}");
    }

    /// Returns whether this is a new error.
    fn fail(&mut self, side: Side, error: Error) -> bool {
        let again = match side {
            Side::Requests => self.observer.decode_requests(&[], &mut self.fields),
            Side::Responses => self.observer.decode_responses(b"HTTP/1.1", &mut self.fields),
        };
        assert!(matches!(again, Err(same) if same == error), "errors are sticky");
        let (reading, outcome) = match side {
            Side::Requests => (self.observer.reading_requests(), &mut self.seen.requests),
            Side::Responses => (self.observer.reading_responses(), &mut self.seen.responses),
        };
        assert_eq!(reading, Reading::Failed(error));
        let is_new = outcome.failure.replace(Failure::new(error.offset(), error.kind())).is_none();
        self.drop_bytes(side, usize::MAX);
        is_new
    }

    fn drop_bytes(&mut self, side: Side, used: usize) {
        let buffer = if side == Side::Requests { &mut self.up } else { &mut self.down };
        buffer.drain(..used.min(buffer.len()));
    }

    fn keep(&mut self, side: Side, event: Log) {
        match side {
            Side::Requests => self.seen.requests.push(self.observer.requests_consumed(), event),
            Side::Responses => self.seen.responses.push(self.observer.responses_consumed(), event),
        }
    }

    /// Decodes both directions as far as possible.
    pub(crate) fn read_on(&mut self) {
        while self.read(Side::Requests) | self.read(Side::Responses) {}
    }

    /// Ends both directions.
    pub(crate) fn end(mut self) -> Seen {
        self.read_on();
        self.finish(Side::Requests);
        self.read_on();
        self.finish(Side::Responses);
        self.read_on();
        self.finish(Side::Requests);
        self.seen.requests.left = self.up.len() as u64;
        self.seen.responses.left = self.down.len() as u64;
        for reading in [self.observer.reading_requests(), self.observer.reading_responses()] {
            assert!(!matches!(reading, Reading::Messages) && !reading.is_waiting(), "{reading:?} at the end");
        }
        self.seen
    }

    pub(crate) fn finish(&mut self, side: Side) {
        for _ in 0..2 {
            let finished = match side {
                Side::Requests => self.observer.finish_requests(),
                Side::Responses => self.observer.finish_responses(),
            };
            match finished {
                Ok(None) => {}
                Ok(Some(event)) => self.keep(side, log(side, event)),
                Err(error) => {
                    self.fail(side, error);
                }
            }
        }
    }
}

/// Observes a capture in pieces and in an order that the generator chooses.
pub(crate) fn interleaved(limits: Limits, up: &[u8], down: &[u8], rng: &mut Rng) -> Seen {
    let mut capture = Capture::new(limits);
    let (mut up, mut down) = (up, down);
    let longest = [1, 3, 20, 1000][rng.below(4)];
    let bias = rng.below(101);
    while !up.is_empty() || !down.is_empty() {
        let (side, rest) = match down.is_empty() || !up.is_empty() && rng.chance(bias) {
            true => (Side::Requests, &mut up),
            false => (Side::Responses, &mut down),
        };
        let (piece, later) = rest.split_at((1 + rng.below(longest)).min(rest.len()));
        *rest = later;
        capture.push(side, piece);
        if rng.chance(30) {
            capture.read_on();
        }
        if up.is_empty() && rng.chance(20) {
            capture.read_on();
            capture.finish(Side::Requests);
        }
    }
    capture.end()
}

pub(crate) fn log(side: Side, event: Event<'_>) -> Log {
    let field =
        |(name, value): (&[u8], &[u8])| format!("{}=\"{}\"", name.escape_ascii(), value.escape_ascii());
    match event {
        Event::Request(head) => {
            assert_eq!(side, Side::Requests, "only requests come from the client");
            Log::other(request_line(&head))
        }
        Event::Response(head) => {
            assert_eq!(side, Side::Responses, "only responses come from the server");
            Log::other(response_line(&head))
        }
        Event::Data(data) => Log::data(data),
        Event::Trailer { name, value } => Log::other(format!("trailer {}", field((name, value)))),
        Event::End => Log::other("end"),
    }
}
