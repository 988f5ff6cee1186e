//! Sending: heads with their framing fields, and the framing of bodies. The caller may send the
//! content itself.

use crate::connection::{Connection, OutgoingBody};
use crate::error::{EncodeError, EncodeErrorKind};
use crate::event::ContentAction;
use crate::field_block::FieldBlock;
use crate::message::{BodyLength, Method, TargetForm, Version};
use crate::outgoing::{Request, Response};
use crate::reuse::CloseReason;
use crate::role::{Client, Role, Server};
use crate::state::{Exchange, Half, Step};
use crate::target;
use alloc::vec::Vec;
use tidewire_chunked as chunked;
use tidewire_grammar::class::is_field_content;
use tidewire_grammar::{is_token, token_len};

impl Connection<Server> {
    /// Writes `100 Continue` if the client waits for it and the final response has not begun.
    /// Otherwise writes nothing.
    pub fn send_continue(&mut self, out: &mut Vec<u8>) {
        if self.exchange.wants_continue() && self.state().after(Step::Interim).is_some() {
            self.exchange.continue_sent();
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Writes an interim response with a status of 102 to 199, such as `103 Early Hints`. If
    /// `Connection: close` is among its fields, the final response sends it instead.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Status`] for other statuses. [`EncodeErrorKind::NoRequest`] before a
    /// request, [`EncodeErrorKind::HeadAlreadySent`] when the final response has begun,
    /// [`EncodeErrorKind::InterimToHttp10`].
    pub fn send_interim(&mut self, response: &Response<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !matches!(response.status, 102..=199) {
            return Err(error(EncodeErrorKind::Status));
        }
        if self.state().after(Step::Interim).is_none() {
            return Err(self.no_head_due());
        }
        if self.exchange.version() == Version::Http10 {
            return Err(error(EncodeErrorKind::InterimToHttp10));
        }
        start_head(response, out)?;
        if response.closes() {
            self.exchange.close(CloseReason::Local);
        }
        if response.upgrades() {
            // RFC 9110 §7.8: the field and its option go together.
            out.extend_from_slice(b"Connection: Upgrade\r\n");
        }
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Writes the head of the final response, with the right `Content-Length`, `Transfer-Encoding`
    /// and `Connection` fields.
    ///
    /// `body` is the body that the caller has. The connection decides what is sent of it: no
    /// content in a response to HEAD, with 204 and with 304; until close instead of chunked for
    /// HTTP/1.0.
    ///
    /// If no content follows the head, the response is complete, and the connection
    /// [`is_sent`](Self::is_sent). Otherwise send the body, and call [`send_end`](Self::send_end).
    /// A caller may make these calls in all cases: content that a HEAD, 204 or 304 does not get is
    /// dropped, and the end of a complete message writes nothing. After a 101, and after a 2xx to
    /// CONNECT, the connection [`is_switched`](Self::is_switched), and sends nothing more.
    ///
    /// # Errors
    /// See [`EncodeErrorKind`]; nothing is written then.
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
            return Err(error(EncodeErrorKind::Status));
        }
        self.state().after(Step::ResponseHead).ok_or_else(|| self.no_head_due())?;
        let (writing, framing) = response_framing(status, &self.exchange, body)?;
        let closing = match writing {
            _ if response.closes() => Some(CloseReason::Local),
            OutgoingBody::UntilClose => Some(CloseReason::UntilClose),
            _ => self.exchange.closing(),
        };
        start_head(response, out)?;
        put_framing(framing, out);
        put_idle_connection(closing.is_none(), self.exchange.version(), response, out);
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        if let Some(reason) = closing {
            self.exchange.close(reason);
        }
        self.outgoing = writing;
        self.step(if writing.is_empty() { Step::BodilessResponse } else { Step::ResponseHead });
        Ok(())
    }

    /// Writes a 101, or a 2xx to CONNECT, if the request asked for it and had no body. With a body,
    /// two recipients could disagree about where the other protocol starts. `Content-Length: 0` is
    /// not a body: several clients and proxies send it.
    fn send_switch(
        &mut self,
        response: &Response<'_>,
        body: BodyLength,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let requested =
            if response.status == 101 { self.exchange.offers_upgrade() } else { self.exchange.is_connect() };
        let names_protocol = response.status != 101 || response.upgrades();
        if !requested || self.exchange.has_body() || !names_protocol {
            return Err(error(EncodeErrorKind::Upgrade));
        }
        if body != BodyLength::Empty {
            return Err(error(EncodeErrorKind::Body));
        }
        self.state().after(Step::Switch).ok_or_else(|| self.no_head_due())?;
        start_head(response, out)?;
        put_connection(true, Version::Http11, response.upgrades(), out);
        put_blocks(response.fields, out);
        out.extend_from_slice(b"\r\n");
        self.step(Step::Switch);
        Ok(())
    }
}

impl Connection<Client> {
    /// Writes the head of a request, with the right `Host`, `Content-Length`, `Transfer-Encoding`
    /// and `Connection` fields. If `body` is `Empty` or `Length(0)`, the request is complete.
    /// Otherwise send the body, and call [`send_end`](Self::send_end). A caller may call it in all
    /// cases.
    ///
    /// # Errors
    /// See [`EncodeErrorKind`]; nothing is written then.
    pub fn send_request(
        &mut self,
        request: &Request<'_>,
        body: BodyLength,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.error().is_some() {
            return Err(error(EncodeErrorKind::Failed));
        }
        self.state().after(Step::RequestHead).ok_or_else(|| self.no_head_due())?;
        let method = Method::new(request.method);
        if !is_token(request.method.as_bytes()) {
            return Err(EncodeError::new(EncodeErrorKind::Method, token_len(request.method.as_bytes())));
        }
        let invalid_target = |at| EncodeError::new(EncodeErrorKind::Target, at);
        if let Some(at) = request.target.iter().position(|&b| !target::is_target_byte(b)) {
            return Err(invalid_target(at));
        }
        if request.target.is_empty() {
            return Err(invalid_target(0));
        }
        let form = target::form(method, request.target).map_err(invalid_target)?;
        target::check_host(request.host).map_err(|at| EncodeError::new(EncodeErrorKind::Host, at))?;
        // RFC 9112 §3.2: if target and Host differed, two recipients could choose different hosts.
        let authority = target::authority(request.target).filter(|_| form == TargetForm::Absolute);
        if authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(request.host)) {
            return Err(error(EncodeErrorKind::Host));
        }
        let (writing, framing) = match body {
            // RFC 9110 §9.3.8: the recipient sends a TRACE back as it received it, so the request
            // must not contain anything confidential
            _ if method == Method::Trace && body != BodyLength::Empty => {
                return Err(error(EncodeErrorKind::Body));
            }
            // RFC 9110 §8.6: a length for methods that define a meaning for content, even when
            // there is none
            BodyLength::Empty if matches!(method, Method::Post | Method::Put | Method::Patch) => {
                (OutgoingBody::Length(0), BodyLength::Length(0))
            }
            BodyLength::Empty => (OutgoingBody::Length(0), BodyLength::Empty),
            BodyLength::Length(length) => (OutgoingBody::Length(length), body),
            BodyLength::Chunked => (OutgoingBody::Chunked, body),
            // RFC 9112 §6.3: a request body never lasts until close
            BodyLength::UntilClose => return Err(error(EncodeErrorKind::Body)),
        };
        let closes = request.fields.iter().any(|block| block.close);
        let closing = self.exchange.closing().or(closes.then_some(CloseReason::Local));
        let upgrade = request.fields.iter().any(|block| block.upgrade);
        for part in
            [request.method.as_bytes(), b" ", request.target, b" HTTP/1.1\r\nHost: ", request.host, b"\r\n"]
        {
            out.extend_from_slice(part);
        }
        put_framing(framing, out);
        put_connection(closing.is_none(), Version::Http11, upgrade, out);
        put_blocks(request.fields, out);
        out.extend_from_slice(b"\r\n");
        let has_body = !matches!(framing, BodyLength::Empty | BodyLength::Length(0));
        self.exchange = Exchange::sent(method, has_body, upgrade, closing);
        self.outgoing = writing;
        self.step(if writing.is_empty() { Step::BodilessRequest } else { Step::RequestHead });
        Ok(())
    }
}

impl<R: Role> Connection<R> {
    /// Writes content with its framing. Writes nothing for empty content: an empty chunk would end
    /// the body.
    ///
    /// # Errors
    /// [`EncodeErrorKind::BodyNotDue`], [`EncodeErrorKind::BodyTooLong`]. Nothing is written then.
    pub fn send_data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let ContentAction::SendThen(tail) = self.send_data_head(data.len() as u64, out)? {
            out.extend_from_slice(data);
            out.extend_from_slice(tail);
        }
        Ok(())
    }

    /// Writes the framing before `len` bytes of content that the caller sends itself. Returns what
    /// the caller has to do with the content.
    ///
    /// # Errors
    /// The same as [`send_data`](Self::send_data).
    pub fn send_data_head(&mut self, len: u64, out: &mut Vec<u8>) -> Result<ContentAction, EncodeError> {
        self.check_body_due()?;
        Ok(match &mut self.outgoing {
            OutgoingBody::Nothing => ContentAction::Omit,
            OutgoingBody::Ended => return Err(error(EncodeErrorKind::BodyNotDue)),
            OutgoingBody::UntilClose => ContentAction::SendThen(b""),
            OutgoingBody::Length(left) => {
                *left = left.checked_sub(len).ok_or_else(|| {
                    EncodeError::new(
                        EncodeErrorKind::BodyTooLong,
                        usize::try_from(*left).unwrap_or(usize::MAX),
                    )
                })?;
                ContentAction::SendThen(b"")
            }
            OutgoingBody::Chunked => match chunked::ChunkHead::new(len) {
                Some(head) => {
                    head.encode_to(out);
                    ContentAction::SendThen(b"\r\n")
                }
                None => ContentAction::SendThen(b""),
            },
        })
    }

    /// Ends the message. Writes the last chunk if the body is chunked. Needed after a head that
    /// announces a body. After a head that says that its body is empty, the message is complete
    /// already, and this writes nothing.
    ///
    /// # Errors
    /// [`EncodeErrorKind::BodyNotDue`] if no head was sent, or the body was ended before;
    /// [`EncodeErrorKind::BodyTooShort`].
    pub fn send_end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_trailers(&FieldBlock::new(), out)
    }

    /// Ends the message with trailer fields. If the body is not chunked, they are left out: only a
    /// chunked body can have trailers.
    ///
    /// # Errors
    /// The same as [`send_end`](Self::send_end), and [`EncodeErrorKind::ForbiddenTrailer`] for
    /// fields that are not allowed in trailers (RFC 9110 §6.5.1).
    pub fn send_trailers(&mut self, trailers: &FieldBlock, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check_body_due()?;
        trailers.check_trailers()?;
        if self.is_sent() {
            return Ok(());
        }
        match self.outgoing {
            OutgoingBody::Length(1..) => return Err(error(EncodeErrorKind::BodyTooShort)),
            OutgoingBody::Chunked => {
                out.extend_from_slice(b"0\r\n");
                out.extend_from_slice(trailers.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            OutgoingBody::Nothing
            | OutgoingBody::UntilClose
            | OutgoingBody::Length(0)
            | OutgoingBody::Ended => {}
        }
        self.outgoing = OutgoingBody::Ended;
        self.step(R::WRITE_END);
        Ok(())
    }

    /// Checks that a head was sent and the caller has not ended its body. After a head that
    /// completes its message, the caller may still make the calls for a body.
    #[inline]
    pub(crate) fn check_body_due(&self) -> Result<(), EncodeError> {
        match R::writes(self.state()) {
            Half::Body => Ok(()),
            Half::Done if self.outgoing.is_empty() => Ok(()),
            Half::Switched => Err(error(EncodeErrorKind::Switched)),
            _ => Err(error(EncodeErrorKind::BodyNotDue)),
        }
    }

    /// Why no head can be sent now.
    #[cold]
    fn no_head_due(&self) -> EncodeError {
        error(match R::writes(self.state()) {
            Half::Switched => EncodeErrorKind::Switched,
            Half::Idle => EncodeErrorKind::NoRequest,
            // Only the final response follows a request that was refused.
            Half::Head => EncodeErrorKind::Failed,
            Half::Body | Half::Done | Half::Closed => EncodeErrorKind::HeadAlreadySent,
        })
    }
}

/// An error of a kind that names no position.
const fn error(kind: EncodeErrorKind) -> EncodeError {
    EncodeError::from_kind(kind)
}

/// Returns how the body of a response is sent, and which framing field its head gets: RFC 9112 §6
/// for the sender.
fn response_framing(
    status: u16,
    exchange: &Exchange,
    body: BodyLength,
) -> Result<(OutgoingBody, BodyLength), EncodeError> {
    let (writing, field) = match (status, body) {
        // RFC 9112 §6.1, RFC 9110 §8.6: neither field with 204
        (204, BodyLength::Empty | BodyLength::Length(0)) => (OutgoingBody::Nothing, BodyLength::Empty),
        // RFC 9110 §15.3.6: no content with 205; Content-Length: 0 shows it
        (205, BodyLength::Empty | BodyLength::Length(0)) => (OutgoingBody::Nothing, BodyLength::Length(0)),
        (204 | 205, _) => return Err(error(EncodeErrorKind::Body)),
        // RFC 9110 §15.4.5: no content; a Content-Length is that of the 200 response
        (304, BodyLength::Length(length)) => (OutgoingBody::Nothing, BodyLength::Length(length)),
        (304, _) => (OutgoingBody::Nothing, BodyLength::Empty),
        (_, BodyLength::Empty) => (OutgoingBody::Length(0), BodyLength::Length(0)),
        (_, BodyLength::Length(length)) => (OutgoingBody::Length(length), body),
        // RFC 9112 §6.1: no chunked coding to HTTP/1.0
        (_, BodyLength::Chunked) if exchange.version() == Version::Http10 => {
            (OutgoingBody::UntilClose, BodyLength::UntilClose)
        }
        (_, BodyLength::Chunked) => (OutgoingBody::Chunked, body),
        (_, BodyLength::UntilClose) => (OutgoingBody::UntilClose, body),
    };
    // RFC 9110 §9.3.2: the fields of the response to GET, without content
    Ok((if exchange.is_head() { OutgoingBody::Nothing } else { writing }, field))
}

/// Writes the status line and the fields that come before the framing fields.
fn start_head(response: &Response<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(at) = response.reason.bytes().position(|b| !is_field_content(b)) {
        return Err(EncodeError::new(EncodeErrorKind::ReasonPhrase, at));
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

// `inline`: otherwise it depends on how the compiler splits the crate into units. A call costs 1 ns
// of the 30 ns for a head.
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

/// RFC 9112 §9.3, §9.6: writes `close` if we close, and `keep-alive` for HTTP/1.0.
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

/// Writes the `Connection` field, and `Keep-Alive` with the idle timeout if there is one.
#[inline]
fn put_idle_connection(keep_alive: bool, version: Version, response: &Response<'_>, out: &mut Vec<u8>) {
    if !keep_alive || response.idle_timeout == 0 {
        return put_connection(keep_alive, version, response.upgrades(), out);
    }
    // RFC 9110 §7.6.1: `Connection` names each field about this connection. Here the name equals
    // the option `keep-alive`, which an HTTP/1.0 client gets in any case.
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
    for at in (0..digits.len()).rev() {
        digits[at] = b'0' | (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}
