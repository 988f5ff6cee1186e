//! The server's answer to the handshake.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use tidewire_http1::OwnedResponseHead;

/// What the server answered: the 101, or a refusal with the start of its body.
///
/// ```
/// # #[cfg(feature = "connect")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use tidewire_ws::connect::{Connect, Error};
/// use tokio::io::AsyncWriteExt as _;
/// # let (client, mut server) = tokio::io::duplex(1024);
/// server.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 8\r\n\r\nno token").await?;
/// match Connect::new("ws://example.com/").over(client).await {
///     Err(Error::Refused(response)) => {
///         assert_eq!((response.status(), response.body()), (401, &b"no token"[..]));
///         assert_eq!(response.get("content-length"), Some(&b"8"[..]));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), std::io::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Response {
    pub(super) head: OwnedResponseHead,
    pub(super) subprotocol: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) is_whole: bool,
}

impl Response {
    /// The status code. 101 opens a WebSocket.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// All header fields in their order: names as received, values without the whitespace around
    /// them.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.fields()
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name)
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The start of the body of a refusal: at most what
    /// [`with_max_body`](super::Connect::with_max_body) allows, and what came within a second.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether [`body`](Self::body) is the whole body.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// What a refusal means, and what to do.
impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |name| Excerpt(self.get(name).unwrap_or(b"(none)"));
        write!(f, "the server answered {}", self.status())?;
        if !self.head.reason().is_empty() {
            write!(f, " {}", Excerpt(self.head.reason()))?;
        }
        f.write_str(" instead of 101: ")?;
        match self.status() {
            101 => f.write_str("it switched to something else")?,
            200..=299 => f.write_str("it does not speak WebSocket at this path")?,
            300..=399 => write!(
                f,
                "it redirects to {}; redirects are not followed, so connect there if you trust it",
                field("location")
            )?,
            401 => f.write_str("send credentials, such as with_field(\"Authorization\", …)")?,
            403 => f.write_str("it does not allow this client; some servers also check Origin")?,
            404 | 410 => f.write_str("there is no WebSocket at this path")?,
            407 => f.write_str("a proxy asks for credentials")?,
            426 => write!(
                f,
                "it wants Upgrade: {} and Sec-WebSocket-Version: {}",
                field("upgrade"),
                field("sec-websocket-version")
            )?,
            429 | 503 => write!(f, "try again later; Retry-After: {}", field("retry-after"))?,
            500..=999 => f.write_str("the server, or a proxy in front of it, has a fault")?,
            _ => f.write_str("it does not accept this handshake")?,
        }
        if self.body.is_empty() { Ok(()) } else { write!(f, ". Its body begins: {}", Excerpt(&self.body)) }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("head", &self.head)
            .field("body", &Excerpt(&self.body))
            .field("is_whole", &self.is_whole)
            .finish_non_exhaustive()
    }
}

/// The start of a text from a server, without control characters, for an error message.
struct Excerpt<'a>(&'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0[..self.0.len().min(MAX_EXCERPT)]);
        let mut was_space = false;
        for c in text.trim().chars() {
            match c {
                c if c.is_whitespace() => was_space = true,
                c => {
                    if core::mem::take(&mut was_space) {
                        f.write_str(" ")?;
                    }
                    if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
                }
            }
        }
        if self.0.len() > MAX_EXCERPT { f.write_str("…") } else { Ok(()) }
    }
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of a server's text in an error message: two lines of a terminal.
const MAX_EXCERPT: usize = 200;
