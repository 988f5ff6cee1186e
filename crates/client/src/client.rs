//! A channel of a server, to publish to and to read.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidewire_http1::{EncodeError, FieldBlock};

use crate::http::Http;
use crate::url::Url;
use crate::{Error, Options, Subscription};

/// One channel of a server, or several of them to read: what [`publish`](Self::publish) and [`subscribe`](Self::subscribe) start from.
///
/// Making one connects to nothing. Clones share the connection that is kept between two publishes.
///
/// ```
/// use std::time::Duration;
/// use tidewire_client::Client;
///
/// let client = Client::new("http://127.0.0.1:8080/c/demo")?
///     .header("Authorization", "Bearer 0815")?
///     .connect_timeout(Duration::from_secs(2));
/// # Ok::<(), tidewire_client::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) settings: Arc<Settings>,
    pub(crate) idle: Idle,
}

/// What all requests of a client share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) url: Url,
    /// What every request carries.
    pub(crate) fields: FieldBlock,
    /// The caller's part of it.
    own: Vec<(String, String)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) attempts: u32,
    pub(crate) max_message: usize,
}

/// The connection that is kept between two publishes.
#[derive(Clone, Default)]
pub(crate) struct Idle(Arc<Mutex<Option<Http>>>);

impl Client {
    /// A client of the channel at `url`: `http://HOST[:PORT]/c/NAME`, `ws://…` for the same, or `http+unix://SOCKET/c/NAME` with the
    /// path of a Unix socket, percent-encoded. Several channels, for reading, are `/c/NAME,NAME`. A query is kept.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        let settings = Settings {
            url: url.parse()?,
            fields: fields(&[])?,
            own: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            attempts: 5,
            max_message: 16 << 20,
        };
        Ok(Self { settings: Arc::new(settings), idle: Idle::default() })
    }

    /// Adds a header field to every request; a `User-Agent` takes the place of this library's.
    ///
    /// # Errors
    /// [`Error::Field`] for what is no field, and for `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`, `Upgrade`, `Accept` and
    /// `Accept-Encoding`, which are not the caller's.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(Error::field(name)(EncodeError::FieldReserved));
        }
        let settings = self.change();
        settings.own.push((name.to_owned(), value.to_owned()));
        settings.fields = fields(&settings.own)?;
        Ok(self)
    }

    /// How long a connection may take to be made, and then a feed to bring its first bytes. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.change().connect_timeout = timeout;
        self
    }

    /// How long one attempt to publish may take, from the connection to the answer. Default 30 s.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.change().request_timeout = timeout;
        self
    }

    /// How many times a publish is tried in all, at least once. Default 5.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.change().attempts = attempts.max(1);
        self
    }

    /// The most bytes of one message as a feed encodes it, or of one answer to a poll: what a server can make this program hold.
    /// Default 16 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.change().max_message = bytes;
        self
    }

    /// Reads the channel. Nothing happens before the subscription is polled.
    #[must_use]
    pub fn subscribe(&self, options: Options) -> Subscription {
        Subscription::new(self.settings.clone(), options)
    }

    fn change(&mut self) -> &mut Settings {
        // A connection that was kept belongs to the settings that it was made with.
        self.idle = Idle::default();
        Arc::make_mut(&mut self.settings)
    }
}

/// Fields that the requests set themselves.
const OURS: [&str; 4] = ["connection", "upgrade", "accept", "accept-encoding"];

/// The fields of every request.
fn fields(own: &[(String, String)]) -> Result<FieldBlock, Error> {
    let agent = ("User-Agent", concat!("tidewire-client/", env!("CARGO_PKG_VERSION")));
    let is_named = own.iter().any(|(name, _)| name.eq_ignore_ascii_case(agent.0));
    // What a proxy compresses it holds back, and here nothing is decompressed.
    let mut all = vec![("Accept-Encoding", "identity")];
    all.extend((!is_named).then_some(agent));
    all.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut fields = FieldBlock::new();
    for (name, value) in all {
        fields.push(name, value).map_err(Error::field(name))?;
    }
    Ok(fields)
}

impl Idle {
    pub(crate) fn take(&self) -> Option<Http> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep(&self, http: Http) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(http);
    }
}

/// Bytes that nobody can guess: masking keys, nonces, idempotency keys.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

impl fmt::Debug for Client {
    /// Without the header fields: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.settings.url).finish_non_exhaustive()
    }
}
