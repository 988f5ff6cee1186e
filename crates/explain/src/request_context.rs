//! The parts of a request that its response depends on.

use tidewire_http1::{Method, RequestHead};

use crate::frames::Negotiated;
use crate::text::brief;
use crate::upgrade::{NewProtocol, UpgradeOffer};

/// The parts of one request that its response depends on.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    /// `GET /c/demo`, for people; `None` for a request that was not seen.
    pub(crate) line: Option<String>,
    pub(crate) is_head: bool,
    pub(crate) is_connect: bool,
    /// The protocol that the request offers to change to.
    pub(crate) upgrade: Option<UpgradeOffer>,
}

impl RequestContext {
    pub(crate) fn new(head: &RequestHead<'_>) -> Self {
        Self {
            line: Some(format!("{} {}", head.method(), brief(head.target(), 48))),
            is_head: head.method() == Method::Head,
            is_connect: head.method() == Method::Connect,
            upgrade: UpgradeOffer::new(head),
        }
    }

    /// Creates a request that was not seen. Any response fits it.
    pub(crate) const fn unseen() -> Self {
        let upgrade = Some(UpgradeOffer::Unseen);
        Self { line: None, is_head: false, is_connect: false, upgrade }
    }

    /// Creates a refused request from its first bytes.
    pub(crate) fn refused(start: &[u8]) -> Self {
        let is_head = start.starts_with(b"HEAD ");
        let line = Some("a refused request".into());
        Self { line, is_head, is_connect: false, upgrade: None }
    }

    /// Returns whether the response decides the protocol of the client's next bytes.
    pub(crate) const fn decides_protocol(&self) -> bool {
        self.is_connect || self.upgrade.is_some()
    }

    /// Returns the protocol that follows if the server accepts what the request offers.
    pub(crate) fn assumed_protocol(&self) -> NewProtocol {
        match self.upgrade {
            Some(UpgradeOffer::WebSocket { .. }) => NewProtocol::WebSocket(Negotiated::default()),
            _ => NewProtocol::Other,
        }
    }
}
