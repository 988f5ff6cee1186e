//! Publishing: one POST, repeated until there is an answer, carried out once.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tidewire_http1::FieldBlock;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::random;
use crate::error::Awaited;
use crate::http::{Ask, Http};
use crate::reply::Reply;
use crate::time::after;
use crate::{Backoff, Client, Cursor, Error, object};

/// A message to publish.
///
/// ```
/// use tidewire_client::Publish;
///
/// let message = Publish::new(r#"{"level":3.2}"#).event("tide").content_type("application/json");
/// ```
#[derive(Clone, Debug)]
pub struct Publish {
    data: Bytes,
    event: Option<String>,
    content_type: Option<String>,
    key: Option<String>,
}

/// A message that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message.
    pub cursor: Cursor,
    /// The server had it already: a publish with the same idempotency key came before.
    pub duplicate: bool,
}

impl Publish {
    /// A message with this payload.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), event: None, content_type: None, key: None }
    }

    /// The event name: what a browser's `EventSource` dispatches it as.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// The media type of the payload.
    #[must_use]
    pub fn content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// The idempotency key: the same message with the same key is in the log once. Set one if your
    /// program may publish the same message again after a restart. Without one, [`Client::publish`]
    /// draws a key for its own attempts.
    ///
    /// Take a key that nobody guesses, and another one for each message: a key that another message
    /// of the channel has is refused with 422 ([`Error::Refused`]).
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn fields(&self, key: &str) -> Result<FieldBlock, Error> {
        let mut fields = FieldBlock::new();
        let content_type = self.content_type.as_deref().map(|value| ("Content-Type", value));
        for (name, value) in content_type.into_iter().chain([("Idempotency-Key", key)]) {
            fields.push(name, value).map_err(Error::field(name))?;
        }
        Ok(fields)
    }
}

impl Client {
    /// Publishes a message and returns once it is in the log.
    ///
    /// An answer that was lost is asked for again with the same idempotency key, so the message is in the log once, however often it was
    /// sent: exactly once, as long as the server remembers the key (a window that its operator sets). Answers 408, 429, 500,
    /// 502, 503 and 504 are waited out, as long as `Retry-After` says where it is there. A `Retry-After` of more than 30 s is not
    /// waited out: the answer is then returned at once, as [`Error::Refused`] with [`Problem::retry_after`](crate::Problem::retry_after).
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's words for anything else; [`Error::GaveUp`] after [`Client::attempts`]: whether the
    /// message is in the log is then unknown, and a publish with the same key of your own settles it.
    pub async fn publish(&self, message: Publish) -> Result<Published, Error> {
        let key = match &message.key {
            Some(key) => key.clone(),
            None => drawn_key()?,
        };
        let fields = message.fields(&key)?;
        let event =
            message.event.as_deref().map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
        let target = self.settings.url.target(event.as_deref().map(|name| ("event", name)).as_slice());
        let fields = [&self.settings.fields, &fields];
        let ask = Ask { method: "POST", target: &target, fields: &fields, body: Some(&message.data) };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let deadline = after(Instant::now(), self.settings.request_timeout);
            let outcome = timeout_at(deadline, self.post(&ask, deadline)).await;
            let error = match outcome.unwrap_or(Err(Error::Timeout(Awaited::Answer))) {
                Ok(published) => return Ok(published),
                Err(error) => error,
            };
            let Some(wait) = wait(&error, attempt) else { return Err(error) };
            if attempt >= self.settings.attempts {
                return Err(Error::GaveUp { attempts: attempt, last: Box::new(error) });
            }
            tracing::debug!(%error, attempt, ?wait, "publish again");
            sleep(wait).await;
        }
    }

    /// One attempt: over the kept connection, and if that was closed in the meantime, or spoken on, over a new one.
    async fn post(&self, ask: &Ask<'_>, deadline: Instant) -> Result<Published, Error> {
        if let Some(mut http) = self.idle.take()
            && http.is_quiet().await
        {
            match self.exchange(&mut http, ask).await {
                Err(Error::Cut(_)) if http.is_unanswered() => {}
                outcome => {
                    self.keep(http);
                    return outcome;
                }
            }
        }
        let connected = after(Instant::now(), self.settings.connect_timeout).min(deadline);
        let mut http = Http::connect(&self.settings.url, MAX_ANSWER, connected).await?;
        let outcome = self.exchange(&mut http, ask).await;
        self.keep(http);
        outcome
    }

    async fn exchange(&self, http: &mut Http, ask: &Ask<'_>) -> Result<Published, Error> {
        http.send(&self.settings.url.host, ask).await?;
        let reply = http.head(Reply::of).await?;
        if !matches!(reply.status, 200 | 201) {
            return Err(reply.refusal(http).await.error);
        }
        reply.require("application/json")?;
        let body = http.whole_body().await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| Error::json(&error))?;
        Ok(Published { cursor: object::cursor(answer.cursor)?, duplicate: answer.duplicate })
    }

    fn keep(&self, mut http: Http) {
        if http.next() {
            self.idle.keep(http);
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    cursor: Option<String>,
    #[serde(default)]
    duplicate: bool,
}

/// Bytes of an answer: it is one cursor.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest `Retry-After` that is waited out: somebody waits for the outcome. Of a longer one the caller is told at once.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long to wait before the next attempt; `None` if there should be none.
fn wait(error: &Error, attempt: u32) -> Option<Duration> {
    let backoff = Backoff::new().wait(attempt);
    match error {
        Error::Connect { .. } | Error::Cut(_) | Error::Timeout(_) => Some(backoff),
        Error::Refused(problem) if matches!(problem.status, 408 | 429 | 500 | 502..=504) => {
            let asked = problem.retry_after.unwrap_or_default();
            (asked <= MAX_WAIT).then(|| asked + backoff)
        }
        _ => None,
    }
}

/// 128 random bits in hexadecimal.
fn drawn_key() -> Result<String, Error> {
    let mut key = String::with_capacity(32);
    for byte in random::<16>()? {
        write!(key, "{byte:02x}").expect("a String takes every character");
    }
    Ok(key)
}
