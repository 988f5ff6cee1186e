//! A connection that is kept from one request to the next.

use std::sync::{Arc, Mutex, PoisonError};

use tidewire_http1::Request;
use tokio::time::Instant;

use crate::Error;
use crate::answer::{AnswerHead, Failure};
use crate::http::Http;
use crate::settings::Settings;
use crate::time::after;

/// Sends one request after another, and reads each answer whole.
pub(crate) struct KeptConnection {
    http: Option<Http>,
    max_body: usize,
}

/// The connection that the clones of a client share.
#[derive(Clone, Default)]
pub(crate) struct SharedConnection(Arc<Mutex<Option<Http>>>);

impl KeptConnection {
    /// No connection yet. Answers with a body over `max_body` bytes are refused.
    pub(crate) const fn new(max_body: usize) -> Self {
        Self { http: None, max_body }
    }

    /// Sends a request and returns the JSON of its answer, if the answer has one of the statuses of
    /// `success`.
    ///
    /// The request goes over the kept connection, unless the server has closed it or written to it
    /// in the meantime. The server may also close it at the moment of its reuse. If no byte of an
    /// answer came, the request is sent once more on a new connection. So the request must be
    /// repeatable: a GET (RFC 9112 §9.5), or a POST with an idempotency key.
    pub(crate) async fn json(
        &mut self,
        settings: &Settings,
        request: &Request<'_>,
        body: Option<&[u8]>,
        success: &[u16],
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        if let Some(mut http) = self.http.take()
            && http.is_quiet().await
        {
            match json(&mut http, request, body, success).await {
                Err(Failure { error: Error::Cut(_), .. }) if http.is_unanswered() => {}
                outcome => {
                    self.keep(http);
                    return outcome;
                }
            }
        }
        let connect_deadline = after(Instant::now(), settings.connect_timeout).min(deadline);
        let mut http = Http::connect(&settings.url, self.max_body, connect_deadline).await?;
        let outcome = json(&mut http, request, body, success).await;
        self.keep(http);
        outcome
    }

    fn keep(&mut self, mut http: Http) {
        self.http = http.next().then_some(http);
    }
}

impl SharedConnection {
    /// Takes the connection, if there is one and no other call uses it.
    pub(crate) fn take(&self, max_body: usize) -> KeptConnection {
        let http = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        KeptConnection { http, max_body }
    }

    /// Puts the connection back.
    pub(crate) fn put(&self, kept: KeptConnection) {
        if let Some(http) = kept.http {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(http);
        }
    }
}

async fn json(
    http: &mut Http,
    request: &Request<'_>,
    body: Option<&[u8]>,
    success: &[u16],
) -> Result<Vec<u8>, Failure> {
    http.send(request, body).await?;
    let head = http.head(AnswerHead::of).await?;
    if !success.contains(&head.status) {
        return Err(head.failure(http).await);
    }
    head.require(JSON)?;
    Ok(http.whole_body().await?)
}

/// The media type of an answer.
pub(crate) const JSON: &str = "application/json";
