//! One HTTP message: the notes of its head, and the body that follows it.

use tidewire_chunked as chunked;
use tidewire_http1::{
    BodyLength, Client, Connection, FieldBlock, Request, RequestHead, Response, ResponseHead, Server,
    reason_phrase,
};
use tidewire_ws::deflate::Params;
use tidewire_ws::handshake::accept_key;
use tidewire_ws::handshake::client::VerifyError;

use super::asked::{self, Asked, Offer, Switched};
use super::body::Content;
use super::chunk::{Chunks, Stop};
use super::half::Shared;
use super::note::{Direction, Kind, Notes, Refusal, brief, bytes};
use super::{Limits, head, sections};

/// A body under way.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) chunks: Option<Chunks>,
    pub(super) content: Content,
    /// What is due when it is over.
    pub(super) asked: Option<Asked>,
}

/// A body or a stream with no head before it.
#[derive(Debug)]
pub(super) enum Bare {
    Chunked { chunks: Chunks, content: Content },
    Content(Content),
}

/// What follows a response's head.
pub(super) enum After {
    Body(Box<Body>),
    /// Another head, for the same request.
    Head,
    Protocol(Switched),
}

impl Bare {
    pub(super) fn decode(&mut self, input: &[u8], at: u64, notes: &mut Notes) -> Result<usize, Refusal> {
        match self {
            Self::Chunked { chunks, content } => {
                chunks.decode(input, content, notes).map_err(|stop| match stop {
                    Stop::Content(refusal) => {
                        content.cut(notes);
                        refusal
                    }
                    Stop::Framing(error) => sections::chunked(notes.direction(), 0, error),
                })
            }
            Self::Content(content) => {
                let outcome = content.push(at, input, notes);
                outcome.inspect_err(|_| content.cut(notes)).map(|()| input.len())
            }
        }
    }
}

/// The notes of a request's head, and what follows it.
pub(super) fn request(
    at: u64,
    head: &RequestHead<'_>,
    limits: &Limits,
    shared: &mut Shared,
    notes: &mut Notes,
) -> Body {
    let empty = matches!(head.body(), BodyLength::Empty | BodyLength::Length(0));
    let asked = Asked::new(head, empty);
    let (end, section) = match head.body() {
        _ if asked.upgrade.is_some() => ("what follows depends on the answer".to_owned(), "RFC 9110 §7.8"),
        BodyLength::Empty | BodyLength::UntilClose => {
            ("the request has no body".to_owned(), "RFC 9112 §6.3 (7)")
        }
        BodyLength::Length(length) => (format!("{} of body follow", bytes(length)), "RFC 9112 §6.3 (6)"),
        BodyLength::Chunked => ("chunks follow".to_owned(), "RFC 9112 §6.3 (4)"),
    };
    head::whole(at, head.as_bytes(), "", &end, section, notes);
    let end = at + head.as_bytes().len() as u64;
    if let Some(Offer::WebSocket { key: Some(_), .. }) = &asked.upgrade {
        let proof = accept_key(head.get("Sec-WebSocket-Key").unwrap_or_default());
        let meaning = format!("16 random bytes in base64; the right answer to them is {}", brief(&proof, 28));
        notes.amend(at + line_of(head.as_bytes(), "sec-websocket-key") as u64, meaning);
    }
    if let Some(fault) = asked::handshake_fault(head) {
        let meaning =
            format!("a WebSocket server answers {} {}", fault.status(), reason_phrase(fault.status()));
        notes.add((end, end), 0, Kind::Warning, "RFC 6455 §4.2.1", fault.detail(), meaning);
    }
    if shared.asked.len() == MAX_ASKED {
        shared.asked.pop_front();
    }
    shared.asked.push_back(asked.clone());
    Body::new(end, head.body(), head.get("Content-Type"), Some(asked), limits)
}

/// The notes of a response's head, and what follows it: a stage, and what became of the connection.
pub(super) fn response(
    at: u64,
    head: &ResponseHead<'_>,
    asked: &Asked,
    limits: &Limits,
    notes: &mut Notes,
) -> Result<After, Refusal> {
    let first = match &asked.line {
        Some(line) => format!("answers {line}"),
        None => "the request was not seen: taken for the answer to a GET".into(),
    };
    let status = head.status();
    let tunnel = asked.is_connect && matches!(status, 200..=299);
    let (end, section) = match head.body() {
        _ if status == 101 || tunnel => ("another protocol begins".to_owned(), "RFC 9110 §15.2.2"),
        _ if head.is_interim() => ("another head follows, for the same request".to_owned(), "RFC 9110 §15.2"),
        _ if asked.is_head => ("no body follows, for it answers a HEAD".to_owned(), "RFC 9112 §6.3 (1)"),
        BodyLength::Empty => (format!("a {status} has no body"), "RFC 9112 §6.3 (1)"),
        BodyLength::Length(length) => (format!("{} of body follow", bytes(length)), "RFC 9112 §6.3 (6)"),
        BodyLength::Chunked => ("chunks follow".to_owned(), "RFC 9112 §6.3 (4)"),
        BodyLength::UntilClose => {
            ("the body is all that comes until the connection closes".to_owned(), "RFC 9112 §6.3 (8)")
        }
    };
    head::whole(at, head.as_bytes(), &first, &end, section, notes);
    let end = at + head.as_bytes().len() as u64;
    if status == 101 {
        let switched = asked.switched(head).map_err(|error| not_open(at, head, error))?;
        if let (Switched::WebSocket(agreed), Some(Offer::WebSocket { key: Some(_), .. })) =
            (switched, &asked.upgrade)
        {
            let proof = "base64 of the SHA-1 of the client's key and a fixed text; it is right, so the server speaks WebSocket";
            notes.amend(at + line_of(head.as_bytes(), "sec-websocket-accept") as u64, proof.into());
            if let Some(params) = agreed.deflate {
                notes.amend(
                    at + line_of(head.as_bytes(), "sec-websocket-extensions") as u64,
                    compression(&params),
                );
            }
        }
        return Ok(After::Protocol(switched));
    }
    if tunnel {
        return Ok(After::Protocol(Switched::Other));
    }
    if head.is_interim() {
        return Ok(After::Head);
    }
    Ok(After::Body(Box::new(Body::new(end, head.body(), head.get("Content-Type"), None, limits))))
}

/// A 101 that does not open a WebSocket. The field that is wrong is blamed, or the end of the head if it is missing.
fn not_open(at: u64, head: &ResponseHead<'_>, error: VerifyError) -> Refusal {
    let field = match error {
        VerifyError::Upgrade => "upgrade",
        VerifyError::Connection => "connection",
        VerifyError::Accept => "sec-websocket-accept",
        VerifyError::Subprotocol => "sec-websocket-protocol",
        VerifyError::Extension => "sec-websocket-extensions",
        _ => "",
    };
    Refusal {
        direction: Direction::Down,
        offset: at + line_of(head.as_bytes(), field) as u64,
        len: 1,
        kind: format!("{error:?}"),
        sentence: error.to_string(),
        answer: "a client closes: the WebSocket is not open".into(),
        status: None,
        close_code: None,
        section: "RFC 6455 §4.1",
    }
}

/// Where in a head the first field of a name begins, or its empty line.
fn line_of(head: &[u8], name: &str) -> usize {
    let mut at = 0;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let is_it =
            line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_it || line == b"\r\n" {
            break;
        }
        at += line.len();
    }
    at
}

/// What compression was agreed on.
fn compression(params: &Params) -> String {
    let side = |alone: bool| if alone { "each message by itself" } else { "with what went before in mind" };
    format!(
        "messages may be compressed: by the server {}, by the client {}",
        side(params.server_no_context_takeover),
        side(params.client_no_context_takeover)
    )
}

impl Body {
    /// The body that starts at the offset `at`.
    fn new(
        at: u64,
        length: BodyLength,
        media_type: Option<&[u8]>,
        asked: Option<Asked>,
        limits: &Limits,
    ) -> Self {
        let chunks = (length == BodyLength::Chunked).then(|| Chunks::new(chunk_limits(limits), 1, at));
        let depth = if chunks.is_some() { 2 } else { 1 };
        Self { chunks, content: Content::new(media_type.unwrap_or_default(), limits.sse, depth), asked }
    }
}

/// Makes a client's connection expect the answer to a request.
pub(super) fn ask(client: &mut Connection<Client>, asked: &Asked) {
    let mut out = Vec::new();
    let mut block = FieldBlock::new();
    if asked.upgrade.is_some() {
        block.push("Upgrade", "websocket").expect("a token");
    }
    if asked.closes {
        client.close();
    }
    let (method, target) = match (asked.is_head, asked.is_connect) {
        (true, _) => ("HEAD", "/"),
        (_, true) => ("CONNECT", "host:80"),
        _ => ("GET", "/"),
    };
    let blocks = [&block];
    let request = Request::new(method, target, "host").with_fields(&blocks);
    let sent =
        client.send_request(&request, BodyLength::Empty, &mut out).and_then(|()| client.send_end(&mut out));
    debug_assert!(sent.is_ok(), "{sent:?}");
}

/// Gives a server's connection an answer, so that it reads the next request.
pub(super) fn answer(server: &mut Connection<Server>) {
    let mut out = Vec::new();
    // A 2xx would make a tunnel of a CONNECT.
    let response = Response::new(404);
    let sent =
        server.send_head(&response, BodyLength::Empty, &mut out).and_then(|()| server.send_end(&mut out));
    debug_assert!(sent.is_ok(), "{sent:?}");
}

/// Notes of the empty lines before a request; says how long they are.
pub(super) fn empty_lines(at: u64, bytes: &[u8], notes: &mut Notes) -> usize {
    let mut len = 0;
    while notes.direction() == Direction::Up && bytes[len..].starts_with(b"\r\n") {
        let start = at + len as u64;
        notes.add(
            (start, start + 2),
            0,
            Kind::EmptyLine,
            "RFC 9112 §2.2",
            "empty line",
            "skipped before a request",
        );
        len += 2;
    }
    len
}

pub(super) fn chunk_limits(limits: &Limits) -> chunked::Limits {
    chunked::Limits::DEFAULT
        .with_max_body(limits.http1.max_body)
        .with_max_overhead(limits.http1.max_overhead)
        .with_max_trailers(limits.http1.max_trailers)
}

/// Requests without an answer that are remembered.
const MAX_ASKED: usize = 4096;
