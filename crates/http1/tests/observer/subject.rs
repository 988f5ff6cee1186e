//! The observer as a subject of the test kit: the bytes of one direction, while the other one is
//! complete at each moment.

use super::capture::{Side, log};
use tidewire_http1::{Event, Fields, Limits, Method, Observer, Reading};
use tidewire_testkit::{Event as Log, Failure, Subject};

/// Reads requests. Their server answers each of them as soon as it is complete.
pub(crate) struct RequestSubject {
    observer: Observer,
    fields: Fields,
    /// The server accepts offers to switch.
    switches: bool,
    is_connect: bool,
}

impl RequestSubject {
    pub(crate) fn new(limits: Limits, switches: bool) -> Self {
        Self { observer: Observer::new(limits), fields: Fields::new(), switches, is_connect: false }
    }

    fn answer(&mut self) {
        let offered = self.observer.reading_requests() == Reading::AwaitsAnswer;
        let answer: &[u8] = match (offered && self.switches, self.is_connect) {
            (true, true) => b"HTTP/1.1 200 OK\r\n\r\n",
            (true, false) => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n",
            (false, _) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        };
        let mut at = 0;
        // A case about a short head refuses this answer. Then no request waits for it.
        while let Ok((used, Some(_))) = self.observer.decode_responses(&answer[at..], &mut self.fields) {
            at += used;
        }
    }
}

impl Subject for RequestSubject {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Log>), Failure> {
        let (used, event) = self.observer.decode_requests(input, &mut self.fields).map_err(failure)?;
        if let Some(Event::Request(head)) = &event {
            self.is_connect = head.method() == Method::Connect;
        }
        let is_end = matches!(event, Some(Event::End));
        let event = event.map(|event| log(Side::Requests, event));
        if is_end {
            self.answer();
        }
        Ok((used, event))
    }

    fn finish(&mut self) -> Result<Option<Log>, Failure> {
        self.observer.finish_requests().map(|_| None).map_err(failure)
    }
}

/// Reads responses. Their client has sent one request, and sends others after complete responses.
pub(crate) struct ResponseSubject {
    observer: Observer,
    fields: Fields,
    request: String,
    /// How many requests follow, each after a complete response.
    more: u32,
}

impl ResponseSubject {
    pub(crate) fn new(limits: Limits, method: &'static str, upgrade: bool, more: u32) -> Self {
        let target = if method == "CONNECT" { "h:1" } else { "/" };
        let offer = if upgrade { "Connection: upgrade\r\nUpgrade: other\r\n" } else { "" };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: h:1\r\n{offer}\r\n");
        let mut subject = Self { observer: Observer::new(limits), fields: Fields::new(), request, more };
        subject.ask();
        subject
    }

    fn ask(&mut self) {
        let mut at = 0;
        while let (used, Some(_)) =
            self.observer.decode_requests(&self.request.as_bytes()[at..], &mut self.fields).unwrap()
        {
            at += used;
        }
        assert_eq!(at, self.request.len());
    }
}

impl Subject for ResponseSubject {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Log>), Failure> {
        let decoded = self.observer.decode_responses(input, &mut self.fields);
        let (used, event) = decoded.map_err(|error| Failure::new(error.offset(), error.kind()))?;
        let is_end = matches!(event, Some(Event::End));
        let event = event.map(|event| log(Side::Responses, event));
        if is_end && self.more > 0 && self.observer.reading_responses() == Reading::AwaitsRequest {
            self.more -= 1;
            self.ask();
        }
        Ok((used, event))
    }

    fn finish(&mut self) -> Result<Option<Log>, Failure> {
        let finished = self.observer.finish_responses();
        let event = finished.map_err(|error| Failure::new(error.offset(), error.kind()))?;
        Ok(event.map(|event| log(Side::Responses, event)))
    }
}

/// `42 error Rule(LengthInvalid), answer 400`.
fn failure(error: tidewire_http1::Error) -> Failure {
    Failure::new(error.offset(), format_args!("{:?}, answer {}", error.kind(), error.status_hint()))
}
