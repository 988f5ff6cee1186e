//! Publishing: one POST, repeated until there is an answer. The server executes it once.
//!
//! A publish that is repeated says so with an idempotency key, or with a producer and its sequence
//! number. The end of a channel has no need of either: to close it again changes nothing.

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

/// A message to publish, or the end of a channel, or both.
///
/// ```
/// use tidewire_client::Publish;
///
/// let message =
/// Publish::new(r#"{"level":3.2}"#).with_event("tide").with_content_type("application/json"); let
/// last = Publish::new("low tide").closing(); let end = Publish::close();
/// ```
#[derive(Clone, Debug)]
pub struct Publish {
    /// `None` closes the channel without a message.
    data: Option<Bytes>,
    event: Option<String>,
    content_type: Option<String>,
    once: Once,
    closes: bool,
}

/// How the server recognises a publish that is repeated.
#[derive(Clone, Debug)]
enum Once {
    /// By a key that is drawn for it.
    RandomKey,
    Key(String),
    Producer {
        id: String,
        epoch: u64,
        seq: u64,
    },
}

/// The result of a publish: the message is in the log, and the log is closed if that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message. If there was none, the position after the end.
    pub cursor: Cursor,
    /// Whether the message was in the log already: a publish with the same idempotency key or the
    /// same number of the producer came before.
    pub duplicate: bool,
    /// The position after the end, if this publish closed the channel.
    pub end: Option<Cursor>,
}

impl Publish {
    /// A message with this payload.
    #[must_use]
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), closes: false, ..Self::close() }
    }

    /// No message: closes the channel. Readers get its end, and no message can follow. To close a
    /// closed channel again succeeds.
    #[must_use]
    pub const fn close() -> Self {
        Self { data: None, event: None, content_type: None, once: Once::RandomKey, closes: true }
    }

    /// Closes the channel with this message, in one step. Only if the payload is empty, the end is
    /// a second request.
    #[must_use]
    pub const fn closing(mut self) -> Self {
        self.closes = true;
        self
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
        self.once = Once::Key(key.into());
        self
    }

    /// Sets the producer instead of an idempotency key: a name, the epoch of this run of it, and
    /// the number of this message, from 0 without a hole. The server appends each number once. It
    /// refuses every lower epoch as soon as it knows a higher one ([`Error::Fenced`]). A
    /// [`Producer`](crate::Producer) counts by itself.
    #[must_use]
    pub fn with_producer(mut self, id: impl Into<String>, epoch: u64, seq: u64) -> Self {
        self.once = Once::Producer { id: id.into(), epoch, seq };
        self
    }

    /// Returns whether the end needs a request of its own: the server takes an empty body with
    /// `close=1` for an end without a message.
    fn splits(&self) -> bool {
        self.closes && self.data.as_ref().is_some_and(Bytes::is_empty)
    }

    /// The idempotency key to send.
    fn key(&self) -> Result<Option<String>, Error> {
        Ok(match &self.once {
            Once::Key(key) => Some(key.clone()),
            Once::RandomKey if self.data.is_some() => Some(random_key()?),
            Once::RandomKey | Once::Producer { .. } => None,
        })
    }

    /// The fields that only this request has.
    fn fields(&self, key: Option<&str>) -> Result<FieldBlock, Error> {
        let content_type = self.content_type.as_deref().map(|value| ("Content-Type", value.to_owned()));
        let key = key.map(|key| ("Idempotency-Key", key.to_owned()));
        let producer = match &self.once {
            Once::Producer { id, epoch, seq } => vec![
                ("Producer-Id", id.clone()),
                ("Producer-Epoch", epoch.to_string()),
                ("Producer-Seq", seq.to_string()),
            ],
            Once::RandomKey | Once::Key(_) => Vec::new(),
        };
        let mut fields = FieldBlock::new();
        for (name, value) in content_type.into_iter().chain(key).chain(producer) {
            fields.push(name, &value).map_err(Error::field(name))?;
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
    if !message.splits() {
        return publish_once(settings, shared, message).await;
    }
    let mut published = publish_once(settings, shared, &Publish { closes: false, ..message.clone() }).await?;
    published.end = publish_once(settings, shared, &Publish::close()).await?.end;
    Ok(published)
}

/// Sends a request until there is an answer.
async fn publish_once(
    settings: &Settings,
    shared: &SharedConnection,
    message: &Publish,
) -> Result<Published, Error> {
    let key = message.key()?;
    let message_fields = message.fields(key.as_deref())?;
    let event = message.event.as_deref().map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
    let event = event.as_deref().map(|name| ("event", name));
    let close = message.closes.then_some(("close", "1"));
    let target = settings.url.target(&event.into_iter().chain(close).collect::<Vec<_>>());
    let fields = [&settings.fields, &message_fields];
    let request = Request::new("POST", &target, &settings.url.host).with_fields(&fields);
    let data = message.data.clone().unwrap_or_default();
    let (mut attempt, mut is_unknown) = (0, false);
    loop {
        attempt += 1;
        let deadline = after(Instant::now(), settings.request_timeout);
        let outcome = timeout_at(deadline, post(settings, shared, &request, &data, deadline)).await;
        let error = match outcome.unwrap_or(Err(Error::Timeout(Awaited::Answer))) {
            Ok(published) => return Ok(published),
            Err(error) => error,
        };
        is_unknown |= error.may_be_appended();
        let wait = wait(&error, attempt);
        if let Some(wait) = wait.filter(|_| attempt < settings.attempts) {
            tracing::debug!(%error, attempt, ?wait, "publish again");
            sleep(wait).await;
            continue;
        }
        return Err(match wait {
            _ if is_unknown && !error.is_about_message() => {
                Error::UnknownOutcome { attempts: attempt, key, last: Box::new(error) }
            }
            None => error,
            Some(_) => Error::GaveUp { attempts: attempt, last: Box::new(error) },
        });
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
    let end = answer.end.map(|end| object::cursor(Some(end))).transpose()?;
    Ok(Published { cursor: object::cursor(answer.cursor)?, duplicate: answer.duplicate, end })
}

#[derive(Deserialize)]
struct Acknowledgement {
    cursor: Option<String>,
    #[serde(default)]
    duplicate: bool,
    end: Option<String>,
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
