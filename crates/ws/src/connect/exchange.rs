//! The request and its answer, which tidewire-http1 reads. Here is no IO: `tokio.rs` and
//! `blocking.rs` have it.

use super::answer::Response;
use super::error::{Error, RequestError};
use super::target::Target;
#[cfg(feature = "deflate")]
use crate::deflate;
use crate::handshake::client::Request;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use std::io;
use tidewire_http1::{BodyLength, Client, Connection, EncodeError, Event, FieldBlock, Fields};

/// An answer that opens a WebSocket.
pub(super) struct Opened {
    pub(super) response: Response,
    /// What the server sent right after its 101.
    pub(super) rest: Vec<u8>,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<deflate::Params>,
}

/// What the caller decides about an exchange.
pub(super) struct Options<'a> {
    pub(super) target: &'a Target,
    pub(super) fields: &'a FieldBlock,
    pub(super) head_limits: tidewire_http1::Limits,
    pub(super) max_body: usize,
}

/// An exchange whose request is made.
///
/// ```text
/// write the request ─► sent ─► head ─── 101 ─────────────► opened
///                               │ ▲   └─ other status ─► body ─► Error::Refused
///                      came in ─┘ └─ room, read            │ ▲
///                                               room, read └─┘ until it is whole, long enough or late
/// ```
pub(super) struct Exchange<'a> {
    handshake: &'a Request<'a>,
    http: Connection<Client>,
    input: Vec<u8>,
    /// The first byte of `input` that is not decoded.
    at: usize,
    /// Why the request was not sent as a whole.
    unsent: Option<io::Error>,
    max_body: usize,
}

impl<'a> Exchange<'a> {
    /// Returns the exchange and the bytes of the request.
    pub(super) fn new(options: &Options<'_>, handshake: &'a Request<'a>) -> Result<(Self, Vec<u8>), Error> {
        // The body of a refusal may declare any length, and only its start is read.
        let limits = options.head_limits.with_max_body(u64::MAX);
        let mut http = Connection::new(limits);
        let mut request = Vec::with_capacity(512);
        put_request(&mut http, options, handshake, &mut request)
            .map_err(|error| RequestError::Field { name: String::from("of the request"), error })?;
        let max_body = options.max_body;
        Ok((Self { handshake, http, input: Vec::new(), at: 0, unsent: None, max_body }, request))
    }

    /// Reports how the request was written. A server may refuse and close before it has read the
    /// request. Then its answer is the reason, so a failed write is not the end.
    pub(super) fn sent(&mut self, written: io::Result<()>) {
        self.unsent = written.err();
    }

    /// Decodes the head of the final answer. `None` means: read more.
    pub(super) fn head(&mut self) -> Result<Option<Response>, Error> {
        let mut fields = Fields::new();
        loop {
            let input = self.input.get(self.at..).unwrap_or_default();
            let (used, event) = self.http.decode(input, &mut fields).map_err(Error::Http)?;
            self.at = self.at.saturating_add(used);
            match event {
                Some(Event::Response(head)) if !head.is_interim() => {
                    let head = head.to_owned_head(Bytes::copy_from_slice(head.as_bytes()));
                    return Ok(Some(Response { head, subprotocol: None, body: Vec::new(), is_whole: false }));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Room for the next read.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.reserve(READ_SIZE);
        &mut self.input
    }

    /// Reports a read before the head is complete.
    pub(super) fn came(&mut self, read: io::Result<usize>) -> Result<(), Error> {
        match (read, self.unsent.take()) {
            (Ok(1..), unsent) => {
                self.unsent = unsent;
                Ok(())
            }
            (_, Some(error)) | (Err(error), None) => Err(Error::Io(error)),
            (Ok(0), None) => Err(Error::Closed),
        }
    }

    /// Decodes what has come of the body of a refusal. Returns whether nothing more is wanted. A
    /// failure ends the body, because the status is already known.
    pub(super) fn body(&mut self, response: &mut Response) -> bool {
        if self.max_body == 0 {
            return true;
        }
        let mut fields = Fields::new();
        loop {
            let input = self.input.get(self.at..).unwrap_or_default();
            let Ok((used, event)) = self.http.decode(input, &mut fields) else { return true };
            self.at = self.at.saturating_add(used);
            match event {
                Some(Event::Data(data)) => {
                    let room = self.max_body.saturating_sub(response.body.len());
                    response.body.extend_from_slice(&data[..data.len().min(room)]);
                    if data.len() > room {
                        return true;
                    }
                }
                Some(Event::End) => {
                    response.is_whole = true;
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Reports the end of the stream. A body without a length lasts until then.
    pub(super) fn body_ended(&mut self, response: &mut Response) {
        response.is_whole = matches!(self.http.finish(), Ok(Some(Event::End)));
    }

    /// Verifies a 101.
    pub(super) fn opened(mut self, mut response: Response) -> Result<Opened, Error> {
        let agreed = match self.handshake.verify(101, response.head.fields()) {
            Ok(agreed) => agreed,
            Err(error) => return Err(Error::Handshake(error, Box::new(response))),
        };
        response.subprotocol = agreed.subprotocol().map(String::from);
        self.input.drain(..self.at);
        Ok(Opened {
            response,
            rest: self.input,
            #[cfg(feature = "deflate")]
            deflate: agreed.deflate(),
        })
    }
}

fn put_request(
    http: &mut Connection<Client>,
    options: &Options<'_>,
    handshake: &Request<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let upgrade = FieldBlock::from_pairs(handshake.fields())?;
    let blocks = [&upgrade, options.fields];
    let target = options.target;
    let request = tidewire_http1::Request::new("GET", &target.path_and_query, &target.authority);
    http.send_request(&request.with_fields(&blocks), BodyLength::Empty, out)?;
    http.send_end(out)
}

/// A body that was sent comes within a round trip or two. The status must not wait for one that
/// never comes.
pub(super) const BODY_WAIT: core::time::Duration = core::time::Duration::from_secs(1);
/// Most answers fit in one read.
const READ_SIZE: usize = 4 * 1024;
