//! Parsing a head into spans, in any number of pieces.
//!
//! ```text
//!            ┌────────────────────────── one line after another ───────────────┐
//! Start ──► first line ──► [ name ':' OWS value OWS CR LF ] ──► … ──► CR LF     │ the end of the head
//!             │                        ▲
//!             └ method SP target SP version CR LF      `at`: every byte before it was looked at
//!               version SP status SP reason CR LF      `line`: start of the line that `at` is in
//! ```
//! The first line is refused at its first wrong byte. A field line is judged when its CR LF is there, or when a byte
//! comes that no field can hold. Both make the same verdict at the same byte however the input was cut.
//!
//! A head that arrives whole is scanned once, which is nearly every head. One that arrives in pieces is scanned from `at` on with
//! each piece, and once more when it is complete, because the span table belongs to the caller and may have served other
//! connections in between. So each byte is looked at twice at most.

use crate::error::{ErrorKind, Limit, Rule, Syntax};
use crate::fields::{Fields, Span};
use crate::framing::{Facts, Message, body_length};
use crate::limits::Limits;
use crate::message::{BodyLength, Known, Method, TargetForm, Version};
use crate::scan::{find_control, find_not_target, find_not_tchar};
use crate::target;
use tidewire_grammar::class::{is_digit, is_ows};
use tidewire_grammar::trim_ows;

/// What was wrong, and where from the start of the head.
type Fault = (ErrorKind, usize);

/// How far a head has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    stage: Stage,
    /// Did this head need more than one call?
    resumed: bool,
    at: u16,
    line: u16,
    fields: u16,
    /// Bytes in hand at the last call.
    seen: u16,
    meta: Meta,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Within the method, or within the version of a status line.
    Start,
    Target,
    /// Within the version, which ends a request line.
    Version,
    Reason,
    Fields,
}

/// What a head says, beside its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) version: Version,
    /// The method if it is one we have a name for; of a request only.
    pub(crate) method: Option<Known>,
    pub(crate) form: TargetForm,
    /// The status code; of a response only.
    pub(crate) status: u16,
    /// The target, or the reason phrase.
    pub(crate) start: u16,
    pub(crate) end: u16,
    /// Chunked, until close or empty; a length is among the facts.
    body: Body,
    pub(crate) facts: Facts,
}

/// [`BodyLength`] without its number: a head's facts are copied into each view of it, and 16 bytes more would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Empty,
    Length,
    Chunked,
    UntilClose,
}

impl Meta {
    /// How the body is delimited.
    pub(crate) const fn body(&self) -> BodyLength {
        match self.body {
            Body::Empty => BodyLength::Empty,
            Body::Length => BodyLength::Length(self.facts.declared()),
            Body::Chunked => BodyLength::Chunked,
            Body::UntilClose => BodyLength::UntilClose,
        }
    }

    /// The method, given the bytes of the head.
    pub(crate) fn method<'a>(&self, head: &'a [u8]) -> Method<'a> {
        match self.method {
            Some(known) => known.method(),
            None => {
                // The byte before the target is the space after the method, which is a token and so is ASCII.
                let token = head.get(..usize::from(self.start).saturating_sub(1)).unwrap_or_default();
                Method::Other(core::str::from_utf8(token).unwrap_or_default())
            }
        }
    }
}

impl Meta {
    /// RFC 9112 §9.3, and §6.3 (8): what lasts until close cannot be followed.
    pub(crate) fn keep_alive(&self) -> bool {
        self.facts.keep_alive(self.version) && self.body != Body::UntilClose
    }

    pub(crate) fn expects_continue(&self) -> bool {
        let body = !matches!(self.body(), BodyLength::Empty | BodyLength::Length(0));
        body && self.facts.expects_continue(self.version)
    }
}

impl Scan {
    pub(crate) const fn new() -> Self {
        let meta = Meta {
            version: Version::Http11,
            method: None,
            form: TargetForm::Origin,
            status: 0,
            start: 0,
            end: 0,
            body: Body::Empty,
            facts: Facts::NONE,
        };
        Self { stage: Stage::Start, resumed: false, at: 0, line: 0, fields: 0, seen: 0, meta }
    }

    /// Was any byte of a head seen?
    pub(crate) const fn started(&self) -> bool {
        self.resumed
    }

    /// How many bytes of the head have come.
    pub(crate) fn seen(&self) -> usize {
        self.seen.into()
    }

    /// What is known of the message so far.
    pub(crate) const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Reads a request head at the start of `input`. `Ok(Some)` holds its length, and its fields are in `fields`.
    pub(crate) fn request(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        self.head(input, limits, fields, Self::request_head)
    }

    /// Reads a response head. `bodiless`: it answers a HEAD, or a CONNECT if it is a 2xx.
    pub(crate) fn response(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        self.head(input, limits, fields, Self::response_head)
    }

    #[inline(always)]
    fn head(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
        read: impl Fn(&mut Self, &[u8], &Limits, &mut Fields) -> Result<Option<usize>, Fault>,
    ) -> Result<Option<usize>, Fault> {
        // Nothing beyond the limit is looked at, so what lies there cannot change the verdict.
        let max = usize::from(limits.max_head);
        let window = &input[..input.len().min(max)];
        fields.clear();
        let mut done = read(self, window, limits, fields)?;
        if done.is_some() && self.resumed {
            *self = Self::new();
            fields.clear();
            done = read(self, window, limits, fields)?;
        }
        if done.is_none() {
            self.resumed = self.resumed || !window.is_empty();
            self.seen = offset(window.len());
            if window.len() == max {
                let limit = if self.stage == Stage::Target { Limit::Target } else { Limit::Head };
                return Err((ErrorKind::Limit(limit), max));
            }
        }
        Ok(done)
    }

    fn request_head(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        if self.stage != Stage::Fields && !self.request_line(input, limits)? {
            return Ok(None);
        }
        let Some(end) = self.field_lines(input, limits, fields)? else { return Ok(None) };
        let Meta { version, facts, .. } = self.meta;
        // RFC 9112 §3.2: a 1.1 request has a Host. It was due before the empty line.
        if version == Version::Http11 && facts.host().is_none() {
            return Err((ErrorKind::Rule(Rule::HostMissing), end - 2));
        }
        if facts.expects_the_impossible(version) {
            return Err((ErrorKind::Rule(Rule::Expectation), facts.expect_at.into()));
        }
        self.frame(Message::Request, limits)?;
        Ok(Some(end))
    }

    fn response_head(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        if self.stage != Stage::Fields && !self.status_line(input)? {
            return Ok(None);
        }
        self.field_lines(input, limits, fields)
    }

    /// Decides the length of the body, once the head is complete.
    pub(crate) fn frame(&mut self, message: Message, limits: &Limits) -> Result<(), Fault> {
        let facts = &self.meta.facts;
        let body = body_length(message, self.meta.version, facts)
            .map_err(|rule| (ErrorKind::Rule(rule), usize::from(facts.coding_at.max(facts.length_at))))?;
        if matches!(body, BodyLength::Length(n) if n > limits.max_body) {
            return Err((ErrorKind::Limit(Limit::Body), facts.length_at.into()));
        }
        self.meta.body = match body {
            BodyLength::Empty => Body::Empty,
            BodyLength::Length(_) => Body::Length,
            BodyLength::Chunked => Body::Chunked,
            BodyLength::UntilClose => Body::UntilClose,
        };
        Ok(())
    }

    /// `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3).
    fn request_line(&mut self, input: &[u8], limits: &Limits) -> Result<bool, Fault> {
        if self.stage == Stage::Start {
            let max = usize::from(limits.max_method);
            let end = find_not_tchar(&input[..input.len().min(max + 1)], 0);
            if end > max {
                return Err((ErrorKind::Limit(Limit::Method), max));
            }
            match input.get(end) {
                None => return Ok(false),
                Some(b' ') if end > 0 => {}
                Some(_) => return Err((ErrorKind::Syntax(Syntax::Method), end)),
            }
            self.meta.method = Known::new(&input[..end]);
            self.meta.start = offset(end + 1);
            self.at = self.meta.start;
            self.stage = Stage::Target;
        }
        if self.stage == Stage::Target {
            let start = usize::from(self.meta.start);
            let max = start + usize::from(limits.max_target);
            // One byte more than the limit is looked at: the space that ends the longest target.
            let window = &input[..input.len().min(max + 1)];
            let end = find_not_target(window, self.at.into());
            if end > max || end == max && window.get(max).is_some_and(|&b| b != b' ') {
                return Err((ErrorKind::Limit(Limit::Target), max));
            }
            match window.get(end) {
                None => {
                    self.at = offset(end);
                    return Ok(false);
                }
                Some(b' ') if end > start => {}
                Some(_) => return Err((ErrorKind::Syntax(Syntax::Target), end)),
            }
            self.meta.end = offset(end);
            self.at = offset(end + 1);
            self.stage = Stage::Version;
        }
        let start = usize::from(self.at);
        let Some(version) = version(input, start)? else { return Ok(false) };
        match input.get(start + 8) {
            None | Some(b'\r' | b'\n') => {}
            Some(_) => return Err((ErrorKind::Syntax(Syntax::Version), start + 8)),
        }
        if !line_end(input, start + 8)? {
            return Ok(false);
        }
        self.meta.version = version;
        // Not before the version is known: the preface of HTTP/2 has a target that HTTP/1 does not.
        let target = usize::from(self.meta.start);
        self.meta.form = target::form(self.meta.method(input), &input[target..usize::from(self.meta.end)])
            .map_err(|at| (ErrorKind::Rule(Rule::TargetForm), target + at))?;
        self.fields_from(start + 10);
        Ok(true)
    }

    /// `HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4).
    fn status_line(&mut self, input: &[u8]) -> Result<bool, Fault> {
        if self.stage == Stage::Start {
            let Some(version) = version(input, 0)? else { return Ok(false) };
            self.meta.version = version;
            let mut status = 0;
            for at in 8..13 {
                let Some(&b) = input.get(at) else { return Ok(false) };
                let fits = match at {
                    8 | 12 => b == b' ',
                    9 => matches!(b, b'1'..=b'9'),
                    _ => is_digit(b),
                };
                if !fits {
                    let kind = if at == 8 { Syntax::Version } else { Syntax::StatusCode };
                    return Err((ErrorKind::Syntax(kind), at));
                }
                if is_digit(b) {
                    status = status * 10 + u16::from(b - b'0');
                }
            }
            self.meta.status = status;
            self.meta.start = 13;
            self.at = 13;
            self.stage = Stage::Reason;
        }
        let end = find_control(input, self.at.into());
        self.at = offset(end);
        if end == input.len() || !line_end(input, end)? {
            return Ok(false);
        }
        self.meta.end = offset(end);
        self.fields_from(end + 2);
        Ok(true)
    }

    fn fields_from(&mut self, at: usize) {
        self.at = offset(at);
        self.line = self.at;
        self.stage = Stage::Fields;
    }

    /// `*( field-line CRLF ) CRLF`. Returns where the head ends.
    fn field_lines(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        loop {
            let line = usize::from(self.line);
            let end = find_control(input, self.at.into());
            self.at = offset(end);
            if end == input.len() {
                return Ok(None);
            }
            let ended = line_end(input, end);
            if end == line && ended == Ok(true) {
                return Ok(Some(end + 2));
            }
            if ended == Ok(false) {
                return Ok(None);
            }
            // The line is complete, or will never be. Its faults are told from left to right.
            if self.fields >= limits.max_fields {
                return Err((ErrorKind::Limit(Limit::Fields), line));
            }
            let colon = name_end(input, line);
            if !matches!(colon, Err((_, at)) if at < end) {
                ended?;
            }
            let colon = colon?;
            let raw = &input[colon + 1..end];
            let value = trim_ows(raw);
            let start = if value.is_empty() {
                end
            } else {
                colon + 1 + raw.iter().take_while(|&&b| is_ows(b)).count()
            };
            let span = Span {
                name: self.line,
                colon: offset(colon),
                value: offset(start),
                end: offset(start + value.len()),
            };
            self.meta.facts.note(input, span)?;
            fields.push(span);
            self.fields += 1;
            self.fields_from(end + 2);
        }
    }
}

/// Where the name of the field line that starts at `line` ends: at its colon (RFC 9112 §5).
fn name_end(input: &[u8], line: usize) -> Result<usize, Fault> {
    let end = find_not_tchar(input, line);
    let kind = match input.get(end) {
        Some(b':') if end > line => return Ok(end),
        Some(b' ' | b'\t') if end == line => Syntax::FoldedLine,
        Some(b' ' | b'\t') if trim_ows(&input[end..]).first() == Some(&b':') => Syntax::SpaceBeforeColon,
        _ => Syntax::FieldName,
    };
    Err((ErrorKind::Syntax(kind), end))
}

/// `HTTP/1.0` or `HTTP/1.1` at `start`; `None` if the input ends within.
fn version(input: &[u8], start: usize) -> Result<Option<Version>, Fault> {
    let text = &input[start..];
    for (i, &b) in text.iter().take(8).enumerate() {
        let fits = match i {
            5 | 7 => is_digit(b),
            _ => b == b"HTTP/x.x"[i],
        };
        if !fits {
            return Err((ErrorKind::Syntax(Syntax::Version), start + i));
        }
        // RFC 9110 §2.5 would let us read a minor version over 1 as 1.1. There is none, and there will be none.
        if i == 5 && b != b'1' || i == 7 && b > b'1' {
            return Err((ErrorKind::Rule(Rule::VersionNotSupported), start + i));
        }
    }
    Ok(match text.get(7) {
        Some(b'0') => Some(Version::Http10),
        Some(_) => Some(Version::Http11),
        None => None,
    })
}

/// CR LF at `at`: `Ok(false)` if the input ends before the LF. A CR without LF is refused at the byte that is not LF, anything else
/// where it stands.
fn line_end(input: &[u8], at: usize) -> Result<bool, Fault> {
    match (input.get(at), input.get(at + 1)) {
        (None, _) | (Some(b'\r'), None) => Ok(false),
        (Some(b'\r'), Some(b'\n')) => Ok(true),
        (Some(b'\r'), Some(_)) => Err((ErrorKind::Syntax(Syntax::LineEnd), at + 1)),
        (Some(b'\n'), _) => Err((ErrorKind::Syntax(Syntax::LineEnd), at)),
        (Some(_), _) => Err((ErrorKind::Syntax(Syntax::ControlByte), at)),
    }
}

/// An offset in a head. The window is at most `max_head` long, which is a `u16`; one past its end can be 65535.
fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
