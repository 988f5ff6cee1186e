//! Feeds every case of `docs/wire/*.md` to the annotator, cut at every place. The notes are the
//! same, and the result is that of the document.

use tidewire_explain::{Annotator, Direction, Limits, Note, Start};
use tidewire_testkit::split;
use tidewire_testkit::vectors::{self, Vector};

use crate::subject::{OneDirection, check, notes_of};

/// How one case is fed.
struct Fed {
    start: Start,
    limits: Limits,
    direction: Direction,
    /// What is sent first, up and down.
    before: (Vec<u8>, Vec<u8>),
    /// What the server sends after all of the client's bytes.
    after: Vec<u8>,
}

impl Fed {
    fn new(start: Start, limits: Limits, direction: Direction) -> Self {
        Self { start, limits, direction, before: (Vec::new(), Vec::new()), after: Vec::new() }
    }

    fn annotator(&self) -> Annotator {
        let mut annotator = Annotator::starting_with(self.start, self.limits);
        annotator.push(Direction::Up, &self.before.0);
        annotator.push(Direction::Down, &self.before.1);
        annotator
    }

    fn base(&self) -> u64 {
        let before = match self.direction {
            Direction::Up => &self.before.0,
            Direction::Down => &self.before.1,
        };
        before.len() as u64
    }

    /// Runs the case with every cut, checks its notes, and compares the result.
    fn run(&self, name: &str, case: &Vector) {
        let place = format!("{name}.md:{} {}", case.line, case.heading);
        let after = |annotator: &mut Annotator| annotator.push(Direction::Down, &self.after);
        split::check(|| OneDirection::new(self.annotator(), self.direction, after), &case.input);

        let (up, down) = match self.direction {
            Direction::Up => (case.input.as_slice(), self.after.as_slice()),
            Direction::Down => (&[][..], case.input.as_slice()),
        };
        let (mut notes, annotator) = notes_of(self.annotator(), up, down, self.direction);
        let refusal = annotator.refusal(self.direction).cloned().map(|mut refusal| {
            refusal.offset -= self.base();
            refusal
        });
        let shift = |note: &mut Note| note.offset -= self.base();
        notes.iter_mut().for_each(shift);
        check(&notes, refusal.as_ref(), case.input.len() as u64);

        let expected = case.events.iter().find_map(|line| {
            // An example may end on an open WebSocket, a connection may not.
            let error = line.strip_suffix(" open").map(|offset| (offset, "NoClose"));
            let (offset, error) = error.or_else(|| line.split_once(" error "))?;
            offset.parse::<u64>().ok().map(|offset| (offset, error))
        });
        match (expected, &refusal) {
            (None, None) => {}
            (Some((offset, error)), Some(refusal)) => {
                assert_eq!(refusal.offset, offset, "{place}");
                assert_eq!(refusal.kind, error.split(", answer ").next().unwrap(), "{place}");
                if let (Some((_, status)), Direction::Up) = (error.split_once(", answer "), self.direction) {
                    assert_eq!(
                        refusal.status.map(|status| status.to_string()).as_deref(),
                        Some(status),
                        "{place}"
                    );
                }
            }
            (expected, refusal) => {
                panic!("{place}: the document says {expected:?}, the annotator {refusal:?}")
            }
        }
    }
}

#[test]
fn every_case_of_http1() {
    let cases = vectors::of("http1");
    for case in &cases {
        let mut limits = Limits::DEFAULT.with_http1(tidewire_http1::Limits::DEFAULT);
        let number = |name| case.number_option(name);
        let http1 = &mut limits.http1;
        if let Some(n) = number("max_head") {
            http1.max_head = n.try_into().unwrap();
        }
        if let Some(n) = number("max_target") {
            http1.max_target = n.try_into().unwrap();
        }
        if let Some(n) = number("max_method") {
            http1.max_method = n.try_into().unwrap();
        }
        if let Some(n) = number("max_fields") {
            http1.max_fields = n.try_into().unwrap();
        }
        if let Some(n) = number("max_body") {
            http1.max_body = n;
        }
        if let Some(n) = number("max_interim_responses") {
            http1.max_interim_responses = n.try_into().unwrap();
        }
        let direction = if case.has("client") { Direction::Down } else { Direction::Up };
        let mut fed = Fed::new(Start::Http, limits, direction);
        if case.has("client") {
            let request = match case.option("method").unwrap_or("GET") {
                "CONNECT" => "CONNECT host:80 HTTP/1.1\r\nHost: host:80\r\n\r\n".to_owned(),
                method if case.has("upgrade") => {
                    format!("{method} / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
                }
                method => format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"),
            };
            fed.before.0 = request.repeat(if case.has("again") { 2 } else { 1 }).into_bytes();
        } else {
            // The server of the document answers each request at once.
            let answer = if case.has("switches") {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n"
            } else {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            };
            let requests = case.events.iter().filter(|line| line.contains(" request "));
            for line in requests {
                let connect = line.contains(" request CONNECT ");
                let switch = case.has("switches")
                    && (line.contains(" upgrade=") || connect)
                    && (line.contains("body=none") || line.contains("body=0 "));
                fed.after.extend_from_slice(match (switch, connect) {
                    (true, false) => answer.as_bytes(),
                    (true, true) => b"HTTP/1.1 200 OK\r\n\r\n",
                    (false, _) if line.contains(" request HEAD ") => b"HTTP/1.1 404 Not Found\r\n\r\n",
                    (false, _) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                });
            }
        }
        fed.run("http1", case);
    }
    assert!(cases.len() >= 90, "{} cases", cases.len());
}

#[test]
fn every_case_of_chunked() {
    let cases = vectors::of("chunked");
    for case in &cases {
        let mut limits = Limits::DEFAULT;
        if let Some(bytes) = case.number_option("max_body") {
            limits.http1.max_body = bytes;
        }
        if let Some(bytes) = case.number_option("max_overhead") {
            limits.http1.max_overhead = bytes.try_into().unwrap();
        }
        if let Some(fields) = case.number_option("max_trailers") {
            limits.http1.max_trailers = fields.try_into().unwrap();
        }
        Fed::new(Start::Chunked, limits, Direction::Down).run("chunked", case);
    }
    assert!(cases.len() >= 90, "{} cases", cases.len());
}

#[test]
fn every_case_of_event_streams() {
    let cases = vectors::of("sse");
    for case in &cases {
        let mut limits = Limits::DEFAULT;
        if let Some(bytes) = case.number_option("max_data") {
            limits.sse = limits.sse.with_max_data(bytes.try_into().unwrap());
        }
        if let Some(bytes) = case.number_option("max_name") {
            limits.sse = limits.sse.with_max_name(bytes.try_into().unwrap());
        }
        Fed::new(Start::EventStream, limits, Direction::Down).run("sse", case);
    }
    assert!(cases.len() >= 90, "{} cases", cases.len());
}

/// Each case starts with the handshake, which agrees on compression. Cases for the frame decoder
/// alone do not obey the rules of a connection, so [`frames_alone`] compares them.
#[test]
fn every_case_of_websocket() {
    let cases = vectors::of("websocket");
    let whole: Vec<_> = cases.iter().filter(|case| !case.has("frames")).collect();
    for case in &whole {
        let direction = if case.has("client") { Direction::Down } else { Direction::Up };
        let mut fed = Fed::new(Start::Http, limits(case), direction);
        fed.before = handshake(case);
        fed.run("websocket", case);
    }
    assert!(whole.len() >= 100, "{} cases", whole.len());
}

#[test]
fn frames_alone() {
    let mut compared = 0;
    for case in vectors::of("websocket").iter().filter(|case| case.has("frames")) {
        let direction = if case.has("client") { Direction::Down } else { Direction::Up };
        let fed = Fed::new(Start::Frames, limits(case), direction);
        if case.events.iter().any(|line| line.contains(" error ")) {
            fed.run("websocket", case);
            compared += 1;
        }
    }
    assert!(compared >= 1, "{compared} cases");
}

fn limits(case: &Vector) -> Limits {
    let mut ws = tidewire_ws::Limits::DEFAULT;
    if let Some(bytes) = case.number_option("max_frame") {
        ws.max_frame = bytes;
    }
    if let Some(bytes) = case.number_option("max_message") {
        ws.max_message = bytes;
    }
    if let Some(frames) = case.number_option("max_empty") {
        ws.max_empty_fragments = frames.try_into().unwrap();
    }
    Limits::DEFAULT.with_ws(ws)
}

/// An opening handshake that agrees on what the case asks for.
fn handshake(case: &Vector) -> (Vec<u8>, Vec<u8>) {
    let (offer, agreed) = match (case.has("takeover"), case.has("deflate")) {
        (true, _) => ("permessage-deflate", "permessage-deflate"),
        (false, true) => (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (false, false) => ("", ""),
    };
    let extensions = |value: &str| match value {
        "" => String::new(),
        value => format!("Sec-WebSocket-Extensions: {value}\r\n"),
    };
    let up = format!(
        "GET /c/demo HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
        extensions(offer)
    );
    let down = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{}\r\n",
        extensions(agreed)
    );
    (up.into_bytes(), down.into_bytes())
}
