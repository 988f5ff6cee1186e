//! A channel of a server, to publish to and to read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::kept::SharedConnection;
use crate::settings::Settings;
use crate::{Error, Options, Publish, Published, Subscription, publish};

/// One channel of a server: [`publish`](Self::publish) to it or [`subscribe`](Self::subscribe) to
/// it. A subscription may have several channels.
///
/// A new client does not connect yet. Clones share the connection that is kept between two
/// publishes.
///
/// ```
/// use std::time::Duration;
/// use tidewire_client::Client;
///
/// let client = Client::new("http://127.0.0.1:8080/c/demo")?
///     .with_header("Authorization", "Bearer 0815")?
///     .with_connect_timeout(Duration::from_secs(2));
/// # Ok::<(), tidewire_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    settings: Arc<Settings>,
    kept: SharedConnection,
}

impl Client {
    /// A client of the channel at `url`: `http://HOST[:PORT]/c/NAME`, the same with `ws://`, or
    /// `http+unix://SOCKET/c/NAME` with the percent-encoded path of a Unix socket. To read several
    /// channels, write `/c/NAME,NAME`. The query of the URL is part of each request.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let settings = Settings::new(url.parse()?)?;
        Ok(Self { settings: Arc::new(settings), kept: SharedConnection::default() })
    }

    /// Adds a header field to every request. A `User-Agent` replaces that of this library.
    ///
    /// # Errors
    /// [`Error::Field`] for an invalid field, and for the fields that the client sets itself:
    /// `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`, `Upgrade`, `Accept` and
    /// `Accept-Encoding`.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        self.change().add_field(name, value)?;
        Ok(self)
    }

    /// Sets how long a new connection and then the first bytes of a feed may take. Default 5 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.change().connect_timeout = timeout;
        self
    }

    /// Sets how long one attempt to publish may take, from the connection to the answer. Default
    /// 30 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.change().request_timeout = timeout;
        self
    }

    /// Sets the number of attempts of a publish. 0 counts as 1. Default 5.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.change().attempts = attempts.max(1);
        self
    }

    /// Sets the limit, in bytes, of one encoded message of a feed, or of one answer to a poll. The
    /// limit bounds the memory that a server can make this program use. Default 16 MiB.
    #[must_use]
    pub fn with_max_message(mut self, bytes: usize) -> Self {
        self.change().max_message = bytes;
        self
    }

    /// Publishes a message and returns once it is in the log.
    ///
    /// If an answer is lost, the client sends the message again with the same idempotency key. So
    /// the log has the message only once. This holds while the server remembers the key; its
    /// operator sets this time. After a 408, 429, 500, 502, 503 or 504 the client waits, at least
    /// the time of `Retry-After`, and tries again. If `Retry-After` is more than 30 s, the client
    /// does not wait: it returns [`Error::Refused`] at once, with
    /// [`Problem::retry_after`](crate::Problem::retry_after).
    ///
    /// # Errors
    /// [`Error::ChannelClosed`], [`Error::Fenced`] and [`Error::ProducerGap`] say why the log does
    /// not take the message. [`Error::Refused`] has the server's problem for any other refusal.
    /// After [`Client::with_attempts`]: [`Error::UnknownOutcome`] if the log may have the message,
    /// and otherwise [`Error::GaveUp`]. After an unknown outcome, publish again with the same key:
    /// the answer says whether the log had the message already.
    pub async fn publish(&self, message: Publish) -> Result<Published, Error> {
        publish::publish(&self.settings, &self.kept, &message).await
    }

    /// Reads the channel. Nothing happens until the subscription is polled.
    #[must_use]
    pub fn subscribe(&self, options: Options) -> Subscription {
        Subscription::new(self.settings.clone(), options)
    }

    fn change(&mut self) -> &mut Settings {
        // The kept connection was made with the old settings.
        self.kept = SharedConnection::default();
        Arc::make_mut(&mut self.settings)
    }
}

impl fmt::Debug for Client {
    /// Leaves the header fields out, because they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.settings.url).finish_non_exhaustive()
    }
}
