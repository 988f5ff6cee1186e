//! The request out, the answer in. tidewire-http1 reads it.

use super::answer::Response;
use super::error::{Error, RequestError};
use super::target::Target;
#[cfg(feature = "deflate")]
use crate::deflate;
use crate::handshake::client::Request;
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ::tokio::time::{Duration, timeout};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
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

/// Sends the request and reads the answer.
pub(super) async fn run<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    options: &Options<'_>,
    handshake: &Request<'_>,
) -> Result<Opened, Error> {
    // The body of a refusal may declare any length, and only its start is read.
    let limits = options.head_limits.with_max_body(u64::MAX);
    let mut answer = Answer { io, http: Connection::new(limits), input: Vec::new(), at: 0 };
    let mut request = Vec::with_capacity(512);
    put_request(&mut answer.http, options, handshake, &mut request)
        .map_err(|error| RequestError::Field { name: String::from("of the request"), error })?;
    let sent = match answer.io.write_all(&request).await {
        Ok(()) => answer.io.flush().await,
        Err(error) => Err(error),
    };
    // A server may refuse and close before it has read the request. Then its answer is the reason.
    let mut response = match (answer.head().await, sent) {
        (Err(Error::Closed | Error::Io(_)), Err(error)) => return Err(Error::Io(error)),
        (read, _) => read?,
    };
    if response.status() != 101 {
        answer.refusal(&mut response, options.max_body).await;
        return Err(Error::Refused(Box::new(response)));
    }
    let agreed = match handshake.verify(101, response.head.fields()) {
        Ok(agreed) => agreed,
        Err(error) => return Err(Error::Handshake(error, Box::new(response))),
    };
    response.subprotocol = agreed.subprotocol().map(String::from);
    answer.input.drain(..answer.at);
    Ok(Opened {
        response,
        rest: answer.input,
        #[cfg(feature = "deflate")]
        deflate: agreed.deflate(),
    })
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

/// The receiving side of the exchange.
struct Answer<'io, IO> {
    io: &'io mut IO,
    http: Connection<Client>,
    input: Vec<u8>,
    /// The first byte of `input` that is not decoded.
    at: usize,
}

impl<IO: AsyncRead + Unpin> Answer<'_, IO> {
    /// Reads the head of the final answer.
    async fn head(&mut self) -> Result<Response, Error> {
        let mut fields = Fields::new();
        loop {
            let input = self.input.get(self.at..).unwrap_or_default();
            let (used, event) = self.http.decode(input, &mut fields).map_err(Error::Http)?;
            self.at = self.at.saturating_add(used);
            let has_event = event.is_some();
            match event {
                Some(Event::Response(head)) if !head.is_interim() => {
                    let head = head.to_owned_head(Bytes::copy_from_slice(head.as_bytes()));
                    return Ok(Response { head, subprotocol: None, body: Vec::new(), is_whole: false });
                }
                _ => {}
            }
            if !has_event && self.read().await? == 0 {
                return Err(Error::Closed);
            }
        }
    }

    /// Reads the start of the body. A failure here ends it, because the status is already known.
    async fn refusal(&mut self, response: &mut Response, max: usize) {
        if max > 0 && !self.body(response, max) {
            let read = async {
                while matches!(self.read().await, Ok(1..)) {
                    if self.body(response, max) {
                        return;
                    }
                }
                // A body without a length lasts until the connection closes.
                response.is_whole = matches!(self.http.finish(), Ok(Some(Event::End)));
            };
            // If the time is over, what came is kept.
            let _ = timeout(BODY_WAIT, read).await;
        }
    }

    /// Decodes what has come. Returns whether nothing more is wanted.
    fn body(&mut self, response: &mut Response, max: usize) -> bool {
        let mut fields = Fields::new();
        loop {
            let input = self.input.get(self.at..).unwrap_or_default();
            let Ok((used, event)) = self.http.decode(input, &mut fields) else { return true };
            self.at = self.at.saturating_add(used);
            match event {
                Some(Event::Data(data)) => {
                    let room = max.saturating_sub(response.body.len());
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

    async fn read(&mut self) -> Result<usize, Error> {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.reserve(READ_SIZE);
        self.io.read_buf(&mut self.input).await.map_err(Error::Io)
    }
}

/// Most answers fit in one read.
const READ_SIZE: usize = 4 * 1024;
/// A body that was sent comes within a round trip or two. The status must not wait for one that
/// never comes.
const BODY_WAIT: Duration = Duration::from_secs(1);
