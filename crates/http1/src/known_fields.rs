//! The six fields that this crate understands: `Content-Length`, `Transfer-Encoding`, `Connection`,
//! `Host`, `Upgrade` and `Expect`.
//!
//! They decide where a message ends, what happens to the connection (close, keep open, another
//! protocol), whether the client waits for a 100, and which host the request is for. They are read
//! while the head is parsed. So the end of the message is known with the end of the head: see
//! `framing.rs`.

use crate::error::{ErrorKind, Fault, Rule};
use crate::message::Version;
use crate::span::{Span, offset};
use crate::target::check_host;
use tidewire_grammar::{dec_u64, eq_ignore_case, is_token, list, trim_ows, value_and_params};

/// The content of the known fields of one head, so far. The next message replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct KnownFields {
    length: u64,
    flags: u16,
    /// Offsets for errors: the values of `Content-Length` and `Expect`, and the line of
    /// `Transfer-Encoding`.
    pub(crate) length_at: u16,
    pub(crate) expect_at: u16,
    pub(crate) coding_at: u16,
    /// The value of `Host`: its start and end.
    host: (u16, u16),
    /// The first `Upgrade` value that names a protocol.
    upgrade: (u16, u16),
}

impl KnownFields {
    const LENGTH: u16 = 1;
    const CHUNKED: u16 = 1 << 1;
    const HOST: u16 = 1 << 2;
    const CLOSE: u16 = 1 << 3;
    const KEEP_ALIVE: u16 = 1 << 4;
    const UPGRADE_OPTION: u16 = 1 << 5;
    const UPGRADE: u16 = 1 << 6;
    const CONTINUE: u16 = 1 << 7;
    const OTHER_EXPECTATION: u16 = 1 << 8;

    pub(crate) const NONE: Self =
        Self { length: 0, flags: 0, length_at: 0, expect_at: 0, coding_at: 0, host: (0, 0), upgrade: (0, 0) };

    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn length(&self) -> Option<u64> {
        if self.has(Self::LENGTH) { Some(self.length) } else { None }
    }

    /// The declared length; 0 without one.
    pub(crate) const fn declared(&self) -> u64 {
        self.length
    }

    pub(crate) const fn chunked(&self) -> bool {
        self.has(Self::CHUNKED)
    }

    pub(crate) const fn host(&self) -> Option<(u16, u16)> {
        if self.has(Self::HOST) { Some(self.host) } else { None }
    }

    /// The value of `Upgrade`, if the message is HTTP/1.1 and has `Connection: Upgrade`
    /// (RFC 9110 §7.8).
    pub(crate) fn upgrade(&self, version: Version) -> Option<(u16, u16)> {
        let offered = self.has(Self::UPGRADE) && self.has(Self::UPGRADE_OPTION) && version == Version::Http11;
        offered.then_some(self.upgrade)
    }

    /// RFC 9112 §9.3: whether the connection stays open after this message. It does not after an
    /// HTTP/1.0 message with a transfer coding (§6.1). Such a message is refused in general. It is
    /// accepted only as a response that has no body, such as the response to HEAD, where the coding
    /// delimits nothing.
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        let stays = version == Version::Http11 || self.has(Self::KEEP_ALIVE) && !self.chunked();
        stays && !self.has(Self::CLOSE)
    }

    /// Returns whether there is an `Expect: 100-continue`. In HTTP/1.0 it is ignored (RFC 9110
    /// §10.1.1).
    pub(crate) fn expects_continue(&self, version: Version) -> bool {
        self.has(Self::CONTINUE) && version == Version::Http11
    }

    /// Reads one field line, if its field is known. `Err` holds the offset from the start of the
    /// head.
    ///
    /// `fast_path.rs` reads the fields that nearly every head has. This function is cold, so that
    /// registers are saved only around this call, and not for each line.
    #[cold]
    pub(crate) fn read_line(&mut self, head: &[u8], span: Span) -> Result<(), Fault> {
        let name = span.name(head);
        match name.len() {
            4 if is(name, b"host") => self.read_host(head, span),
            6 if is(name, b"expect") => self.read_expect(head, span),
            7 if is(name, b"upgrade") => self.read_upgrade(head, span),
            10 if is(name, b"connection") => self.read_connection(head, span),
            14 if is(name, b"content-length") => self.read_length(head, span),
            17 if is(name, b"transfer-encoding") => self.read_coding(head, span),
            _ => Ok(()),
        }
        .map_err(|(rule, at)| (ErrorKind::Rule(rule), at))
    }

    /// RFC 9112 §3.2.
    fn read_host(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (start, end) = span.value_at(head);
        if self.has(Self::HOST) {
            return Err((Rule::HostRepeated, span.line().into()));
        }
        check_host(&head[start..end]).map_err(|at| (Rule::HostInvalid, start.saturating_add(at)))?;
        self.set_host(start, end);
        Ok(())
    }

    /// Stores a valid host. Returns `false` if there is one already.
    #[inline(always)]
    pub(crate) fn set_host(&mut self, start: usize, end: usize) -> bool {
        let first = !self.has(Self::HOST);
        if first {
            self.flags |= Self::HOST;
            self.host = (offset(start), offset(end));
        }
        first
    }

    /// RFC 9110 §8.6, RFC 9112 §6.3 (5). The RFC allows a recipient to repair a list of equal
    /// lengths. We refuse it.
    fn read_length(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (at, end) = span.value_at(head);
        let value = &head[at..end];
        if self.has(Self::LENGTH) {
            return Err((Rule::LengthRepeated, span.line().into()));
        }
        self.length = dec_u64(value).map_err(|e| (Rule::LengthInvalid, at.saturating_add(e.offset())))?;
        self.length_at = offset(at);
        self.flags |= Self::LENGTH;
        Ok(())
    }

    /// RFC 9112 §6.1: exactly `chunked`, in exactly one line. Empty list elements are ignored; the
    /// limit of the head bounds their number.
    fn read_coding(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (at, end) = span.value_at(head);
        let value = &head[at..end];
        if self.has(Self::CHUNKED) {
            return Err((Rule::CodingRepeated, span.line().into()));
        }
        let mut codings = list(value);
        let only = codings.next().filter(|_| codings.next().is_none()).unwrap_or_default();
        if !eq_ignore_case(only, b"chunked") {
            return Err((unusable_coding(value), at));
        }
        self.coding_at = span.line();
        self.flags |= Self::CHUNKED;
        Ok(())
    }

    /// RFC 9110 §7.6.1. Several lines are one list. Options are tokens, so each comma separates two
    /// options. A quote must not hide a `close` from us that other recipients see.
    fn read_connection(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        for option in span.value(head).split(|&b| b == b',') {
            self.flags |= Self::option(trim_ows(option));
        }
        Ok(())
    }

    /// Stores the option of a `Connection` value with a single known option. Returns `false` for
    /// other values.
    #[inline(always)]
    pub(crate) fn set_option(&mut self, value: &[u8]) -> bool {
        let flag = Self::option(value);
        self.flags |= flag;
        flag != 0
    }

    /// The flag of a connection option, or 0 if the option is unknown.
    #[inline(always)]
    fn option(option: &[u8]) -> u16 {
        match option.len() {
            5 if is(option, b"close") => Self::CLOSE,
            7 if is(option, b"upgrade") => Self::UPGRADE_OPTION,
            10 if is(option, b"keep-alive") => Self::KEEP_ALIVE,
            _ => 0,
        }
    }

    /// Ignores a line that names no protocol.
    fn read_upgrade(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (start, end) = span.value_at(head);
        if !self.has(Self::UPGRADE) && list(&head[start..end]).next().is_some() {
            self.upgrade = (offset(start), offset(end));
            self.flags |= Self::UPGRADE;
        }
        Ok(())
    }

    /// RFC 9110 §10.1.1: a list. We know one of its members. Whether an unknown expectation is an
    /// error depends on the version and the role, so it is only stored here.
    fn read_expect(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (at, end) = span.value_at(head);
        for expectation in
            head[at..end].split(|&b| b == b',').map(trim_ows).filter(|member| !member.is_empty())
        {
            if eq_ignore_case(expectation, b"100-continue") {
                self.flags |= Self::CONTINUE;
            } else {
                self.flags |= Self::OTHER_EXPECTATION;
                self.expect_at = offset(at);
            }
        }
        Ok(())
    }

    /// Returns whether an HTTP/1.1 message has an expectation other than `100-continue`.
    pub(crate) fn has_unknown_expectation(&self, version: Version) -> bool {
        self.has(Self::OTHER_EXPECTATION) && version == Version::Http11
    }
}

/// Returns whether a field name of this length and first byte may be a known one. This check
/// excludes nearly all other names.
#[inline(always)]
pub(crate) fn may_be_known(length: usize, first: Option<&u8>) -> bool {
    matches!((FIRST.get(length), first), (Some(expected), Some(b)) if b | 0x20 == *expected)
}

/// Returns whether `text` equals `lower`, without regard to case. Compares words of eight or four
/// bytes, of which the last may overlap. `text` has no control bytes. So after `| 0x20` a byte is a
/// given letter only if it was that letter before (in any case), and `-` only if it was `-`.
#[inline(always)]
pub(crate) fn is<const N: usize>(text: &[u8], lower: &[u8; N]) -> bool {
    const { assert!(N >= 4) }
    let long =
        |a: &[u8; 8], b: &[u8; 8]| (u64::from_le_bytes(*a) | 0x2020_2020_2020_2020) ^ u64::from_le_bytes(*b);
    let short = |a: &[u8; 4], b: &[u8; 4]| (u32::from_le_bytes(*a) | 0x2020_2020) ^ u32::from_le_bytes(*b);
    let Ok(text) = <&[u8; N]>::try_from(text) else { return false };
    if let (Some(text_end), Some(lower_end)) = (text.last_chunk(), lower.last_chunk()) {
        let pairs = text.as_chunks().0.iter().zip(lower.as_chunks().0);
        return pairs.fold(long(text_end, lower_end), |differ, (a, b)| differ | long(a, b)) == 0;
    }
    match (text.first_chunk(), lower.first_chunk(), text.last_chunk(), lower.last_chunk()) {
        (Some(a), Some(b), Some(c), Some(d)) => short(a, b) | short(c, d) == 0,
        _ => false,
    }
}

/// For each length, the first letter of the known name of this length, or 0.
const FIRST: [u8; 18] = *b"\0\0\0\0h\0eu\0\0c\0\0\0c\0\0t";

/// Returns the rule that a `Transfer-Encoding` other than `chunked` breaks. An unknown coding is
/// answered with 501 (RFC 9112 §6.1). But if `chunked` is not the last coding or comes twice,
/// nobody can find the end of the message: 400 (§6.3 (4)).
fn unusable_coding(value: &[u8]) -> Rule {
    let names = || list(value).map(|coding| value_and_params(coding).0);
    let chunked = names().filter(|name| eq_ignore_case(name, b"chunked")).count();
    let last = names().last().unwrap_or_default();
    let well_formed = names().all(is_token) && !last.is_empty();
    if well_formed && (chunked == 0 || chunked == 1 && eq_ignore_case(last, b"chunked")) {
        Rule::CodingUnknown
    } else {
        Rule::CodingInvalid
    }
}
