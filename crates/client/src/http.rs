//! One HTTP connection of a client: `tidewire-http1` with a socket and a buffer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tidewire_http1::{
    BodyLength, Client, Connection, ErrorKind, Event, Fields, Limit, Limits, Request, ResponseHead,
};
use tokio::io::{AsyncRead as _, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::Error;
use crate::net::{self, Io};
use crate::url::Url;

/// A connection with at most one exchange at a time.
pub(crate) struct Http {
    io: Box<dyn Io>,
    machine: Connection<Client>,
    fields: Fields,
    input: Vec<u8>,
    /// The index in `input` of the first byte that `machine` has not consumed.
    at: usize,
    max_body: usize,
    /// Whether a byte of the answer to the last request came.
    answered: bool,
}

/// Whether a body continues after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Body {
    More,
    End,
}

impl Http {
    /// Connects before `deadline`. Answers with a body over `max_body` bytes are refused.
    pub(crate) async fn connect(url: &Url, max_body: usize, deadline: Instant) -> Result<Self, Error> {
        let mut limits = Limits::DEFAULT;
        limits.max_body = if max_body == usize::MAX { u64::MAX } else { max_body as u64 };
        Ok(Self {
            io: net::connect(&url.address, deadline).await?,
            machine: Connection::new(limits),
            fields: Fields::new(),
            input: Vec::new(),
            at: 0,
            max_body,
            answered: false,
        })
    }

    /// Sends a request. A body is sent with its length.
    ///
    /// A server may answer and close before it has read the whole body. So `send` succeeds even if
    /// writing the body fails. If there is no answer either, [`head`](Self::head) fails.
    pub(crate) async fn send(&mut self, request: &Request<'_>, body: Option<&[u8]>) -> Result<(), Error> {
        let length = body.map_or(BodyLength::Empty, |body| BodyLength::Length(body.len() as u64));
        let mut out = Vec::with_capacity(1024);
        self.machine.send_request(request, length, &mut out).map_err(Error::field("of the request line"))?;
        self.machine.send_data(body.unwrap_or_default(), &mut out).map_err(Error::field("Content-Length"))?;
        self.machine.send_end(&mut out).map_err(Error::field("Content-Length"))?;
        self.answered = false;
        match self.io.write_all(&out).await {
            Err(error) if body.is_none() => Err(Error::cut(error)),
            _ => Ok(()),
        }
    }

    /// Reads the final response head and returns the result of `view`.
    pub(crate) async fn head<T>(&mut self, view: impl Fn(&ResponseHead<'_>) -> T) -> Result<T, Error> {
        loop {
            let decoded = self.machine.decode(&self.input[self.at..], &mut self.fields);
            let (used, event) = decoded.map_err(|error| http_error(error, self.max_body))?;
            let mut found = None;
            let more = event.is_some();
            if let Some(Event::Response(head)) = event {
                found = (!head.is_interim()).then(|| view(&head));
            }
            self.at += used;
            match found {
                Some(found) => return Ok(found),
                None if more => {}
                None => {
                    if self.fill().await? == 0 {
                        self.machine.finish()?;
                        return Err(Error::cut(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
            }
        }
    }

    /// Waits for bytes of the body and appends those that have come to `out`.
    pub(crate) async fn body(&mut self, out: &mut Vec<u8>) -> Result<Body, Error> {
        let start = out.len();
        loop {
            let decoded = self.machine.decode(&self.input[self.at..], &mut self.fields);
            let (used, event) = decoded.map_err(|error| http_error(error, self.max_body))?;
            self.at += used;
            match event {
                Some(Event::Data(data)) => out.extend_from_slice(data),
                Some(Event::End) => return Ok(Body::End),
                Some(_) => {}
                None if out.len() > start => return Ok(Body::More),
                None => {
                    if self.fill().await? == 0 {
                        self.machine.finish()?;
                        return Ok(Body::End);
                    }
                }
            }
        }
    }

    /// Reads the rest of the body, up to the limit.
    pub(crate) async fn whole_body(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while self.body(&mut body).await? == Body::More {}
        Ok(body)
    }

    /// After a whole exchange: whether another exchange may follow on this connection. It may not
    /// if bytes came after the answer, because they would be read as the next answer
    /// (RFC 9112 §9.2 (2)).
    pub(crate) fn next(&mut self) -> bool {
        self.at == self.input.len() && self.machine.next_exchange().is_ok()
    }

    /// Returns whether the server has neither closed nor sent anything since [`next`](Self::next).
    /// A server may send a 408 to a connection that was idle for too long.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        poll_fn(|cx| Poll::Ready(Pin::new(&mut self.io).poll_read(cx, &mut byte).is_pending())).await
    }

    /// Returns whether no byte of the answer to the last request came. The server may have closed a
    /// kept connection before it saw the request.
    pub(crate) const fn is_unanswered(&self) -> bool {
        !self.answered
    }

    /// After a 101: the connection, and the bytes of the new protocol that have come already.
    pub(crate) fn into_io(mut self) -> (Box<dyn Io>, Vec<u8>) {
        self.input.drain(..self.at);
        (self.io, self.input)
    }

    async fn fill(&mut self) -> Result<usize, Error> {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.reserve(READ_SIZE);
        let n = self.io.read_buf(&mut self.input).await.map_err(Error::cut)?;
        self.answered |= n > 0;
        Ok(n)
    }
}

fn http_error(error: tidewire_http1::Error, max_body: usize) -> Error {
    match error.kind() {
        ErrorKind::Limit(Limit::Body) => Error::TooLarge { limit: max_body },
        _ => error.into(),
    }
}

/// The largest number of bytes of one read: the size of a batch of messages under load.
pub(crate) const READ_SIZE: usize = 16 * 1024;
