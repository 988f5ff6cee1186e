//! The naive twin of the observer: a real server and a real client with the same bytes. The server
//! pretends to answer each request, and the client pretends to ask.

#![allow(clippy::unwrap_used)]

use super::capture::{Seen, Side, log};
use std::collections::VecDeque;
use tidewire_http1::*;
use tidewire_testkit::{Event as Log, Failure, Outcome};

/// Observes a whole capture.
pub(crate) fn observe(limits: Limits, mut up: &[u8], mut down: &[u8]) -> Seen {
    let mut pair = Pair {
        server: Connection::new(limits),
        client: Connection::new(limits),
        fields: Fields::new(),
        asked: VecDeque::new(),
        count: 0,
        in_request: false,
        awaits_response: false,
        seen: Seen::default(),
    };
    while pair.requests(&mut up) {
        // The last request offers a switch: its answer decides whether more requests follow.
        pair.responses(&mut down);
        let is_declined = pair.asked.is_empty() && !pair.client.is_switched();
        if !is_declined || !pair.decline() {
            break;
        }
    }
    pair.finish_requests(up);
    pair.responses(&mut down);
    pair.finish_responses(down);
    let left = |outcome: &Outcome, rest: &[u8]| if outcome.failure.is_some() { 0 } else { rest.len() as u64 };
    pair.seen.requests.left = left(&pair.seen.requests, up);
    pair.seen.responses.left = left(&pair.seen.responses, down);
    pair.seen
}

struct Pair {
    server: Connection<Server>,
    client: Connection<Client>,
    fields: Fields,
    /// Requests without a final response.
    asked: VecDeque<Asked>,
    /// The number of final responses.
    count: u64,
    /// The head of a request was read, and its end was not.
    in_request: bool,
    /// The final response to the first of `asked` is due.
    awaits_response: bool,
    seen: Seen,
}

/// The parts of a request that its response depends on.
struct Asked {
    method: &'static str,
    upgrade: bool,
    has_body: bool,
    closes: bool,
    /// The request is malformed or cut off: a server may answer it, or only close.
    refused: bool,
}

impl Pair {
    /// Reads requests. Returns whether the last one offers a switch.
    fn requests(&mut self, up: &mut &[u8]) -> bool {
        let mut offers = false;
        loop {
            match self.server.decode(up, &mut self.fields) {
                Ok((used, event)) => {
                    *up = &up[used..];
                    let Some(event) = event else { return false };
                    if let Event::Request(head) = &event {
                        let asked = Asked::new(head);
                        offers = (asked.upgrade || asked.method == "CONNECT") && !asked.has_body;
                        self.asked.push_back(asked);
                    }
                    self.in_request = !matches!(event, Event::End);
                    self.seen.requests.push(self.server.consumed(), log(Side::Requests, event));
                }
                Err(error) => {
                    self.fail_request(error, up);
                    return false;
                }
            }
            if self.server.is_paused() && (offers || !self.decline()) {
                return offers;
            }
        }
    }

    /// Answers a request without a switch. Returns whether another request can follow.
    fn decline(&mut self) -> bool {
        let mut out = Vec::new();
        self.server.send_head(&Response::new(404), BodyLength::Empty, &mut out).unwrap();
        self.server.send_end(&mut out).unwrap();
        self.server.next_exchange().is_ok()
    }

    fn fail_request(&mut self, error: Error, start: &[u8]) {
        self.seen.requests.failure = Some(Failure::new(error.offset(), error.kind()));
        if !self.in_request {
            self.asked.push_back(Asked::refused(start));
        }
    }

    /// Reads the responses to the known requests.
    fn responses(&mut self, down: &mut &[u8]) {
        while self.seen.responses.failure.is_none() {
            if !self.client.is_sent() && !self.client.is_switched() {
                let Some(asked) = self.asked.front() else { return };
                ask(&mut self.client, asked);
                self.awaits_response = true;
            }
            match self.client.decode(down, &mut self.fields) {
                Ok((used, None)) => {
                    *down = &down[used..];
                    return;
                }
                Ok((used, Some(event))) => {
                    *down = &down[used..];
                    let mut line = log(Side::Responses, event);
                    if let (Event::Response(head), Log::Other(line)) = (&event, &mut line) {
                        *line += &format!(" to={}", self.count);
                        if !head.is_interim() {
                            self.count += 1;
                            self.asked.pop_front();
                            self.awaits_response = false;
                        }
                    }
                    self.seen.responses.push(self.client.consumed(), line);
                }
                Err(error) => {
                    self.seen.responses.failure = Some(Failure::new(error.offset(), error.kind()));
                }
            }
            if self.client.is_paused() && self.client.next_exchange().is_err() {
                return;
            }
        }
    }

    fn finish_requests(&mut self, rest: &[u8]) {
        if self.seen.requests.failure.is_some() {
            return;
        }
        if let Err(error) = self.server.finish() {
            self.fail_request(error, rest);
        }
    }

    fn finish_responses(&mut self, rest: &[u8]) {
        if self.seen.responses.failure.is_some() {
            return;
        }
        let at = self.client.consumed();
        let is_idle = !self.client.is_sent() && !self.client.is_switched();
        if is_idle && !rest.is_empty() {
            self.seen.responses.failure = Some(Failure::new(at, ErrorKind::Rule(Rule::UnexpectedResponse)));
            return;
        }
        let may_close = self.awaits_response && self.asked.front().is_some_and(|asked| asked.refused);
        if may_close && rest.is_empty() {
            return;
        }
        match self.client.finish() {
            Ok(None) => {}
            Ok(Some(event)) => self.seen.responses.push(at, log(Side::Responses, event)),
            Err(error) => {
                self.seen.responses.failure = Some(Failure::new(error.offset(), error.kind()));
            }
        }
    }
}

impl Asked {
    fn new(head: &RequestHead<'_>) -> Self {
        Self {
            method: match head.method() {
                Method::Head => "HEAD",
                Method::Connect => "CONNECT",
                _ => "GET",
            },
            upgrade: head.upgrade().is_some(),
            has_body: !matches!(head.body(), BodyLength::Empty | BodyLength::Length(0)),
            closes: !head.keep_alive(),
            refused: false,
        }
    }

    /// From the first bytes of a head that could not be read.
    fn refused(start: &[u8]) -> Self {
        let start = start.strip_prefix(b"\r\n").unwrap_or(start);
        let start = start.strip_prefix(b"\r\n").unwrap_or(start);
        let method = if start.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        Self { method, upgrade: false, has_body: false, closes: true, refused: true }
    }
}

fn ask(client: &mut Connection<Client>, asked: &Asked) {
    let (mut out, mut block) = (Vec::new(), FieldBlock::new());
    // A client cannot send such an offer with a body.
    if asked.upgrade && !asked.has_body {
        block.push("Upgrade", "other").unwrap();
    }
    if asked.closes {
        client.close();
    }
    let (target, blocks) = (if asked.method == "CONNECT" { "h:1" } else { "/" }, [&block]);
    let request = Request::new(asked.method, target, "h").with_fields(&blocks);
    let body = if asked.has_body { BodyLength::Chunked } else { BodyLength::Empty };
    client.send_request(&request, body, &mut out).unwrap();
    client.send_end(&mut out).unwrap();
}
