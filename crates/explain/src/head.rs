//! Heads, field by field.

use tidewire_grammar::trim_ows;

use crate::direction::Direction;
use crate::fields;
use crate::note::{NoteKind, Notes};
use crate::text::brief;

/// Adds the notes of an accepted head that starts at the offset `at`. `first` is the meaning of its
/// first line. `next` is what follows the head, and `section` defines that.
pub(crate) fn whole(at: u64, head: &[u8], first: &str, next: &str, section: &'static str, notes: &mut Notes) {
    let mut offset = at;
    for (index, line) in head.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let end = offset + line.len() as u64;
        if index == 0 {
            first_line(offset, line, first, notes);
        } else if line == b"\r\n" {
            let meaning = format!("the head ends; {next}");
            notes.add((offset, end), 0, NoteKind::EndOfHead, section, "empty line", meaning);
        } else {
            field(offset, line, notes);
        }
        offset = end;
    }
}

/// Adds the notes of the start of a head: the bytes before a refused byte.
pub(crate) fn partial(at: u64, head: &[u8], notes: &mut Notes) {
    let mut offset = at;
    for (index, line) in head.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let end = offset + line.len() as u64;
        if !line.ends_with(b"\r\n") {
            let what = if index == 0 {
                "the first line, as far as it could be read"
            } else {
                "a field line, as far as it could be read"
            };
            notes.add((offset, end), 0, NoteKind::Part, "RFC 9112 §2.1", brief(line, 60), what);
        } else if index == 0 {
            first_line(offset, line, "", notes);
        } else {
            field(offset, line, notes);
        }
        offset = end;
    }
}

/// Adds the notes of the empty lines before a request. Returns how many bytes they have.
pub(crate) fn empty_lines(at: u64, bytes: &[u8], notes: &mut Notes) -> usize {
    let mut len = 0;
    while notes.direction() == Direction::Up && bytes[len..].starts_with(b"\r\n") {
        let start = at + len as u64;
        let span = (start, start + 2);
        let meaning = "skipped before a request";
        notes.add(span, 0, NoteKind::EmptyLine, "RFC 9112 §2.2", "empty line", meaning);
        len += 2;
    }
    len
}

fn first_line(at: u64, line: &[u8], meaning: &str, notes: &mut Notes) {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let span = (at, at + line.len() as u64);
    // The line was checked. Two single spaces divide it. A status line without a reason may lack
    // the second space.
    let mut words = text.splitn(3, |&byte| byte == b' ');
    let (a, b, c) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let a_end = at + a.len() as u64;
    let b_at = a_end + 1;
    let b_end = b_at + b.len() as u64;
    let c_at = b_end + 1;
    let c_span = (c_at, c_at + c.len() as u64);
    match notes.direction() {
        Direction::Up => {
            notes.add(span, 0, NoteKind::RequestLine, "RFC 9112 §3", "request line", meaning);
            notes.add((at, a_end), 1, NoteKind::Method, method_section(a), brief(a, 32), method(a));
            let (form, section) = target(a, b);
            notes.add((b_at, b_end), 1, NoteKind::Target, section, brief(b, 60), form);
            notes.add(c_span, 1, NoteKind::Version, "RFC 9112 §9.3", brief(c, 8), version(c));
        }
        Direction::Down => {
            notes.add(span, 0, NoteKind::StatusLine, "RFC 9112 §4", "status line", meaning);
            notes.add((at, a_end), 1, NoteKind::Version, "RFC 9112 §9.3", brief(a, 8), version(a));
            let (meaning, section) = status(b);
            notes.add((b_at, b_end), 1, NoteKind::Status, section, brief(b, 3), meaning);
            if !c.is_empty() {
                notes.add(
                    c_span,
                    1,
                    NoteKind::Reason,
                    "RFC 9112 §4",
                    brief(c, 40),
                    "for people: a client does not read it",
                );
            }
        }
    }
}

fn field(at: u64, line: &[u8], notes: &mut Notes) {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let colon = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
    let (name, value) = (&text[..colon], trim_ows(text.get(colon + 1..).unwrap_or_default()));
    let (meaning, section) = fields::meaning(notes.direction(), name, value);
    let label = format!("{}: {}", brief(name, 40), brief(value, 60));
    notes.add((at, at + line.len() as u64), 0, NoteKind::Field, section, label, meaning);
}

fn version(version: &[u8]) -> &'static str {
    match version {
        b"HTTP/1.0" => "the connection closes after the answer, unless both sides ask to keep it",
        _ => "the connection stays open for the next request, unless one side says close",
    }
}

fn method(method: &[u8]) -> &'static str {
    match method {
        b"GET" => "asks for what is at the target",
        b"HEAD" => "asks for the head alone of what GET would get",
        b"POST" => "sends content for the target to process",
        b"PUT" => "stores content at the target",
        b"DELETE" => "removes what is at the target",
        b"CONNECT" => "asks a proxy for a tunnel",
        b"OPTIONS" => "asks what the target supports; browsers send it as a CORS preflight",
        b"TRACE" => "asks the server to send the request back",
        b"PATCH" => "changes what is at the target",
        _ => "a method that HTTP itself does not define",
    }
}

fn method_section(method: &[u8]) -> &'static str {
    match method {
        b"GET" => "RFC 9110 §9.3.1",
        b"HEAD" => "RFC 9110 §9.3.2",
        b"POST" => "RFC 9110 §9.3.3",
        b"PUT" => "RFC 9110 §9.3.4",
        b"DELETE" => "RFC 9110 §9.3.5",
        b"CONNECT" => "RFC 9110 §9.3.6",
        b"OPTIONS" => "RFC 9110 §9.3.7",
        b"TRACE" => "RFC 9110 §9.3.8",
        b"PATCH" => "RFC 5789 §2",
        _ => "RFC 9110 §9.1",
    }
}

fn target(method: &[u8], target: &[u8]) -> (&'static str, &'static str) {
    match (method, target.first()) {
        (b"CONNECT", _) => ("authority form: the host and port of the tunnel", "RFC 9112 §3.2.3"),
        (_, Some(b'*')) => ("asterisk form: the server as a whole", "RFC 9112 §3.2.4"),
        (_, Some(b'/')) if target.contains(&b'?') => {
            ("origin form: a path and, after the ?, a query", "RFC 9112 §3.2.1")
        }
        (_, Some(b'/')) => ("origin form: a path", "RFC 9112 §3.2.1"),
        _ => ("absolute form: a whole URI, as for a proxy", "RFC 9112 §3.2.2"),
    }
}

fn status(code: &[u8]) -> (&'static str, &'static str) {
    match code {
        b"100" => ("continue: send the body; another head follows", "RFC 9110 §15.2.1"),
        b"101" => ("after this head, the connection uses another protocol", "RFC 9110 §15.2.2"),
        b"103" => ("early hints for the final answer; another head follows", "RFC 8297 §2"),
        b"200" => ("success", "RFC 9110 §15.3.1"),
        b"201" => ("a resource was created", "RFC 9110 §15.3.2"),
        b"202" => ("accepted, but not done yet", "RFC 9110 §15.3.3"),
        b"204" => ("success, and no body", "RFC 9110 §15.3.5"),
        b"206" => ("the requested part", "RFC 9110 §15.3.7"),
        b"301" => ("moved permanently: see Location", "RFC 9110 §15.4.2"),
        b"302" => ("at another place for now: see Location", "RFC 9110 §15.4.3"),
        b"303" => ("the answer is at Location: use GET", "RFC 9110 §15.4.4"),
        b"304" => ("the client's copy is still valid: no body", "RFC 9110 §15.4.5"),
        b"307" => ("at another place for now: use the same method", "RFC 9110 §15.4.8"),
        b"308" => ("moved permanently: use the same method", "RFC 9110 §15.4.9"),
        b"400" => ("the server could not understand the request", "RFC 9110 §15.5.1"),
        b"401" => ("authentication is needed: see WWW-Authenticate", "RFC 9110 §15.5.2"),
        b"403" => ("understood and refused", "RFC 9110 §15.5.4"),
        b"404" => ("there is nothing at that target", "RFC 9110 §15.5.5"),
        b"405" => ("the target does not support the method: see Allow", "RFC 9110 §15.5.6"),
        b"406" => ("the target has nothing that the client accepts", "RFC 9110 §15.5.7"),
        b"408" => ("the request did not arrive in time", "RFC 9110 §15.5.9"),
        b"409" => ("conflicts with the current state of the target", "RFC 9110 §15.5.10"),
        b"410" => ("gone for good; from Tidewire: the cursor cannot be continued", "RFC 9110 §15.5.11"),
        b"411" => ("a Content-Length is needed", "RFC 9110 §15.5.12"),
        b"412" => ("a condition of the request does not hold", "RFC 9110 §15.5.13"),
        b"413" => ("the content is too large", "RFC 9110 §15.5.14"),
        b"414" => ("the target is too long", "RFC 9110 §15.5.15"),
        b"415" => ("the target does not support this media type", "RFC 9110 §15.5.16"),
        b"416" => ("the requested range does not exist", "RFC 9110 §15.5.17"),
        b"417" => ("the server cannot meet the expectation", "RFC 9110 §15.5.18"),
        b"426" => ("another protocol is needed: see Upgrade", "RFC 9110 §15.5.22"),
        b"429" => ("too many requests: see Retry-After", "RFC 6585 §4"),
        b"431" => ("the head is too large", "RFC 6585 §5"),
        b"500" => ("the server failed", "RFC 9110 §15.6.1"),
        b"501" => ("the server does not support this request", "RFC 9110 §15.6.2"),
        b"502" => ("the server behind this one gave an invalid answer", "RFC 9110 §15.6.3"),
        b"503" => ("unavailable for now: see Retry-After", "RFC 9110 §15.6.4"),
        b"504" => ("the server behind this one gave no answer in time", "RFC 9110 §15.6.5"),
        b"505" => ("the server does not support this HTTP version", "RFC 9110 §15.6.6"),
        _ => match code.first() {
            Some(b'1') => ("an interim answer; another head follows", "RFC 9110 §15.2"),
            Some(b'2') => ("success", "RFC 9110 §15.3"),
            Some(b'3') => ("redirection", "RFC 9110 §15.4"),
            Some(b'4') => ("an error of the client", "RFC 9110 §15.5"),
            _ => ("an error of the server", "RFC 9110 §15.6"),
        },
    }
}
