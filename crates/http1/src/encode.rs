//! Sending: heads with the framing fields that fit them, and the framing of bodies. Content passes
//! beside.

use crate::block::FieldBlock;
use crate::connection::{Connection, Payload, Writing};
use crate::error::EncodeError;
use crate::message::{BodyLength, Method, TargetForm, Version};
use crate::role::{Client, Role, Server};
use crate::state::{Exchange, Half, Step};
use crate::status::reason_phrase;
use crate::target;
use alloc::vec::Vec;
use tidewire_chunked as chunked;
use tidewire_grammar::class::is_field_content;
use tidewire_grammar::is_token;

/// A response's head, as far as the caller decides it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    status: u16,
    reason: &'a str,
    first: Option<&'a FieldBlock>,
    fields: &'a [&'a FieldBlock],
    /// In seconds; 0 says nothing.
    idle_timeout: u32,
}

impl<'a> Response<'a> {
    /// A response with that status and its registered reason phrase, or an empty one.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, reason: reason_phrase(status), first: None, fields: &[], idle_timeout: 0 }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Another reason phrase.
    #[must_use]
    pub const fn with_reason(self, reason: &'a str) -> Self {
        Self { reason, ..self }
    }

    /// The fields to send, block after block, behind those that the connection writes.
    #[must_use]
    pub const fn with_fields(self, fields: &'a [&'a FieldBlock]) -> Self {
        Self { fields, ..self }
    }

    /// Fields to send before those that the connection writes. The order means nothing, but RFC
    /// 9110 §5.3 recommends that `Date` comes first.
    #[must_use]
    pub const fn with_first_fields(self, first: &'a FieldBlock) -> Self {
        Self { first: Some(first), ..self }
    }

    /// How many seconds the connection may be idle after this answer. A head that leaves the
    /// connection open says so: `Keep-Alive: timeout=75`. With 0, the default, it says nothing.
    /// Round down: a client that was told a longer time could send its next request to a closed
    /// socket.
    #[must_use]
    pub const fn with_idle_timeout(self, seconds: u32) -> Self {
        Self { idle_timeout: seconds, ..self }
    }

    /// Is `Connection: close` among the fields?
    fn closes(&self) -> bool {
        self.first.is_some_and(|block| block.close) || self.fields.iter().any(|block| block.close)
    }

    /// Is `Upgrade` among the fields?
    fn upgrades(&self) -> bool {
        self.first.is_some_and(|block| block.upgrade) || self.fields.iter().any(|block| block.upgrade)
    }
}

/// A request's head, as far as the caller decides it. Always HTTP/1.1.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a [u8],
    host: &'a [u8],
    fields: &'a [&'a FieldBlock],
}

impl<'a> Request<'a> {
    /// A request; `host` is the value of the `Host` field: the authority of the target URI without
    /// userinfo.
    #[must_use]
    pub fn new(
        method: &'a str,
        target: &'a (impl AsRef<[u8]> + ?Sized),
        host: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self { method, target: target.as_ref(), host: host.as_ref(), fields: &[] }
    }

    /// The fields to send, block after block.
    #[must_use]
    pub const fn with_fields(self, fields: &'a [&'a FieldBlock]) -> Self {
        Self { fields, ..self }
    }
}

impl Connection<Server> {
    /// Writes `100 Continue`, if the client waits for it and the answer has not begun; else it
    /// writes nothing.
    pub fn send_continue(&mut self, out: &mut Vec<u8>) {
        if self.exchange.wants_continue() && self.state().after(Step::Interim).is_some() {
            self.exchange.continue_sent();
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Writes an interim response: 102 to 199, such as `103 Early Hints`. `Connection: close` among
    /// its fields is said with the answer.
    ///
    /// # Errors
    /// [`EncodeError::Status`] for other statuses; [`EncodeError::State`] when the answer has begun, or the client speaks HTTP/1.0, which has
    /// none (RFC 9110 §15.2).
    pub fn send_interim(&mut self, response: &Response<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !matches!(response.status, 102..=199) {
            return Err(EncodeError::Status);
        }
        if self.exchange.version() == Version::Http10 || self.state().after(Step::Interim).is_none() {
            return Err(EncodeError::State);
        }
        start_head(response, out)?;
        if response.closes() {
            self.exchange.close();
        }
        if response.upgrades() {
            // RFC 9110 §7.8: the field and its option go together.
            out.extend_from_slice(b"Connection: Upgrade\r\n");
        }
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes the head of the answer, with `Content-Length`, `Transfer-Encoding` and `Connection`
    /// as they must be.
    ///
    /// `body` is what the caller has; what goes out follows from the exchange: nothing after the
    /// head for HEAD, 204 and 304; until close instead of chunked for HTTP/1.0. The caller sends
    /// the same body in all cases, and ends it with
    /// [`send_end`](Self::send_end). After a 101, and after a 2xx to CONNECT, nothing more is to be sent:
    /// the connection [`is_switched`](Self::is_switched).
    ///
    /// # Errors
    /// See [`EncodeError`]; nothing was written then.
    pub fn send_head(
        &mut self,
        response: &Response<'_>,
        body: BodyLength,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let status = response.status;
        let tunnel = self.exchange.is_connect() && matches!(status, 200..=299);
        if status == 101 || tunnel {
            return self.send_switch(response, body, out);
        }
        if !matches!(status, 200..=999) {
            return Err(EncodeError::Status);
        }
        self.state().after(Step::ResponseHead).ok_or(EncodeError::State)?;
        let (writing, framing) = response_framing(status, &self.exchange, body)?;
        let keep_alive = self.exchange.keep_alive() && !response.closes() && writing != Writing::UntilClose;
        start_head(response, out)?;
        put_framing(framing, out);
        put_idle_connection(keep_alive, self.exchange.version(), response, out);
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        if !keep_alive {
            self.exchange.close();
        }
        self.writing = writing;
        self.step(Step::ResponseHead);
        Ok(())
    }

    /// A 101, or a 2xx to CONNECT: only if the request asked for it and had no body. Otherwise two
    /// parties could disagree about the protocol of the bytes behind it. `Content-Length: 0` is no
    /// body: several clients and proxies send it.
    fn send_switch(
        &mut self,
        response: &Response<'_>,
        body: BodyLength,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let asked =
            if response.status == 101 { self.exchange.offers_upgrade() } else { self.exchange.is_connect() };
        let names_it = response.status != 101 || response.upgrades();
        if !asked || self.exchange.has_body() || !names_it {
            return Err(EncodeError::Upgrade);
        }
        if body != BodyLength::Empty {
            return Err(EncodeError::Body);
        }
        self.state().after(Step::Switch).ok_or(EncodeError::State)?;
        start_head(response, out)?;
        put_connection(true, Version::Http11, response.upgrades(), out);
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        self.step(Step::Switch);
        Ok(())
    }
}

impl Connection<Client> {
    /// Writes the head of a request, with `Host`, `Content-Length`, `Transfer-Encoding` and
    /// `Connection` as they must be. Then send the body, if there is one, and
    /// [`send_end`](Self::send_end) in any case.
    ///
    /// # Errors
    /// See [`EncodeError`]; nothing was written then.
    pub fn send_request(
        &mut self,
        request: &Request<'_>,
        body: BodyLength,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.state().after(Step::RequestHead).is_none() || self.error().is_some() {
            return Err(EncodeError::State);
        }
        let method = Method::new(request.method);
        if !is_token(request.method.as_bytes()) {
            return Err(EncodeError::Method);
        }
        if request.target.is_empty() || !request.target.iter().all(|&b| target::is_target_byte(b)) {
            return Err(EncodeError::Target);
        }
        let form = target::form(method, request.target).map_err(|_| EncodeError::Target)?;
        target::check_host(request.host).map_err(|_| EncodeError::Host)?;
        // RFC 9112 §3.2: two hosts that differ are for two recipients to choose from.
        let named = target::authority(request.target).filter(|_| form == TargetForm::Absolute);
        if named.is_some_and(|named| !named.eq_ignore_ascii_case(request.host)) {
            return Err(EncodeError::Host);
        }
        let (writing, framing) = match body {
            // RFC 9110 §9.3.8: it comes back as it was sent, so it carries nothing that anybody
            // might keep secret
            _ if method == Method::Trace && body != BodyLength::Empty => return Err(EncodeError::Body),
            // RFC 9110 §8.6: a length for methods that define a meaning for content, even when
            // there is none
            BodyLength::Empty if matches!(method, Method::Post | Method::Put | Method::Patch) => {
                (Writing::Length(0), BodyLength::Length(0))
            }
            BodyLength::Empty => (Writing::Length(0), BodyLength::Empty),
            BodyLength::Length(length) => (Writing::Length(length), body),
            BodyLength::Chunked => (Writing::Chunked, body),
            // RFC 9112 §6.3: a request has no such body
            BodyLength::UntilClose => return Err(EncodeError::Body),
        };
        let closes = request.fields.iter().any(|block| block.close);
        let keep_alive = self.exchange.keep_alive() && !closes;
        let upgrade = request.fields.iter().any(|block| block.upgrade);
        for part in
            [request.method.as_bytes(), b" ", request.target, b" HTTP/1.1\r\nHost: ", request.host, b"\r\n"]
        {
            out.extend_from_slice(part);
        }
        put_framing(framing, out);
        put_connection(keep_alive, Version::Http11, upgrade, out);
        put_blocks(request.fields, out);
        out.extend_from_slice(b"\r\n");
        let has_body = !matches!(framing, BodyLength::Empty | BodyLength::Length(0));
        self.exchange = Exchange::sent(method, has_body, upgrade, keep_alive);
        self.writing = writing;
        self.step(Step::RequestHead);
        Ok(())
    }
}

impl<R: Role> Connection<R> {
    /// Writes content with its framing. No content, nothing written: an empty chunk would be the
    /// last one.
    ///
    /// # Errors
    /// [`EncodeError::State`] if no body is due, [`EncodeError::BodyTooLong`]; nothing was written then.
    pub fn send_data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Payload::Then(tail) = self.send_data_head(data.len() as u64, out)? {
            out.extend_from_slice(data);
            out.extend_from_slice(tail);
        }
        Ok(())
    }

    /// Writes what goes before `len` bytes of content that the caller sends itself, and says what
    /// goes after: see [`Payload`].
    ///
    /// # Errors
    /// As [`send_data`](Self::send_data).
    pub fn send_data_head(&mut self, len: u64, out: &mut Vec<u8>) -> Result<Payload, EncodeError> {
        if R::writes(self.state()) != Half::Body {
            return Err(EncodeError::State);
        }
        Ok(match &mut self.writing {
            Writing::Nothing => Payload::Omit,
            Writing::UntilClose => Payload::Then(b""),
            Writing::Length(left) => {
                *left = left.checked_sub(len).ok_or(EncodeError::BodyTooLong)?;
                Payload::Then(b"")
            }
            Writing::Chunked => match chunked::ChunkHead::new(len) {
                Some(head) => {
                    head.encode_to(out);
                    Payload::Then(b"\r\n")
                }
                None => Payload::Then(b""),
            },
        })
    }

    /// Ends the message: writes the last chunk, if the body is chunked.
    ///
    /// # Errors
    /// [`EncodeError::State`] if no body is due, [`EncodeError::BodyTooShort`].
    pub fn send_end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_trailers(&FieldBlock::new(), out)
    }

    /// Ends the message with trailer fields. They are left out where the body is not chunked, which
    /// no trailers can follow.
    ///
    /// # Errors
    /// As [`send_end`](Self::send_end); [`EncodeError::FieldReserved`] for fields that may not
    /// stand behind the content (RFC 9110 §6.5.1).
    pub fn send_trailers(&mut self, trailers: &FieldBlock, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if R::writes(self.state()) != Half::Body {
            return Err(EncodeError::State);
        }
        if trailers.close || trailers.upgrade || trailers.names().any(chunked::is_forbidden_trailer) {
            return Err(EncodeError::FieldReserved);
        }
        match self.writing {
            Writing::Length(1..) => return Err(EncodeError::BodyTooShort),
            Writing::Chunked => {
                out.extend_from_slice(b"0\r\n");
                out.extend_from_slice(trailers.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Writing::Nothing | Writing::UntilClose | Writing::Length(0) => {}
        }
        self.step(R::WRITE_END);
        Ok(())
    }
}

/// How a response's body goes out, and which framing field its head gets: RFC 9112 §6 from the
/// sender's side.
fn response_framing(
    status: u16,
    exchange: &Exchange,
    body: BodyLength,
) -> Result<(Writing, BodyLength), EncodeError> {
    let (writing, field) = match (status, body) {
        // RFC 9112 §6.1, RFC 9110 §8.6: neither field with 204
        (204, BodyLength::Empty | BodyLength::Length(0)) => (Writing::Nothing, BodyLength::Empty),
        // RFC 9110 §15.3.6: no content with 205, and its length says so
        (205, BodyLength::Empty | BodyLength::Length(0)) => (Writing::Nothing, BodyLength::Length(0)),
        (204 | 205, _) => return Err(EncodeError::Body),
        // RFC 9110 §15.4.5: no content; a length would be that of the 200
        (304, BodyLength::Length(length)) => (Writing::Nothing, BodyLength::Length(length)),
        (304, _) => (Writing::Nothing, BodyLength::Empty),
        (_, BodyLength::Empty) => (Writing::Length(0), BodyLength::Length(0)),
        (_, BodyLength::Length(length)) => (Writing::Length(length), body),
        // RFC 9112 §6.1: never to HTTP/1.0
        (_, BodyLength::Chunked) if exchange.version() == Version::Http10 => {
            (Writing::UntilClose, BodyLength::UntilClose)
        }
        (_, BodyLength::Chunked) => (Writing::Chunked, body),
        (_, BodyLength::UntilClose) => (Writing::UntilClose, body),
    };
    // RFC 9110 §9.3.2: the fields of the GET, and no content
    Ok((if exchange.is_head() { Writing::Nothing } else { writing }, field))
}

/// The status line, and the fields that come before the framing.
fn start_head(response: &Response<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !response.reason.bytes().all(is_field_content) {
        return Err(EncodeError::Reason);
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    put_decimal(response.status.into(), out);
    out.push(b' ');
    out.extend_from_slice(response.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
    if let Some(first) = response.first {
        out.extend_from_slice(first.as_bytes());
    }
    Ok(())
}

// Inlined by order: else it depends on how the compiler divides the crate, and a call is 1 ns of
// the 30 ns that a head takes.
#[inline]
fn put_framing(body: BodyLength, out: &mut Vec<u8>) {
    match body {
        BodyLength::Empty | BodyLength::UntilClose => {}
        BodyLength::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            put_decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        BodyLength::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

/// RFC 9112 §9.3, §9.6: say `close` when we close, and `keep-alive` to those that need to hear it.
#[inline]
fn put_connection(keep_alive: bool, version: Version, upgrade: bool, out: &mut Vec<u8>) {
    let line: &[u8] = match (keep_alive, version, upgrade) {
        (true, Version::Http11, false) => b"",
        (true, Version::Http11, true) => b"Connection: Upgrade\r\n",
        (true, Version::Http10, false) => b"Connection: keep-alive\r\n",
        (true, Version::Http10, true) => b"Connection: keep-alive, Upgrade\r\n",
        (false, _, false) => b"Connection: close\r\n",
        (false, _, true) => b"Connection: close, Upgrade\r\n",
    };
    out.extend_from_slice(line);
}

/// The same, and how long the connection may be idle.
#[inline]
fn put_idle_connection(keep_alive: bool, version: Version, response: &Response<'_>, out: &mut Vec<u8>) {
    if !keep_alive || response.idle_timeout == 0 {
        return put_connection(keep_alive, version, response.upgrades(), out);
    }
    // RFC 9110 §7.6.1: a field about this connection is named in `Connection`. The option has the
    // name of the field, and is what a client of HTTP/1.0 is told anyhow.
    put_connection(true, Version::Http10, response.upgrades(), out);
    out.extend_from_slice(b"Keep-Alive: timeout=");
    put_decimal(response.idle_timeout.into(), out);
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn put_blocks(blocks: &[&FieldBlock], out: &mut Vec<u8>) {
    for block in blocks {
        out.extend_from_slice(block.as_bytes());
    }
}

fn put_decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
