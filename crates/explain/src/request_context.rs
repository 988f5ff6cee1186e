//! The parts of a request that its response depends on.

use tidewire_http1::{Method, RequestHead};

use crate::text::brief;
use crate::upgrade::UpgradeOffer;

/// The parts of one request that its response depends on.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    /// `GET /c/demo`, for people; `None` for a request that was not seen.
    pub(crate) line: Option<String>,
    pub(crate) is_head: bool,
    pub(crate) is_connect: bool,
    /// Whether it is the last request on its connection.
    pub(crate) closes: bool,
    /// The protocol that the request offers to change to.
    pub(crate) upgrade: Option<UpgradeOffer>,
}

impl RequestContext {
    pub(crate) fn new(head: &RequestHead<'_>) -> Self {
        Self {
            line: Some(format!("{} {}", head.method(), brief(head.target(), 48))),
            is_head: head.method() == Method::Head,
            is_connect: head.method() == Method::Connect,
            closes: !head.keep_alive(),
            upgrade: UpgradeOffer::new(head),
        }
    }

    /// Creates a request that was not seen. Any response fits it.
    pub(crate) const fn unseen() -> Self {
        let upgrade = Some(UpgradeOffer::Unseen);
        Self { line: None, is_head: false, is_connect: false, closes: false, upgrade }
    }

    /// Creates a refused request from its first bytes.
    pub(crate) fn refused(start: &[u8]) -> Self {
        let is_head = start.starts_with(b"HEAD ");
        let line = Some("a refused request".into());
        Self { line, is_head, is_connect: false, closes: true, upgrade: None }
    }

    pub(crate) const fn was_seen(&self) -> bool {
        self.line.is_some()
    }

    /// Returns whether the response decides the protocol of the client's next bytes.
    pub(crate) const fn decides_protocol(&self) -> bool {
        self.is_connect || self.upgrade.is_some()
    }
}
