//! A response for many requests.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tidewire_http1::{self as http1, Connection, FieldBlock, Response as Head, Server};

use crate::Response;
use crate::output::MIN_SHARED;
use crate::response::{Content, ResponseBody, with_date};

/// A whole response for many requests, encoded once. A small response is copied into the output of
/// each connection. A long body is shared by all connections. See
/// [`Reply::Shared`](crate::Reply::Shared).
///
/// ```
/// use std::sync::Arc;
/// use tidewire_server::{Never, Reply, Response};
///
/// let page = Response::new(200).with("Content-Type", "text/html").body("<p>hello");
/// let page = Arc::new(page.prepare().expect("it has a whole body"));
/// let answer: Reply<Never> = Reply::Shared(page.clone());
///
/// let closing = Response::new(200).body("bye").closing();
/// assert!(closing.prepare().is_err());
/// ```
#[derive(Debug)]
pub struct PreparedResponse {
    pub(crate) status: u16,
    pub(crate) fields: FieldBlock,
    pub(crate) body: Content,
    /// The bytes of a small response.
    whole: Mutex<Made<u32, http1::PreparedResponse>>,
    /// The same for parked connections.
    parts: Mutex<Made<Duration, Vec<Bytes>>>,
}

/// The value that was made last, with the edition of its date and its idle time. Nothing else in it
/// ever changes.
type Made<I, T> = Option<((u64, I), T)>;

impl Response {
    /// Prepares the response for many requests. It must have a whole body and must not close its
    /// connection.
    ///
    /// # Errors
    /// Returns any other response unchanged.
    pub fn prepare(self) -> Result<PreparedResponse, Self> {
        match self {
            Response { status, fields, body: ResponseBody::Whole(body), close: false, broken: false }
                if !matches!(status, 204 | 205 | 304) =>
            {
                let body = if body.len() < MIN_SHARED { body.joined() } else { body };
                Ok(PreparedResponse {
                    status,
                    fields,
                    body,
                    whole: Mutex::new(None),
                    parts: Mutex::new(None),
                })
            }
            other => Err(other),
        }
    }
}

impl PreparedResponse {
    /// Sends the response in one piece, if it is small and the exchange is an ordinary one. Returns
    /// whether it did.
    pub(crate) fn send(
        &self,
        http: &mut Connection<Server>,
        (date, edition): (&FieldBlock, u64),
        idle: u32,
        out: &mut Vec<u8>,
    ) -> bool {
        // A long body is not copied. Compared with it, a new head costs little.
        let Content::One(body) = &self.body else { return false };
        if body.len() >= MIN_SHARED {
            return false;
        }
        // No code panics while it holds the lock, so a poisoned lock holds good data.
        let mut whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if whole.as_ref().is_none_or(|(made, _)| *made != (edition, idle)) {
            let blocks = [date, &self.fields];
            let head = Head::new(self.status).with_fields(&blocks).with_idle_timeout(idle);
            *whole = http1::PreparedResponse::new(&head, body).ok().map(|whole| ((edition, idle), whole));
        }
        whole.as_ref().is_some_and(|(_, whole)| http.send_prepared(whole, out))
    }

    /// The whole response, for a handler that answers on [`Parked`](crate::Parked) connections: the
    /// same as [`Response::into_parts`], but encoded once for many connections.
    pub fn to_parts(&self, idle: Duration) -> Vec<Bytes> {
        with_date(|date, edition| {
            let mut kept = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, parts)) = kept.as_ref().filter(|(made, _)| *made == (edition, idle)) {
                return parts.clone();
            }
            let response = Response {
                status: self.status,
                fields: self.fields.clone(),
                body: ResponseBody::Whole(self.body.clone()),
                close: false,
                broken: false,
            };
            let parts = response.into_parts_dated(date, Some(idle));
            *kept = Some(((edition, idle), parts.clone()));
            parts
        })
    }

    /// The number of bytes of the body.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }
}
