//! Publishing: one POST, repeated until there is an answer. The server executes it once.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tidewire_http1::{FieldBlock, Request};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::Awaited;
use crate::kept::SharedConnection;
use crate::random::random;
use crate::settings::Settings;
use crate::time::after;
use crate::{Backoff, Cursor, Error, object};

/// A message to publish.
///
/// ```
/// use tidewire_client::Publish;
///
/// let message = Publish::new(r#"{"level":3.2}"#).with_event("tide").with_content_type("application/json");
/// ```
#[derive(Clone, Debug)]
pub struct Publish {
    data: Bytes,
    event: Option<String>,
    content_type: Option<String>,
    key: Option<String>,
}

/// The result of a publish: the message is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message.
    pub cursor: Cursor,
    /// Whether the message was in the log already: a publish with the same idempotency key came
    /// before.
    pub duplicate: bool,
}

impl Publish {
    /// A message with this payload.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: data.into(), event: None, content_type: None, key: None }
    }

    /// Sets the event name. A browser's `EventSource` dispatches the message with it.
    #[must_use]
    pub fn with_event(mut self, name: impl Into<String>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// Sets the media type of the payload.
    #[must_use]
    pub fn with_content_type(mut self, media_type: impl Into<String>) -> Self {
        self.content_type = Some(media_type.into());
        self
    }

    /// Sets the idempotency key: a message that is published several times with the same key is in
    /// the log once. Set a key if your program may publish the same message again after a restart.
    /// Without one, [`Client::publish`](crate::Client::publish) uses a random key for its own
    /// attempts.
    ///
    /// Use a key that nobody can guess, and a different key for each message. If another message of
    /// the channel has the key, the server refuses with 422 ([`Error::Refused`]).
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The fields that only this request has.
    fn fields(&self, key: &str) -> Result<FieldBlock, Error> {
        let mut fields = FieldBlock::new();
        let content_type = self.content_type.as_deref().map(|value| ("Content-Type", value));
        for (name, value) in content_type.into_iter().chain([("Idempotency-Key", key)]) {
            fields.push(name, value).map_err(Error::field(name))?;
        }
        Ok(fields)
    }
}

/// Implements [`Client::publish`](crate::Client::publish).
pub(crate) async fn publish(
    settings: &Settings,
    shared: &SharedConnection,
    message: &Publish,
) -> Result<Published, Error> {
    let key = match &message.key {
        Some(key) => key.clone(),
        None => random_key()?,
    };
    let message_fields = message.fields(&key)?;
    let event = message.event.as_deref().map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
    let target = settings.url.target(event.as_deref().map(|name| ("event", name)).as_slice());
    let fields = [&settings.fields, &message_fields];
    let request = Request::new("POST", &target, &settings.url.host).with_fields(&fields);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let deadline = after(Instant::now(), settings.request_timeout);
        let outcome = timeout_at(deadline, post(settings, shared, &request, &message.data, deadline)).await;
        let error = match outcome.unwrap_or(Err(Error::Timeout(Awaited::Answer))) {
            Ok(published) => return Ok(published),
            Err(error) => error,
        };
        let Some(wait) = wait(&error, attempt) else { return Err(error) };
        if attempt >= settings.attempts {
            return Err(Error::GaveUp { attempts: attempt, last: Box::new(error) });
        }
        tracing::debug!(%error, attempt, ?wait, "publish again");
        sleep(wait).await;
    }
}

/// One attempt.
async fn post(
    settings: &Settings,
    shared: &SharedConnection,
    request: &Request<'_>,
    data: &[u8],
    deadline: Instant,
) -> Result<Published, Error> {
    let mut kept = shared.take(MAX_ANSWER);
    let outcome = kept.json(settings, request, Some(data), &[200, 201], deadline).await;
    shared.put(kept);
    let json = outcome.map_err(|failure| failure.error)?;
    let answer: Acknowledgement = serde_json::from_slice(&json).map_err(|error| Error::json(&error))?;
    Ok(Published { cursor: object::cursor(answer.cursor)?, duplicate: answer.duplicate })
}

#[derive(Deserialize)]
struct Acknowledgement {
    cursor: Option<String>,
    #[serde(default)]
    duplicate: bool,
}

/// The largest number of bytes of an answer, which holds one cursor.
const MAX_ANSWER: usize = 64 * 1024;

/// The longest `Retry-After` that the client waits for. If it is longer, the client returns the
/// refusal at once, so that its caller does not wait for a long time.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// How long to wait before the next attempt, or `None` if there should be no other attempt.
fn wait(error: &Error, attempt: u32) -> Option<Duration> {
    let backoff = Backoff::DEFAULT.wait(attempt);
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
fn random_key() -> Result<String, Error> {
    let mut key = String::with_capacity(32);
    for byte in random::<16>()? {
        write!(key, "{byte:02x}").expect("a String takes every character");
    }
    Ok(key)
}
