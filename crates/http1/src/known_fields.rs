//! What the fields of a head say about its message: its body, its connection, its wishes.
//!
//! Six field names decide how bytes are divided into messages, or what becomes of the connection.
//! They are recognised while a head is scanned, so that when it ends it is known where its message
//! ends: see `framing.rs`.

use crate::error::{ErrorKind, Fault, Rule};
use crate::message::Version;
use crate::span::{Span, offset};
use crate::target::check_host;
use tidewire_grammar::{dec_u64, eq_ignore_case, is_token, list, trim_ows, value_and_params};

/// What the framing fields of one head have said so far. It belongs to the message, and is replaced
/// with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct KnownFields {
    length: u64,
    flags: u16,
    /// Where the values of `Content-Length` and `Expect` and the line of `Transfer-Encoding` start,
    /// for errors about them.
    pub(crate) length_at: u16,
    pub(crate) expect_at: u16,
    pub(crate) coding_at: u16,
    /// The `Host` value.
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

    /// The declared length; 0 if there is none.
    pub(crate) const fn declared(&self) -> u64 {
        self.length
    }

    pub(crate) const fn chunked(&self) -> bool {
        self.has(Self::CHUNKED)
    }

    pub(crate) const fn host(&self) -> Option<(u16, u16)> {
        if self.has(Self::HOST) { Some(self.host) } else { None }
    }

    /// `Upgrade`, if the `Connection` field vouches for it (RFC 9110 §7.8) in an HTTP/1.1 message.
    pub(crate) fn upgrade(&self, version: Version) -> Option<(u16, u16)> {
        let offered = self.has(Self::UPGRADE) && self.has(Self::UPGRADE_OPTION) && version == Version::Http11;
        offered.then_some(self.upgrade)
    }

    /// RFC 9112 §9.3: does the connection outlive this message? Never one of HTTP/1.0 with a coding
    /// (§6.1), which may come here in the answer to a HEAD, where it frames nothing.
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        let stays = version == Version::Http11 || self.has(Self::KEEP_ALIVE) && !self.chunked();
        stays && !self.has(Self::CLOSE)
    }

    /// `Expect: 100-continue`. An HTTP/1.0 client cannot mean it (RFC 9110 §10.1.1).
    pub(crate) fn expects_continue(&self, version: Version) -> bool {
        self.has(Self::CONTINUE) && version == Version::Http11
    }

    /// Learns from one field line, if its name is one that frames; `Err` holds the offset from the
    /// start of the head.
    ///
    /// The fields that nearly every head has are read in place by `fast_path.rs`. Cold, so that the
    /// registers for this call are saved where it is made, and not for each line.
    #[cold]
    pub(crate) fn note(&mut self, head: &[u8], span: Span) -> Result<(), Fault> {
        let name = span.name(head);
        match name.len() {
            4 if is(name, b"host") => self.note_host(head, span),
            6 if is(name, b"expect") => self.note_expect(head, span),
            7 if is(name, b"upgrade") => self.note_upgrade(head, span),
            10 if is(name, b"connection") => self.note_connection(head, span),
            14 if is(name, b"content-length") => self.note_length(head, span),
            17 if is(name, b"transfer-encoding") => self.note_coding(head, span),
            _ => Ok(()),
        }
        .map_err(|(rule, at)| (ErrorKind::Rule(rule), at))
    }

    /// RFC 9112 §3.2.
    fn note_host(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (start, end) = span.value_at(head);
        if self.has(Self::HOST) {
            return Err((Rule::HostRepeated, span.line().into()));
        }
        check_host(&head[start..end]).map_err(|at| (Rule::HostInvalid, start + at))?;
        self.set_host(start, end);
        Ok(())
    }

    /// Takes a valid host, if it is the first.
    #[inline(always)]
    pub(crate) fn set_host(&mut self, start: usize, end: usize) -> bool {
        let first = !self.has(Self::HOST);
        if first {
            self.flags |= Self::HOST;
            self.host = (offset(start), offset(end));
        }
        first
    }

    /// RFC 9110 §8.6, RFC 9112 §6.3 (5). A list of equal lengths may be repaired; we do not.
    fn note_length(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (at, end) = span.value_at(head);
        let value = &head[at..end];
        if self.has(Self::LENGTH) {
            return Err((Rule::LengthRepeated, span.line().into()));
        }
        self.length = dec_u64(value).map_err(|e| (Rule::LengthInvalid, at + e.offset()))?;
        self.length_at = offset(at);
        self.flags |= Self::LENGTH;
        Ok(())
    }

    /// RFC 9112 §6.1: exactly `chunked`, in exactly one line. Empty elements beside it are ignored;
    /// the limit of a head bounds them.
    fn note_coding(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
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

    /// RFC 9110 §7.6.1. Several lines are one list. Options are tokens, so a comma separates them
    /// wherever it stands: a stray quote must not hide a `close` from us that others see.
    fn note_connection(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        for option in span.value(head).split(|&b| b == b',') {
            self.flags |= Self::option(trim_ows(option));
        }
        Ok(())
    }

    /// Takes a `Connection` value that is one option which frames.
    #[inline(always)]
    pub(crate) fn set_option(&mut self, value: &[u8]) -> bool {
        let flag = Self::option(value);
        self.flags |= flag;
        flag != 0
    }

    /// The flag of a connection option, or 0.
    #[inline(always)]
    fn option(option: &[u8]) -> u16 {
        match option.len() {
            5 if is(option, b"close") => Self::CLOSE,
            7 if is(option, b"upgrade") => Self::UPGRADE_OPTION,
            10 if is(option, b"keep-alive") => Self::KEEP_ALIVE,
            _ => 0,
        }
    }

    /// A line that names no protocol offers none.
    fn note_upgrade(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
        let (start, end) = span.value_at(head);
        if !self.has(Self::UPGRADE) && list(&head[start..end]).next().is_some() {
            self.upgrade = (offset(start), offset(end));
            self.flags |= Self::UPGRADE;
        }
        Ok(())
    }

    /// RFC 9110 §10.1.1: a list, of which we know one member. Whether an unknown expectation
    /// matters depends on the version and the role, so it is only noted here.
    fn note_expect(&mut self, head: &[u8], span: Span) -> Result<(), (Rule, usize)> {
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

    /// Was something else expected than `100-continue`, in a version where it counts?
    pub(crate) fn expects_the_impossible(&self, version: Version) -> bool {
        self.has(Self::OTHER_EXPECTATION) && version == Version::Http11
    }
}

/// Could a field with a name of that length, which starts with that byte, frame? Nearly every other
/// name is dismissed by these two.
#[inline(always)]
pub(crate) fn may_frame(length: usize, first: Option<&u8>) -> bool {
    matches!((FIRST.get(length), first), (Some(expected), Some(b)) if b | 0x20 == *expected)
}

/// Is `text` the word `lower`, in any case? Words of eight bytes are compared, or of four, of which
/// the last may overlap. `text` holds no control bytes, so by `| 0x20` nothing becomes a letter but
/// that letter, and nothing `-` but `-`.
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

/// The first letter of the name of that length that frames, or 0.
const FIRST: [u8; 18] = *b"\0\0\0\0h\0eu\0\0c\0\0\0c\0\0t";

/// Which rule a `Transfer-Encoding` other than `chunked` breaks. A coding that we do not know is
/// 501 (RFC 9112 §6.1), but `chunked` that is not last or comes twice leaves no way to find the
/// end, for anyone: 400 (§6.3 (4)).
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
