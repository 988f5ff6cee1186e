//! Connections as subjects of the test kit.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part of it

use tidewire_http1::*;
use tidewire_testkit::{Event as Log, Failure, Subject};

/// A server that answers each request with an empty 200 as soon as it has read it.
pub(crate) struct ServerSubject {
    pub(crate) connection: Connection<Server>,
    pub(crate) fields: Fields,
    /// Accept upgrades and tunnels.
    pub(crate) switches: bool,
    upgrade: bool,
    connect: bool,
}

impl ServerSubject {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            connection: Connection::new(limits),
            fields: Fields::new(),
            switches: false,
            upgrade: false,
            connect: false,
        }
    }

    pub(crate) fn switching(limits: Limits) -> Self {
        Self { switches: true, ..Self::new(limits) }
    }

    fn log(&mut self, event: Entry) -> Log {
        match event {
            Entry::Head { line, upgrade, connect } => {
                (self.upgrade, self.connect) = (upgrade, connect);
                Log::other(line)
            }
            Entry::Data(data) => Log::Data(data),
            Entry::Other(line) => Log::other(line),
            Entry::End => {
                self.answer();
                Log::other("end")
            }
        }
    }

    fn answer(&mut self) {
        let mut out = Vec::new();
        if self.switches && (self.upgrade || self.connect) {
            let block = FieldBlock::from_pairs([("Upgrade", "other")]).unwrap();
            let response = Response::new(if self.connect { 200 } else { 101 });
            if self
                .connection
                .send_head(&response.with_fields(&[&block]), BodyLength::Empty, &mut out)
                .is_ok()
            {
                return;
            }
        }
        let status = if self.connect { 405 } else { 200 };
        self.connection.send_head(&Response::new(status), BodyLength::Empty, &mut out).unwrap();
        // An error: this was the last request of the connection.
        let _ = self.connection.next_exchange();
    }
}

impl Subject for ServerSubject {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Log>), Failure> {
        let (used, event) = self.connection.decode(input, &mut self.fields).map_err(failure)?;
        let event = event.map(Entry::from);
        Ok((used, event.map(|event| self.log(event))))
    }

    fn finish(&mut self) -> Result<Option<Log>, Failure> {
        let event = self.connection.finish().map_err(failure)?.map(Entry::from);
        Ok(event.map(|event| self.log(event)))
    }
}

/// A client that has sent a request. It may send the same request again after a complete response.
pub(crate) struct ClientSubject {
    pub(crate) connection: Connection<Client>,
    pub(crate) fields: Fields,
    method: &'static str,
    upgrade: bool,
    /// How many requests follow, each after a complete response.
    more: u32,
}

impl ClientSubject {
    pub(crate) fn new(limits: Limits, method: &'static str, upgrade: bool, more: u32) -> Self {
        let mut new =
            Self { connection: Connection::new(limits), fields: Fields::new(), method, upgrade, more };
        new.request();
        new
    }

    fn request(&mut self) {
        let mut out = Vec::new();
        let mut block = FieldBlock::new();
        if self.upgrade {
            block.push("Upgrade", "other").unwrap();
        }
        let target = if self.method == "CONNECT" { "host:80" } else { "/" };
        let blocks = [&block];
        let request = Request::new(self.method, target, "host").with_fields(&blocks);
        self.connection.send_request(&request, BodyLength::Empty, &mut out).unwrap();
    }

    fn log(&mut self, event: Entry) -> Log {
        match event {
            Entry::Head { line, .. } | Entry::Other(line) => Log::other(line),
            Entry::Data(data) => Log::Data(data),
            Entry::End => {
                if self.more > 0 && self.connection.next_exchange().is_ok() {
                    self.more -= 1;
                    self.request();
                }
                Log::other("end")
            }
        }
    }
}

impl Subject for ClientSubject {
    fn decode(&mut self, input: &mut [u8]) -> Result<(usize, Option<Log>), Failure> {
        let (used, event) = self
            .connection
            .decode(input, &mut self.fields)
            .map_err(|error| Failure::new(error.offset(), error.kind()))?;
        let event = event.map(Entry::from);
        Ok((used, event.map(|event| self.log(event))))
    }

    fn finish(&mut self) -> Result<Option<Log>, Failure> {
        let event = self
            .connection
            .finish()
            .map_err(|error| Failure::new(error.offset(), error.kind()))?
            .map(Entry::from);
        Ok(event.map(|event| self.log(event)))
    }
}

/// `42 error Rule(LengthInvalid), answer 400`.
fn failure(error: Error) -> Failure {
    Failure::new(error.offset(), format_args!("{:?}, answer {}", error.kind(), error.status_hint()))
}

/// An event without its borrow.
enum Entry {
    Head { line: String, upgrade: bool, connect: bool },
    Data(Vec<u8>),
    Other(String),
    End,
}

impl From<Event<'_>> for Entry {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Request(head) => Self::Head {
                line: request_line(&head),
                upgrade: head.upgrade().is_some(),
                connect: head.method() == Method::Connect,
            },
            Event::Response(head) => {
                Self::Head { line: response_line(&head), upgrade: false, connect: false }
            }
            Event::Data(data) => Self::Data(data.to_vec()),
            Event::Trailer { name, value } => Self::Other(format!("trailer {}", pair((name, value)))),
            Event::End => Self::End,
        }
    }
}

/// `request GET "/a?b" HTTP/1.1 Host="h" body=none keep-alive`.
pub(crate) fn request_line(head: &RequestHead<'_>) -> String {
    let mut line =
        format!("request {} \"{}\" {}", head.method(), head.target().escape_ascii(), head.version());
    if head.target_form() != TargetForm::Origin {
        line += &format!(" {:?}", head.target_form());
    }
    tail(&mut line, head.fields(), head.body(), head.keep_alive());
    if head.expects_continue() {
        line += " expects-continue";
    }
    if let Some(protocol) = head.upgrade() {
        line += &format!(" upgrade=\"{}\"", protocol.escape_ascii());
    }
    line
}

/// `response 200 "OK" HTTP/1.1 Content-Length="5" body=5 keep-alive`.
pub(crate) fn response_line(head: &ResponseHead<'_>) -> String {
    let mut line =
        format!("response {} \"{}\" {}", head.status(), head.reason().escape_ascii(), head.version());
    tail(&mut line, head.fields(), head.body(), head.keep_alive());
    line
}

fn tail(line: &mut String, fields: FieldIter<'_>, body: BodyLength, keep_alive: bool) {
    for field in fields {
        *line += &format!(" {}", pair(field));
    }
    *line += &match body {
        BodyLength::Empty => " body=none".into(),
        BodyLength::Length(length) => format!(" body={length}"),
        BodyLength::Chunked => " body=chunked".into(),
        BodyLength::UntilClose => " body=until-close".to_string(),
    };
    *line += if keep_alive { " keep-alive" } else { " close" };
}

fn pair((name, value): (&[u8], &[u8])) -> String {
    format!("{}=\"{}\"", name.escape_ascii(), value.escape_ascii())
}
