//! A channel of a server, to publish to and to read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::kept::SharedConnection;
use crate::settings::Settings;
use crate::{Error, Options, Publish, Published, Subscription, publish};

/// One channel of a server, or several of them to read: what [`publish`](Self::publish) and
/// [`subscribe`](Self::subscribe) start from.
///
/// Making one connects to nothing. Clones share the connection that is kept between two publishes.
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
    /// A client of the channel at `url`: `http://HOST[:PORT]/c/NAME`, `ws://…` for the same, or
    /// `http+unix://SOCKET/c/NAME` with the path of a Unix socket, percent-encoded. Several
    /// channels, for reading, are `/c/NAME,NAME`. A query is kept.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let settings = Settings::new(url.parse()?)?;
        Ok(Self { settings: Arc::new(settings), kept: SharedConnection::default() })
    }

    /// Adds a header field to every request; a `User-Agent` takes the place of this library's.
    ///
    /// # Errors
    /// [`Error::Field`] for what is no field, and for `Host`, `Content-Length`,
    /// `Transfer-Encoding`, `Connection`, `Upgrade`, `Accept` and `Accept-Encoding`, which are not
    /// the caller's.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        self.change().add_field(name, value)?;
        Ok(self)
    }

    /// How long a connection may take to be made, and then a feed to bring its first bytes. Default
    /// 5 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.change().connect_timeout = timeout;
        self
    }

    /// How long one attempt to publish may take, from the connection to the answer. Default 30 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.change().request_timeout = timeout;
        self
    }

    /// How many times a publish is tried in all, at least once. Default 5.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.change().attempts = attempts.max(1);
        self
    }

    /// The most bytes of one message as a feed encodes it, or of one answer to a poll: what a
    /// server can make this program hold. Default 16 MiB.
    #[must_use]
    pub fn with_max_message(mut self, bytes: usize) -> Self {
        self.change().max_message = bytes;
        self
    }

    /// Publishes a message and returns once it is in the log.
    ///
    /// If an answer is lost, the message is sent again with the same idempotency key. So it is in
    /// the log once, however often it was sent, as long as the server remembers the key (a window
    /// that its operator sets). Answers 408, 429, 500, 502, 503 and 504 are waited out, as long as
    /// `Retry-After` says where it is there. A `Retry-After` of more than 30 s is not waited out:
    /// the answer is then returned at once, as [`Error::Refused`] with
    /// [`Problem::retry_after`](crate::Problem::retry_after).
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's words for anything else; [`Error::GaveUp`] after
    /// [`Client::with_attempts`]: whether the message is in the log is then unknown, and a publish
    /// with the same key of your own settles it.
    pub async fn publish(&self, message: Publish) -> Result<Published, Error> {
        publish::publish(&self.settings, &self.kept, &message).await
    }

    /// Reads the channel. Nothing happens before the subscription is polled.
    #[must_use]
    pub fn subscribe(&self, options: Options) -> Subscription {
        Subscription::new(self.settings.clone(), options)
    }

    fn change(&mut self) -> &mut Settings {
        // A connection that was kept belongs to the settings that it was made with.
        self.kept = SharedConnection::default();
        Arc::make_mut(&mut self.settings)
    }
}

impl fmt::Debug for Client {
    /// Without the header fields: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.settings.url).finish_non_exhaustive()
    }
}
