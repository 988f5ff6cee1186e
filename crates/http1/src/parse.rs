//! The exact parser: a head in any number of pieces, into the table of fields.
//!
//! ```text
//!            ┌────────────────────────── one line after another ───────────────┐
//! Start ──► start line ──► [ name ':' OWS value OWS CR LF ] ──► … ──► CR LF     │ the end of the head
//!             │                        ▲
//!             └ method SP target SP version CR LF      `at`: all bytes before it were checked
//!               version SP status SP reason CR LF      `line`: start of the line that holds `at`
//! ```
//! The start line is refused at its first invalid byte. A field line is checked when its CR LF has
//! arrived, or when a byte arrives that no field may contain. So the error and its offset do not
//! depend on how the input was split.
//!
//! [`fast_path`] parses a head that arrives complete, which is nearly every head. A head that
//! arrives in pieces is parsed here, from `at` on with each piece. When it is complete it is parsed
//! once more: the table of fields belongs to the caller, and may have served other connections in
//! the meantime. So no byte is read more than three times.

use crate::error::{ErrorKind, Fault, Limit, Rule, Syntax};
use crate::fast_path;
use crate::fields::Fields;
use crate::framing::{Message, decide_body};
use crate::head_info::HeadInfo;
use crate::limits::Limits;
use crate::message::{KnownMethod, Version};
#[cfg(target_arch = "x86_64")]
use crate::simd;
use crate::span::{Span, offset};
use crate::start_line::{StartLine, method_end, status_code};
use crate::target;
use tidewire_grammar::class::{is_digit, is_field_content};
use tidewire_grammar::{token_len, trim_ows};

/// The state of parsing one head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadParser {
    stage: Stage,
    /// Whether this head needed more than one call.
    resumed: bool,
    at: u16,
    line: u16,
    fields: u16,
    /// The number of bytes at the last call.
    seen: u16,
    info: HeadInfo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the method, or in the version of a status line.
    Start,
    Target,
    /// In the version at the end of a request line.
    Version,
    Reason,
    Fields,
}

impl HeadParser {
    pub(crate) const fn new() -> Self {
        Self { stage: Stage::Start, resumed: false, at: 0, line: 0, fields: 0, seen: 0, info: HeadInfo::NEW }
    }

    /// Returns whether any byte of a head was seen.
    pub(crate) const fn started(&self) -> bool {
        self.resumed
    }

    /// The number of bytes of the head so far.
    pub(crate) fn seen(&self) -> usize {
        self.seen.into()
    }

    /// What is known about the message so far.
    pub(crate) const fn info(&self) -> &HeadInfo {
        &self.info
    }

    /// Parses a head at the start of `input`. `Ok(Some)` holds its length; the rest is in `fields`.
    /// The caller decides about the body of a response with [`decide_body`]: it depends on the
    /// request.
    #[inline(always)]
    pub(crate) fn parse(
        &mut self,
        first: StartLine,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        if !self.resumed
            && let Some(read) = parse_whole(first, input, limits, fields)
        {
            return read.map(Some);
        }
        self.parse_pieces(first, input, limits, fields)
    }

    /// Parses a head that is incomplete, that was incomplete before, or that is unusual.
    #[cold]
    #[inline(never)]
    pub(crate) fn parse_pieces(
        &mut self,
        first: StartLine,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        let input = within_limit(input, limits);
        if input.len() < self.seen.into() {
            // Bytes of the last call are missing: the caller broke the contract. Return no event,
            // and do not panic.
            return Ok(None);
        }
        fields.clear();
        let read = self.parse_head(first, input, limits, fields);
        // Also for a refused head: the response depends on it.
        fields.info = self.info;
        let Some(mut end) = read? else {
            self.resumed = self.resumed || !input.is_empty();
            self.seen = offset(input.len());
            if input.len() < usize::from(limits.max_head) {
                return Ok(None);
            }
            let limit = if self.stage == Stage::Target { Limit::Target } else { Limit::Head };
            return Err((ErrorKind::Limit(limit), input.len()));
        };
        if self.resumed {
            // The spans of the earlier pieces are not in this table. Parse again from the start.
            *self = Self::new();
            fields.clear();
            if let Some(read) = parse_whole(first, input, limits, fields) {
                return read.map(Some);
            }
            let read = self.parse_head(first, input, limits, fields);
            fields.info = self.info;
            end = read?.unwrap_or(end);
        }
        check_complete(first, &mut fields.info, end, limits).map(|()| Some(end))
    }

    /// Parses as much of the head as there is, byte by byte.
    pub(crate) fn parse_head(
        &mut self,
        first: StartLine,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        let begun = match first {
            _ if self.stage == Stage::Fields => true,
            StartLine::Request => self.request_line(input, limits)?,
            StartLine::Status => self.status_line(input)?,
        };
        if begun { self.field_lines(input, limits, fields) } else { Ok(None) }
    }

    /// `method SP request-target SP HTTP-version CRLF` (RFC 9112 §3), in any number of pieces.
    fn request_line(&mut self, input: &[u8], limits: &Limits) -> Result<bool, Fault> {
        if self.stage == Stage::Start {
            let Some(end) = method_end(input, limits)? else { return Ok(false) };
            self.info.method = KnownMethod::new(&input[..end]);
            self.info.start = offset(end.saturating_add(1));
            self.at = self.info.start;
            self.stage = Stage::Target;
        }
        if self.stage == Stage::Target {
            let start = usize::from(self.info.start);
            let max = start.saturating_add(limits.max_target.into());
            // One byte more than the limit is read: the space after the longest target.
            let window = &input[..input.len().min(max.saturating_add(1))];
            let end = find(window, self.at.into(), |b| !target::is_target_byte(b));
            match window.get(end) {
                Some(b' ') if end > start => {}
                None if end <= max => {
                    self.at = offset(end);
                    return Ok(false);
                }
                Some(_) if end < max => return Err((ErrorKind::Syntax(Syntax::Target), end)),
                _ => return Err((ErrorKind::Limit(Limit::Target), max)),
            }
            self.info.end = offset(end);
            self.at = offset(end.saturating_add(1));
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
        self.info.version = version;
        // After the version: the target `*` of the HTTP/2 preface must give an error about the
        // version.
        let target = usize::from(self.info.start);
        self.info.form = target::form(self.info.method(input), &input[target..usize::from(self.info.end)])
            .map_err(|at| (ErrorKind::Rule(Rule::TargetForm), target.saturating_add(at)))?;
        self.fields_from(start + 10);
        Ok(true)
    }

    /// `HTTP-version SP status-code [ SP [ reason-phrase ] ] CRLF` (RFC 9112 §4).
    fn status_line(&mut self, input: &[u8]) -> Result<bool, Fault> {
        if self.stage == Stage::Start {
            let Some(version) = version(input, 0)? else { return Ok(false) };
            self.info.version = version;
            for at in 8..13 {
                let Some(&b) = input.get(at) else { return Ok(false) };
                let fits = match at {
                    8 => b == b' ',
                    // RFC 9112 §4 (3): without a reason phrase, some servers leave out this space.
                    12 => matches!(b, b' ' | b'\r' | b'\n'),
                    9 => matches!(b, b'1'..=b'9'),
                    _ => is_digit(b),
                };
                if !fits {
                    let kind = if at == 8 { Syntax::Version } else { Syntax::StatusCode };
                    return Err((ErrorKind::Syntax(kind), at));
                }
            }
            self.info.status = status_code([input[9], input[10], input[11]]);
            self.info.start = if input[12] == b' ' { 13 } else { 12 };
            self.at = self.info.start;
            self.stage = Stage::Reason;
        }
        let end = find(input, self.at.into(), |b| !is_field_content(b));
        self.at = offset(end);
        if end == input.len() || !line_end(input, end)? {
            return Ok(false);
        }
        self.info.end = offset(end);
        self.fields_from(end.saturating_add(2));
        Ok(true)
    }

    fn fields_from(&mut self, at: usize) {
        self.at = offset(at);
        self.line = self.at;
        self.stage = Stage::Fields;
    }

    /// `*( field-name ":" OWS field-value OWS CRLF ) CRLF` (RFC 9112 §5). Returns where the head
    /// ends.
    fn field_lines(
        &mut self,
        input: &[u8],
        limits: &Limits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, Fault> {
        loop {
            let line = usize::from(self.line);
            let end = find(input, self.at.into(), |b| !is_field_content(b));
            self.at = offset(end);
            if end == input.len() {
                return Ok(None);
            }
            let ended = line_end(input, end);
            if end == line {
                // The empty line, or a malformed one. It is not a field, so the limit does not
                // apply.
                return ended.map(|whole| whole.then_some(end.saturating_add(2)));
            }
            if ended == Ok(false) {
                return Ok(None);
            }
            // The line is complete, or malformed. Report its leftmost error.
            if self.fields >= limits.max_fields {
                return Err((ErrorKind::Limit(Limit::Fields), line));
            }
            let name = token_len(&input[line..end]);
            let colon = line.saturating_add(name);
            if colon == end {
                ended?;
            }
            if name == 0 || input[colon] != b':' {
                return Err(name_fault(input, line));
            }
            ended?;
            let span = Span::new(line, colon, end);
            self.info.known.read_line(input, span)?;
            fields.push(span);
            self.fields = self.fields.saturating_add(1);
            self.fields_from(end.saturating_add(2));
        }
    }
}

/// Parses a complete head without anything unusual. `Some` holds its length, or an error that only
/// a complete head shows.
#[inline(always)]
pub(crate) fn parse_whole(
    first: StartLine,
    input: &[u8],
    limits: &Limits,
    fields: &mut Fields,
) -> Option<Result<usize, Fault>> {
    let end = parse_fast(first, within_limit(input, limits), limits, fields)?;
    Some(check_complete(first, &mut fields.info, end, limits).map(|()| end))
}

/// Calls the fast parser, with the widest vector instructions of the machine.
#[inline(always)]
fn parse_fast(first: StartLine, input: &[u8], limits: &Limits, fields: &mut Fields) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(read) = simd::parse(first, input, limits, fields) {
        return read;
    }
    fast_path::parse(first, input, limits, fields)
}

/// Cuts the input at the limit. So bytes beyond it cannot change the result.
#[inline(always)]
fn within_limit<'a>(input: &'a [u8], limits: &Limits) -> &'a [u8] {
    &input[..input.len().min(limits.max_head.into())]
}

/// Makes the checks that need the complete head of a request. For a response, the caller makes
/// them, because only the caller knows the request: see [`decide_body`].
#[inline(always)]
fn check_complete(first: StartLine, info: &mut HeadInfo, end: usize, limits: &Limits) -> Result<(), Fault> {
    if first == StartLine::Status {
        return Ok(());
    }
    let HeadInfo { version, known, .. } = info;
    // RFC 9112 §3.2: an HTTP/1.1 request has a Host. The error is at the empty line.
    if *version == Version::Http11 && known.host().is_none() {
        return Err((ErrorKind::Rule(Rule::HostMissing), end.saturating_sub(2)));
    }
    if known.has_unknown_expectation(*version) {
        return Err((ErrorKind::Rule(Rule::Expectation), known.expect_at.into()));
    }
    decide_body(info, Message::Request, limits)
}

/// Returns the error in the name of the field line that starts at `line`.
#[cold]
fn name_fault(input: &[u8], line: usize) -> Fault {
    let end = line.saturating_add(token_len(&input[line..]));
    let rest = &input[end..];
    let kind = match rest.first() {
        Some(b' ' | b'\t') if end == line => Syntax::FoldedLine,
        Some(b' ' | b'\t') if trim_ows(rest).first() == Some(&b':') => Syntax::SpaceBeforeColon,
        _ => Syntax::FieldName,
    };
    (ErrorKind::Syntax(kind), end)
}

/// Parses `HTTP/1.0` or `HTTP/1.1` at `start`. `None` if the input ends within.
fn version(input: &[u8], start: usize) -> Result<Option<Version>, Fault> {
    let text = &input[start..];
    for ((i, &b), at) in text.iter().take(8).enumerate().zip(start..) {
        let fits = match i {
            5 | 7 => is_digit(b),
            _ => b == b"HTTP/x.x"[i],
        };
        if !fits {
            return Err((ErrorKind::Syntax(Syntax::Version), at));
        }
        // RFC 9110 §6.2 allows a recipient to treat a minor version above 1 as 1.1. No such version
        // exists.
        if i == 5 && b != b'1' || i == 7 && b > b'1' {
            return Err((ErrorKind::Rule(Rule::VersionNotSupported), at));
        }
    }
    Ok(match text.get(7) {
        Some(b'0') => Some(Version::Http10),
        Some(_) => Some(Version::Http11),
        None => None,
    })
}

/// Checks for CR LF at `at`. `Ok(false)` if the input ends before the LF. The error for a CR
/// without LF is at the byte after the CR. For any other byte the error is at that byte.
fn line_end(input: &[u8], at: usize) -> Result<bool, Fault> {
    match input.get(at..).unwrap_or_default() {
        [] | [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => Ok(true),
        [b'\r', ..] => Err((ErrorKind::Syntax(Syntax::LineEnd), at.saturating_add(1))),
        [b'\n', ..] => Err((ErrorKind::Syntax(Syntax::LineEnd), at)),
        [..] => Err((ErrorKind::Syntax(Syntax::ControlByte), at)),
    }
}

/// Returns the index of the first byte at or after `from` for which `stop` is true, or the length
/// of the input.
fn find(input: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    let rest = input.get(from..).unwrap_or_default();
    rest.iter().position(|&b| stop(b)).map_or(input.len(), |i| from.saturating_add(i))
}
